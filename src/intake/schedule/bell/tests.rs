//! Bells: the arithmetic in tables, an ear at a cron bell that is rung by hand.

use super::*;
use crate::ground::config::CronExpression;

const SECOND: Duration = Duration::from_secs(1);
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

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_777_000_000 + seconds)
}

/// A cron bell that has rung `count` times, last at `fired`, and rings next at `next`.
fn cron(count: u64, fired: u64, next: u64) -> CronBell {
    let cron = CronBell::new(CronExpression::parse("* * * * *").unwrap(), at(0));
    cron.go_on_from(ring(count, fired, next));
    cron
}

fn ring(count: u64, fired: u64, next: u64) -> Ring {
    Ring { count, missed: 0, fired: Some(at(fired)), next: Some(at(next)) }
}

#[tokio::test(start_paused = true)]
async fn loops_of_a_cron_bell_are_kept_apart_by_their_place_besides_their_luck() {
    // seconds to the next fire, jitter, place, luck -> milliseconds late
    for (gap, jitter, share, roll, late_ms) in [
        (300, 0.0, 0.0, 0.9, 0),
        (300, 0.0, 1.0, 0.9, 15_000),
        (300, 0.2, 0.5, 0.5, 15_000),
        (300, 0.2, 1.0, 1.0, 30_000),
        (20, 0.2, 1.0, 1.0, 9_000),
        (1, 0.5, 1.0, 1.0, 750),
        (86_400, 0.5, 0.5, 0.0, 7_500),
    ] {
        let cron = cron(0, 0, 60);
        let mut bell = Bell::cron(&cron, jitter);
        bell.keep_apart(share);
        let start = Instant::now();
        cron.go_on_from(ring(1, 60, 60 + gap));
        assert_eq!(bell.wait(roll).await, Heard::Due);
        assert_eq!(start.elapsed(), Duration::from_millis(late_ms), "{gap} {jitter} {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn giving_up_the_wait_loses_no_fire() {
    let cron = cron(0, 0, 300);
    let mut bell = Bell::cron(&cron, 0.2);
    bell.keep_apart(1.0);
    cron.go_on_from(ring(1, 300, 600));
    for _ in 0..29 {
        assert!(tokio::time::timeout(SECOND, bell.wait(1.0)).await.is_err());
        assert_eq!(bell.answered(), None);
        // What is told of the next run stays where it is.
        let left = bell.next_run(at(300)).unwrap().since(at(300));
        assert!(left > Duration::ZERO && left < 30 * SECOND, "{left:?}");
    }
    assert_eq!(bell.wait(1.0).await, Heard::Due);
    assert_eq!(bell.answered(), Some(at(300)));
    assert!(tokio::time::timeout(3_600 * SECOND, bell.wait(1.0)).await.is_err(), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn an_ear_tells_what_it_left_out_and_what_nobody_rang_for() {
    let cron = cron(3, 0, 60);
    let mut bell = Bell::cron(&cron, 0.0);
    let left_out = |overlapped, missed| LeftOut { overlapped, missed };
    assert_eq!(bell.left_out(), left_out(0, 0));
    // Three rings at once are one probe; a fourth comes while it is in flight.
    cron.go_on_from(ring(6, 180, 240));
    assert_eq!(bell.wait(0.0).await, Heard::Due);
    cron.go_on_from(ring(7, 240, 300));
    assert_eq!(bell.left_out(), left_out(3, 0));
    assert_eq!(bell.answered(), Some(at(240)));
    // Fires that passed in silence move the next run, and ring for nobody.
    cron.go_on_from(Ring { missed: 5, ..ring(7, 540, 600) });
    assert_eq!(bell.wait(0.0).await, Heard::Moved);
    assert_eq!(bell.next_run(at(550)), Some(at(600)));
    assert_eq!(bell.left_out(), left_out(0, 5));
    assert_eq!(bell.left_out(), left_out(0, 0));
    bell.owe(at(541));
    assert_eq!(bell.wait(0.0).await, Heard::Due);
    drop(cron);
    assert_eq!(bell.wait(0.0).await, Heard::Gone);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_leaves_at_its_place_however_often_the_loop_is_replaced() {
    // seconds since the fire -> seconds to wait
    for (since, wait) in [(0, 15), (10, 5), (15, 0), (60, 0)] {
        let cron = cron(1, 300, 600);
        let mut bell = Bell::cron(&cron, 0.2);
        bell.owe(at(300 + since));
        bell.keep_apart(1.0);
        let start = Instant::now();
        assert_eq!(bell.wait(0.5).await, Heard::Due);
        assert_eq!(start.elapsed(), wait * SECOND, "{since}");
    }
}
