//! Times and lengths of time as logs write them.

use crate::domain::time::Timestamp;
use crate::ground::config::Unit;
use crate::intake::report::scalar::Scalar;

/// A number below this is in seconds (until the year 5138), below a thousand times this in
/// milliseconds, else in microseconds.
const SECONDS_MAX: f64 = 1e11;

/// A moment in seconds since 1970; `None` where there is none, or none that can be read.
pub(super) fn moment(value: &Scalar<'_>, unit: Option<Unit>) -> Option<f64> {
    let number = || value.number().filter(|number| *number > 0.0 && number.is_finite());
    match (unit, value) {
        (Some(Unit::Seconds), _) => number(),
        (Some(Unit::Millis), _) => number().map(|millis| millis / 1e3),
        (Some(Unit::Micros), _) => number().map(|micros| micros / 1e6),
        (Some(Unit::Rfc3339), Scalar::Text(text)) => rfc3339(text),
        (Some(Unit::CommonLog), Scalar::Text(text)) => common_log(text),
        (Some(Unit::Rfc3339 | Unit::CommonLog), _) => None,
        (None, _) => match (number(), value.clone()) {
            (Some(number), _) if number < SECONDS_MAX => Some(number),
            (Some(number), _) if number < SECONDS_MAX * 1e3 => Some(number / 1e3),
            (Some(number), _) => Some(number / 1e6),
            (None, Scalar::Text(text)) => rfc3339(&text).or_else(|| common_log(&text)),
            (None, _) => None,
        },
    }
}

/// A length of time in milliseconds. Proxies write what was not measured as -1.
pub(super) fn millis(value: &Scalar<'_>, unit: Option<Unit>) -> Option<f64> {
    let number = value.number().filter(|number| *number >= 0.0 && number.is_finite())?;
    match unit {
        Some(Unit::Seconds) => Some(number * 1e3),
        Some(Unit::Micros) => Some(number / 1e3),
        Some(Unit::Millis | Unit::Rfc3339 | Unit::CommonLog) | None => Some(number),
    }
}

fn rfc3339(text: &str) -> Option<f64> {
    Timestamp::parse(text).map(|at| at.millis() as f64 / 1e3)
}

/// `24/Apr/2026:14:03:11.123 +0200`, with decimals and offset or without.
fn common_log(text: &str) -> Option<f64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.trim().trim_matches(['[', ']']);
    let (date, rest) = text.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (clock, offset) = rest.split_once(' ').unwrap_or((rest, "+0000"));
    let (hours, minutes) = (offset.get(..3)?, offset.get(3..)?);
    rfc3339(&format!("{year}-{month:02}-{day:0>2}T{clock}{hours}:{minutes}"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn the_same_moment_in_every_spelling() {
        let text = |text| Scalar::Text(Cow::Borrowed(text));
        for (value, unit) in [
            (Scalar::Number(1_777_039_391.123), None),
            (Scalar::Number(1_777_039_391.123), Some(Unit::Seconds)),
            (text("1777039391.123"), None),
            (Scalar::Integer(1_777_039_391_123), None),
            (Scalar::Integer(1_777_039_391_123), Some(Unit::Millis)),
            (text("1777039391123"), None),
            (Scalar::Integer(1_777_039_391_123_000), None),
            (text("2026-04-24T14:03:11.123Z"), None),
            (text("2026-04-24T16:03:11.123+02:00"), Some(Unit::Rfc3339)),
            (text("24/Apr/2026:14:03:11.123"), None),
            (text("24/Apr/2026:16:03:11.123 +0200"), Some(Unit::CommonLog)),
            (text("[24/Apr/2026:14:03:11.123 +0000]"), None),
        ] {
            let found = moment(&value, unit).unwrap_or_else(|| panic!("{value:?} {unit:?}"));
            assert!((found - 1_777_039_391.123).abs() < 1e-3, "{value:?}: {found}");
        }
        for value in [text("soon"), text("24/Apx/2026:14:03:11"), text("a/b"), Scalar::Number(-1.0)]
        {
            assert_eq!(moment(&value, None), None, "{value:?}");
        }
    }

    #[test]
    fn what_was_not_measured_is_no_length_of_time() {
        let text = |text| Scalar::Text(Cow::Borrowed(text));
        for (value, unit, expected) in [
            (text("0.012"), Some(Unit::Seconds), Some(12.0)),
            (Scalar::Integer(12), None, Some(12.0)),
            (Scalar::Integer(12_000), Some(Unit::Micros), Some(12.0)),
            (Scalar::Number(-1.0), Some(Unit::Millis), None),
            (text("-"), Some(Unit::Seconds), None),
        ] {
            assert_eq!(millis(&value, unit), expected, "{value:?}");
        }
    }
}
