//! A mapping made ready: every key that it names, once.

use std::collections::BTreeMap;

use crate::ground::config::{MappingConfig, Pick, Proxy, Unit};

/// How the lines of one log are read.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Whose log it is.
    pub(super) proxy: Option<Proxy>,
    /// The keys to be decoded.
    pub(super) keys: Vec<String>,
    /// Where each field is looked for, in this order.
    pub(super) fields: BTreeMap<&'static str, Vec<Place>>,
}

/// Where a field's value is.
#[derive(Debug)]
pub(super) enum Place {
    /// At this one of the keys.
    Key(usize, Option<Unit>),
    /// The model in the URL at this one of the keys.
    Url(usize),
    /// Not in the line.
    Value(String),
}

impl Mapping {
    pub(super) fn new(config: MappingConfig) -> Self {
        let mut keys: Vec<String> = Vec::new();
        let mut index = |key: String| match keys.iter().position(|known| *known == key) {
            Some(index) => index,
            None => {
                keys.push(key);
                keys.len() - 1
            }
        };
        let mut place = |pick| match pick {
            Pick::Key(key, unit) => Place::Key(index(key), unit),
            Pick::Url(key) => Place::Url(index(key)),
            Pick::Value(value) => Place::Value(value),
        };
        let fields = config.fields.into_iter();
        let fields = fields
            .map(|(name, picks)| (name, picks.into_iter().map(&mut place).collect()))
            .collect();
        Self { proxy: config.proxy, keys, fields }
    }

    /// Where the field that an error names is read from, to be said behind the error.
    pub(super) fn whence(&self, error: &str) -> String {
        let subject = error.split(':').next().unwrap_or_default();
        if subject == "provider or host" {
            return " (log the upstream's host, or give the mapping a provider)".to_owned();
        }
        let keys: Vec<&str> = self
            .fields
            .get(subject)
            .into_iter()
            .flatten()
            .filter_map(|place| match place {
                Place::Key(index, _) | Place::Url(index) => Some(self.keys[*index].as_str()),
                Place::Value(_) => None,
            })
            .collect();
        if keys.is_empty() { String::new() } else { format!(" (read from {})", keys.join(" or ")) }
    }
}
