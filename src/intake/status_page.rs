//! What public status pages say: read now and then, set beside the measurements, never health.
//!
//! A page in the shape of Atlassian's Statuspage (incident.io answers in the same shape) is two
//! documents: its summary, and its open incidents. The second is read whatever the first says,
//! because a page may be green while an incident is open. Other kinds of pages are not read.
//!
//! Nobody is asked unless a provider names its page, each page is asked once an interval however
//! many providers share it, and no key is ever sent. A page that cannot be read is a page that
//! says nothing: the last words of it are believed for [`BELIEVED_POLLS`] intervals, then not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::domain::status_page::{Indicator, PageReading};
use crate::ground::causes::with_causes;

mod client;
mod document;

pub use client::{Client, FetchError, client};

use client::{Fetched, fetch};
use document::{Found, Summary};

/// For so many intervals a page's last words are believed when it can no longer be read.
pub const BELIEVED_POLLS: u32 = 5;

/// First readings are spread over this, so that many pages are not asked in the same instant.
const FIRST_WITHIN: Duration = Duration::from_secs(2);
/// By up to this share an interval is longer than configured: never shorter, as a page's owner
/// counts requests by the minute.
const JITTER: f64 = 0.1;

/// Takes what was read of the page at a URL; `None` when it could not be read.
pub type Listener = Arc<dyn Fn(&str, Option<PageReading>) + Send + Sync>;

/// When each page was last asked: what must outlive the loop of a page that a reload drops and
/// another names again. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastAsked(Arc<Mutex<BTreeMap<String, Instant>>>);

impl LastAsked {
    /// Forgets the pages that were not asked within `every`, and may be asked at once.
    pub fn forget_older(&self, every: Duration) {
        self.lock().retain(|_, asked| asked.elapsed() <= every.mul_f64(1.0 + JITTER));
    }

    fn of(&self, url: &str) -> Option<Instant> {
        self.lock().get(url).copied()
    }

    fn note(&self, url: &str, now: Instant) {
        self.lock().insert(url.to_owned(), now);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        // Every change is a single step: whole even if a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the loops of all pages share.
#[derive(Clone)]
pub struct Watcher {
    /// Asks.
    pub client: Client,
    /// The interval. A changed one counts from the last reading on.
    pub every: Receiver<Duration>,
    /// Is told what was read.
    pub listener: Listener,
    /// Knows when pages were asked.
    pub last_asked: LastAsked,
}

impl Watcher {
    /// Reads the page at `url` at once, or an interval after it was last asked, and then every
    /// interval until `stop` is cancelled.
    pub async fn watch(mut self, url: String, stop: CancellationToken) {
        let reading = async {
            let mut page = Page::new(&url);
            let mut log = Log { url: &url, failing: false, indicator: None };
            sleep(FIRST_WITHIN.mul_f64(rand::random())).await;
            if let Some(asked) = self.last_asked.of(&url) {
                rest(asked, &mut self.every).await;
            }
            loop {
                let asked = Instant::now();
                self.last_asked.note(&url, asked);
                let result = page.read(&self.client).await;
                log.note(&result);
                (self.listener)(&url, result.ok());
                rest(asked, &mut self.every).await;
            }
        };
        stop.run_until_cancelled(reading).await;
    }
}

/// Waits until an interval has passed since `asked`.
async fn rest(asked: Instant, every: &mut Receiver<Duration>) {
    let longer = 1.0 + JITTER * rand::random::<f64>();
    loop {
        let due = asked + every.borrow_and_update().mul_f64(longer);
        tokio::select! {
            () = sleep_until(due) => return,
            changed = every.changed() => {
                // Who sets the interval is gone: so will be this loop in a moment.
                if changed.is_err() {
                    return sleep_until(due).await;
                }
            }
        }
    }
}

/// A page, with what it said last: it may answer that nothing changed.
#[derive(Debug)]
pub struct Page {
    summary: Document<Summary>,
    unresolved: Document<Vec<Found>>,
}

impl Page {
    /// The page at this base URL, without a slash at the end.
    pub fn new(base_url: &str) -> Self {
        let document = |name| format!("{base_url}/api/v2/{name}.json");
        Self {
            summary: Document::new(document("summary"), document::summary),
            unresolved: Document::new(document("incidents/unresolved"), document::unresolved),
        }
    }

    /// Reads both documents. Where the list of open incidents fails, those of the summary are
    /// what there is.
    ///
    /// # Errors
    /// [`FetchError`] when the summary cannot be read.
    pub async fn read(&mut self, client: &Client) -> Result<PageReading, FetchError> {
        let summary = self.summary.read(client).await?.clone();
        let mut found = summary.incidents;
        match self.unresolved.read(client).await {
            Ok(unresolved) => document::add(&mut found, unresolved),
            Err(error) => {
                let error = with_causes(&error);
                tracing::debug!(url = self.unresolved.url, error, "open incidents not read");
            }
        }
        let incidents = found.into_iter().map(|found| found.incident).collect();
        Ok(PageReading::new(summary.indicator, &summary.description, incidents))
    }
}

/// One document of a page.
#[derive(Debug)]
struct Document<T> {
    url: String,
    parse: fn(&[u8]) -> Option<T>,
    last: Option<(Option<String>, T)>,
}

impl<T> Document<T> {
    fn new(url: String, parse: fn(&[u8]) -> Option<T>) -> Self {
        Self { url, parse, last: None }
    }

    /// Asks for it, unless it has not changed. After a failure it is asked for as a whole.
    async fn read(&mut self, client: &Client) -> Result<&T, FetchError> {
        let last = self.last.take();
        let known = last.as_ref().and_then(|(etag, _)| etag.as_deref());
        let now = match (fetch(client, &self.url, known).await?, last) {
            (Fetched::Unchanged, Some(last)) => last,
            (Fetched::Unchanged, None) => return Err(FetchError::NotAStatusPage),
            (Fetched::Changed { body, etag }, _) => {
                (etag, (self.parse)(&body).ok_or(FetchError::NotAStatusPage)?)
            }
        };
        Ok(&self.last.insert(now).1)
    }
}

/// Says once that a page fails, once that it is back, and what it newly says.
struct Log<'a> {
    url: &'a str,
    failing: bool,
    indicator: Option<Indicator>,
}

impl Log<'_> {
    fn note(&mut self, result: &Result<PageReading, FetchError>) {
        let page = self.url;
        match result {
            Ok(reading) => {
                if self.failing {
                    tracing::info!(page, "status page can be read again");
                }
                if self.indicator.is_some_and(|last| last != reading.indicator) {
                    let indicator = reading.indicator.as_str();
                    tracing::info!(page, indicator, "status page changed");
                }
                self.indicator = Some(reading.indicator);
            }
            Err(error) if self.failing => {
                tracing::debug!(
                    page,
                    error = with_causes(error),
                    "status page still cannot be read"
                );
            }
            Err(error) => {
                tracing::warn!(page, error = with_causes(error), "status page cannot be read");
            }
        }
        self.failing = result.is_err();
    }
}
