//! Ten thousand ticks: loops that never fall silent, whatever happens to them.

use std::cell::{Cell, RefCell};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc;

use super::super::cron_bell::Hung;
use super::*;
use crate::ground::config::Adaptive;

const TICKS: usize = 10_000;

/// What a played probe finds: anything.
fn any_report(rng: &mut StdRng) -> ProbeReport {
    let class = Class::ALL[rng.random_range(0..Class::COUNT)];
    let misconfigured = class.is_misconfigured_probe().then(|| "no such key".to_owned());
    ProbeReport { class, misconfigured, ..report(1) }
}

fn accounted(journal: &Mutex<Vec<ProbeEvent>>) -> usize {
    finished(journal) + SkipReason::ALL.into_iter().map(|why| skips(journal, why)).sum::<usize>()
}

#[tokio::test(start_paused = true)]
async fn an_interval_never_falls_silent() {
    let (mut deps, journal) = deps(None);
    let luck = Arc::new(Mutex::new(StdRng::seed_from_u64(1)));
    deps.adaptive = Some(Adaptive::default());
    deps.clients_report = {
        let luck = Arc::clone(&luck);
        Arc::new(move |_| luck.lock().unwrap().random_bool(0.2))
    };
    // Each probe costs nothing or too much, and takes up to three intervals.
    let price = Price { input_usd_per_mtok: 0.0, output_usd_per_mtok: 100_000.0 };
    let spec = spec("m", Some(price));
    let standing = deps.standings.of(&spec.target);
    let probe_now = || {
        let (takes, report) = {
            let mut luck = luck.lock().unwrap();
            standing.set_troubled(luck.random_bool(0.1));
            deps.budget.set_limits(BudgetConfig::of(luck.random_bool(0.1).then_some(0.0)));
            let slow = if luck.random_bool(0.1) { 180_000 } else { 3_000 };
            (luck.random_range(0..slow), any_report(&mut luck))
        };
        async move {
            sleep(Duration::from_millis(takes)).await;
            report
        }
    };
    let longest = Cell::new(Duration::ZERO);
    let watching = async {
        let mut seen = (Instant::now(), 0);
        loop {
            sleep(SECOND).await;
            // Nothing gives the budget back while nothing is probed, but a new day does.
            deps.budget.set_limits(BudgetConfig::of(None));
            let found = journal.lock().unwrap().len();
            if found > seen.1 {
                seen = (Instant::now(), found);
            }
            longest.set(longest.get().max(seen.0.elapsed()));
            if found > 3 * TICKS && accounted(&journal) >= TICKS {
                return;
            }
        }
    };
    tokio::select! {
        () = rounds(&spec, Bell::every(60 * SECOND, 0.2), &deps, probe_now) => {}
        () = watching => {}
    }
    // The longest probe and the longest interval.
    assert!(longest.get() <= (180 + 72 + 2) * SECOND, "{:?}", longest.get());
    let journal_len = journal.lock().unwrap().len();
    assert!(accounted(&journal) >= TICKS, "{journal_len}");
    assert!(finished(&journal) > TICKS / 2);
    assert!(skips(&journal, SkipReason::ClientsReport) > TICKS / 20);
}

/// A scheduler that stalls, rings twice, rings for nothing, and dies.
#[derive(Debug)]
struct Faulty {
    rng: RefCell<StdRng>,
    bell: RefCell<Option<mpsc::Sender<()>>>,
    is_stalled: Cell<bool>,
    rings_again: Cell<bool>,
    hung: Cell<usize>,
}

impl Faulty {
    fn hang(&self) -> Hung<()> {
        let (ring, bell) = mpsc::channel(1);
        self.bell.replace(Some(ring));
        self.is_stalled.set(false);
        self.hung.set(self.hung.get() + 1);
        Hung { scheduler: (), bell }
    }

    fn ring(&self) {
        if let Some(bell) = &*self.bell.borrow() {
            let _ = bell.try_send(());
        }
    }

    /// One second of it.
    fn work(&self, fires: bool) {
        let luck = self.rng.borrow_mut().random_range(0..100);
        if self.is_stalled.get() {
            return;
        }
        if self.rings_again.replace(false) {
            self.ring();
        }
        if !fires {
            // For nothing.
            if luck < 3 {
                self.ring();
            }
            return;
        }
        match luck {
            0..15 => self.is_stalled.set(true),
            15..25 => drop(self.bell.replace(None)),
            25..45 => {
                self.ring();
                self.rings_again.set(true);
            }
            _ => self.ring(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_cron_fire_is_answered_once_whatever_the_scheduler_does() {
    const PERIOD_S: u64 = 20;
    let (deps, journal) = deps(None);
    let begin = deps.clock.now();
    let cron = CronExpression::parse("*/20 * * * * *").unwrap();
    let cron_bell = CronBell::new(cron, begin);
    let bell = Bell::cron(&cron_bell, 0.2);
    let faulty = Faulty {
        rng: RefCell::new(StdRng::seed_from_u64(2)),
        bell: RefCell::default(),
        is_stalled: Cell::default(),
        rings_again: Cell::default(),
        hung: Cell::default(),
    };
    let fires = Cell::new(0_usize);
    let time = async {
        while fires.get() < TICKS {
            sleep(SECOND).await;
            deps.clock.advance(SECOND);
            let is_fire = deps.clock.now().secs().is_multiple_of(PERIOD_S);
            fires.set(fires.get() + usize::from(is_fire));
            faulty.work(is_fire);
        }
        // Long enough for a bell that is silent to be found so, and for the last probe.
        for _ in 0..PERIOD_S - 1 {
            sleep(SECOND).await;
            deps.clock.advance(SECOND);
        }
    };
    let spec = spec("m", None);
    let luck = RefCell::new(StdRng::seed_from_u64(3));
    let probe_now = || {
        let takes = match luck.borrow_mut().random_range(0..100) {
            0..5 => Duration::from_secs(50),
            n => Duration::from_millis(n),
        };
        async move {
            sleep(takes).await;
            report(1)
        }
    };
    let token = CancellationToken::new();
    let watching = cron_bell.watch(
        &deps.clock,
        &token,
        || async { Ok::<_, CronError>(faulty.hang()) },
        |()| async { Ok(()) },
    );
    tokio::select! {
        biased;
        () = time => {}
        result = watching => panic!("the bell ended: {result:?}"),
        () = rounds(&spec, bell, &deps, probe_now) => panic!("the loop ended"),
    }
    assert!(faulty.hung.get() > TICKS / 10, "{}", faulty.hung.get());
    let accounted = accounted(&journal);
    // The last one may still be in flight, with what it leaves out.
    assert!((TICKS - 3..=TICKS).contains(&accounted), "{accounted}");
    assert!(finished(&journal) > TICKS * 8 / 10, "{}", finished(&journal));
    assert!(skips(&journal, SkipReason::Overlap) > 0);
}
