//! Scalars in the JSON of protobuf, where `null` stands for the default of any field.
//!
//! What cannot be read counts as absent: one odd value among thousands of records is no reason to
//! lose them, as an exporter does not send them again. JavaScript cuts texts in the middle of a
//! character, and protobuf writes `"NaN"` where JSON has no number.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A text, borrowed from the body where it holds no escape, in an `Option` as well.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A 64-bit integer, as a number or as a string.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole(pub(super) Option<i64>);

/// A floating-point number, as a number or as a string.
#[derive(Clone, Copy, Default)]
pub(super) struct Real(pub(super) Option<f64>);

/// Reads `null` as the default.
pub(super) fn nullable<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &'a RawValue = Deserialize::deserialize(deserializer)?;
        Ok(Self(match serde_json::from_str::<&'a str>(raw.get()) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(serde_json::from_str(raw.get()).unwrap_or_default()),
        }))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &RawValue = Deserialize::deserialize(deserializer)?;
        let digits = unquoted(raw);
        // Some write a whole number with a fraction.
        let fraction = || Some(digits.parse::<f64>().ok()?).filter(|number| number.is_finite());
        Ok(Self(digits.parse().ok().or_else(|| exact(fraction()?))))
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &RawValue = Deserialize::deserialize(deserializer)?;
        Ok(Self(unquoted(raw).parse().ok().filter(|number: &f64| number.is_finite())))
    }
}

/// A number without the quotation marks that it may stand in.
fn unquoted(raw: &RawValue) -> &str {
    let raw = raw.get();
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw)
}

/// The integer that a number is, unless it is beyond 64 bits.
fn exact(number: f64) -> Option<i64> {
    (number.abs() < i64::MAX as f64).then_some(number as i64)
}
