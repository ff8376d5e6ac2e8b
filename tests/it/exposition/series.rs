//! Which series there are, and that their numbers fit each other.

use brownout::answers::metrics::{Format, Options};
use brownout::domain::outcome::{Attempt, Class, Signal, Source};
use brownout::domain::state::{SignalState, TargetState};
use brownout::domain::time::Timestamp;
use brownout::store::snapshot::{Code, ProbeView, Snapshot};

use super::reader::{family, read};
use super::sample::{Bench, NOW, browning, count, quiet, rich, small};

#[test]
fn every_known_series_of_a_configured_target_is_there_at_zero() {
    let mut view = quiet("p/m", true);
    view.probe = Some(ProbeView::default());
    let bench = Bench::new(Snapshot { at: NOW, targets: vec![view], ..Snapshot::default() });
    let samples = read(&bench.text());
    let mut expected = Vec::new();
    let target = "provider=\"p\",model=\"m\"";
    for source in Source::ALL.map(Source::as_str) {
        for attempt in Attempt::ALL.map(Attempt::as_str) {
            let labels = format!("{target},source=\"{source}\",attempt=\"{attempt}\"");
            expected.push(format!("brownout_requests_total{{{labels}}}"));
            expected.extend(Class::errors().map(|class| {
                format!("brownout_request_errors_total{{{labels},reason=\"{class}\"}}")
            }));
        }
        for code in ["none", "200", "429", "500", "503", "529"] {
            expected.push(format!(
                "brownout_http_responses_total{{{target},source=\"{source}\",code=\"{code}\"}}"
            ));
        }
    }
    for hour in 0..24 {
        let labels = format!("{target},hour=\"{hour:02}\"");
        expected.push(format!("brownout_hour_of_day_requests_total{{{labels}}}"));
        expected.extend(Signal::ALL.map(|signal| {
            format!("brownout_hour_of_day_errors_total{{{labels},signal=\"{signal}\"}}")
        }));
    }
    for reason in ["budget", "clients_report", "missed", "overlap", "other"] {
        expected.push(format!("brownout_probe_skipped_total{{{target},reason=\"{reason}\"}}"));
    }
    for name in ["request_duration_seconds", "time_to_first_token_seconds"] {
        for suffix in ["sum", "count"] {
            expected.push(format!("brownout_{name}_{suffix}{{{target}}}"));
        }
        for bound in ["0.05", "1.0", "600.0", "+Inf"] {
            expected.push(format!("brownout_{name}_bucket{{{target},le=\"{bound}\"}}"));
        }
    }
    for name in ["probe_cost_usd_total", "probe_misconfigured", "target_transitions_total"] {
        expected.push(format!("brownout_{name}{{{target}}}"));
    }
    for reason in ["target_cap", "code_cap"] {
        expected.push(format!("brownout_series_dropped_total{{reason=\"{reason}\"}}"));
    }
    for series in expected {
        assert_eq!(samples.get(&series), Some(&0.0), "{series}");
    }
    for series in ["probe_success", "probe_last_run_timestamp_seconds"] {
        let series = format!("brownout_{series}{{{target}}}");
        assert_eq!(samples.get(&series), None, "{series}: nothing happened yet");
    }
}

#[test]
fn exactly_one_state_of_each_set_holds() {
    let samples = read(&Bench::new(rich()).text());
    for view in rich().targets {
        if view.target.provider.as_str() != "many" {
            continue;
        }
        let target = format!("provider=\"many\",model=\"{}\"", view.target.model);
        let sum: f64 = TargetState::ALL
            .map(|state| samples[&format!("brownout_target_state{{{target},state=\"{state}\"}}")])
            .iter()
            .sum();
        assert_eq!(sum, 1.0, "{target}");
        for signal in Signal::ALL {
            let labels = format!("{target},signal=\"{signal}\"");
            let of = |family: &str, state: SignalState| {
                let series = format!("{family}{{{labels},state=\"{}\"}}", state.as_str());
                samples.get(&series).copied()
            };
            let states = SignalState::ALL.map(|state| of("brownout_signal_state", state).unwrap());
            assert_eq!(states.iter().sum::<f64>(), 1.0, "{labels}");
            let probability = |state| of("brownout_signal_probability", state);
            let sum: f64 = SignalState::ALL.into_iter().filter_map(probability).sum();
            assert_eq!(sum, 1.0, "{labels}");
            assert_eq!(probability(SignalState::Unknown), None);
        }
    }
}

#[test]
fn histograms_are_cumulative_and_end_in_their_count() {
    for format in Format::ALL {
        let text = Bench::new(small()).scrape(format, NOW);
        let target = "provider=\"anthropic\",model=\"claude-opus-4-7\"";
        let prefix = format!("brownout_request_duration_seconds_bucket{{{target},le=\"");
        let buckets: Vec<(&str, u64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "))
            .map(|(bound, count)| (bound, count.parse().unwrap()))
            .collect();
        assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{buckets:?}");
        assert_eq!(buckets[4], ("1.0", 0));
        assert_eq!(buckets[5], ("2.0", 500));
        assert_eq!(buckets.last(), Some(&("+Inf", 541)));
        let samples = read(&text);
        let of = |part| samples[&format!("brownout_request_duration_seconds_{part}{{{target}}}")];
        assert_eq!(of("count"), 541.0);
        assert_eq!(of("sum"), 500.0 * 1.5 + 41.0 * 700.0);
    }
}

#[test]
fn both_formats_hold_the_same_series_and_errors_never_exceed_requests() {
    let open_metrics = read(&Bench::new(rich()).scrape(Format::OpenMetrics100, NOW));
    let text = read(&Bench::new(rich()).text());
    assert_eq!(text.keys().collect::<Vec<_>>(), open_metrics.keys().collect::<Vec<_>>());
    let sum = |name: &str| -> f64 {
        text.iter().filter(|(series, _)| family(series) == name).map(|(_, value)| value).sum()
    };
    assert!(sum("brownout_request_errors_total") < sum("brownout_requests_total"));
    assert_eq!(sum("brownout_request_errors_total"), (22.0) * 106.0);
}

#[test]
fn names_that_need_escaping_are_escaped() {
    let text = Bench::new(rich()).text();
    let labels = "provider=\"strange\\\\provider\\\"x\\\"\",\
                  model=\"models/größe-{\\\"a\\\"=\\\\n}\u{1f525}\"";
    assert!(text.contains(&format!("brownout_target_transitions_total{{{labels}}} 3\n")));
}

#[test]
fn hour_of_day_counters_can_be_switched_off() {
    let text = Bench::with(small(), Options { hour_of_day: false }).text();
    assert!(!text.contains("hour_of_day"));
    assert!(text.contains("brownout_requests_total{"));
}

#[test]
fn a_rate_limit_is_forgotten_after_an_hour() {
    let bench = Bench::new(small());
    let series = "brownout_quota_remaining{provider=\"anthropic\",account=\"\",kind=\"requests\"}";
    for (minutes, expected) in [(0, Some(&3_999.0)), (60, Some(&3_999.0)), (61, None)] {
        let at = Timestamp::from_secs(NOW.secs() + minutes * 60);
        assert_eq!(read(&bench.scrape(Format::Text004, at)).get(series), expected, "{minutes}");
    }
}

#[test]
fn a_status_page_that_was_not_read_is_unknown_and_never_green() {
    let mut snapshot = small();
    for page in snapshot.status_pages.values_mut() {
        (page.reading, page.as_of) = (None, None);
    }
    let samples = read(&Bench::new(snapshot).text());
    let of = |indicator: &str| {
        let labels = format!("provider=\"anthropic\",indicator=\"{indicator}\"");
        samples[&format!("brownout_status_page_indicator{{{labels}}}")]
    };
    let said = ["none", "minor", "major", "critical", "maintenance", "unknown"].map(of);
    assert_eq!(said, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let read = "brownout_status_page_last_success_timestamp_seconds";
    assert!(!samples.keys().any(|series| series.starts_with(read)), "never read, so no time");
}

#[test]
fn an_overflow_target_counts_and_stays_unknown() {
    let samples = read(&Bench::new(rich()).text());
    let other = "provider=\"zeta\",model=\"other\"";
    assert_eq!(samples[&format!("brownout_target_state{{{other},state=\"unknown\"}}")], 1.0);
    assert!(samples.contains_key(&format!(
        "brownout_http_responses_total{{{other},source=\"client\",code=\"other\"}}"
    )));
}

#[test]
fn a_target_that_leaves_the_book_leaves_no_series() {
    let bench = Bench::new(small());
    assert!(bench.text().contains("gpt-5.5"));
    let mut view = browning("anthropic/claude-opus-4-7", true);
    count(&mut view, Class::Ok, Attempt::First, Code::Status(200), 1);
    bench.publish(Snapshot { at: NOW, targets: vec![view], ..Snapshot::default() });
    assert!(!bench.text().contains("gpt-5.5"));
}
