//! What a look at the clock means, in a table; and the bell on the real scheduler.

use super::super::Bell;
use super::super::bell::Heard;
use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_777_000_000 + seconds)
}

/// Fires every full minute.
fn minutely(after: Timestamp) -> Option<Timestamp> {
    CronExpression::parse("* * * * *").unwrap().next_after(after)
}

#[test]
fn the_latest_fire_rings_once_and_those_before_it_are_counted() {
    // 1,777,000,000 is 40 s after a full minute. Clock -> rings, missed, next.
    let mut ring = Ring { next: minutely(at(0)), ..Ring::default() };
    for (now, count, missed, next) in [
        (19, 0, 0, 20),
        (20, 1, 0, 80),
        (20, 1, 0, 80),
        (79, 1, 0, 80),
        (81, 2, 0, 140),
        // Two fires at one look: one rings.
        (205, 3, 1, 260),
        // Ten minutes of sleep: the last fire is 55 s ago and rings, nine are missed.
        (855, 4, 10, 860),
        // The clock steps back a little: what has rung does not ring again.
        (799, 4, 10, 860),
        (860, 5, 10, 920),
        // It is set back by more than a minute, and is believed.
        (501, 5, 10, 560),
        (560, 6, 10, 620),
    ] {
        hear(&mut ring, at(now), minutely);
        let found = (ring.count, ring.missed, ring.next);
        assert_eq!(found, (count, missed, Some(at(next))), "at {now}");
    }
}

#[test]
fn a_fire_that_is_long_past_is_not_answered_and_neither_is_none() {
    let hourly = |after: Timestamp| CronExpression::parse("0 * * * *").unwrap().next_after(after);
    let next = hourly(at(0)).unwrap();
    let mut ring = Ring { next: Some(next), ..Ring::default() };
    hear(&mut ring, next.plus(Duration::from_secs(61)), hourly);
    assert_eq!((ring.count, ring.missed, ring.fired), (0, 1, Some(next)));
    assert_eq!(ring.next, hourly(next));

    let mut ring = Ring { next: Some(at(60)), ..Ring::default() };
    for now in [60, 61] {
        hear(&mut ring, at(now), |_| None);
        assert_eq!((ring.count, ring.next), (1, None), "at {now}");
    }
    hear(&mut ring, at(70), |_| Some(at(90)));
    assert_eq!((ring.count, ring.next), (1, Some(at(90))));
}

#[test]
fn a_very_long_sleep_is_not_counted_fire_by_fire() {
    let every_second = |after: Timestamp| Some(Timestamp::from_secs(after.secs() + 1));
    let mut ring = Ring { next: Some(at(1)), ..Ring::default() };
    hear(&mut ring, at(1_000_000), every_second);
    assert_eq!((ring.count, ring.missed), (0, COUNTED_MAX + 1));
    assert_eq!(ring.next, Some(at(1_000_001)));
}

#[tokio::test(start_paused = true)]
async fn without_a_fire_to_come_nothing_rings_and_the_bell_rests() {
    let never = CronExpression::parse("0 0 29 2 *").unwrap();
    let cron = CronBell::new(never, Timestamp::from_millis(u64::MAX));
    let rings = cron.subscribe();
    let token = CancellationToken::new();
    let waiting = async {
        sleep(Duration::from_secs(60)).await;
        token.cancel();
    };
    let clock = Clock::manual(Timestamp::from_millis(u64::MAX));
    let (run, ()) = tokio::join!(cron.run(clock, token.clone()), waiting);
    run.unwrap();
    assert_eq!(*rings.borrow(), Ring::default());
}

fn every_second() -> CronBell {
    CronBell::new(CronExpression::parse("* * * * * *").unwrap(), Clock::System.now())
}

/// The scheduler does not follow paused time, so this one waits for real seconds to pass.
#[tokio::test]
async fn the_cron_bell_rings_once_per_fire_and_keeps_ringing() {
    let cron = every_second();
    let mut rings = cron.subscribe();
    let token = CancellationToken::new();
    let listening = async {
        let mut heard = vec![*rings.borrow_and_update()];
        while heard.len() < 6 {
            rings.changed().await.unwrap();
            heard.push(*rings.borrow_and_update());
        }
        token.cancel();
        heard
    };
    let (run, heard) = tokio::join!(cron.run(Clock::System, token.clone()), listening);
    run.unwrap();
    for pair in heard.windows(2) {
        // A slow listener sees the latest ring only, and a slow machine misses fires.
        let passed = |ring: &Ring| ring.count + ring.missed;
        assert!(passed(&pair[1]) > passed(&pair[0]), "{heard:?}");
        assert!(pair[1].fired >= pair[0].next, "{heard:?}");
        assert!(pair[1].next > pair[1].fired, "{heard:?}");
        if passed(&pair[1]) == passed(&pair[0]) + 1 {
            assert_eq!(pair[1].fired, pair[0].next, "{heard:?}");
        }
    }
}

#[tokio::test]
async fn a_loop_hears_the_real_cron_bell() {
    let cron = every_second();
    let mut bell = Bell::cron(&cron, 0.2);
    let token = CancellationToken::new();
    let hearing = async {
        for _ in 0..2 {
            assert_eq!(bell.wait(0.0).await, Heard::Due);
        }
        assert!(bell.next_run(Timestamp::default()).is_some());
        token.cancel();
    };
    let (run, ()) = tokio::join!(cron.run(Clock::System, token.clone()), hearing);
    run.unwrap();
    assert_eq!(bell.wait(0.0).await, Heard::Gone, "a bell that is gone never rings");
}
