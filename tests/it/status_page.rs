//! Status pages, read from real sockets and shown beside what is measured.

mod daemon;
mod fake;
mod published;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brownout::domain::status_page::{Indicator, PageReading, Progress};
use brownout::domain::time::Timestamp;
use brownout::intake::status_page::{LastAsked, Page, Watcher, client};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use fake::{FakePage, GREEN, NO_INCIDENTS, SUMMARY, UNRESOLVED, response};

const STATUSPAGE_SUMMARY: &str = include_str!("status_page/statuspage_summary.json");
const INCIDENT_IO_SUMMARY: &str = include_str!("status_page/incident_io_summary.json");
const INCIDENT_IO_UNRESOLVED: &str = include_str!("status_page/incident_io_unresolved.json");

const MINUTE: Duration = Duration::from_secs(60);

/// Reads a page once; the reading, or why there is none.
async fn read(page: &mut Page) -> Result<PageReading, String> {
    page.read(&client().unwrap()).await.map_err(|error| error.to_string())
}

async fn read_new(fake: &FakePage) -> Result<PageReading, String> {
    read(&mut Page::new(&fake.url)).await
}

/// Title, impact and progress of each incident.
fn incidents(reading: &PageReading) -> Vec<(&str, Indicator, Progress)> {
    let incident = reading.incidents.iter();
    incident.map(|incident| (incident.name.as_str(), incident.impact, incident.status)).collect()
}

#[tokio::test]
async fn a_page_of_statuspage_is_read() {
    // Both documents tell of the incident; it is one.
    let fake = FakePage::start(STATUSPAGE_SUMMARY, STATUSPAGE_SUMMARY).await;
    let reading = read_new(&fake).await.unwrap();
    assert_eq!(reading.indicator, Indicator::Major);
    assert_eq!(reading.description, "Partial System Outage");
    let expected =
        ("Elevated errors on Claude Opus 4.7", Indicator::Major, Progress::Investigating);
    assert_eq!(incidents(&reading), [expected]);
    let began = Timestamp::parse("2026-04-24T14:05:00Z");
    assert_eq!(reading.incidents[0].started_at, began);
    for request in fake.requests() {
        assert!(request.contains("accept: application/json\r\n"), "{request}");
        assert!(!request.contains("authorization") && !request.contains("cookie"), "{request}");
    }
}

#[tokio::test]
async fn a_green_page_of_incident_io_tells_of_its_open_incident() {
    let fake = FakePage::start(INCIDENT_IO_SUMMARY, INCIDENT_IO_UNRESOLVED).await;
    let reading = read_new(&fake).await.unwrap();
    assert_eq!(reading.indicator, Indicator::None);
    let expected = ("Elevated error rates for Responses", Indicator::Minor, Progress::Monitoring);
    assert_eq!(incidents(&reading), [expected]);
    let began = Timestamp::parse("2026-04-24T13:58:00Z");
    assert_eq!(reading.incidents[0].started_at, began, "falls back on when it was created");
    // Without that document there are only the summary's, of which there is none.
    fake.answers(UNRESOLVED, &response("404 Not Found", "", ""));
    assert_eq!(incidents(&read_new(&fake).await.unwrap()), []);
}

#[tokio::test]
async fn what_is_odd_is_passed_over_and_what_is_long_is_cut() {
    let title = format!("Errors\\u0007\\u202e {}", "x".repeat(1_000));
    let mut list = vec![
        "null".to_owned(),
        "7".to_owned(),
        r#"{"name":"gone","status":"resolved","impact":"critical"}"#.to_owned(),
        r#"{"name":"gone","resolved_at":"2026-04-24T14:05:00Z","impact":"critical"}"#.to_owned(),
        format!(r#"{{"name":"{title}","impact":"critical","status":["?"],"started_at":9}}"#),
    ];
    list.extend((0..50).map(|n| format!(r#"{{"id":"{n}","name":"n{n}","impact":"apocalypse"}}"#)));
    let unresolved = format!(r#"{{"incidents":[{}]}}"#, list.join(","));
    let summary = r#"{"status":{"indicator":"on_fire","description":null},"incidents":{}}"#;
    let reading = read_new(&FakePage::start(summary, &unresolved).await).await.unwrap();
    assert_eq!((reading.indicator, reading.description.as_str()), (Indicator::Unknown, ""));
    assert_eq!(reading.incidents.len(), 5);
    let worst = &reading.incidents[0];
    assert_eq!((worst.impact, worst.status), (Indicator::Critical, Progress::Unknown));
    assert!(worst.name.starts_with("Errors xxx"), "{}", worst.name);
    assert_eq!((worst.name.chars().count(), worst.started_at), (120, None));
}

#[tokio::test]
async fn a_page_that_cannot_be_read_says_why() {
    let shape = "is not in the shape of Statuspage's API";
    let follows = "redirects to where it is not followed, configure its new https URL";
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(1024 * 1024));
    let moved = |place: &str| response("302 Found", &format!("location: {place}\r\n"), "");
    for (answer, expected) in [
        (response("200 OK", "", "<html>All Systems Operational</html>"), shape),
        (response("200 OK", "", "{}"), shape),
        (response("200 OK", "", r#"{"error":"no such page"}"#), shape),
        (response("200 OK", "", ""), shape),
        (response("200 OK", "", &large), "is larger than 1 MiB"),
        (response("503 Service Unavailable", "", GREEN), "answered HTTP 503"),
        (response("304 Not Modified", "", ""), "answered HTTP 304"),
        (moved("http://status.example.invalid/"), follows),
        // Round and round.
        (moved(SUMMARY), follows),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned(), "cannot be reached"),
        ("nonsense".to_owned(), "cannot be reached"),
    ] {
        let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
        fake.answers(SUMMARY, &answer);
        let error = read_new(&fake).await.unwrap_err();
        assert_eq!(error, expected, "{}", answer.chars().take(80).collect::<String>());
    }
    let nobody = Page::new("http://127.0.0.1:1").read(&client().unwrap()).await;
    assert_eq!(nobody.unwrap_err().to_string(), "cannot be reached");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_stalls_is_given_up() {
    let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
    fake.stalls();
    let begin = Instant::now();
    let error = read_new(&fake).await.unwrap_err();
    assert_eq!(error, "did not answer within 10 seconds");
    assert!(begin.elapsed() < MINUTE, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_moved_page_is_followed() {
    let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
    for (from, to) in [(SUMMARY, "/a"), ("/a", "/b"), ("/b", "/c")] {
        fake.answers(from, &response("302 Found", &format!("location: {to}\r\n"), ""));
    }
    fake.answers("/c", &response("200 OK", "", GREEN));
    assert_eq!(read_new(&fake).await.unwrap().indicator, Indicator::None);
    fake.answers("/c", &response("302 Found", "location: /d\r\n", ""));
    fake.answers("/d", &response("200 OK", "", GREEN));
    read_new(&fake).await.expect_err("a fourth redirect is one too many");
}

#[tokio::test]
async fn a_page_that_did_not_change_need_not_be_sent_again() {
    let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
    let minor = GREEN.replace("none", "minor");
    fake.answers(SUMMARY, &response("200 OK", "etag: W/\"a1\"\r\n", &minor));
    let mut page = Page::new(&fake.url);
    let first = read(&mut page).await.unwrap();
    assert_eq!(first.indicator, Indicator::Minor);
    fake.answers(SUMMARY, &response("304 Not Modified", "", ""));
    for _ in 0..2 {
        assert_eq!(read(&mut page).await.as_ref(), Ok(&first));
    }
    // After a failure it is asked for as a whole.
    fake.answers(SUMMARY, &response("500 Internal Server Error", "", ""));
    read(&mut page).await.unwrap_err();
    fake.answers(SUMMARY, &response("200 OK", "", GREEN));
    assert_eq!(read(&mut page).await.unwrap().indicator, Indicator::None);
    let asked = |request: &String| request.contains("if-none-match: w/\"a1\"");
    let summaries: Vec<String> = fake.requests();
    let tagged: Vec<bool> =
        summaries.iter().filter(|request| request.contains(SUMMARY)).map(asked).collect();
    assert_eq!(tagged, [false, true, true, true, false]);
}

/// What a loop told, and when.
type Told = Arc<Mutex<Vec<(Instant, Option<Indicator>)>>>;

#[tokio::test(start_paused = true)]
async fn a_page_is_read_once_an_interval_and_not_sooner() {
    let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
    let told: Told = Arc::default();
    let (every, intervals) = tokio::sync::watch::channel(MINUTE);
    let stop = CancellationToken::new();
    let listener = {
        let (told, url) = (Arc::clone(&told), fake.url.clone());
        Arc::new(move |page: &str, reading: Option<PageReading>| {
            assert_eq!(page, url);
            let said = reading.map(|reading| reading.indicator);
            told.lock().unwrap().push((Instant::now(), said));
        })
    };
    let (client, last_asked) = (client().unwrap(), LastAsked::default());
    let watcher = Watcher { client, every: intervals, listener, last_asked };
    let mut looping = JoinSet::new();
    looping.spawn(watcher.watch(fake.url.clone(), stop.clone()));
    tokio::time::sleep(60 * MINUTE).await;
    let seen = told.lock().unwrap().clone();
    // An interval is up to a tenth longer than configured, and never shorter.
    assert!((54..=60).contains(&seen.len()), "{}", seen.len());
    for pair in seen.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        assert!((MINUTE..=MINUTE * 11 / 10 + Duration::from_secs(1)).contains(&apart), "{apart:?}");
        assert_eq!(pair[1].1, Some(Indicator::None));
    }
    // A failure is told and does not end the loop, nor hurry it.
    fake.answers(SUMMARY, &response("500 Internal Server Error", "", ""));
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(told.lock().unwrap().last().unwrap().1, None);
    // A shorter interval counts from the last reading, a longer one too.
    for (interval, wait, most) in [(MINUTE * 30, MINUTE * 29, 1), (MINUTE, MINUTE * 2, 2)] {
        let before = told.lock().unwrap().len();
        every.send(interval).unwrap();
        tokio::time::sleep(wait).await;
        let after = told.lock().unwrap().len();
        assert!(after - before <= most, "{interval:?}: {before} {after}");
    }
    assert!(told.lock().unwrap().last().unwrap().0.elapsed() <= MINUTE * 11 / 10);
    stop.cancel();
    looping.join_next().await.unwrap().expect("it ends when it is told to");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_named_again_is_not_asked_sooner() {
    let fake = FakePage::start(GREEN, NO_INCIDENTS).await;
    let (_every, intervals) = tokio::sync::watch::channel(MINUTE);
    let told: Told = Arc::default();
    let listener = {
        let told = Arc::clone(&told);
        Arc::new(move |_: &str, _| told.lock().unwrap().push((Instant::now(), None)))
    };
    let (client, last_asked) = (client().unwrap(), LastAsked::default());
    let watcher = Watcher { client, every: intervals, listener, last_asked };
    // A loop that is stopped and begun anew every 20 seconds, as by reloads.
    for _ in 0..30 {
        let stop = CancellationToken::new();
        let watching = watcher.clone().watch(fake.url.clone(), stop);
        tokio::time::timeout(MINUTE / 3, watching).await.unwrap_err();
        watcher.last_asked.forget_older(MINUTE);
    }
    let told = told.lock().unwrap();
    assert!((5..=10).contains(&told.len()), "{}", told.len());
    // What is told is when the answer came, a moment later.
    let least = MINUTE - Duration::from_secs(1);
    assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 >= least), "{told:?}");
}
