//! Bells: the arithmetic in tables, the cron bell on the real scheduler.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_period_stays_within_its_jitter() {
    for (jitter, roll, seconds) in
        [(0.2, 0.0, 48.0), (0.2, 0.5, 60.0), (0.2, 1.0, 72.0), (0.0, 0.9, 60.0), (1.0, 0.0, 0.0)]
    {
        let difference = period(MINUTE, jitter, roll).as_secs_f64() - seconds;
        assert!(difference.abs() < 1e-6, "jitter {jitter}, roll {roll}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_tick_moves_all_that_follow() {
    let due = Instant::now() + MINUTE;
    for (late, expected) in [(0, 60), (5, 65), (600, 660)] {
        let now = due + Duration::from_secs(late);
        assert_eq!(next_due(due, now, MINUTE), due + Duration::from_secs(expected));
    }
    assert_eq!(next_due(due, Instant::now(), MINUTE), due + MINUTE);
}

#[test]
fn a_ring_needs_a_fire_and_two_for_one_fire_are_one() {
    let at = Timestamp::from_millis;
    let mut ring = Ring { count: 0, fired: None, next: Some(at(60_000)) };
    for (now, following, passed_on, count) in [
        (59_900, Some(at(60_000)), false, 0),
        (60_300, Some(at(120_000)), true, 1),
        (60_800, Some(at(120_000)), false, 1),
        (120_000, Some(at(180_000)), true, 2),
        (185_000, None, true, 3),
        (185_500, None, false, 3),
        (190_000, Some(at(240_000)), false, 3),
        (240_000, Some(at(300_000)), true, 4),
    ] {
        assert_eq!(hear(&mut ring, at(now), following), passed_on, "at {now}");
        assert_eq!(ring.count, count, "at {now}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_fire_to_come_nothing_rings_and_the_bell_rests() {
    let (rings, _) = watch::channel(Ring::default());
    let cron = CronBell { expression: "0 0 0 30 2 *".to_owned(), rings };
    let rings = cron.rings.subscribe();
    let token = CancellationToken::new();
    let waiting = async {
        sleep(MINUTE).await;
        token.cancel();
    };
    let (run, ()) = tokio::join!(cron.run(Clock::System, token.clone()), waiting);
    run.unwrap();
    assert_eq!(*rings.borrow(), Ring::default());
}

fn every_second() -> CronBell {
    CronBell::new(&CronExpression::parse("* * * * * *").unwrap()).unwrap()
}

/// The scheduler does not follow paused time, so this one waits for real seconds to pass.
#[tokio::test]
async fn the_cron_bell_rings_once_per_fire_and_keeps_ringing() {
    let cron = every_second();
    let mut rings = cron.rings.subscribe();
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
        // A slow listener sees the latest ring only.
        assert!(pair[1].count > pair[0].count, "{heard:?}");
        assert!(pair[1].fired >= pair[0].next, "{heard:?}");
        assert!(pair[1].next > pair[1].fired, "{heard:?}");
        if pair[1].count == pair[0].count + 1 {
            assert_eq!(pair[1].fired, pair[0].next, "{heard:?}");
        }
    }
}

#[tokio::test]
async fn a_loop_hears_the_real_cron_bell() {
    let cron = every_second();
    let mut bell = Bell::cron(&cron, 0.2);
    bell.start_after(Duration::ZERO);
    let token = CancellationToken::new();
    let hearing = async {
        for _ in 0..2 {
            assert!(bell.wait(0.0).await);
        }
        assert!(bell.next_run(Timestamp::default()).is_some());
        token.cancel();
    };
    let (run, ()) = tokio::join!(cron.run(Clock::System, token.clone()), hearing);
    run.unwrap();
    assert!(!bell.wait(0.0).await, "a bell that is gone never rings");
}
