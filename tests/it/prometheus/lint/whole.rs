//! Rules about a dashboard as a whole and its variables.

use serde_json::{Value, json};

use super::super::dashboard::{Dashboard, items, text};
use super::super::promql;
use super::Mutation;
use super::panels::is_chosen_data_source;

pub(super) const MUTATIONS: &[Mutation] = &[
    ("template-datasource", "name is \"source\"", |json| set(json, 0, "name", json!("source"))),
    ("template-datasource", "label is \"DS\"", |json| set(json, 0, "label", json!("DS"))),
    ("template-job", "there is none", |json| set(json, 1, "name", json!("jobs"))),
    ("template-job", "multi is false", |json| set(json, 1, "multi", json!(false))),
    ("template-instance", "allValue is \".*\"", |json| set(json, 2, "allValue", json!(".*"))),
    ("template-instance", "its data source", |json| set(json, 2, "datasource", json!("Mimir"))),
    ("template-label-promql", "provider", |json| {
        set(json, 3, "definition", json!("label_values(a{, provider)"));
    }),
    ("template-label-promql", "does not say the same", |json| {
        set(json, 3, "query", json!({"query": "label_values(up, job)"}));
    }),
    ("template-on-time-change-reload", "model: refresh is 1", |json| {
        set(json, 4, "refresh", json!(1));
    }),
    ("uneditable-dashboard", "editable is true", |json| json["editable"] = json!(true)),
    ("importable", "schemaVersion is 30", |json| json["schemaVersion"] = json!(30)),
    ("importable", "__inputs is for exports", |json| json["__inputs"] = json!([])),
    ("importable", "uid", |json| json["uid"] = json!("x".repeat(41))),
    ("importable", "its data source", |json| {
        json["annotations"]["list"][0]["datasource"] = json!("Prometheus");
    }),
    ("importable", "keep the time", |json| json["links"][0]["keepTime"] = json!(false)),
];

fn set(json: &mut Value, variable: usize, key: &str, value: Value) {
    json["templating"]["list"][variable][key] = value;
}

pub(super) fn template_data_source(dashboard: &Dashboard) -> Vec<String> {
    let first = dashboard.variables().first().cloned().unwrap_or_default();
    let expected = [
        ("name", json!("datasource")),
        ("label", json!("Data source")),
        ("type", json!("datasource")),
        ("query", json!("prometheus")),
    ];
    differing(&first, &expected)
}

pub(super) fn template_job(dashboard: &Dashboard) -> Vec<String> {
    target_label(dashboard, "job", "Job")
}

pub(super) fn template_instance(dashboard: &Dashboard) -> Vec<String> {
    target_label(dashboard, "instance", "Instance")
}

fn target_label(dashboard: &Dashboard, name: &str, label: &str) -> Vec<String> {
    let Some(variable) = dashboard.variables().iter().find(|one| one["name"] == name) else {
        return vec!["there is none".to_owned()];
    };
    let expected = [
        ("label", json!(label)),
        ("type", json!("query")),
        ("multi", json!(true)),
        ("includeAll", json!(true)),
        ("allValue", json!(".+")),
    ];
    let mut findings = differing(variable, &expected);
    findings.extend(is_chosen_data_source(variable));
    findings
}

pub(super) fn template_label_promql(dashboard: &Dashboard) -> Vec<String> {
    let mut findings = Vec::new();
    for variable in queried(dashboard) {
        let name = text(&variable["name"]);
        let definition = text(&variable["definition"]);
        if variable["query"]["query"] != variable["definition"] {
            findings.push(format!("{name}: its query does not say the same as its definition"));
        }
        let inside = definition.strip_prefix("label_values(").and_then(|s| s.strip_suffix(')'));
        match inside.and_then(|inside| inside.rsplit_once(", ")) {
            None => findings.push(format!("{name}: {definition} is no label_values")),
            Some((selector, _)) => {
                findings.extend(promql::read(selector).err().map(|e| format!("{name}: {e}")));
            }
        }
    }
    findings
}

/// Or targets of last week cannot be chosen.
pub(super) fn template_on_time_change_reload(dashboard: &Dashboard) -> Vec<String> {
    queried(dashboard)
        .flat_map(|one| {
            let name = text(&one["name"]);
            let differing = differing(one, &[("refresh", json!(2))]);
            differing.into_iter().map(move |finding| format!("{name}: {finding}"))
        })
        .collect()
}

fn queried(dashboard: &Dashboard) -> impl Iterator<Item = &Value> {
    dashboard.variables().iter().filter(|one| one["type"] == "query")
}

pub(super) fn uneditable(dashboard: &Dashboard) -> Vec<String> {
    differing(&dashboard.json, &[("editable", json!(false))])
}

/// By provisioning as well as in the UI, on every Grafana, with what leads on from it.
pub(super) fn importable(dashboard: &Dashboard) -> Vec<String> {
    let json = &dashboard.json;
    let expected = [("schemaVersion", json!(42)), ("id", Value::Null), ("timezone", json!("utc"))];
    let mut findings = differing(json, &expected);
    let uid = text(&json["uid"]);
    if !(1..=40).contains(&uid.len()) || dashboard.name != format!("{uid}.json") {
        findings.push(format!("uid {uid:?} is not of 1 to 40 characters and its file's name"));
    }
    for absent in ["__inputs", "__requires", "iteration", "version"] {
        if json.get(absent).is_some() {
            findings.push(format!("{absent} is for exports, not for files under version control"));
        }
    }
    for annotation in items(&json["annotations"]["list"]) {
        findings.extend(is_chosen_data_source(annotation));
    }
    for link in items(&json["links"]).iter().filter(|link| link["type"] == "dashboards") {
        if link["keepTime"] != true || link["includeVars"] != true {
            findings.push("links to the others do not keep the time and the variables".to_owned());
        }
    }
    findings
}

fn differing(value: &Value, expected: &[(&str, Value)]) -> Vec<String> {
    expected
        .iter()
        .filter(|(key, expected)| value[*key] != *expected)
        .map(|(key, expected)| format!("{key} is {}, not {expected}", value[*key]))
        .collect()
}
