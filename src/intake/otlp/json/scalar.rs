//! Scalars in the JSON of protobuf, where `null` stands for the default of any field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A text, borrowed from the body where it holds no escape, in an `Option` as well.
#[derive(Default, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A 64-bit integer, as a number or as a string.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole(pub(super) i64);

/// Reads `null` as the default.
pub(super) fn nullable<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer as a number or a string")
            }
            fn visit_unit<E>(self) -> Result<Whole, E> {
                Ok(Whole(0))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                i64::try_from(value).map(Whole).map_err(|_| E::custom("out of range"))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Whole, E> {
                Ok(Whole(value))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Whole, E> {
                Ok(Whole(value as i64))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Whole, E> {
                value.parse().map(Whole).map_err(|_| E::custom("not an integer"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
