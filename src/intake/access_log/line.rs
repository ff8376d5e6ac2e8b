//! One line of a log: the values at the keys that a mapping names, everything else undecoded.
//!
//! A key is a dotted path. Keys with dots of their own (`gen_ai.request.model`) are found as
//! well, for a path is matched by its beginning, whatever is left of it. Of a list the first item
//! counts: that is how headers are logged.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::intake::refusal::Refusal;
use crate::intake::report::scalar::Scalar;

/// The values at some keys; `None` where the line has no such key.
pub(super) type Values<'a> = Vec<Option<Scalar<'a>>>;

/// Reads the values at `keys`.
pub(super) fn values<'a>(bytes: &'a [u8], keys: &[String]) -> Result<Values<'a>, Refusal> {
    let mut values: Values<'a> = Vec::new();
    values.resize_with(keys.len(), || None);
    let wanted = keys.iter().map(String::as_str).enumerate().collect();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Walk { wanted, values: &mut values, is_line: true }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| Refusal::not_json(&error, "a line of a log as a JSON object"))?;
    Ok(values)
}

/// A value and what is wanted of it: for each wanted key its index and what is left of its path.
struct Walk<'v, 'k, 'de> {
    wanted: Vec<(usize, &'k str)>,
    values: &'v mut Values<'de>,
    is_line: bool,
}

impl<'de> Walk<'_, '_, 'de> {
    fn set(self, value: Scalar<'de>) {
        let mut here = self.wanted.iter().filter(|(_, rest)| rest.is_empty()).peekable();
        while let Some((index, _)) = here.next() {
            // Mostly one key wants it, and then it is not copied.
            if here.peek().is_none() {
                self.values[*index] = Some(value);
                return;
            }
            self.values[*index] = Some(value.clone());
        }
    }
}

/// What is wanted below the key `name`.
fn below<'k>(wanted: &[(usize, &'k str)], name: &str) -> Vec<(usize, &'k str)> {
    let rest = |(index, path): &(usize, &'k str)| {
        let rest = path.strip_prefix(name).filter(|_| !path.is_empty())?;
        match rest.strip_prefix('.') {
            Some(rest) => Some((*index, rest)),
            None => rest.is_empty().then_some((*index, rest)),
        }
    };
    wanted.iter().filter_map(rest).collect()
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.is_line {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of a log as a JSON object")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.set(Scalar::Absent);
        Ok(())
    }
    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        self.set(Scalar::Bool);
        Ok(())
    }
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.set(Scalar::Integer(value));
        Ok(())
    }
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.set(Scalar::Number(value as f64));
        Ok(())
    }
    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.set(Scalar::Number(value));
        Ok(())
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.set(Scalar::Text(Cow::Borrowed(value)));
        Ok(())
    }
    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.set(Scalar::Text(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { wanted, values, .. } = self;
        seq.next_element_seed(Walk { wanted, values, is_line: false })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { wanted, values, .. } = self;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let below = below(&wanted, &name);
            if below.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Walk { wanted: below, values: &mut *values, is_line: false })?;
            }
        }
        Ok(())
    }
}
