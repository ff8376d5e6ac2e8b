//! Cron expressions: the one place that knows how they are written here.
//!
//! Five fields, or six with seconds first, in UTC. One that can never fire is refused: whoever
//! wrote it believes that something is probed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds};

use crate::domain::time::{DAY_MS, SECOND_MS, Timestamp};

/// A cron expression that fires again and again.
#[derive(Clone, Debug)]
pub struct CronExpression {
    with_seconds: String,
    cron: Arc<Cron>,
}

/// Why a text is no cron expression; a sentence when put behind the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronProblem {
    /// Too few fields, or too many.
    #[error(
        "is no cron expression: it has {0} fields, expected 5, or 6 with seconds first, \
         as in \"*/5 8-20 * * Mon-Fri\""
    )]
    Fields(usize),
    /// The parser refuses it.
    #[error("is no cron expression: {0}")]
    Parser(String),
    /// There is no such moment.
    #[error("never fires, for no month it names has such a day; correct the day or the month")]
    NeverFires,
}

impl CronExpression {
    /// Checks an expression as written.
    ///
    /// # Errors
    /// [`CronProblem`] when it is none, or never fires.
    pub fn parse(text: &str) -> Result<Self, CronProblem> {
        let fields = text.split_whitespace().count();
        let with_seconds = match fields {
            5 => format!("0 {text}"),
            6 => text.to_owned(),
            _ => return Err(CronProblem::Fields(fields)),
        };
        let cron = read(&with_seconds).map_err(|error| {
            CronProblem::Parser(error.to_string().trim_end_matches('.').to_owned())
        })?;
        // Without a year in it, an expression fires for ever or never: any start will do.
        match cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, true) {
            Ok(_) => Ok(Self { with_seconds, cron: Arc::new(cron) }),
            Err(_) => Err(CronProblem::NeverFires),
        }
    }

    /// The expression with six fields, seconds first.
    pub fn with_seconds(&self) -> &str {
        &self.with_seconds
    }

    /// The first moment after `now` at which it fires; `None` where the calendar ends.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = DateTime::<Utc>::from_timestamp_millis(i64::try_from(now.millis()).ok()?)?;
        let next = self.cron.find_next_occurrence(&now, false).ok()?;
        u64::try_from(next.timestamp()).ok().map(Timestamp::from_secs)
    }

    /// How often it fires a day, in the mean over the 52 weeks from the day of `from` on.
    pub fn fires_per_day(&self, from: Timestamp) -> f64 {
        const DAY_S: i64 = (DAY_MS / SECOND_MS) as i64;
        const DAYS: i64 = 7 * 52;
        let next = |from_s: i64| {
            let from = DateTime::<Utc>::from_timestamp(from_s, 0)?;
            Some(self.cron.find_next_occurrence(&from, true).ok()?.timestamp())
        };
        let start_s = i64::try_from(from.millis() / DAY_MS).unwrap_or(0) * DAY_S;
        let (mut days, mut fires) = (0_u32, 0_u32);
        let mut from_s = start_s;
        while let Some(fire_s) = next(from_s).filter(|at| *at < start_s + DAYS * DAY_S) {
            from_s = (fire_s / DAY_S + 1) * DAY_S;
            // The date decides whether it fires on a day, and never how often: one day is counted.
            let mut fire_s = Some(fire_s).filter(|_| days == 0);
            while let Some(at) = fire_s.filter(|at| *at < from_s) {
                fires += 1;
                fire_s = next(at + 1);
            }
            days += 1;
        }
        f64::from(fires) * f64::from(days) / DAYS as f64
    }
}

/// Two are the same if they are written the same.
impl PartialEq for CronExpression {
    fn eq(&self, other: &Self) -> bool {
        self.with_seconds == other.with_seconds
    }
}

impl Eq for CronExpression {}

/// Reads an expression with the same settings as the scheduler that will run it, which wants the
/// seconds.
fn read(with_seconds: &str) -> Result<Cron, CronError> {
    let parser = CronParser::builder().seconds(Seconds::Required).dom_and_dow(true).build();
    parser.parse(with_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_fire_is_after_now() {
        // 2026-04-24 was a Friday.
        let at = |text: &str| Timestamp::parse(text).unwrap();
        for (expression, now, next) in [
            ("*/5 8-20 * * Mon-Fri", "2026-04-24T20:54:59.999Z", "2026-04-24T20:55:00Z"),
            ("*/5 8-20 * * Mon-Fri", "2026-04-24T20:55:00Z", "2026-04-27T08:00:00Z"),
            ("* * * * * *", "2026-04-24T23:59:59.001Z", "2026-04-25T00:00:00Z"),
            ("0 0 29 2 *", "2026-04-24T00:00:00Z", "2028-02-29T00:00:00Z"),
        ] {
            let cron = CronExpression::parse(expression).unwrap();
            assert_eq!(cron.next_after(at(now)), Some(at(next)), "{expression} after {now}");
        }
        let cron = CronExpression::parse("* * * * *").unwrap();
        assert_eq!(cron.next_after(Timestamp::from_millis(u64::MAX)), None);
    }

    #[test]
    fn an_expression_has_five_or_six_fields_and_fires() {
        for (text, expected) in [
            ("*/5 8-20 * * Mon-Fri", Ok("0 */5 8-20 * * Mon-Fri")),
            ("0 * * * *", Ok("0 0 * * * *")),
            ("*/10 * * * * *", Ok("*/10 * * * * *")),
            ("0 0 29 2 *", Ok("0 0 0 29 2 *")),
            ("0 0 31 2,3 *", Ok("0 0 0 31 2,3 *")),
            ("0 0 30 2 *", Err(CronProblem::NeverFires)),
            ("0 0 0 31 4,6,9,11 *", Err(CronProblem::NeverFires)),
            ("", Err(CronProblem::Fields(0))),
            ("* * * *", Err(CronProblem::Fields(4))),
            ("* * * * * * *", Err(CronProblem::Fields(7))),
        ] {
            let found = CronExpression::parse(text);
            let found = found.as_ref().map(CronExpression::with_seconds);
            assert_eq!(found, expected.as_ref().map(|text| *text), "{text:?}");
        }
        for text in ["61 * * * *", "every minute of the hour", "a b c d e f"] {
            let found = CronExpression::parse(text);
            assert!(matches!(found, Err(CronProblem::Parser(_))), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn fires_are_counted_over_a_year_of_weeks() {
        // A Friday noon: the weekday of the start must not matter.
        let now = Timestamp::parse("2026-04-24T12:00:00Z").unwrap();
        for (text, expected) in [
            ("* * * * *", 1_440.0),
            ("* * * * * *", 86_400.0),
            ("*/5 8-20 * * Mon-Fri", 156.0 * 5.0 / 7.0),
            ("0 12 * * Sun", 1.0 / 7.0),
            ("0 0 1 * *", 12.0 / 364.0),
            ("0 0 29 2 *", 0.0),
        ] {
            let found = CronExpression::parse(text).unwrap().fires_per_day(now);
            assert!((found - expected).abs() < 1e-9, "{text}: {found} {expected}");
        }
    }
}
