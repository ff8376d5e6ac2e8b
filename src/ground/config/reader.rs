//! From nodes to typed values, every failure noted with its path and place.
//!
//! A read that fails notes the problem and gives `None`; the caller goes on with a default, so
//! that one pass finds everything. Nobody may use a value read so far while a problem is noted,
//! which `Config::parse` sees to.

use std::time::Duration;

use super::problem::{Problems, hint, quoted};
use super::tree::{Key, Node, Value, item_path, key_path};

/// A value with its path.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    /// `providers.anthropic.models[2]`.
    pub(super) path: String,
    node: &'a Node,
}

/// A mapping of which all keys are known.
#[derive(Debug)]
pub(super) struct Section<'a> {
    field: Field<'a>,
    entries: &'a [(Key, Node)],
}

impl<'a> Field<'a> {
    /// The whole document.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { path: String::new(), node }
    }

    /// Notes a problem with it.
    pub(super) fn wrong(&self, problems: &mut Problems, message: impl Into<String>) {
        problems.push(&self.path, Some(self.node.place), message);
    }

    /// Whether it is a scalar; its text is not given away, for it may be a secret.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.node.value, Value::Plain(_) | Value::Quoted(_))
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it is exactly this word without quotes.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.node.value, Value::Plain(text) if text == word)
    }

    /// A scalar's text. Nothing is text to YAML that is not in the file: `null` is refused.
    pub(super) fn text(&self, expected: &str, problems: &mut Problems) -> Option<&'a str> {
        match &self.node.value {
            Value::Plain(text) | Value::Quoted(text) if !text.is_empty() => Some(text),
            Value::Plain(_) | Value::Quoted(_) | Value::Null => {
                self.wrong(problems, format!("is empty, expected {expected}, or remove it"));
                None
            }
            Value::List(_) => {
                self.wrong(problems, format!("is a list, expected {expected}"));
                None
            }
            Value::Map(_) => {
                self.wrong(problems, format!("is a mapping, expected {expected}"));
                None
            }
        }
    }

    /// The items of a list, at most `most` of them.
    pub(super) fn list(&self, most: usize, problems: &mut Problems) -> Option<Vec<Field<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.wrong(problems, "must be a list: [a, b]");
            return None;
        };
        if items.len() > most {
            self.wrong(problems, format!("has {} items, at most {most} are kept", items.len()));
            return None;
        }
        let field = |(index, node)| Field { path: item_path(&self.path, index), node };
        Some(items.iter().enumerate().map(field).collect())
    }

    /// The entries of a mapping whose keys are the user's own names; at most `most` of them.
    /// The place of the field of an entry is that of its value, `Key` has its own.
    pub(super) fn entries(
        &self,
        most: usize,
        problems: &mut Problems,
    ) -> Option<Vec<(&'a Key, Field<'a>)>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong(problems, "must be a mapping: {name: …}");
            return None;
        };
        if entries.len() > most {
            self.wrong(problems, format!("has {} entries, at most {most} are kept", entries.len()));
            return None;
        }
        let field = |key: &Key, node| Field { path: key_path(&self.path, &key.name), node };
        Some(entries.iter().map(|(key, node)| (key, field(key, node))).collect())
    }

    /// A mapping of known keys; others are noted as problems. Nothing counts as an empty mapping.
    pub(super) fn section(&self, keys: &[&str], problems: &mut Problems) -> Option<Section<'a>> {
        let section = self.secret_section(problems)?;
        for (key, _) in section.entries {
            if !keys.contains(&key.name.as_str()) {
                let message = format!("unknown key{}", hint(&key.name, keys));
                problems.push(&key_path(&self.path, &key.name), Some(key.place), message);
            }
        }
        Some(section)
    }

    /// A mapping in which even an unknown key may be a secret: keys are left to the caller.
    pub(super) fn secret_section(&self, problems: &mut Problems) -> Option<Section<'a>> {
        let entries: &'a [(Key, Node)] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                self.wrong(problems, "must be a mapping: {key: value}");
                return None;
            }
        };
        Some(Section { field: self.clone(), entries })
    }

    /// A ratio in 0..1, written `2%` or `0.02`.
    pub(super) fn ratio(&self, problems: &mut Problems) -> Option<f64> {
        const EXPECTED: &str = "a ratio like 2% or 0.02";
        let text = self.text(EXPECTED, problems)?;
        match parse_ratio(text) {
            Some(ratio) if (0.0..=1.0).contains(&ratio) => Some(ratio),
            Some(_) => {
                self.wrong(problems, format!("{} is not in 0..1 (0%..100%)", quoted(text)));
                None
            }
            None => {
                self.wrong(problems, format!("{} is not {EXPECTED}", quoted(text)));
                None
            }
        }
    }

    /// A number that is not negative.
    pub(super) fn number(&self, problems: &mut Problems) -> Option<f64> {
        let text = self.text("a number", problems)?;
        let number = decimal(text).filter(|number| *number >= 0.0);
        if number.is_none() {
            let message = format!("{} is not a number of zero or more", quoted(text));
            self.wrong(problems, message);
        }
        number
    }

    /// A whole number.
    pub(super) fn count(&self, problems: &mut Problems) -> Option<usize> {
        let text = self.text("a whole number", problems)?;
        let count = text.parse().ok();
        if count.is_none() {
            self.wrong(problems, format!("{} is not a whole number", quoted(text)));
        }
        count
    }

    /// A duration with units, as in `1m 30s`.
    pub(super) fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        const EXPECTED: &str = "a duration with a unit like 60s or 1m 30s";
        let text = self.text(EXPECTED, problems)?;
        let duration = humantime::parse_duration(text).ok();
        if duration.is_none() {
            self.wrong(problems, format!("{} is not {EXPECTED}", quoted(text)));
        }
        duration
    }

    /// A size in bytes, as in `8MiB`.
    pub(super) fn size(&self, problems: &mut Problems) -> Option<usize> {
        const EXPECTED: &str = "a size like 8MiB, 512KiB or 4096";
        let text = self.text(EXPECTED, problems)?;
        let size = bytes(text);
        if size.is_none() {
            self.wrong(problems, format!("{} is not {EXPECTED}", quoted(text)));
        }
        size
    }

    /// One of a closed set of words.
    pub(super) fn choice<T: Copy>(
        &self,
        what: &str,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let text = self.text(&format!("one of {}", names.join(", ")), problems)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let message =
                format!("unknown {what} {}, expected one of {}", quoted(text), names.join(", "));
            self.wrong(problems, message);
        }
        found
    }

    /// Any value, as JSON by YAML's core schema.
    pub(super) fn json(&self) -> serde_json::Value {
        json(self.node)
    }
}

impl<'a> Section<'a> {
    /// The value of a key, if it is given.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a>> {
        let (_, node) = self.entries.iter().find(|(known, _)| known.name == key)?;
        Some(Field { path: key_path(&self.field.path, key), node })
    }

    /// The names of all keys given.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|(key, _)| key.name.as_str())
    }

    /// The section itself, to note problems with.
    pub(super) fn field(&self) -> &Field<'a> {
        &self.field
    }
}

/// The ratio of `2%` or `0.02`, whatever its size.
pub fn parse_ratio(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => decimal(percent.trim_end()).map(|percent| percent / 100.0),
        None => decimal(text),
    }
}

/// A finite decimal number. `str::parse` alone would take `inf`, `nan` and `+1`.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// Bytes of `8MiB`; decimal units are powers of 1000.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.trim_end().parse::<usize>().ok()?.checked_mul(unit)
}

fn json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Quoted(text) => Json::String(text.clone()),
        Value::Plain(text) => match text.as_str() {
            "true" | "True" | "TRUE" => Json::Bool(true),
            "false" | "False" | "FALSE" => Json::Bool(false),
            text => text
                .parse::<i64>()
                .map(Json::from)
                .ok()
                .or_else(|| decimal(text).map(Json::from))
                .unwrap_or_else(|| Json::String(text.to_owned())),
        },
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, node)| (key.name.clone(), json(node))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    /// Reads `text` as the one value of a document and gives it, or the problem.
    fn check<T>(
        text: &str,
        read: impl Fn(&Field<'_>, &mut Problems) -> Option<T>,
    ) -> Result<T, String> {
        let mut problems = Problems::new("");
        let node = tree::read(text, &mut problems).unwrap();
        read(&Field::root(&node), &mut problems).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn ratios_are_percent_or_bare() {
        for (text, expected) in [
            ("0.5%", Ok(0.005)),
            ("\"20 %\"", Ok(0.2)),
            ("0.02", Ok(0.02)),
            (".5", Ok(0.5)),
            ("2", Err("\"2\" is not in 0..1 (0%..100%)")),
            ("-1%", Err("\"-1%\" is not in 0..1 (0%..100%)")),
            (".inf", Err("\".inf\" is not a ratio like 2% or 0.02")),
            ("nan", Err("\"nan\" is not a ratio like 2% or 0.02")),
            ("two", Err("\"two\" is not a ratio like 2% or 0.02")),
            ("[1]", Err("is a list, expected a ratio like 2% or 0.02")),
        ] {
            assert_eq!(
                check(text, |field, problems| field.ratio(problems)),
                expected.map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(
            check("1m 30s", |field, problems| field.duration(problems)),
            Ok(Duration::from_secs(90))
        );
        for text in ["60", "fast", "-5s", "99999999999999999999s"] {
            let error = check(text, |field, problems| field.duration(problems)).unwrap_err();
            assert!(error.contains("is not a duration with a unit"), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, expected) in [
            ("8MiB", Some(8 << 20)),
            ("8 MiB", Some(8 << 20)),
            ("1GB", Some(1_000_000_000)),
            ("4096", Some(4096)),
            ("8mib", None),
            ("MiB", None),
            ("-1", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(
                check(text, |field, problems| field.size(problems)).ok(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn request_bodies_become_json_by_the_core_schema() {
        let text = "{a: 1, b: 1.5, c: true, d: \"1\", e: [x, null], f: 1e999}";
        let json = check(text, |field, _| Some(field.json())).unwrap();
        let expected = serde_json::json!(
            {"a": 1, "b": 1.5, "c": true, "d": "1", "e": ["x", null], "f": "1e999"}
        );
        assert_eq!(json, expected);
    }
}
