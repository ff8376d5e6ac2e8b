//! What a good dashboard keeps to: the rules of Grafana's own dashboard linter, and ours.
//!
//! That linter is in no package registry, so its rules are written here under its names; those
//! about logs in Loki have nothing to check. Ours come after them.

use serde_json::Value;

use super::dashboard::{self, Dashboard};

mod panels;
mod queries;
mod whole;

/// A rule: its name, and what it finds wrong with a dashboard, a line each.
type Rule = (&'static str, fn(&Dashboard) -> Vec<String>);

const RULES: [Rule; 20] = [
    ("template-datasource", whole::template_data_source),
    ("template-job", whole::template_job),
    ("template-instance", whole::template_instance),
    ("template-label-promql", whole::template_label_promql),
    ("template-on-time-change-reload", whole::template_on_time_change_reload),
    ("uneditable-dashboard", whole::uneditable),
    ("panel-datasource", panels::data_source),
    ("panel-title-description", panels::title_description),
    ("panel-units", panels::units),
    ("panel-no-targets", panels::no_targets),
    ("target-promql", queries::promql),
    ("target-rate-interval", queries::rate_interval),
    ("target-job", queries::job),
    ("target-instance", queries::instance),
    ("target-counter-agg", queries::counter),
    // Ours.
    ("importable", whole::importable),
    ("grid", panels::grid),
    ("no-value", panels::no_value),
    ("target-no-nan", queries::no_nan),
    ("target-aggregated", queries::aggregated),
];

/// Findings that are meant: the rule, what the finding holds, and why.
const EXCLUSIONS: [(&str, &str, &str); 2] = [
    ("target-instance", ":brownout_", "rules add instances up before they take ratios"),
    ("target-instance", "ALERTS", "alerts about a model have no instance"),
];

/// Everything that is wrong with a dashboard, and not excluded.
fn findings(dashboard: &Dashboard) -> Vec<String> {
    all_findings(dashboard)
        .into_iter()
        .filter(|(rule, finding)| !EXCLUSIONS.iter().any(|one| excludes(one, rule, finding)))
        .map(|(rule, finding)| format!("{rule}: {finding}"))
        .collect()
}

fn all_findings(dashboard: &Dashboard) -> Vec<(&'static str, String)> {
    let of = |(name, rule): Rule| rule(dashboard).into_iter().map(move |finding| (name, finding));
    RULES.into_iter().flat_map(of).collect()
}

fn excludes((of, part, _reason): &(&str, &str, &str), rule: &str, finding: &str) -> bool {
    *of == rule && finding.contains(part)
}

#[test]
fn dashboards_keep_to_the_rules() {
    for dashboard in dashboard::all() {
        let findings = findings(&dashboard);
        assert!(findings.is_empty(), "{}:\n{}", dashboard.name, findings.join("\n"));
    }
}

#[test]
fn every_exclusion_is_needed() {
    let found: Vec<_> = dashboard::all().iter().flat_map(all_findings).collect();
    for exclusion in &EXCLUSIONS {
        let needed = found.iter().any(|(rule, finding)| excludes(exclusion, rule, finding));
        assert!(needed, "{exclusion:?} excludes nothing");
    }
}

/// A change that breaks a rule, and what the finding says.
type Mutation = (&'static str, &'static str, fn(&mut Value));

#[test]
fn every_broken_rule_of_a_dashboard_is_found() {
    let mutations: Vec<Mutation> =
        [whole::MUTATIONS, panels::MUTATIONS, queries::MUTATIONS].concat();
    for (rule, expected, change) in &mutations {
        let mut dashboard = dashboard::all().swap_remove(0);
        change(&mut dashboard.json);
        let findings = findings(&dashboard);
        let found = findings
            .iter()
            .any(|finding| finding.starts_with(&format!("{rule}: ")) && finding.contains(expected));
        assert!(found, "{rule}: {expected:?} is not among {findings:#?}");
    }
    for (rule, _) in RULES {
        assert!(mutations.iter().any(|(of, ..)| *of == rule), "{rule} is broken by no mutation");
    }
}

/// The first panel of a kind, for a mutation.
fn panel_of<'a>(json: &'a mut Value, kind: &str) -> &'a mut Value {
    let panels = json["panels"].as_array_mut().unwrap().iter_mut();
    panels.into_iter().find(|panel| panel["type"] == kind).unwrap()
}
