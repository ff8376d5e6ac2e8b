//! `ingest.mappings`: how the lines of access logs are read as outcomes.
//!
//! A mapping names, for each field of a native report, where it stands in a line. It may begin
//! from a preset, which also knows what the flags of that proxy mean. The presets are written in
//! the same language as a user's own mappings and read by the same code.

use std::collections::BTreeMap;

use crate::domain::model_name;
use crate::domain::target::{NAME_BYTES_MAX, Provider};

use super::problem::Problems;
use super::reader::Field;
use super::tree;

/// Most mappings: one for each kind of log.
const MAPPINGS_MAX: usize = 100;
/// Longest name of a mapping, in bytes: it stands in URLs.
const NAME_MAX: usize = 64;
/// Most places in which one field is looked for.
const PICKS_MAX: usize = 8;
/// Longest key, in bytes, and deepest path.
const KEY_BYTES_MAX: usize = 256;

/// Fields that every mapping may name: those of a native report but its `body`, for a log has no
/// business with bodies, and two that only make others of them.
const FIELDS: [&str; 24] = [
    "provider",
    "host",
    "model",
    "status",
    "error",
    "error_type",
    "error_code",
    "class",
    "phase",
    "attempt",
    "client_retries",
    "final",
    "op",
    "id",
    "ts",
    "started",
    "ms",
    "ttft_ms",
    "request_id",
    "retry_after",
    "n",
    "service",
    "region",
    "account",
];

/// Fields that only a proxy's preset knows the meaning of.
const PROXY_FIELDS: [&str; 9] = [
    "flags",
    "details",
    "upstream",
    "upstream_status",
    "upstream_ms",
    "upstream_connect",
    "upstream_header",
    "proxy_attempts",
    "proxy_retries",
];

/// Fields that may have a value of their own instead of a place in the line.
const VALUE_FIELDS: [&str; 6] = ["provider", "host", "model", "service", "region", "account"];
/// Fields that are a time or a length of time.
const TIME_FIELDS: [&str; 8] = [
    "ts",
    "started",
    "ms",
    "ttft_ms",
    "retry_after",
    "upstream_ms",
    "upstream_connect",
    "upstream_header",
];

const PRESETS: &str = include_str!("mappings/presets.yaml");

/// How the lines of one log are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingConfig {
    /// Whose log it is; `None` where the lines speak for themselves.
    pub proxy: Option<Proxy>,
    /// Where each field is looked for, in this order.
    pub fields: BTreeMap<&'static str, Vec<Pick>>,
}

/// A proxy whose log is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Envoy, Envoy Gateway, Envoy AI Gateway, Istio.
    Envoy,
    /// nginx and what is built on it.
    Nginx,
    /// `HAProxy`.
    Haproxy,
    /// Caddy.
    Caddy,
}

/// Where a field's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// At this key of the line, a dotted path.
    Key(String, Option<Unit>),
    /// The model in the URL or path at this key.
    Url(String),
    /// Not in the line: always this.
    Value(String),
}

/// How a time or a length of time is written; without one it is told from its form and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, with decimals or without.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// A date as in RFC 3339.
    Rfc3339,
    /// A date as in the Common Log Format, `24/Apr/2026:14:03:11.123 +0000`; UTC without an offset.
    CommonLog,
}

impl Proxy {
    /// All of them, as in `from`.
    pub const ALL: [(&'static str, Self); 4] = [
        ("envoy", Self::Envoy),
        ("nginx", Self::Nginx),
        ("haproxy", Self::Haproxy),
        ("caddy", Self::Caddy),
    ];
}

/// The built-in mappings by name.
pub fn presets() -> BTreeMap<String, MappingConfig> {
    let mut problems = Problems::new("");
    let root = tree::read(PRESETS, &mut problems).expect("a test reads the presets");
    let entries = Field::root(&root).entries(Proxy::ALL.len(), &mut problems);
    let mut presets = BTreeMap::new();
    for (key, field) in entries.expect("a test reads the presets") {
        let known = Proxy::ALL.iter().find(|(name, _)| *name == key.name);
        let mut mapping =
            MappingConfig { proxy: known.map(|(_, proxy)| *proxy), fields: BTreeMap::new() };
        fields(&field, &mut mapping, &mut problems);
        presets.insert(key.name.clone(), mapping);
    }
    debug_assert!(problems.is_empty(), "{problems}");
    presets
}

/// Reads the section.
pub(super) fn mappings(
    field: &Field<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, MappingConfig> {
    let mut mappings = BTreeMap::new();
    let presets = presets();
    for (key, field) in field.entries(MAPPINGS_MAX, problems).unwrap_or_default() {
        let good = !key.name.is_empty()
            && key.name.len() <= NAME_MAX
            && key.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !good {
            let message =
                "a mapping's name is 1 to 64 letters, digits, dashes, dots or underscores";
            problems.push(&field.path, Some(key.place), message);
        }
        if presets.contains_key(&key.name) {
            let message = "is the name of a built-in mapping: choose another and say from";
            problems.push(&field.path, Some(key.place), message);
        }
        let mut mapping = MappingConfig::default();
        let Some(section) = field.secret_section(problems) else { continue };
        if let Some(from) = section.get("from") {
            let names = Proxy::ALL.map(|(name, _)| (name, name));
            if let Some(name) = from.choice("preset", &names, problems) {
                mapping = presets.get(name).cloned().unwrap_or_default();
            }
        }
        fields(&field, &mut mapping, problems);
        if !mapping.fields.contains_key("status") && !mapping.fields.contains_key("error") {
            field.wrong(problems, "has neither status nor error, say which key tells how it ended");
        }
        mappings.insert(key.name.clone(), mapping);
    }
    mappings
}

/// Reads the fields of a mapping over those it has.
fn fields(field: &Field<'_>, mapping: &mut MappingConfig, problems: &mut Problems) {
    let known = [&FIELDS[..], &PROXY_FIELDS].concat();
    let keys = [&known[..], &["from"]].concat();
    let Some(section) = field.section(&keys, problems) else { return };
    for name in known {
        let Some(field) = section.get(name) else { continue };
        if mapping.proxy.is_none() && PROXY_FIELDS.contains(&name) {
            field.wrong(problems, "means something only with from, which says whose log it is");
        }
        let picks = picks(name, &field, problems);
        mapping.fields.insert(name, picks);
    }
}

/// One place or a list of places.
fn picks(name: &str, field: &Field<'_>, problems: &mut Problems) -> Vec<Pick> {
    if !field.is_list() {
        return pick(name, field, problems).into_iter().collect();
    }
    let Some(items) = field.list(PICKS_MAX, problems) else { return Vec::new() };
    if items.is_empty() {
        field.wrong(problems, "is empty, name at least one key");
    }
    items.iter().filter_map(|item| pick(name, item, problems)).collect()
}

fn pick(name: &str, field: &Field<'_>, problems: &mut Problems) -> Option<Pick> {
    if field.is_scalar() {
        return Some(Pick::Key(key(field, problems)?, None));
    }
    let section = field.section(&["key", "unit", "url", "value"], problems)?;
    if let (None, Some(unit)) = (section.get("key"), section.get("unit")) {
        unit.wrong(problems, "goes with key, remove it");
    }
    match (section.get("key"), section.get("url"), section.get("value")) {
        (Some(at), None, None) => {
            let unit = match section.get("unit") {
                Some(unit) => Some(self::unit(name, &unit, problems)?),
                None => None,
            };
            Some(Pick::Key(key(&at, problems)?, unit))
        }
        (None, Some(at), None) if name == "model" => Some(Pick::Url(key(&at, problems)?)),
        (None, Some(at), None) => {
            at.wrong(problems, "only a model is found in a URL, use key");
            None
        }
        (None, None, Some(value)) => self::value(name, &value, problems).map(Pick::Value),
        _ => {
            let one = if name == "model" { "key, url and value" } else { "key and value" };
            field.wrong(problems, format!("must have exactly one of {one}"));
            None
        }
    }
}

fn key(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text("the name of a key in the line, or a path like request.uri", problems)?;
    if text.len() > KEY_BYTES_MAX {
        field.wrong(problems, format!("is longer than {KEY_BYTES_MAX} bytes"));
        return None;
    }
    Some(text.to_owned())
}

fn unit(name: &str, field: &Field<'_>, problems: &mut Problems) -> Option<Unit> {
    const LENGTHS: [(&str, Unit); 3] =
        [("s", Unit::Seconds), ("ms", Unit::Millis), ("us", Unit::Micros)];
    const DATES: [(&str, Unit); 5] =
        [LENGTHS[0], LENGTHS[1], LENGTHS[2], ("rfc3339", Unit::Rfc3339), ("clf", Unit::CommonLog)];
    match name {
        "ts" | "started" => field.choice("unit", &DATES, problems),
        _ if TIME_FIELDS.contains(&name) => field.choice("unit", &LENGTHS, problems),
        _ => {
            field.wrong(problems, format!("{name} has no unit, remove it"));
            None
        }
    }
}

fn value(name: &str, field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    if !VALUE_FIELDS.contains(&name) {
        let names = VALUE_FIELDS.join(", ");
        let message = format!("{name} must be read from the line; only {names} may be given");
        field.wrong(problems, message);
        return None;
    }
    let text = field.text("a name", problems)?;
    let bad = match name {
        "provider" => Provider::new(text).err().map(|error| error.to_string()),
        "model" => model_name::model(text).err().map(|error| error.to_string()),
        _ if text.len() > NAME_BYTES_MAX => Some(format!("is longer than {NAME_BYTES_MAX} bytes")),
        _ => None,
    };
    if let Some(message) = bad {
        field.wrong(problems, message);
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_good_and_there_is_one_for_each_proxy() {
        let mut problems = Problems::new("presets.yaml");
        let root = tree::read(PRESETS, &mut problems).unwrap();
        for (key, field) in Field::root(&root).entries(9, &mut problems).unwrap() {
            let mut mapping = MappingConfig { proxy: Some(Proxy::Envoy), ..Default::default() };
            fields(&field, &mut mapping, &mut problems);
            for needed in ["status", "model", "host", "ts", "ms"] {
                assert!(mapping.fields.contains_key(needed), "{} lacks {needed}", key.name);
            }
        }
        assert!(problems.is_empty(), "{problems}");
        for (name, proxy) in Proxy::ALL {
            assert_eq!(presets()[name].proxy, Some(proxy), "{name}");
        }
        assert_eq!(presets().len(), Proxy::ALL.len());
    }
}
