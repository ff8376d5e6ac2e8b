//! The page in the health document, and that its tag rests while nothing of substance changes.

use std::sync::Arc;
use std::time::Duration;

use brownout::answers::health::{Document, Published};
use brownout::domain::status_page::{Incident, Indicator, PageReading, Progress};
use brownout::domain::target::{Provider, Target};
use brownout::domain::time::Timestamp;
use brownout::store::{Options, Store, WatchedPage};
use serde_json::{Value, json};

const URL: &str = "https://status.example.com";
const NOW: Timestamp = Timestamp::from_secs(1_777_039_391);

/// The document of all targets after the page said this, so many seconds ago.
fn document(reading: Option<PageReading>, ago_s: u64) -> Document {
    let provider = Provider::new("anthropic").unwrap();
    let page = WatchedPage { url: URL.to_owned(), believed_for: Duration::from_secs(300) };
    let options = Options {
        configured: vec![Target::parse("anthropic/m").unwrap(), Target::parse("x/m").unwrap()],
        targets_max: 9,
        status_pages: [(provider, page)].into(),
        ..Options::default()
    };
    let store = Store::new(&options, NOW);
    store.note_status_page(URL, |view| {
        view.reading = reading.map(Arc::new);
        view.as_of = Some(NOW.minus(Duration::from_secs(ago_s)));
    });
    Published::new(Arc::new(store.snapshot(NOW))).all().clone()
}

fn reading(indicator: Indicator) -> PageReading {
    let incident = Incident {
        name: "Elevated errors".to_owned(),
        impact: Indicator::Minor,
        status: Progress::Identified,
        started_at: Some(Timestamp::from_secs(1_777_039_000)),
    };
    PageReading::new(indicator, "Minor trouble", vec![incident])
}

fn page(document: &Document) -> Value {
    let health: Value = serde_json::from_slice(&document.bytes).unwrap();
    assert_eq!(health["providers"][1].get("status_page"), None, "no page is configured");
    assert_eq!(health["providers"][0]["state"], "unknown", "a page is never health");
    health["providers"][0]["status_page"].clone()
}

#[test]
fn the_page_stands_in_its_providers_entry() {
    let expected = json!({
        "url": URL, "indicator": "minor", "description": "Minor trouble",
        "incidents": [{"name": "Elevated errors", "impact": "minor", "status": "identified",
                       "started_at": "2026-04-24T13:56:40Z"}],
        "as_of": "2026-04-24T14:02:41Z", "stale": false, "agrees": null,
        "note": "page reports an incident and we have no evidence",
    });
    assert_eq!(page(&document(Some(reading(Indicator::Minor)), 30)), expected);
    let expected = json!({
        "url": URL, "indicator": "unknown", "description": "", "incidents": [],
        "as_of": "2026-04-24T13:58:10Z", "stale": true, "agrees": null,
        "note": "page could not be read",
    });
    assert_eq!(page(&document(Some(reading(Indicator::None)), 301)), expected);
}

#[test]
fn the_tag_changes_with_what_the_page_says_and_not_with_when_it_was_read() {
    let tag = |indicator, ago_s| document(Some(reading(indicator)), ago_s).etag;
    assert_eq!(tag(Indicator::Minor, 1), tag(Indicator::Minor, 61));
    assert_ne!(tag(Indicator::Minor, 1), tag(Indicator::Major, 1));
    assert_ne!(tag(Indicator::Minor, 1), tag(Indicator::Minor, 999), "no longer believed");
    let quiet = PageReading { incidents: Vec::new(), ..reading(Indicator::Minor) };
    assert_ne!(tag(Indicator::Minor, 1), document(Some(quiet), 1).etag);
}
