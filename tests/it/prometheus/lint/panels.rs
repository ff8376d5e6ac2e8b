//! Rules about panels.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::dashboard::{Dashboard, items, text};
use super::{Mutation, panel_of};

/// Unit ids of Grafana that we use.
const UNITS: [&str; 9] = [
    "none",
    "short",
    "percentunit",
    "s",
    "reqps",
    "currencyUSD",
    "bytes",
    "Bps",
    "dateTimeFromNow",
];

/// Columns of Grafana's grid.
const GRID: u64 = 24;

pub(super) const MUTATIONS: &[Mutation] = &[
    ("panel-datasource", "its data source is \"Prometheus\"", |json| {
        panel_of(json, "timeseries")["targets"][0]["datasource"] = json!("Prometheus");
    }),
    ("panel-datasource", "its data source is {\"type\":\"prometheus\",\"uid\":\"abc\"}", |json| {
        panel_of(json, "stat")["datasource"] = json!({"type": "prometheus", "uid": "abc"});
    }),
    ("panel-title-description", "has no title", |json| {
        panel_of(json, "stat")["title"] = json!("");
    }),
    ("panel-title-description", "has no description", |json| {
        panel_of(json, "timeseries")["description"] = json!("");
    }),
    ("panel-units", "\"percent\" is no unit that we use", |json| {
        panel_of(json, "timeseries")["fieldConfig"]["defaults"]["unit"] = json!("percent");
    }),
    ("panel-units", "\"parsec\" is no unit that we use", |json| {
        panel_of(json, "timeseries")["fieldConfig"]["overrides"] =
            json!([{"properties": [{"id": "unit", "value": "parsec"}]}]);
    }),
    ("panel-no-targets", "has no query", |json| {
        panel_of(json, "timeseries")["targets"] = json!([]);
    }),
    ("panel-no-targets", "has two queries of one name", |json| {
        let targets = panel_of(json, "timeseries")["targets"].as_array_mut().unwrap();
        targets.push(targets[0].clone());
    }),
    ("grid", "id 2 is not its own", |json| json["panels"][0]["id"] = json!(2)),
    ("grid", "lies on another panel", |json| {
        panel_of(json, "timeseries")["gridPos"]["y"] = json!(0);
    }),
    ("grid", "is wider than the grid", |json| {
        panel_of(json, "timeseries")["gridPos"]["w"] = json!(25);
    }),
    ("no-value", "does not say why it is empty", |json| {
        let config = &mut panel_of(json, "timeseries")["fieldConfig"]["defaults"];
        config.as_object_mut().unwrap().remove("noValue");
    }),
];

/// Those that show something; a row is a headline.
fn shown(dashboard: &Dashboard) -> impl Iterator<Item = &Value> {
    dashboard.panels().iter().filter(|panel| panel["type"] != "row")
}

/// What is wrong with each panel that shows something, after its title.
fn each(dashboard: &Dashboard, rule: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let of = |panel: &Value| {
        let title = text(&panel["title"]);
        rule(panel).into_iter().map(move |finding| format!("{title}: {finding}"))
    };
    shown(dashboard).flat_map(of).collect()
}

/// A fixed or absent data source breaks the dashboard everywhere but at home.
pub(super) fn data_source(dashboard: &Dashboard) -> Vec<String> {
    each(dashboard, |panel| {
        let parts = items(&panel["targets"]).iter().chain([panel]);
        parts.filter_map(is_chosen_data_source).collect()
    })
}

pub(super) fn is_chosen_data_source(value: &Value) -> Option<String> {
    let chosen = value["datasource"] == json!({"type": "prometheus", "uid": "${datasource}"});
    (!chosen).then(|| format!("its data source is {}, not ${{datasource}}", value["datasource"]))
}

pub(super) fn title_description(dashboard: &Dashboard) -> Vec<String> {
    each(dashboard, |panel| {
        let empty =
            ["title", "description"].into_iter().filter(|key| text(&panel[*key]).is_empty());
        empty.map(|key| format!("has no {key}")).collect()
    })
}

pub(super) fn units(dashboard: &Dashboard) -> Vec<String> {
    each(dashboard, |panel| {
        let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
        let overrides = items(&panel["fieldConfig"]["overrides"]).iter();
        let properties = overrides.flat_map(|override_| items(&override_["properties"]));
        let units = properties.filter(|one| one["id"] == "unit").map(|one| text(&one["value"]));
        let unknown = units.chain([unit]).filter(|unit| !UNITS.contains(&unit.as_str()));
        unknown.map(|unit| format!("{unit:?} is no unit that we use")).collect()
    })
}

pub(super) fn no_targets(dashboard: &Dashboard) -> Vec<String> {
    each(dashboard, |panel| {
        let mut findings = Vec::new();
        let targets = items(&panel["targets"]);
        if targets.is_empty() {
            findings.push("has no query".to_owned());
        }
        let refs: BTreeSet<_> = targets.iter().map(|target| text(&target["refId"])).collect();
        if refs.len() != targets.len() {
            findings.push("has two queries of one name".to_owned());
        }
        findings
    })
}

/// Panels have ids of their own and do not lie on each other.
pub(super) fn grid(dashboard: &Dashboard) -> Vec<String> {
    let mut findings = Vec::new();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in dashboard.panels() {
        let title = text(&panel["title"]);
        if !ids.insert(panel["id"].as_u64()) || panel["id"].as_u64().is_none() {
            findings.push(format!("{title}: id {} is not its own", panel["id"]));
        }
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        if x + w > GRID {
            findings.push(format!("{title}: is wider than the grid"));
        }
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            if !taken.insert(cell) {
                findings.push(format!("{title}: lies on another panel"));
                break;
            }
        }
    }
    findings
}

/// An empty panel says why, or it is taken for good news.
pub(super) fn no_value(dashboard: &Dashboard) -> Vec<String> {
    each(dashboard, |panel| {
        let says = !text(&panel["fieldConfig"]["defaults"]["noValue"]).is_empty();
        if says { Vec::new() } else { vec!["does not say why it is empty".to_owned()] }
    })
}
