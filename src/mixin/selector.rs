//! Matchers of labels that a user adds to every selector of ours, so that several sets of rules
//! or dashboards can live in one Prometheus.

use crate::answers::metrics::names;

/// Labels that our rules and Prometheus's alerts give a meaning of their own.
const OURS: [&str; 10] = [
    "instance",
    "pod",
    "node",
    "le",
    "signal",
    "alertname",
    "alertstate",
    "severity",
    "scope",
    "status_code",
];

/// Label matchers of the scraped targets, as in `cluster="eu",env=~"prod.*"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    text: String,
    /// The labels that are given a value: what is absent would have them.
    pub(in crate::mixin) equal: Vec<(String, String)>,
}

/// What is wrong with a text that was to be a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; expected label matchers like cluster=\"eu\",env=~\"prod.*\"")]
pub struct SelectorError(String);

impl Selector {
    /// The matchers, as they stand between braces; empty where there are none.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads matchers separated by commas, braces around them or not.
    ///
    /// # Errors
    /// For what Prometheus would not take, and for labels that scraped targets do not have as
    /// a whole: such a selector would select nothing, and `absent` would always fire.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let wrong = SelectorError;
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let mut rest = inner.unwrap_or(text).trim();
        let mut matchers = Vec::new();
        let mut equal = Vec::new();
        while !rest.is_empty() {
            let (label, operator, value, after) = matcher(rest).map_err(wrong)?;
            if label == "job" {
                let why = "the job has an option of its own where it matters, --job";
                return Err(wrong(why.to_owned()));
            }
            if operator == "=" && equal.iter().any(|(known, _)| known == label) {
                return Err(wrong(format!("the label {label} is given two values")));
            }
            if operator.ends_with('~') {
                check_regex(label, &unescaped(value)).map_err(wrong)?;
            }
            if !is_of_targets(label) {
                let why = "is not one of the scraped targets, such as cluster, namespace or env";
                return Err(wrong(format!("the label {label} {why}")));
            }
            matchers.push(format!("{label}{operator}\"{value}\""));
            if operator == "=" {
                equal.push((label.to_owned(), unescaped(value)));
            }
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(wrong(format!("no comma before {after:?}"))),
            };
        }
        Ok(Self { text: matchers.join(","), equal })
    }
}

/// The first matcher of a text: label, operator, value without its quotes, and what follows.
fn matcher(text: &str) -> Result<(&str, &str, &str, &str), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let label = &text[..text.find(|c| !word(c)).unwrap_or(text.len())];
    if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{text:?} does not begin with the name of a label"));
    }
    let after = text[label.len()..].trim_start();
    let operator = ["=~", "!~", "!=", "="].into_iter().find(|known| after.starts_with(known));
    let Some(operator) = operator else {
        return Err(format!("no =, !=, =~ or !~ after {label}"));
    };
    let Some(quoted) = after[operator.len()..].trim_start().strip_prefix('"') else {
        return Err(format!("the value of {label} is not in double quotes"));
    };
    let end = end_of_value(quoted).map_err(|problem| format!("the value of {label} {problem}"))?;
    let value = &quoted[..end];
    if value.is_empty() || !is_plain(value) {
        return Err(format!("the value of {label} is empty, or has control characters or {{{{"));
    }
    Ok((label, operator, value, quoted[end + 1..].trim_start()))
}

/// Where the closing quote of a value is.
fn end_of_value(quoted: &str) -> Result<usize, &'static str> {
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok(at),
            // Prometheus knows more escapes, of which nobody needs one here.
            '\\' if !matches!(chars.next(), Some((_, '"' | '\\'))) => {
                return Err("has a backslash before what needs none, write two");
            }
            _ => {}
        }
    }
    Err("has no closing quote")
}

fn check_regex(label: &str, regex: &str) -> Result<(), String> {
    match regex_syntax::parse(regex) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("the value of {label} is no regular expression")),
    }
}

/// Whether every series of a scraped target can have a label, `up` included.
fn is_of_targets(label: &str) -> bool {
    let of_rows = names::all().any(|row| row.labels.contains(&label));
    !of_rows && !OURS.contains(&label) && !label.starts_with("__")
}

/// Whether Prometheus takes a text for what it is, in labels of alerts too, which are templates.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(char::is_control) && !text.contains("{{")
}

/// A value without the backslashes before quotes and backslashes.
fn unescaped(value: &str) -> String {
    value.replace("\\\"", "\"").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_as_prometheus_reads_them() {
        for (text, expected) in [
            ("", ""),
            ("cluster=\"eu\"", "cluster=\"eu\""),
            ("{ cluster = \"eu\" , env =~ \"prod.*|x\", }", "cluster=\"eu\",env=~\"prod.*|x\""),
            ("a!=\"1\",b!~\"2,3\"", "a!=\"1\",b!~\"2,3\""),
            (r#"a="q\"u\\o""#, r#"a="q\"u\\o""#),
        ] {
            assert_eq!(Selector::parse(text).map(|it| it.text), Ok(expected.to_owned()), "{text}");
        }
        let read = Selector::parse(r#"a="q\"u\\o",b=~"c",d="e""#).unwrap();
        let expected = [("a", "q\"u\\o"), ("d", "e")];
        assert_eq!(read.equal, expected.map(|(label, value)| (label.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_wrong_with_a_selector_is_said() {
        for (text, expected) in [
            ("cluster", "no =, !=, =~ or !~ after cluster"),
            ("cluster=eu", "the value of cluster is not in double quotes"),
            ("cluster=\"eu", "the value of cluster has no closing quote"),
            ("cluster=\"\"", "the value of cluster is empty"),
            (
                "cluster=\"{{ .x }}\"",
                "the value of cluster is empty, or has control characters or {{",
            ),
            ("1a=\"b\"", "does not begin with the name of a label"),
            ("a=\"b\" c=\"d\"", "no comma before"),
            ("provider=\"openai\"", "the label provider is not one of the scraped targets"),
            ("instance=\"a\"", "the label instance is not one of the scraped targets"),
            ("job=\"x\"", "the job has an option of its own where it matters, --job"),
            ("a=\"b\",a=\"c\"", "the label a is given two values"),
            (r#"a="\q""#, "the value of a has a backslash before what needs none"),
            ("cluster=~\"(\"", "the value of cluster is no regular expression"),
            ("__name__=\"up\"", "the label __name__ is not one of the scraped targets"),
        ] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.ends_with("expected label matchers like cluster=\"eu\",env=~\"prod.*\""));
        }
    }
}
