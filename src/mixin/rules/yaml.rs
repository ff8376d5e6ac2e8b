//! Rules as YAML that people read: the library writes the rules, comments are put around them.

use std::fmt::Write as _;

use serde::Serialize;
use serde_saphyr::{SerializerOptions, ser_options};

use super::{Body, Group, Options, Pairs};

/// How long a line of comments may be.
const COLUMNS: usize = 100;

/// What the head of a Kubernetes manifest says.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The name of the object.
    pub name: String,
    /// Its namespace; that of the context where there is none.
    pub namespace: Option<String>,
    /// Its labels, by which an operator's `ruleSelector` finds it.
    pub labels: Vec<(String, String)>,
}

/// A file of rules, as Prometheus reads it.
///
/// # Errors
/// If the library cannot write one of the texts.
pub fn rules_file(options: &Options, groups: &[Group]) -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!("{}{}", head(options, groups), written(groups)?))
}

/// A `PrometheusRule`, as the operator for Kubernetes reads it.
///
/// # Errors
/// If the library cannot write one of the texts.
pub fn manifest(
    options: &Options,
    groups: &[Group],
    manifest: &Manifest,
) -> Result<String, serde_saphyr::ser::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        api_version: &'a str,
        kind: &'a str,
        metadata: Metadata<'a>,
    }
    #[derive(Serialize)]
    struct Metadata<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        labels: Option<Pairs>,
    }
    let head_of_object = Head {
        api_version: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata: Metadata {
            name: &manifest.name,
            namespace: manifest.namespace.as_deref(),
            labels: (!manifest.labels.is_empty()).then(|| Pairs(manifest.labels.clone())),
        },
    };
    let object = serde_saphyr::to_string_with_options(&head_of_object, style())?;
    let spec = moved(&written(groups)?, 2);
    Ok(format!("{}{object}spec:\n{spec}", head(options, groups)))
}

/// Long texts stay on one line: folded ones would end in a line break.
fn style() -> SerializerOptions {
    ser_options! { prefer_block_scalars: false }
}

fn written(groups: &[Group]) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = "groups:\n".to_owned();
    for group in groups {
        text.push_str(&comment(&group.comment, 2));
        let _ = writeln!(text, "  - name: {}\n    rules:", group.name);
        for rule in &group.rules {
            text.push_str(&comment(&rule.comment, 6));
            let one: [&Body; 1] = [&rule.body];
            let rule = serde_saphyr::to_string_with_options(&one, style())?;
            text.push_str(&moved(&rule, 6));
        }
    }
    Ok(text)
}

/// Paragraphs as comments, each line of the text a paragraph.
fn comment(text: &str, by: usize) -> String {
    let mut comment = String::new();
    for paragraph in text.lines() {
        let mut line = format!("{:by$}#", "");
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if line.len() + 1 + word.len() > COLUMNS {
                let _ = writeln!(comment, "{line}");
                line = format!("{:by$}#", "");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(comment, "{line}");
    }
    comment
}

/// Lines moved to the right, empty ones left empty.
fn moved(text: &str, by: usize) -> String {
    let line = |line: &str| match line {
        "" => "\n".to_owned(),
        line => format!("{:by$}{line}\n", ""),
    };
    text.lines().map(line).collect()
}

/// What a reader should know before everything else.
fn head(options: &Options, groups: &[Group]) -> String {
    let alerts = groups.iter().any(|group| group.rules.iter().any(|rule| rule.alert().is_some()));
    let records = groups.iter().any(|group| group.rules.iter().any(|rule| rule.alert().is_none()));
    let mut text = "Printed by `brownout rules`, for Prometheus 2.42 or newer".to_owned();
    text.push_str(if alerts { " (`keep_firing_for`).\n" } else { ".\n" });
    if records {
        text.push_str(RECORDS);
    }
    if alerts {
        text.push_str(&super::alerts::comment(options, records));
    }
    comment(&text, 0)
}

const RECORDS: &str = "
What the alerts and the dashboards compute with.

Words: ok = first attempts without any error; a signal's errors are what counts for it; attempts \
of a signal = ok + its errors, so that a storm of 429 does not hide the overload behind it; ratio \
of a signal = errors / attempts. Retries are left out: they would count one trouble many times. \
Counts are added up over instances and sources before a ratio is taken, and a target without \
attempts has no ratio rather than NaN.

Lower bound = how much a ratio proves: the lower end of Wilson's interval, one-sided at 95% \
(z = 1.645, z^2 = 2.706). The true ratio is above it 19 times out of 20, so that a handful of \
attempts cannot raise an alert.
";

#[cfg(test)]
mod tests {
    use super::super::{Rule, alerting, recording};
    use super::*;
    use crate::mixin::promql::Series;

    #[test]
    fn comments_are_wrapped_and_keep_their_paragraphs() {
        let long = "word ".repeat(30);
        let written = comment(&format!("a\n\n{long}"), 2);
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines[..2], ["  # a", "  #"]);
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.starts_with("  #") && line.len() <= COLUMNS));
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        let job = "a: 'b' \"c\" #d\\";
        let options = Options { job: job.to_owned(), ..Options::default() };
        let mut groups = alerting(&options);
        let expr = "  a\n\n+ b";
        let odd = Rule::record(&Series::up(), expr.to_owned()).because("why: 'because'");
        groups[0].rules.push(odd);
        let text = rules_file(&options, &groups).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        for (group, read) in groups.iter().zip(read["groups"].as_array().unwrap()) {
            assert_eq!(read["name"], group.name);
            for (rule, read) in group.rules.iter().zip(read["rules"].as_array().unwrap()) {
                assert_eq!(read["expr"].as_str().unwrap().trim_end(), rule.expr());
                assert_eq!(read["alert"].as_str(), rule.alert());
                if rule.alert() == Some("BrownoutAbsent") {
                    assert_eq!(read["labels"]["job"], job);
                }
            }
        }
    }

    #[test]
    fn a_manifest_holds_the_same_groups() {
        let options = Options::default();
        let groups = [recording(&options)];
        let head = Manifest {
            name: "brownout".to_owned(),
            namespace: Some("monitoring".to_owned()),
            labels: vec![("release".to_owned(), "yes".to_owned())],
        };
        let object: serde_json::Value =
            serde_saphyr::from_str(&manifest(&options, &groups, &head).unwrap()).unwrap();
        let file: serde_json::Value =
            serde_saphyr::from_str(&rules_file(&options, &groups).unwrap()).unwrap();
        assert_eq!(object["spec"], file);
        assert_eq!(object["kind"], "PrometheusRule");
        assert_eq!(object["metadata"]["namespace"], "monitoring");
        assert_eq!(object["metadata"]["labels"]["release"], "yes", "text, not a truth value");
    }
}
