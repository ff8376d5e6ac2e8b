//! What Prometheus and Grafana are given: alert rules and dashboards, printed from code.
//!
//! The Prometheus world calls such a bundle a mixin. It is written in Rust, and not as files that
//! people keep, because every expression names metrics: here a name is a row of the table that
//! the exporter writes by, so renaming a metric renames it everywhere or breaks the build. The
//! files under `alerts/` and `dashboards/` are this module's output for the defaults, and a test
//! compares them. Nothing here runs while the daemon does.

pub mod promql;
pub mod recorded;
pub mod selector;
pub mod rules;
pub mod grafana;
pub mod dashboards;

/// Where the runbooks are, as alerts and dashboards link to them.
pub const RUNBOOKS: &str = "https://github.com/brownout-project/brownout/blob/main/docs/runbooks";

/// A ratio in per cent, with no more decimals than it needs and four at most.
fn in_percent(ratio: f64) -> String {
    let digits = format!("{:.4}", ratio * 100.0);
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}
