//! The rules that Prometheus evaluates: what it computes once for everybody, and when it alerts.
//!
//! [`recording()`] makes the series named in [`super::recorded`], [`alerting()`] the alerts that
//! read them. Everything that differs between installations is in [`Options`]; the rest is one set
//! of decisions, each with its reason beside it, and the reasons are printed with the rules.
//!
//! Two levels look at the same counts. A router wants to know within seconds and asks the health
//! API; an alert is for a person, so it takes minutes, asks for proof, and is slow to end.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_saphyr::{FlowMap, LitString};

use super::promql::{Series, Window};

mod options;
mod recording;
mod alerts;
mod yaml;

pub use options::{Options, OptionsError, Thresholds, Windows};
pub use yaml::{Manifest, manifest, rules_file};

/// Labels that tell replicas apart: the instance, and what Kubernetes knows of it besides where
/// that is not relabelled away. Whatever is added up over replicas is added up over these.
const REPLICA: &str = "instance, pod, node";

/// The group of rules that record.
pub fn recording(options: &Options) -> Group {
    recording::group(options)
}

/// The groups of rules that alert.
pub fn alerting(options: &Options) -> Vec<Group> {
    alerts::groups(options)
}

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, unique among ours.
    pub name: &'static str,
    /// What a reader should know before the first rule of it.
    comment: String,
    /// Its rules, in the order of evaluation.
    pub rules: Vec<Rule>,
}

/// A rule, with the reasons for it.
#[derive(Clone, Debug)]
pub struct Rule {
    comment: String,
    body: Body,
}

impl Rule {
    fn record(series: &Series, expr: String) -> Self {
        let body = Body {
            record: Some(series.name().to_owned()),
            alert: None,
            expr: Text(expr),
            wait: None,
            keep: None,
            labels: None,
            annotations: None,
        };
        Self { comment: String::new(), body }
    }

    /// Labels that it puts on what it makes.
    fn labelled(mut self, labels: Vec<(String, String)>) -> Self {
        self.body.labels = Some(FlowMap(Pairs(labels)));
        self
    }

    /// Why it is as it is.
    fn because(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// The name of the alert, unless the rule records.
    pub fn alert(&self) -> Option<&'static str> {
        self.body.alert
    }

    /// Its expression, in `PromQL`.
    pub fn expr(&self) -> &str {
        &self.body.expr.0
    }
}

/// A rule in the words of Prometheus.
#[derive(Clone, Debug, Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'static str>,
    expr: Text,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    wait: Option<Shown<Window>>,
    #[serde(rename = "keep_firing_for", skip_serializing_if = "Option::is_none")]
    keep: Option<Shown<Window>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<FlowMap<Pairs>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Pairs>,
}

/// What is written as it is shown.
#[derive(Clone, Debug)]
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Text that keeps its lines.
#[derive(Clone, Debug)]
struct Text(String);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.contains('\n') {
            LitString(format!("{}\n", self.0)).serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

/// A mapping that keeps its order.
#[derive(Clone, Debug)]
struct Pairs(Vec<(String, String)>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
