//! The book by example: what is counted where, and what drives a state.

mod operations;

use std::time::Duration;

use super::snapshot::{Code, TargetView};
use super::*;
use crate::domain::outcome::{Attempt, Class, Outcome, Signal, Source};
use crate::domain::state::{Reason, TargetState};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;

/// 2026-04-24T14:00:05Z, five seconds into an hour.
const START: u64 = 1_777_039_205;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(START + seconds)
}

fn target(name: &str) -> Target {
    Target::parse(name).unwrap()
}

fn outcome(name: &str, class: Class, seconds: u64) -> Outcome {
    Outcome::new(target(name), Source::Client, at(seconds), class)
}

fn store(targets_max: usize) -> Store {
    Store::new(&Options { targets_max, ..Options::default() }, at(0))
}

fn view(store: &Store, name: &str, seconds: u64) -> TargetView {
    store.snapshot(at(seconds)).target(&target(name)).unwrap().clone()
}

/// One second of traffic, then the tick that follows it.
fn second(store: &Store, outcomes: &[Outcome], seconds: u64) {
    store.record(outcomes, Arrival::Live, at(seconds));
    store.tick(at(seconds + 1));
}

#[test]
fn an_outcome_is_counted_in_every_place_it_belongs() {
    let store = store(10);
    let mut shed = outcome("anthropic/opus", Class::Overloaded, 0);
    shed.code = Some(529);
    let mut retried = shed.clone();
    retried.attempt = Attempt::Retry;
    let mut good = outcome("anthropic/opus", Class::Ok, 1);
    good.duration = Some(Duration::from_millis(900));
    good.count = 3;
    store.record(&[shed, retried, good], Arrival::Live, at(1));

    let view = view(&store, "anthropic/opus", 2);
    let client = &view.counters.by_source[Source::Client.index()];
    assert_eq!(client.by_class[Attempt::First.index()][Class::Overloaded.index()], 1);
    assert_eq!(client.by_class[Attempt::Retry.index()][Class::Overloaded.index()], 1);
    assert_eq!(client.by_code, [(Code::Status(529), 2), (Code::None, 3)]);
    for window in [view.windows.five_minutes, view.windows.one_hour, view.windows.one_day] {
        assert_eq!((window.attempts, window.ok, window.overloaded), (5, 3, 2));
        assert_eq!(window.ratio(Signal::Overload), Some(0.25));
    }
    assert_eq!(view.hours.len(), 1);
    assert_eq!(view.hours[0].1, view.windows.one_hour);
    assert_eq!(view.counters.hour_of_day[14].requests, 4);
    assert_eq!(view.counters.hour_of_day[14].errors, [1, 0, 0]);
    assert_eq!(view.counters.duration.count(), 3);
    assert_eq!(view.recent_by_source, [5, 0]);
    assert!(view.latency.p50.is_some());
}

#[test]
fn late_outcomes_land_in_their_own_hour_and_not_in_the_detector() {
    let store = store(10);
    let hour = 3_600;
    let late = |age: u64| {
        let mut outcome = outcome("a/m", Class::Overloaded, 0);
        outcome.at = Timestamp::from_secs(START - age);
        outcome.count = 50;
        outcome
    };
    store.record(&[late(3 * hour), late(24 * hour - 1), late(25 * hour)], Arrival::Live, at(0));
    store.tick(at(1));
    let view = view(&store, "a/m", 1);
    let hours: Vec<_> = view.hours.iter().map(|(h, tally)| (h.of_day(), tally.attempts)).collect();
    assert_eq!(hours, [(14, 50), (11, 50)], "yesterday's 14 h, today's 11 h, nothing older");
    assert_eq!(view.windows.one_hour.attempts, 0);
    assert_eq!((view.state, view.reason), (TargetState::Unknown, Reason::NoEvidence));
}

#[test]
fn an_outcome_dated_a_little_ahead_counts_now() {
    let store = store(10);
    store.record(&[outcome("a/m", Class::Ok, 50)], Arrival::Live, at(0));
    store.record(&[outcome("a/m", Class::Ok, 61)], Arrival::Live, at(0));
    assert_eq!(view(&store, "a/m", 0).windows.five_minutes.attempts, 1);
    store.record(&[outcome("a/m", Class::Ok, 1)], Arrival::Live, at(1));
    assert_eq!(view(&store, "a/m", 1).windows.five_minutes.attempts, 2);
}

#[test]
fn windows_forget_at_their_own_pace() {
    let store = store(10);
    store.record(&[outcome("a/m", Class::Ok, 0)], Arrival::Live, at(0));
    for (seconds, expected) in
        [(280, [1, 1, 1]), (310, [0, 1, 1]), (3_700, [0, 0, 1]), (87_000, [0, 0, 0])]
    {
        let windows = view(&store, "a/m", seconds).windows;
        let attempts =
            [windows.five_minutes, windows.one_hour, windows.one_day].map(|tally| tally.attempts);
        assert_eq!(attempts, expected, "after {seconds} s");
    }
}

#[test]
fn a_tenth_shed_makes_a_target_overloaded_and_silence_makes_it_unknown() {
    let store = store(10);
    for s in 0..60 {
        let mut good = outcome("a/m", Class::Ok, s);
        good.count = 9;
        second(&store, &[good, outcome("a/m", Class::Overloaded, s)], s);
    }
    let seen = view(&store, "a/m", 60);
    assert_eq!((seen.state, seen.reason), (TargetState::Overloaded, Reason::Overload));
    assert!(seen.since > at(0) && seen.since < at(30));
    assert_eq!(seen.signals[Signal::Outage.index()].state.as_str(), "healthy");
    store.tick(at(60 + 301));
    let silent = view(&store, "a/m", 361);
    assert_eq!((silent.state, silent.reason), (TargetState::Unknown, Reason::Stale));
    assert!(silent.stale);
}

#[test]
fn what_is_shown_rests_in_silence_and_is_renewed_once_a_minute() {
    let options = Options { configured: vec![target("b/m")], targets_max: 9, ..Options::default() };
    let store = Store::new(&options, at(0));
    for s in 0..60 {
        second(&store, &[outcome("a/m", Class::Ok, s)], s);
    }
    let estimate = |name: &str, s: u64| view(&store, name, s).signals[0].estimate;
    let (seen, unseen) = (estimate("a/m", 60), estimate("b/m", 60));
    let mut renewed = 0;
    for s in 61..=240 {
        let before = estimate("a/m", s);
        store.tick(at(s));
        renewed += u32::from(estimate("a/m", s) != before);
    }
    assert_eq!(renewed, 3);
    assert!(estimate("a/m", 240) > seen, "silence relaxes");
    assert_eq!(estimate("b/m", 240), unseen, "nothing is known, and nothing changes");
}

#[test]
fn a_target_that_only_ever_failed_goes_stale_in_silence_too() {
    let store = store(10);
    for s in 0..80 {
        second(&store, &[outcome("a/m", Class::Overloaded, s)], s);
    }
    assert_eq!(view(&store, "a/m", 80).state, TargetState::Overloaded);
    store.tick(at(80 + 301));
    let silent = view(&store, "a/m", 381);
    assert_eq!((silent.state, silent.reason), (TargetState::Unknown, Reason::Stale));
}

#[test]
fn other_thresholds_restart_only_their_own_signal() {
    let store = store(10);
    for s in 0..60 {
        let mut down = outcome("a/m", Class::Unavailable, s);
        down.count = 5;
        second(&store, &[outcome("a/m", Class::Ok, s), down], s);
    }
    let overload = crate::domain::bounds::Bounds::new(0.01, 0.05).unwrap();
    let usual = Thresholds::default();
    let thresholds =
        Thresholds::new(overload, usual.of(Signal::Outage), usual.of(Signal::RateLimit));
    store.configure(&Options { thresholds, targets_max: 10, ..Options::default() }, at(60));
    store.tick(at(61));
    let seen = view(&store, "a/m", 61);
    assert_eq!((seen.state, seen.reason), (TargetState::Unavailable, Reason::Outage));
    assert_eq!(seen.signals[Signal::Overload.index()].confidence, "none");
}

#[test]
fn our_own_rate_limit_sets_the_reason_and_never_the_state() {
    let store = store(10);
    for s in 0..60 {
        let mut good = outcome("a/m", Class::Ok, s);
        good.count = 10;
        let mut limited = outcome("a/m", Class::RateLimited, s);
        limited.count = 5;
        second(&store, &[good, limited], s);
    }
    let seen = view(&store, "a/m", 60);
    assert_eq!((seen.state, seen.reason), (TargetState::Healthy, Reason::RateLimit));
}

#[test]
fn a_misconfigured_probe_and_a_retry_feed_counters_only() {
    let store = store(10);
    for s in 0..60 {
        let mut quota = outcome("a/m", Class::QuotaExhausted, s);
        quota.source = Source::Probe;
        let mut retry = outcome("a/m", Class::Overloaded, s);
        retry.attempt = Attempt::Retry;
        second(&store, &[quota, retry], s);
    }
    let seen = view(&store, "a/m", 60);
    assert_eq!((seen.state, seen.reason), (TargetState::Unknown, Reason::NoEvidence));
    assert_eq!(seen.windows.five_minutes.attempts, 60, "the retries");
    assert_eq!(seen.hours[0].1.attempts, 60);
    let probe = &seen.counters.by_source[Source::Probe.index()];
    assert_eq!(probe.by_class[0][Class::QuotaExhausted.index()], 60);
}

#[test]
fn when_every_provider_fails_on_the_network_the_fault_is_ours() {
    let store = store(10);
    let both = |class, s| ["a/m", "b/m"].map(|name| outcome(name, class, s));
    for s in 0..60 {
        second(&store, &both(Class::Ok, s), s);
    }
    // Never a word against the providers, from the first failure on.
    for s in 60..80 {
        second(&store, &both(Class::Network, s), s);
        let seen = view(&store, "a/m", s + 1);
        assert!(seen.state <= TargetState::Unknown, "{} s: {}", s, seen.state);
        let certain = s >= 62;
        assert_eq!(seen.reason == Reason::Egress, certain, "{s} s: {:?}", seen.reason);
    }
    for s in 80..140 {
        second(&store, &both(Class::Ok, s), s);
        assert!(view(&store, "a/m", s + 1).state < TargetState::Degraded, "{s} s");
    }
    assert_eq!(view(&store, "a/m", 140).state, TargetState::Healthy);
}

#[test]
fn a_provider_that_answers_while_others_fail_clears_us() {
    let store = store(10);
    for s in 0..60 {
        let mixed = [
            outcome("a/m", Class::Network, s),
            outcome("b/m", Class::Network, s),
            outcome("c/m", Class::Ok, s),
        ];
        second(&store, &mixed, s);
    }
    let states = ["a/m", "b/m", "c/m"].map(|name| view(&store, name, 60).state);
    let down = TargetState::Unavailable;
    assert_eq!(states, [down, down, TargetState::Healthy]);
}

#[test]
fn one_provider_alone_that_fails_on_the_network_is_unavailable() {
    let store = store(10);
    for s in 0..60 {
        second(&store, &[outcome("a/m", Class::Network, s)], s);
    }
    let seen = view(&store, "a/m", 60);
    assert_eq!((seen.state, seen.reason), (TargetState::Unavailable, Reason::Outage));
}

#[test]
fn targets_over_the_cap_count_under_other_which_drives_no_state() {
    let configured = vec![target("a/configured")];
    let options = Options { configured, targets_max: 2, ..Options::default() };
    let store = Store::new(&options, at(0));
    for s in 0..30 {
        for name in ["a/1", "a/2", "a/3", "b/4", "c/5", "a/configured"] {
            second(&store, &[outcome(name, Class::Overloaded, s)], s);
        }
    }
    let snapshot = store.snapshot(at(30));
    let names: Vec<_> = snapshot.targets.iter().map(|view| view.target.to_string()).collect();
    assert_eq!(names, ["a/1", "a/2", "a/configured", "a/other", "other/other"]);
    assert_eq!(snapshot.dropped_target_cap, 90);
    let other = snapshot.target(&target("a/other")).unwrap();
    assert_eq!(other.windows.five_minutes.overloaded, 30);
    assert_eq!(other.state, TargetState::Unknown);
    assert_eq!(snapshot.target(&target("a/1")).unwrap().state, TargetState::Overloaded);
}

#[test]
fn a_client_cannot_make_targets_without_end_even_under_the_name_of_other() {
    let store = store(3);
    for n in 0..100 {
        let name = format!("p{n}/other");
        store.record(&[outcome(&name, Class::Ok, 0)], Arrival::Live, at(0));
    }
    assert!(store.snapshot(at(0)).targets.len() <= 4);
}

#[test]
fn status_codes_are_bounded_for_each_target() {
    let store = store(3);
    for code in 400..440 {
        let mut odd = outcome("a/m", Class::Other, 0);
        odd.code = Some(code);
        store.record(&[odd], Arrival::Live, at(0));
    }
    let snapshot = store.snapshot(at(0));
    let codes = &snapshot.targets[0].counters.by_source[0].by_code;
    assert_eq!(codes.len(), 17);
    assert_eq!(codes[16], (Code::Other, 24));
    assert_eq!(snapshot.dropped_code_cap, 24);
}

#[test]
fn history_fills_hours_and_windows_but_no_counter_and_no_detector() {
    let store = store(3);
    let mut past = outcome("a/m", Class::Overloaded, 0);
    past.count = 100;
    store.record(&[past], Arrival::History, at(0));
    store.tick(at(1));
    let seen = view(&store, "a/m", 1);
    assert_eq!(seen.windows.one_day.overloaded, 100);
    assert_eq!(seen.hours[0].1.overloaded, 100);
    assert_eq!(seen.counters.by_source[0].by_class[0].iter().sum::<u64>(), 0);
    assert_eq!(seen.state, TargetState::Unknown);
}

#[test]
fn a_clock_that_steps_back_is_counted_and_does_no_harm() {
    let store = store(3);
    let early = Timestamp::from_secs(START - 7_200);
    for s in 0..30 {
        second(&store, &[outcome("a/m", Class::Ok, s)], s);
    }
    let mut back = outcome("a/m", Class::Ok, 0);
    back.at = early;
    back.duration = Some(Duration::from_millis(280));
    for s in 0..30 {
        let now = Timestamp::from_secs(START - 7_200 + s);
        store.record(std::slice::from_ref(&back), Arrival::Live, now);
        store.tick(now);
    }
    let snapshot = store.snapshot(Timestamp::from_secs(START - 7_170));
    assert_eq!(snapshot.clock_steps_back, 1);
    assert_eq!(snapshot.targets[0].last_outcome_at, Some(early));
    assert_eq!(snapshot.targets[0].latency.p50, Some(Duration::from_millis(288)));
    assert_eq!(snapshot.targets[0].hours.len(), 1, "the rows of the future are gone");
    assert_eq!(snapshot.targets[0].windows.five_minutes.attempts, 30);
    assert_eq!(snapshot.targets[0].state, TargetState::Healthy);
}

#[test]
fn an_answer_from_before_a_step_back_says_nothing_of_our_egress_now() {
    let store = store(3);
    let both = |class, s| ["a/m", "b/m"].map(|name| outcome(name, class, s));
    for s in 7_200..7_230 {
        second(&store, &both(Class::Ok, s), s);
    }
    for s in 0..20 {
        second(&store, &both(Class::Network, s), s);
    }
    assert_eq!(view(&store, "a/m", 20).reason, Reason::Egress);
}

#[test]
fn a_new_configuration_keeps_the_counts() {
    let store = store(3);
    store.record(&[outcome("a/m", Class::Ok, 0)], Arrival::Live, at(0));
    let probed = vec![(target("b/m"), Duration::from_secs(60))];
    let options = Options { probed, targets_max: 3, ..Options::default() };
    store.configure(&options, at(1));
    let snapshot = store.snapshot(at(1));
    assert_eq!(snapshot.targets.len(), 2);
    assert_eq!(snapshot.targets[0].windows.five_minutes.attempts, 1);
    assert!(snapshot.targets[1].configured && snapshot.targets[1].probe.is_some());
    store.configure(&Options { targets_max: 3, ..Options::default() }, at(2));
    let snapshot = store.snapshot(at(2));
    assert_eq!(snapshot.targets.len(), 1, "neither configured nor seen");
}
