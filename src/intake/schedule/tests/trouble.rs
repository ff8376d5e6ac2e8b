//! Troubled targets: probed more often, within bounds, and only while that tells anything.

use tokio::time::sleep_until;

use super::*;
use crate::ground::config::Adaptive;

/// A probe every 5 s without jitter from the moment the target is troubled.
fn adaptive_deps() -> (Deps, Arc<Mutex<Vec<ProbeEvent>>>) {
    let (mut deps, journal) = deps(None);
    deps.adaptive = Some(Adaptive::default());
    (deps, journal)
}

/// Says after `from` and after `until` seconds that the target is troubled, and is not.
async fn trouble(deps: &Deps, spec: &ProbeSpec, from: u64, until: u64) {
    let (standing, start) = (deps.standings.of(&spec.target), Instant::now());
    for (after, troubled) in [(from, true), (until, false)] {
        sleep_until(start + Duration::from_secs(after)).await;
        standing.set_troubled(troubled);
    }
    std::future::pending::<()>().await;
}

/// When probes start within `span` seconds, in seconds; the target is troubled in between.
async fn starts_in_trouble(
    bell: Bell,
    deps: &Deps,
    (from, until): (u64, u64),
    span: u64,
    found: impl Fn() -> ProbeReport,
) -> Vec<f64> {
    let spec = spec("claude-haiku-4-5", None);
    let (start, mut starts) = (Instant::now(), Vec::new());
    let probe_now = || {
        starts.push(start.elapsed().as_secs_f64());
        let report = found();
        async move {
            sleep(SECOND / 10).await;
            report
        }
    };
    tokio::select! {
        () = rounds(&spec, bell, deps, probe_now) => {}
        () = trouble(deps, &spec, from, until) => {}
        () = sleep(Duration::from_secs(span)) => {}
    }
    starts
}

fn gaps(starts: &[f64]) -> Vec<f64> {
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_troubled_target_is_probed_more_often_and_a_well_one_never() {
    let (deps, journal) = adaptive_deps();
    let bell = Bell::every(60 * SECOND, 0.2);
    let starts = starts_in_trouble(bell, &deps, (1_000, 1_120), 3_000, || report(1)).await;
    let inside = |at: &f64| (1_000.0..1_120.0).contains(at);
    let fast: Vec<f64> = starts.iter().copied().filter(inside).collect();
    assert!((20..=30).contains(&fast.len()), "{fast:?}");
    assert!(fast[0] <= 1_002.1, "the loop wakes at once: {fast:?}");
    assert!(gaps(&fast).iter().all(|gap| (3.99..=6.02).contains(gap)), "{fast:?}");
    for (pair, gap) in starts.windows(2).zip(gaps(&starts)) {
        if !inside(&pair[1]) {
            assert!((47.99..=72.02).contains(&gap), "{pair:?}");
        }
    }
    // What is told of the next probe follows.
    let journal = journal.lock().unwrap();
    let told = journal.iter().filter(|event| matches!(event, ProbeEvent::Scheduled { .. }));
    assert_eq!(told.count(), starts.len() + 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn the_share_of_an_hour_is_kept_and_a_new_loop_does_not_renew_it() {
    let (deps, _) = adaptive_deps();
    let spec = spec("m", None);
    deps.standings.of(&spec.target).set_troubled(true);
    let begin = Instant::now();
    let mut starts = Vec::new();
    // Loops that are replaced every ten minutes, as by reloads.
    for _ in 0..9 {
        let probe_now = || {
            starts.push(begin.elapsed().as_secs_f64());
            async { report(1) }
        };
        let bell = Bell::every(600 * SECOND, 0.0);
        let rounds = rounds(&spec, bell, &deps, probe_now);
        assert!(timeout(600 * SECOND, rounds).await.is_err());
    }
    let gaps = gaps(&starts);
    let fast = |gap: &f64| *gap < 29.0;
    let in_hour = |from: f64| starts.iter().filter(move |at| (from..from + 3_600.0).contains(*at));
    assert!((118..=121).contains(&gaps.iter().take_while(|gap| fast(gap)).count()), "{gaps:?}");
    for from in (0..1_800).step_by(60) {
        let most = 120 + 3_600 / 30 + 6;
        assert!(in_hour(f64::from(from)).count() <= most, "{from}: {starts:?}");
    }
    // After an hour there is a new share.
    let later = starts.windows(2).filter(|pair| pair[0] > 3_600.0 && pair[1] - pair[0] < 29.0);
    assert!((100..=121).contains(&later.count()), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_tells_nothing_is_not_hurried() {
    fn misconfigured() -> ProbeReport {
        let misconfigured = Some("no such model".to_owned());
        ProbeReport { class: Class::InvalidRequest, misconfigured, ..report(1) }
    }
    fn throttled() -> ProbeReport {
        ProbeReport { class: Class::RateLimited, ..report(1) }
    }
    fn overloaded() -> ProbeReport {
        ProbeReport { class: Class::Overloaded, ..report(1) }
    }
    let minute: fn() -> Bell = || Bell::every(60 * SECOND, 0.0);
    let five: fn() -> Bell = || Bell::every(5 * SECOND, 0.0);
    let default = Some(Adaptive::default());
    let none_left = Some(Adaptive { per_hour: 0, ..Adaptive::default() });
    // A probe that told nothing is repeated once when trouble comes, for who knows.
    for (name, bell, found, adaptive, probes) in [
        ("healthy answers", minute, (|| report(1)) as fn() -> ProbeReport, default, 120..=121),
        ("overloaded", minute, overloaded, default, 120..=121),
        ("misconfigured", minute, misconfigured, default, 10..=11),
        ("throttled", minute, throttled, default, 10..=11),
        ("switched off", minute, overloaded, None, 10..=11),
        ("none left", minute, overloaded, none_left, 20..=21),
        ("no faster", five, overloaded, default, 120..=121),
    ] {
        let (mut deps, _) = deps(None);
        deps.adaptive = adaptive;
        let starts = starts_in_trouble(bell(), &deps, (0, 9_999), 600, found).await;
        assert!(probes.contains(&starts.len()), "{name}: {starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn cron_is_hurried_between_fires_and_not_outside_its_hours() {
    let at = Timestamp::from_secs(1_777_000_000);
    let plus = |seconds| Some(at.plus(Duration::from_secs(seconds)));
    for (name, fired, next, probes) in [
        ("before the first fire", None, plus(300), 0..=0),
        ("between two", plus(0), plus(300), 55..=65),
        ("an hour apart", plus(0), plus(3_600), 55..=65),
        ("at night", plus(0), plus(11 * 3_600), 0..=0),
        ("after the last", plus(0), None, 0..=0),
    ] {
        let (deps, _) = adaptive_deps();
        let cron = hand_bell();
        cron.go_on_from(Ring { fired, next, ..Ring::default() });
        let bell = Bell::cron(&cron, 0.2);
        let starts = starts_in_trouble(bell, &deps, (0, 9_999), 300, || report(1)).await;
        assert!(probes.contains(&starts.len()), "{name}: {starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_clients_report_is_skipped_at_the_faster_pace_too() {
    let (mut deps, journal) = adaptive_deps();
    deps.clients_report = Arc::new(|_| true);
    let bell = Bell::every(600 * SECOND, 0.2);
    let starts = starts_in_trouble(bell, &deps, (100, 200), 600, || report(1)).await;
    assert!(starts.is_empty(), "{starts:?}");
    let skips = skips(&journal, SkipReason::ClientsReport);
    assert!((17..=27).contains(&skips), "{skips}");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_probe_that_is_no_longer_due_goes_back_to_its_schedule() {
    let (deps, journal) = adaptive_deps();
    let (first, second) = (spec("first", None), spec("second", None));
    for spec in [&first, &second] {
        deps.standings.of(&spec.target).set_troubled(true);
    }
    let hanging = round(&first, Occasion::Trouble, &deps, std::future::pending::<ProbeReport>);
    let waiting = round(&second, Occasion::Trouble, &deps, || async { report(1) });
    let recovery = async {
        sleep(100 * SECOND).await;
        deps.standings.of(&second.target).set_troubled(false);
    };
    tokio::select! {
        biased;
        _ = hanging => {}
        (round, ()) = async { tokio::join!(waiting, recovery) } => {
            assert!(matches!(round, Round::Withdrawn), "{round:?}");
        }
    }
    assert_eq!(finished(&journal), 0);
    // Meanwhile each said that it was not stuck: the one in flight and the one that waited.
    let journal = journal.lock().unwrap();
    for target in [&first.target, &second.target] {
        let said = |event: &&ProbeEvent| match event {
            ProbeEvent::Scheduled { target: whose, .. } => whose == target,
            _ => false,
        };
        assert_eq!(journal.iter().filter(said).count(), 3, "{target}");
    }
}
