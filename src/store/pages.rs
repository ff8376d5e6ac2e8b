//! What is known of status pages. It stands beside the counts and never enters a judge.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::target::Provider;
use crate::domain::time::Timestamp;

use super::snapshot::StatusPageView;

/// A status page to be kept in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedPage {
    /// Where it is. Providers may share one.
    pub url: String,
    /// How long what it said is believed: a page that cannot be read is not a green one.
    pub believed_for: Duration,
}

/// The watched pages and what they said. Bounded by the configuration.
#[derive(Debug, Default)]
pub(super) struct Pages {
    watched: BTreeMap<Provider, WatchedPage>,
    /// By URL.
    known: BTreeMap<String, StatusPageView>,
}

impl Pages {
    /// Watches these pages from now on; what is known of one that stays is kept.
    pub(super) fn watch(&mut self, watched: &BTreeMap<Provider, WatchedPage>) {
        let mut known = std::mem::take(&mut self.known);
        for page in watched.values() {
            let view = known.remove(&page.url).or_else(|| self.known.remove(&page.url));
            let new = || StatusPageView { url: page.url.clone(), ..StatusPageView::default() };
            self.known.insert(page.url.clone(), view.unwrap_or_else(new));
        }
        self.watched.clone_from(watched);
    }

    /// A late word about a page that is no longer watched does not bring it back.
    pub(super) fn note(&mut self, url: &str, change: impl FnOnce(&mut StatusPageView)) {
        if let Some(view) = self.known.get_mut(url) {
            change(view);
        }
    }

    /// What is believed at `now`.
    pub(super) fn views(&self, now: Timestamp) -> BTreeMap<Provider, StatusPageView> {
        let view = |(provider, page): (&Provider, &WatchedPage)| {
            let mut view = self.known.get(&page.url)?.clone();
            if view.as_of.is_none_or(|as_of| now.since(as_of) > page.believed_for) {
                view.reading = None;
            }
            Some((provider.clone(), view))
        };
        self.watched.iter().filter_map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::status_page::PageReading;

    const BELIEVED_FOR: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_777_000_000 + seconds)
    }

    fn watching(pages: &[(&str, &str)]) -> BTreeMap<Provider, WatchedPage> {
        let watched = |(name, url): &(&str, &str)| {
            let page = WatchedPage { url: (*url).to_owned(), believed_for: BELIEVED_FOR };
            (Provider::new(name).unwrap(), page)
        };
        pages.iter().map(watched).collect()
    }

    fn read_at(now: Timestamp) -> impl FnOnce(&mut StatusPageView) {
        move |view| {
            view.reading = Some(Arc::new(PageReading::default()));
            view.as_of = Some(now);
        }
    }

    /// Each provider with its page, and whether what the page said is believed.
    fn seen(pages: &Pages, now: Timestamp) -> Vec<(String, String, bool)> {
        let seen = |(provider, view): (Provider, StatusPageView)| {
            (provider.to_string(), view.url, view.reading.is_some())
        };
        pages.views(now).into_iter().map(seen).collect()
    }

    fn rows(rows: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
        rows.iter().map(|(name, url, read)| ((*name).into(), (*url).into(), *read)).collect()
    }

    #[test]
    fn one_page_may_tell_of_several_providers() {
        let mut pages = Pages::default();
        pages.watch(&watching(&[("a", "u"), ("b", "u"), ("c", "v")]));
        pages.note("u", read_at(at(0)));
        pages.note("elsewhere", |_| unreachable!("nobody watches it"));
        let expected = rows(&[("a", "u", true), ("b", "u", true), ("c", "v", false)]);
        assert_eq!(seen(&pages, at(1)), expected);
    }

    #[test]
    fn what_a_page_said_is_not_believed_for_ever() {
        let mut pages = Pages::default();
        pages.watch(&watching(&[("a", "u")]));
        pages.note("u", read_at(at(0)));
        assert_eq!(seen(&pages, at(300)), rows(&[("a", "u", true)]));
        assert_eq!(seen(&pages, at(301)), rows(&[("a", "u", false)]));
        let view = pages.views(at(301)).into_values().next().unwrap();
        assert_eq!(view.as_of, Some(at(0)), "when it was last read stays known");
    }

    #[test]
    fn a_page_that_stays_is_still_known_and_one_that_goes_is_not() {
        let mut pages = Pages::default();
        pages.watch(&watching(&[("a", "u"), ("b", "v")]));
        pages.note("u", read_at(at(0)));
        pages.note("v", read_at(at(0)));
        pages.watch(&watching(&[("a", "u"), ("c", "u"), ("b", "w")]));
        let expected = rows(&[("a", "u", true), ("b", "w", false), ("c", "u", true)]);
        assert_eq!(seen(&pages, at(1)), expected);
        pages.watch(&watching(&[("b", "v")]));
        assert_eq!(seen(&pages, at(1)), rows(&[("b", "v", false)]));
    }
}
