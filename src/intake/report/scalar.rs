//! A field's value before it is known whether it fits: the rules that all fields share.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::time::DAY_MS;
use crate::intake::refusal::Refusal;

/// Longest word (id, operation, service, error type or code), in bytes.
pub(in crate::intake) const WORD_BYTES_MAX: usize = 64;

/// A JSON value of a field that takes no compound.
#[derive(Clone, Debug, Default)]
pub(in crate::intake) enum Scalar<'a> {
    #[default]
    Absent,
    Bool,
    Integer(u64),
    Number(f64),
    Text(Cow<'a, str>),
    Compound,
}

impl Scalar<'_> {
    /// A text of at most `max` bytes; an empty one counts as absent.
    pub(super) fn text(&self, field: &str, max: usize) -> Result<Option<&str>, Refusal> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) if text.is_empty() => Ok(None),
            Self::Text(text) if text.len() <= max => Ok(Some(text)),
            Self::Text(_) => Err(Refusal::field(field, format!("at most {max} bytes"))),
            Self::Bool | Self::Integer(_) | Self::Number(_) | Self::Compound => {
                Err(Refusal::field(field, "a string"))
            }
        }
    }

    /// A text or a number as text: providers give error codes either way.
    pub(super) fn word(&self, field: &str) -> Result<Option<Cow<'_, str>>, Refusal> {
        match self {
            Self::Integer(number) => Ok(Some(Cow::Owned(number.to_string()))),
            Self::Number(number) => Ok(Some(Cow::Owned(number.to_string()))),
            Self::Absent | Self::Bool | Self::Text(_) | Self::Compound => {
                Ok(self.text(field, WORD_BYTES_MAX)?.map(Cow::Borrowed))
            }
        }
    }

    pub(super) fn integer(&self, field: &str, min: u64, max: u64) -> Result<Option<u64>, Refusal> {
        match self {
            Self::Absent => Ok(None),
            Self::Integer(number) if (min..=max).contains(number) => Ok(Some(*number)),
            Self::Integer(_) | Self::Bool | Self::Number(_) | Self::Text(_) | Self::Compound => {
                Err(Refusal::field(field, format!("an integer from {min} to {max}")))
            }
        }
    }

    /// A number, or a text that is one (headers are often passed on as they came).
    pub(in crate::intake) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Absent | Self::Bool | Self::Compound => None,
        }
    }

    pub(super) fn millis(&self, field: &str) -> Result<Option<Duration>, Refusal> {
        let expected = "milliseconds from 0 to 86400000";
        match self {
            Self::Absent => Ok(None),
            Self::Integer(_) | Self::Number(_) => match self.number() {
                Some(millis) if (0.0..=DAY_MS as f64).contains(&millis) => {
                    Ok(Some(Duration::from_secs_f64(millis / 1_000.0)))
                }
                Some(_) | None => Err(Refusal::field(field, expected)),
            },
            Self::Bool | Self::Text(_) | Self::Compound => Err(Refusal::field(field, expected)),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Absent)
            }
            fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool)
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Compound)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Compound)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
