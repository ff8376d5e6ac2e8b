//! The section `status_pages`, and each provider's `status_page`.
//!
//! No page is read unless a provider names one: it would be somebody else's server that every
//! daemon asks every minute, for a word that decides nothing.

use std::time::Duration;

use crate::domain::target::Provider;

use super::super::catalog;
use super::problem::Problems;
use super::providers::is_loopback;
use super::reader::Field;

/// How often a page is read unless said otherwise, and at most.
const EVERY_DEFAULT: Duration = Duration::from_secs(60);
/// Longest interval: a page that is looked at less often corroborates nothing.
const EVERY_MAX: Duration = Duration::from_secs(3_600);
/// Longest URL in bytes.
const URL_BYTES_MAX: usize = 256;

/// How status pages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusPagesConfig {
    /// From one reading of a page to the next, a minute or more.
    pub every: Duration,
}

impl Default for StatusPagesConfig {
    fn default() -> Self {
        Self { every: EVERY_DEFAULT }
    }
}

/// Reads the section.
pub(super) fn status_pages(field: &Field<'_>, problems: &mut Problems) -> StatusPagesConfig {
    let mut pages = StatusPagesConfig::default();
    let Some(section) = field.section(&["every"], problems) else { return pages };
    if let Some(field) = section.get("every")
        && let Some(every) = field.duration(problems)
    {
        if !(EVERY_DEFAULT..=EVERY_MAX).contains(&every) {
            let message = "is not in 60s..1h: a status page is read once a minute at most";
            field.wrong(problems, message);
        }
        pages.every = every;
    }
    pages
}

/// Reads a provider's `status_page`: where its page is.
pub(super) fn page(name: &Provider, field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    if field.is_word("false") || field.is_word("none") {
        return None;
    }
    if field.is_word("builtin") || field.is_word("true") {
        let known = catalog::provider(name.as_str()).and_then(|known| known.status_page);
        if known.is_none() {
            let message = format!("no page of \"{name}\" is built in, give its URL or remove it");
            field.wrong(problems, message);
        }
        return known.map(str::to_owned);
    }
    match url(field.text("a URL like https://status.example.com, or builtin", problems)?) {
        Ok(url) => Some(url),
        Err(message) => {
            field.wrong(problems, message);
            None
        }
    }
}

/// Checks a page's URL. The text is not repeated in messages, for it may hold a password.
fn url(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "is not a URL like https://status.example.com, nor builtin";
    let uri: http::Uri = text.parse().map_err(|_| EXPECTED)?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(EXPECTED)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(EXPECTED);
    }
    if text.len() > URL_BYTES_MAX {
        return Err("is longer than 256 bytes, give the page itself");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("holds a user or password, remove it: only public pages are read");
    }
    if uri.query().is_some() || text.contains('#') || uri.path().ends_with(".json") {
        return Err("is more than the page itself, end it before /api/v2, a query or a fragment");
    }
    if uri.scheme_str() == Some("http") && !is_loopback(host) {
        return Err("is plain http, which anybody on the way can rewrite, use https");
    }
    let url = text.trim_end_matches('/');
    Ok(url.strip_suffix("/api/v2").unwrap_or(url).to_owned())
}
