//! The HTTP client of status pages: no key, little patience, little memory.
//!
//! It is not the probes' client, for it follows redirects: pages move (`status.anthropic.com` to
//! `status.claude.com`), and as nothing secret is sent, nothing can be carried to a stranger. What
//! a redirect must not do is to lead into this machine or out of TLS.

use std::time::Duration;

use reqwest::header::{ACCEPT, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::super::probe::{ClientError, is_loopback, tls};

/// The HTTP client of all status pages, made by [`client()`].
pub use reqwest::Client;

/// How long one document may take, from the connection to its last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest document read: the largest pages, with hundreds of components, have some 200 KiB.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Redirects followed: a moved page needs one, and one more for its `www`.
const REDIRECTS_MAX: usize = 3;
/// Longest entity tag kept, in bytes.
const ETAG_BYTES_MAX: usize = 256;
/// Kept for the second document of a page and not for the next minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a document of a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answered, or the answer broke off.
    #[error("cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It took longer than ten seconds.
    #[error("did not answer within 10 seconds")]
    Slow,
    /// It leads on and on, into this machine or out of TLS.
    #[error("redirects to where it is not followed, configure its new https URL")]
    Redirect(#[source] reqwest::Error),
    /// It answered with an error.
    #[error("answered HTTP {0}")]
    Status(u16),
    /// It is larger than a status page ever is.
    #[error("is larger than 1 MiB")]
    TooLarge,
    /// It holds something else.
    #[error("is not in the shape of Statuspage's API")]
    NotAStatusPage,
}

/// What came of asking for a document.
#[derive(Debug)]
pub(super) enum Fetched {
    /// It is the one that was known.
    Unchanged,
    /// Another one.
    Changed {
        /// The document.
        body: Vec<u8>,
        /// Its tag, to ask with the next time.
        etag: Option<String>,
    },
}

/// Builds the client that all pages share.
///
/// # Errors
/// [`ClientError`] when the TLS library or the HTTP client refuses its settings.
pub fn client() -> Result<Client, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("brownout/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(Policy::custom(|attempt| {
            if may_follow(&attempt) { attempt.follow() } else { attempt.error("not followed") }
        }))
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()
        .map_err(ClientError::Http)
}

/// To https anywhere but on this machine; within this machine only from there.
fn may_follow(attempt: &Attempt<'_>) -> bool {
    let (next, before) = (attempt.url(), attempt.previous());
    let few = before.len() <= REDIRECTS_MAX;
    few && if is_loopback(next) { before.iter().all(is_loopback) } else { next.scheme() == "https" }
}

/// Asks once for a document; `known` is the tag of the one that is known.
pub(super) async fn fetch(
    client: &Client,
    url: &str,
    known: Option<&str>,
) -> Result<Fetched, FetchError> {
    let mut request = client.get(url);
    if let Some(etag) = known {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let exchange = async {
        let response = request.send().await.map_err(failure)?;
        match response.status() {
            StatusCode::OK => {
                let etag = etag(&response);
                Ok(Fetched::Changed { body: body(response).await?, etag })
            }
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(Fetched::Unchanged),
            status => Err(FetchError::Status(status.as_u16())),
        }
    };
    timeout(PATIENCE, exchange).await.map_err(|_| FetchError::Slow)?
}

fn failure(error: reqwest::Error) -> FetchError {
    if error.is_redirect() {
        FetchError::Redirect(error.without_url())
    } else {
        FetchError::Unreachable(error.without_url())
    }
}

fn etag(response: &Response) -> Option<String> {
    let etag = response.headers().get(ETAG)?.to_str().ok()?;
    (etag.len() <= ETAG_BYTES_MAX).then(|| etag.to_owned())
}

async fn body(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
