//! Operations beside attempts, successes that are taken back, and sources that are half blind.

use super::*;
use crate::domain::layer::{Basis, Layer};
use crate::domain::state::SignalState;

/// A call told by a library that says how often it tried.
fn call(class: Class, retried: u32, seconds: u64) -> Outcome {
    let mut outcome = outcome("a/m", class, seconds);
    outcome.layer = Layer::AnthropicSdk;
    outcome.basis = Basis::Operation;
    outcome.attempt = Attempt::from_number(retried + 1);
    outcome.unclassified = retried;
    outcome
}

/// An attempt told by a source of this kind.
fn attempt(layer: Layer, class: Class, seconds: u64) -> Outcome {
    Outcome { layer, ..outcome("a/m", class, seconds) }
}

/// So many seconds of a hundred outcomes, of which each of `bad` is another.
fn minutes(store: &Store, seconds: u64, good: &Outcome, bad: &[(u32, Outcome)]) {
    for second_now in 0..seconds {
        let left: u32 = 100 - bad.iter().map(|(count, _)| count).sum::<u32>();
        let with = |outcome: &Outcome, count: u32| Outcome {
            count,
            at: at(second_now),
            ..outcome.clone()
        };
        let mut batch = vec![with(good, left)];
        batch.extend(bad.iter().map(|(count, outcome)| with(outcome, *count)));
        second(store, &batch, second_now);
    }
}

#[test]
fn operations_are_counted_apart_and_never_in_the_ratios_of_attempts() {
    let store = store(10);
    let mut many = call(Class::Ok, 0, 0);
    many.count = 98;
    store.record(
        &[many, call(Class::Overloaded, 2, 0), call(Class::Ok, 3, 0)],
        Arrival::Live,
        at(1),
    );
    store.record(&[attempt(Layer::Report, Class::Overloaded, 0)], Arrival::Live, at(1));
    let view = view(&store, "a/m", 2);
    assert_eq!(view.windows.five_minutes.attempts, 1);
    assert_eq!(view.windows.five_minutes.ratio(Signal::Overload), Some(1.0));
    let operations = view.operations.unwrap();
    for window in [operations.five_minutes, operations.one_hour, operations.one_day] {
        let tally = window.operations;
        assert_eq!((tally.attempts, tally.ok, tally.overloaded), (100, 99, 1));
        assert_eq!(tally.ratio(Signal::Overload), Some(0.01));
        assert_eq!(window.unclassified, 5);
    }
    assert_eq!(operations.counters.by_class[Class::Ok.index()], 99);
    assert_eq!(operations.counters.unclassified, 5);
    let told: Vec<_> = view.coverage.iter().map(|heard| (heard.layer, heard.basis)).collect();
    let expected = [(Layer::Report, Basis::Attempt), (Layer::AnthropicSdk, Basis::Operation)];
    assert_eq!(told, expected);
}

/// What comes, of a hundred outcomes a second; the state of the overload signal, and its basis.
type Mix = (&'static str, Outcome, Vec<(u32, Outcome)>, SignalState, Basis);

fn mixes() -> Vec<Mix> {
    use SignalState::{Healthy, Overloaded, Unknown};
    let (by_attempts, by_calls) = (Basis::Attempt, Basis::Operation);
    let ok = |layer: Layer| attempt(layer, Class::Ok, 0);
    let hidden = Outcome { layer: Layer::GenAi, ..call(Class::Ok, 0, 0) };
    let shed = Class::Overloaded;
    vec![
        ("reports", ok(Layer::Report), vec![], Healthy, by_attempts),
        ("blind", ok(Layer::VercelAi), vec![], Unknown, by_attempts),
        (
            "a blind source that saw it",
            ok(Layer::VercelAi),
            vec![(10, attempt(Layer::VercelAi, shed, 0))],
            Overloaded,
            by_attempts,
        ),
        (
            "a blind source beside probes",
            ok(Layer::VercelAi),
            vec![(1, ok(Layer::Probe))],
            Healthy,
            by_attempts,
        ),
        (
            "many blind successes beside some failures that others see",
            ok(Layer::AccessLog),
            vec![(4, ok(Layer::Report)), (1, attempt(Layer::Report, shed, 0))],
            Overloaded,
            by_attempts,
        ),
        (
            "many blind successes around failures that another saw",
            ok(Layer::AccessLog),
            vec![(4, ok(Layer::Report)), (1, attempt(Layer::Report, shed, 0))],
            Overloaded,
            by_attempts,
        ),
        ("calls, none retried", call(Class::Ok, 0, 0), vec![], Healthy, by_calls),
        (
            "calls, some retried",
            call(Class::Ok, 0, 0),
            vec![(3, call(Class::Ok, 1, 0))],
            Unknown,
            by_attempts,
        ),
        (
            "calls that failed in spite of retries",
            call(Class::Ok, 0, 0),
            vec![(10, call(shed, 2, 0))],
            Overloaded,
            by_calls,
        ),
        ("calls whose retries are hidden", hidden.clone(), vec![], Unknown, by_attempts),
        (
            "failed calls beside healthy attempts",
            hidden,
            vec![(40, ok(Layer::Report)), (10, call(shed, 2, 0))],
            Overloaded,
            by_calls,
        ),
    ]
}

#[test]
fn what_sources_can_clear_and_what_they_only_raise() {
    for (name, good, bad, state, basis) in mixes() {
        let store = store(10);
        minutes(&store, 60, &good, &bad);
        let signal = view(&store, "a/m", 60).signals[Signal::Overload.index()];
        assert_eq!((signal.state, signal.basis), (state, basis), "{name}");
    }
}

#[test]
fn only_what_sees_as_much_as_a_probe_makes_one_needless() {
    let store = store(10);
    let retry = Outcome { attempt: Attempt::Retry, ..attempt(Layer::Report, Class::Ok, 0) };
    let outcomes = [
        attempt(Layer::Report, Class::Overloaded, 0),
        retry,
        attempt(Layer::VercelAi, Class::Ok, 0),
        call(Class::Ok, 0, 0),
        Outcome::new(target("a/m"), Source::Probe, at(0), Class::Ok),
    ];
    store.record(&outcomes, Arrival::Live, at(1));
    let soon = view(&store, "a/m", 2);
    assert_eq!((soon.evident.five_minutes, soon.evident.last_minute), (1, 1));
    assert_eq!(soon.recent_by_source, [3, 1]);
    assert_eq!(view(&store, "a/m", 90).evident.last_minute, 0);
}

#[test]
fn a_success_counted_on_its_first_content_is_taken_back_when_the_stream_fails() {
    for basis in [Basis::Attempt, Basis::Operation] {
        let store = store(10);
        let admitted = Outcome { basis, code: Some(200), ..outcome("a/m", Class::Ok, 0) };
        store.record(&[admitted.clone(), admitted.clone()], Arrival::Live, at(1));
        let failed = Outcome {
            class: Class::Overloaded,
            at: at(400),
            replaces: Some(at(0)),
            ..admitted.clone()
        };
        store.record(&[failed], Arrival::Live, at(400));
        let view = view(&store, "a/m", 400);
        let [recent, hour] = match basis {
            Basis::Attempt => [view.windows.five_minutes, view.windows.one_hour],
            Basis::Operation => {
                let of = view.operations.unwrap();
                [of.five_minutes.operations, of.one_hour.operations]
            }
        };
        assert_eq!((recent.attempts, recent.ok, recent.overloaded), (1, 0, 1), "{basis:?}");
        assert_eq!((hour.attempts, hour.ok, hour.overloaded), (2, 1, 1), "{basis:?}");
        if basis == Basis::Attempt {
            let client = &view.counters.by_source[Source::Client.index()];
            let by_class = client.by_class[Attempt::First.index()];
            assert_eq!(by_class.iter().sum::<u64>(), 2, "a counter never falls");
            assert_eq!(by_class[Class::Overloaded.index()], 1);
            assert_eq!(client.by_code, [(Code::Status(200), 2)]);
            assert_eq!(view.hours[0].1.overloaded, 1);
            assert_eq!(view.hours[0].1.ok, 1);
            let of_day = view.counters.hour_of_day[at(0).hour().of_day()];
            assert_eq!((of_day.requests, of_day.errors[Signal::Overload.index()]), (2, 1));
        }
    }
}

#[test]
fn what_completes_a_success_counts_no_second_attempt() {
    let store = store(10);
    let admitted = outcome("a/m", Class::Ok, 0);
    let complete = Outcome {
        at: at(30),
        replaces: Some(at(0)),
        duration: Some(Duration::from_secs(30)),
        ..admitted.clone()
    };
    second(&store, &[admitted], 0);
    second(&store, &[complete], 30);
    let view = view(&store, "a/m", 31);
    assert_eq!((view.windows.one_hour.attempts, view.windows.one_hour.ok), (1, 1));
    assert_eq!(view.counters.duration.count(), 1);
    assert_eq!(view.recent_by_source.iter().sum::<u64>(), 1);
}
