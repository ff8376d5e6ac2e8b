//! What a good dashboard keeps to, after the rules that Grafana's own dashboard linter has.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::dashboard::{self, Dashboard, items, text};
use super::promql;

/// Unit ids of Grafana that we use.
const UNITS: [&str; 6] = ["short", "none", "percentunit", "s", "reqps", "currencyUSD"];

/// Columns of Grafana's grid.
const GRID: u64 = 24;

/// Everything that is wrong with a dashboard, a line each.
fn findings(dashboard: &Dashboard) -> Vec<String> {
    let mut findings = whole(&dashboard.json);
    findings.extend(variables(dashboard));
    findings.extend(ids_and_places(dashboard));
    for panel in dashboard.panels() {
        let title = text(&panel["title"]);
        findings
            .extend(self::panel(panel).into_iter().map(|finding| format!("{title}: {finding}")));
    }
    for query in dashboard.queries() {
        let of = query.of;
        findings.extend(expr(&query.expr).into_iter().map(|finding| format!("{of}: {finding}")));
    }
    findings
}

fn whole(json: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for (key, value) in [
        ("schemaVersion", json!(42)),
        ("id", Value::Null),
        ("editable", json!(false)),
        ("timezone", json!("utc")),
    ] {
        if json[key] != value {
            findings.push(format!("{key} is {}, not {value}", json[key]));
        }
    }
    let uid = text(&json["uid"]);
    if !(1..=40).contains(&uid.len()) {
        findings.push(format!("uid {uid:?} is not of 1 to 40 characters"));
    }
    for absent in ["__inputs", "__requires", "iteration", "version"] {
        if json.get(absent).is_some() {
            findings.push(format!("{absent} is for exports, not for files under version control"));
        }
    }
    for annotation in items(&json["annotations"]["list"]) {
        findings.extend(data_source(annotation));
    }
    findings
}

fn variables(dashboard: &Dashboard) -> Vec<String> {
    let mut findings = Vec::new();
    let names: Vec<_> = dashboard.variables().iter().map(|one| text(&one["name"])).collect();
    if !names.starts_with(&["datasource", "job", "instance"].map(str::to_owned)) {
        findings.push(format!("variables {names:?} do not start with datasource, job, instance"));
    }
    for variable in dashboard.variables() {
        let name = text(&variable["name"]);
        let expected = match name.as_str() {
            "datasource" => vec![("label", json!("Data source")), ("query", json!("prometheus"))],
            _ => vec![
                ("type", json!("query")),
                ("multi", json!(true)),
                ("includeAll", json!(true)),
                ("allValue", json!(".+")),
                // On a change of the time range, or targets of last week cannot be chosen.
                ("refresh", json!(2)),
            ],
        };
        for (key, value) in expected {
            if variable[key] != value {
                findings.push(format!("variable {name}: {key} is {}, not {value}", variable[key]));
            }
        }
        if variable["type"] == "query" {
            findings.extend(data_source(variable));
        }
    }
    findings
}

fn ids_and_places(dashboard: &Dashboard) -> Vec<String> {
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

fn panel(panel: &Value) -> Vec<String> {
    let mut findings = data_source(panel);
    for key in ["title", "description"] {
        if text(&panel[key]).is_empty() {
            findings.push(format!("has no {key}"));
        }
    }
    let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
    let overrides = items(&panel["fieldConfig"]["overrides"]).iter();
    let properties = overrides.flat_map(|override_| items(&override_["properties"]));
    let units = properties.filter(|one| one["id"] == "unit").map(|one| text(&one["value"]));
    for unit in units.chain([unit]) {
        if !UNITS.contains(&unit.as_str()) {
            findings.push(format!("{unit:?} is no unit that we use"));
        }
    }
    let targets = items(&panel["targets"]);
    if targets.is_empty() {
        findings.push("has no query".to_owned());
    }
    let refs: BTreeSet<_> = targets.iter().map(|target| text(&target["refId"])).collect();
    if refs.len() != targets.len() {
        findings.push("has two queries of one name".to_owned());
    }
    findings.extend(targets.iter().flat_map(data_source));
    findings
}

/// A fixed or absent data source breaks the dashboard everywhere but at home.
fn data_source(value: &Value) -> Vec<String> {
    if value["datasource"] == json!({"type": "prometheus", "uid": "${datasource}"}) {
        return Vec::new();
    }
    vec![format!("data source is {}, not ${{datasource}}", value["datasource"])]
}

fn expr(expr: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let selectors = promql::selectors(expr);
    if selectors.is_empty() {
        findings.push("asks for no metric".to_owned());
    }
    for selector in &selectors {
        // Rules add instances up, and alerts of a model have none.
        let without_instance = selector.metric.contains(':') || selector.metric == "ALERTS";
        let mut expected = vec!["job=~\"$job\""];
        if !without_instance {
            expected.push("instance=~\"$instance\"");
        }
        for matcher in expected {
            if !selector.matchers.contains(matcher) {
                findings.push(format!("{} is not selected by {matcher}", selector.metric));
            }
        }
    }
    for function in ["rate", "irate"] {
        for range in promql::ranges(expr, function) {
            if range != "$__rate_interval" {
                findings.push(format!("{function} over {range:?}, not $__rate_interval"));
            }
        }
    }
    for selector in selectors.iter().filter(|selector| selector.metric.ends_with("_total")) {
        let counted = ["rate(", "increase("].map(|call| format!("{call}{}", selector.metric));
        if !counted.iter().any(|call| expr.contains(call)) {
            findings.push(format!("counter {} without rate or increase", selector.metric));
        }
    }
    findings
}

#[test]
fn dashboards_keep_to_the_rules() {
    for dashboard in dashboard::all() {
        let findings = findings(&dashboard);
        assert!(findings.is_empty(), "{}:\n{}", dashboard.name, findings.join("\n"));
    }
}

#[test]
fn every_broken_rule_of_a_dashboard_is_found() {
    type Change = fn(&mut Value);
    let cases: &[(&str, Change)] = &[
        ("schemaVersion is 30", |json| json["schemaVersion"] = json!(30)),
        ("__inputs is for exports", |json| json["__inputs"] = json!([])),
        ("do not start with", |json| json["templating"]["list"][1]["name"] = json!("jobs")),
        ("refresh is 1, not 2", |json| json["templating"]["list"][2]["refresh"] = json!(1)),
        ("id 2 is not its own", |json| json["panels"][0]["id"] = json!(2)),
        ("lies on another panel", |json| json["panels"][8]["gridPos"]["y"] = json!(3)),
        ("is wider than the grid", |json| json["panels"][7]["gridPos"]["w"] = json!(25)),
        ("has no description", |json| json["panels"][3]["description"] = json!("")),
        ("is no unit that we use", |json| {
            json["panels"][7]["fieldConfig"]["defaults"]["unit"] = json!("percent");
        }),
        ("has no query", |json| json["panels"][7]["targets"] = json!([])),
        ("data source is \"Prometheus\"", |json| {
            json["panels"][7]["targets"][0]["datasource"] = json!("Prometheus");
        }),
        ("is not selected by job", |json| set_expr(json, "sum(brownout_target_state)")),
        ("is not selected by instance", |json| {
            set_expr(json, "sum(brownout_target_state{job=~\"$job\"})");
        }),
        ("rate over \"5m\"", |json| set_expr(json, "rate(a:brownout_b{job=~\"$job\"}[5m])")),
        ("without rate or increase", |json| {
            let counter = "brownout_requests_total{job=~\"$job\",instance=~\"$instance\"}";
            set_expr(json, counter);
        }),
        ("asks for no metric", |json| set_expr(json, "vector(1)")),
    ];
    for (expected, change) in cases {
        let mut dashboard = dashboard::all().swap_remove(0);
        change(&mut dashboard.json);
        let findings = findings(&dashboard);
        let found = findings.iter().any(|finding| finding.contains(expected));
        assert!(found, "{expected:?} is not among {findings:?}");
    }
}

fn set_expr(json: &mut Value, expr: &str) {
    json["panels"][7]["targets"][0]["expr"] = json!(expr);
}
