//! Counters are born at 0 for Prometheus, and never fall.

use std::time::Duration;

use brownout::answers::metrics::Format;
use brownout::domain::outcome::{Attempt, Class};
use brownout::domain::time::Timestamp;
use brownout::store::snapshot::{Code, Snapshot, TargetView};

use super::reader::{Samples, is_cumulative, read};
use super::sample::{Bench, NOW, browning, count};

const REQUESTS: &str = "brownout_requests_total{provider=\"p\",model=\"m\",source=\"client\",\
                        attempt=\"first\"}";

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn book(views: Vec<TargetView>) -> Snapshot {
    Snapshot { at: NOW, targets: views, ..Snapshot::default() }
}

fn response(code: &str) -> String {
    format!(
        "brownout_http_responses_total{{provider=\"p\",model=\"m\",source=\"client\",\
         code=\"{code}\"}}"
    )
}

fn scrape(bench: &Bench, seconds: u64) -> Samples {
    read(&bench.scrape(Format::Text004, later(seconds)))
}

#[test]
fn a_target_first_seen_in_a_report_shows_zero_once() {
    // configured, scrapes at these seconds after it was first seen -> requests shown
    for (configured, scrapes, expected) in [
        (true, vec![0, 15], vec![607.0, 607.0]),
        (false, vec![0, 15, 30], vec![0.0, 607.0, 607.0]),
        (false, vec![119, 134], vec![0.0, 607.0]),
        (false, vec![120, 135], vec![607.0, 607.0]),
        (false, vec![86_400], vec![607.0]),
        (false, vec![5, 200], vec![0.0, 607.0]),
    ] {
        let bench = Bench::new(book(vec![browning("p/m", configured)]));
        let shown: Vec<f64> = scrapes.iter().map(|at| scrape(&bench, *at)[REQUESTS]).collect();
        assert_eq!(shown, expected, "configured: {configured}, scrapes at {scrapes:?}");
    }
}

#[test]
fn while_held_every_counter_is_zero_and_every_gauge_true() {
    let bench = Bench::new(book(vec![browning("p/m", false)]));
    let samples = scrape(&bench, 0);
    for (series, value) in &samples {
        if series.contains("model=\"m\"") && is_cumulative(series) {
            assert_eq!(*value, 0.0, "{series}");
        }
    }
    let state = "brownout_target_state{provider=\"p\",model=\"m\",state=\"overloaded\"}";
    assert_eq!(samples[state], 1.0);
    // The same series as in the next scrape: none is born with its count then.
    let next = scrape(&bench, 15);
    assert_eq!(samples.keys().collect::<Vec<_>>(), next.keys().collect::<Vec<_>>());
}

#[test]
fn a_status_that_newly_appears_shows_zero_once() {
    let mut view = browning("p/m", true);
    let bench = Bench::new(book(vec![view.clone()]));
    let first = scrape(&bench, 0);
    assert_eq!(first[&response("529")], 97.0, "a series that exists from the start");
    assert_eq!(first[&response("422")], 0.0);
    assert_eq!(scrape(&bench, 15)[&response("422")], 7.0);

    count(&mut view, Class::Unavailable, Attempt::First, Code::Status(502), 5);
    count(&mut view, Class::InvalidRequest, Attempt::First, Code::Status(422), 1);
    bench.publish(book(vec![view.clone()]));
    let third = scrape(&bench, 30);
    assert_eq!((third[&response("502")], third[&response("422")]), (0.0, 8.0));
    assert_eq!(scrape(&bench, 45)[&response("502")], 5.0);
}

#[test]
fn no_counter_falls_from_scrape_to_scrape() {
    let mut views = vec![browning("a/one", true), browning("p/m", false)];
    let bench = Bench::new(book(views.clone()));
    let mut before = Samples::new();
    let codes = [502, 504, 422, 403, 529, 200];
    for round in 0..24_u64 {
        // Half of the scrapes see the very same book again.
        if round % 2 == 0 {
            let code = Code::Status(codes[round as usize / 2 % codes.len()]);
            for view in &mut views {
                count(view, Class::ServerError, Attempt::First, code, round);
            }
            if round == 6 {
                views.push(browning("z/late", false));
            }
            bench.publish(book(views.clone()));
        }
        let now = scrape(&bench, round * 15);
        for (series, value) in before.iter().filter(|(series, _)| is_cumulative(series)) {
            assert!(now[series] >= *value, "round {round}: {series} fell from {value}");
        }
        before = now;
    }
    // And nothing stays held: what is shown in the end is what was counted.
    let shown: f64 = before
        .iter()
        .filter(|(series, _)| series.starts_with("brownout_http_responses_total"))
        .map(|(_, value)| value)
        .sum();
    let counted: u64 =
        views.iter().flat_map(|v| &v.counters.by_source[0].by_code).map(|c| c.1).sum();
    assert_eq!(shown, counted as f64);
}

#[test]
fn a_target_that_left_and_came_back_starts_at_zero_again() {
    let bench = Bench::new(book(vec![browning("p/m", false)]));
    scrape(&bench, 0);
    assert_eq!(scrape(&bench, 15)[REQUESTS], 607.0);
    bench.publish(book(Vec::new()));
    assert_eq!(scrape(&bench, 30).get(REQUESTS), None);
    bench.publish(book(vec![browning("p/m", false)]));
    assert_eq!(scrape(&bench, 45)[REQUESTS], 0.0);
    assert_eq!(scrape(&bench, 60)[REQUESTS], 607.0);
}
