//! A real Prometheus scrapes the daemon, evaluates the shipped rules and answers the dashboard.
//!
//! `rules` and `dashboard` read the shipped files and hold them to the rules of their trade;
//! `live` runs Debian's Prometheus against the real daemon, `panels` over a `day` of the demo's
//! past. Rule behaviour over hours is tested by `promtool test rules` in `tests/alerts`, and
//! Grafana itself is not tested: it is in no package registry.

mod dashboard;
mod day;
mod dashboard_files;
mod live;
mod lint;
mod panels;
mod names;
mod promql;
mod rules;
mod server;
mod traffic;
