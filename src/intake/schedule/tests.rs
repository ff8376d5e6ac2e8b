//! The loop on paused time: the probe is played, everything else is real.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::domain::classify::MatchedBy;
use crate::domain::outcome::Class;
use crate::ground::catalog::{Dialect, Price};
use crate::ground::config::{BudgetConfig, CronExpression, ProbesConfig, ProviderConfig};
use crate::intake::probe::{Usage, client};

mod bounds;
mod endless;
mod trouble;

const SECOND: Duration = Duration::from_secs(1);

fn spec(model: &str, price: Option<Price>) -> ProbeSpec {
    spec_of(&format!("anthropic/{model}"), price)
}

fn spec_of(target: &str, price: Option<Price>) -> ProbeSpec {
    let target = Target::parse(target).unwrap();
    let mut provider = ProviderConfig::new(Dialect::Anthropic, "http://127.0.0.1:1");
    provider.price_of_others = price;
    ProbeSpec::new(target, &provider, &ProbesConfig::default(), None).unwrap()
}

fn report(output_tokens: u64) -> ProbeReport {
    ProbeReport {
        class: Class::Ok,
        matched_by: MatchedBy::Status,
        http_status: Some(200),
        connect: None,
        ttfb: None,
        ttft: None,
        total: None,
        cost_usd: None,
        usage: Usage { input_tokens: Some(0), output_tokens: Some(output_tokens) },
        request_id: None,
        retry_after: None,
        quotas: Vec::new(),
        may_have_been_sent: true,
        misconfigured: None,
        started_at: Timestamp::default(),
        at: Timestamp::default(),
    }
}

/// The shared parts, with a journal of all events.
fn deps(budget: Option<f64>) -> (Deps, Arc<Mutex<Vec<ProbeEvent>>>) {
    let journal = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let journal = journal.clone();
        Arc::new(move |event| journal.lock().unwrap().push(event))
    };
    let clock = Clock::manual(Timestamp::from_secs(1_777_000_000));
    (
        Deps::new(
            client().unwrap(),
            clock,
            Arc::new(Budget::new(BudgetConfig::of(budget))),
            listener,
        ),
        journal,
    )
}

fn skips(journal: &Mutex<Vec<ProbeEvent>>, wanted: SkipReason) -> usize {
    let journal = journal.lock().unwrap();
    journal
        .iter()
        .filter(|event| matches!(event, ProbeEvent::Skipped { reason, .. } if *reason == wanted))
        .count()
}

fn finished(journal: &Mutex<Vec<ProbeEvent>>) -> usize {
    let journal = journal.lock().unwrap();
    journal.iter().filter(|event| matches!(event, ProbeEvent::Finished { .. })).count()
}

/// Runs the loop for `span` of virtual time; each probe takes `takes(n)`. Gives the starts.
async fn starts(
    bell: Bell,
    deps: &Deps,
    span: Duration,
    takes: impl Fn(usize) -> Duration,
) -> Vec<Instant> {
    let spec = spec("claude-haiku-4-5", None);
    let mut starts = Vec::new();
    let probe_now = || {
        starts.push(Instant::now());
        let takes = takes(starts.len());
        async move {
            sleep(takes).await;
            report(1)
        }
    };
    assert!(timeout(span, rounds(&spec, bell, deps, probe_now)).await.is_err());
    starts
}

/// A cron bell that is rung by hand.
fn hand_bell() -> CronBell {
    CronBell::new(CronExpression::parse("* * * * *").unwrap(), Timestamp::default())
}

fn ring(bell: &CronBell) {
    let ring = *bell.subscribe().borrow();
    bell.go_on_from(Ring { count: ring.count + 1, ..ring });
}

#[tokio::test(start_paused = true)]
async fn an_interval_keeps_firing_within_its_jitter() {
    let (deps, journal) = deps(None);
    let bell = Bell::every(60 * SECOND, 0.2);
    let starts = starts(bell, &deps, 5_000 * 60 * SECOND, |_| SECOND).await;
    assert!((4_900..=5_100).contains(&starts.len()), "{}", starts.len());
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for pair in starts.windows(2) {
        shortest = shortest.min(pair[1] - pair[0]);
        longest = longest.max(pair[1] - pair[0]);
    }
    // The runtime's timer counts whole milliseconds.
    assert!(shortest >= Duration::from_millis(47_999), "{shortest:?}");
    assert!(longest <= Duration::from_millis(72_002), "{longest:?}");
    assert!(longest - shortest > 20 * SECOND, "the jitter must show");
    assert!(finished(&journal) >= starts.len() - 1);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_interval_goes_on_where_it_was() {
    let (deps, _) = deps(None);
    let (start, now) = (Instant::now(), deps.clock.now());
    for (left, expected) in [(1_000, 1_000), (3_599, 3_599), (9_999, 3_600)] {
        let bell = Bell::every(3_600 * SECOND, 0.0).resumed_at(now.plus(left * SECOND), now);
        assert_eq!(bell.next_run(now), Some(now.plus(expected * SECOND)), "{left}");
    }
    let bell = Bell::every(3_600 * SECOND, 0.0).resumed_at(now.plus(1_000 * SECOND), now);
    let starts = starts(bell, &deps, 5_000 * SECOND, |_| SECOND).await;
    let after: Vec<u64> = starts.iter().map(|at| (*at - start).as_secs()).collect();
    assert_eq!(after, [1_000, 4_600]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_delays_what_follows_and_nothing_is_made_up_for() {
    let (deps, _) = deps(None);
    let bell = Bell::every(10 * SECOND, 0.0);
    let takes = |n| if n <= 3 { 35 * SECOND } else { SECOND };
    let starts = starts(bell, &deps, 300 * SECOND, takes).await;
    let gaps: Vec<u64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(gaps[..3], [35, 35, 35]);
    assert!(gaps[3..].iter().all(|gap| *gap == 10), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_in_flight_is_not_overdue() {
    let (deps, journal) = deps(None);
    let start = deps.clock.now();
    let slow = spec("m", None);
    let probe_now = || async {
        sleep(600 * SECOND).await;
        report(1)
    };
    let probing = round(&slow, Occasion::Timetable, &deps, probe_now);
    let ticking = async {
        for _ in 0..600 {
            sleep(SECOND).await;
            deps.clock.advance(SECOND);
        }
    };
    tokio::join!(probing, ticking);
    let journal = journal.lock().unwrap();
    let told = journal.iter().filter_map(|event| match event {
        ProbeEvent::Scheduled { next_run, .. } => next_run.map(|at| at.since(start).as_secs()),
        _ => None,
    });
    let told: Vec<u64> = told.collect();
    assert!(told.len() >= 19, "{told:?}");
    assert!(told.windows(2).all(|pair| (29..=31).contains(&(pair[1] - pair[0]))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ring_during_a_probe_is_refused_and_counted() {
    let (deps, journal) = deps(None);
    let cron = hand_bell();
    let bell = Bell::cron(&cron, 0.0);
    let ringing = async {
        for _ in 0..10 {
            sleep(10 * SECOND).await;
            ring(&cron);
        }
        sleep(1_000 * SECOND).await;
    };
    // Each probe swallows the two rings that come while it runs.
    let probing = starts(bell, &deps, 500 * SECOND, |_| 25 * SECOND);
    let (_, starts) = tokio::join!(ringing, probing);
    assert_eq!(starts.len(), 4);
    assert_eq!(skips(&journal, SkipReason::Overlap), 6);
}

#[tokio::test(start_paused = true)]
async fn a_loop_ends_when_its_cron_bell_is_gone() {
    let (deps, _) = deps(None);
    let cron = hand_bell();
    let bell = Bell::cron(&cron, 0.0);
    drop(cron);
    rounds(&spec("m", None), bell, &deps, || async { report(1) }).await;
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_hard_and_new_every_utc_day() {
    let price = Price { input_usd_per_mtok: 0.0, output_usd_per_mtok: 100_000.0 };
    let spec = spec("m", Some(price));
    let (deps, journal) = deps(Some(1.0));
    let bell = Bell::every(3_600 * SECOND, 0.0);
    let mut probes = 0;
    let probe_now = || {
        probes += 1;
        async { report(1) }
    };
    // A tenth of a dollar each: ten fit into a day, whose clock stands still here.
    let one_day = timeout(24 * 3_600 * SECOND, rounds(&spec, bell, &deps, probe_now));
    assert!(one_day.await.is_err());
    assert!((9..=10).contains(&probes), "{probes}");
    assert!(deps.budget.view(deps.clock.now()).spent_usd <= 1.0);
    assert!(skips(&journal, SkipReason::Budget) >= 13);

    deps.clock.advance(24 * 3_600 * SECOND);
    let before = finished(&journal);
    let bell = Bell::every(3_600 * SECOND, 0.0);
    let next_day = rounds(&spec, bell, &deps, || async { report(1) });
    assert!(timeout(2 * 3_600 * SECOND, next_day).await.is_err());
    assert!(finished(&journal) > before);
}

#[tokio::test(start_paused = true)]
async fn what_clients_report_is_not_probed() {
    let (mut deps, journal) = deps(None);
    deps.clients_report = Arc::new(|target| target.model.as_str() == "claude-haiku-4-5");
    let starts = starts(Bell::every(SECOND, 0.2), &deps, 60 * SECOND, |_| SECOND).await;
    assert!(starts.is_empty());
    assert!(skips(&journal, SkipReason::ClientsReport) > 30);
    // The time of the next run advances all the same.
    let scheduled: Vec<_> = journal
        .lock()
        .unwrap()
        .iter()
        .filter(|event| matches!(event, ProbeEvent::Scheduled { next_run: Some(_), .. }))
        .map(|_| ())
        .collect();
    assert!(scheduled.len() > 30);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_asks_for_is_probed_whatever_clients_report() {
    let (mut deps, journal) = deps(Some(0.0));
    deps.clients_report = Arc::new(|_| true);
    let spec = spec("m", None);
    let ask = || round(&spec, Occasion::Asked, &deps, || async { report(1) });
    assert!(matches!(ask().await, Round::Unaffordable(Shortage::NeverFits)));
    deps.budget.set_limits(BudgetConfig::of(None));
    assert!(matches!(ask().await, Round::Finished(_)));
    let timetable = round(&spec, Occasion::Timetable, &deps, || async { report(1) });
    assert!(matches!(timetable.await, Round::Skipped(SkipReason::ClientsReport)));
    assert_eq!((finished(&journal), skips(&journal, SkipReason::Budget)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn first_probes_do_not_leave_together() {
    let now = Timestamp::from_secs(1_777_000_000);
    let mut delays: Vec<_> = (0..30)
        .map(|n| Target::parse(&format!("anthropic/m{n}")).unwrap())
        .map(|target| {
            let mut bell = Bell::every(60 * SECOND, 0.2);
            bell.keep_apart(share_of(&target));
            bell.next_run(now).unwrap().since(now)
        })
        .collect();
    delays.sort();
    assert!(delays.iter().all(|delay| *delay <= 15 * SECOND));
    delays.dedup();
    assert_eq!(delays.len(), 30);
    assert!(delays[29] - delays[0] > 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_tells_what_it_stays_charged_with() {
    let price = Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 };
    let (deps, journal) = deps(None);
    let spec = spec("m", Some(price));
    let hangs = std::future::pending::<ProbeReport>;
    assert!(timeout(SECOND, round(&spec, Occasion::Timetable, &deps, hangs)).await.is_err());
    let charged: Vec<_> = journal
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            ProbeEvent::GivenUp { charged_usd, .. } => Some(*charged_usd),
            _ => None,
        })
        .collect();
    assert_eq!(charged, [spec.cost_bound_usd()]);
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_has_cost_is_set_aside_for_the_next() {
    let price = Price { input_usd_per_mtok: 5.0, output_usd_per_mtok: 25.0 };
    let (deps, _) = deps(Some(6.0));
    let spec = spec("m", Some(price));
    // Far beyond the bound, as a gateway's own prompt may be.
    let dear = || std::future::ready(report(200_000));
    let first = round(&spec, Occasion::Timetable, &deps, dear).await;
    assert!(matches!(first, Round::Finished(_)), "{first:?}");
    let second = round(&spec, Occasion::Timetable, &deps, dear).await;
    assert!(matches!(second, Round::Unaffordable(_)), "5 of 6 dollars are spent: {second:?}");
    // One broken count of tokens does not end all probes.
    deps.budget.set_limits(BudgetConfig::of(Some(1.0)));
    deps.clock.advance(Duration::from_secs(24 * 3_600));
    let cheap = || std::future::ready(report(1));
    let next_day = round(&spec, Occasion::Timetable, &deps, cheap).await;
    assert!(matches!(next_day, Round::Finished(_)), "{next_day:?}");
}
