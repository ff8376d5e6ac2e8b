//! A real Prometheus scrapes the daemon, evaluates the shipped rules and answers the dashboard.
//!
//! `rules` and `dashboard` read the shipped files and hold them to the rules of their trade;
//! `live` runs Debian's Prometheus against the real daemon, `panels` over a `day` of the demo's
//! past. `alerting` and `messages` run Debian's Alertmanager with the shipped configuration, up
//! to what arrives in a webhook, in Slack and in a mailbox. Rule behaviour over hours is tested
//! by `promtool test rules` in `tests/alerts`, and Grafana itself is not tested: it is in no
//! package registry.

mod alerting;
mod alertmanager;
mod dashboard;
mod day;
mod dashboard_files;
mod live;
mod lint;
mod messages;
mod names;
mod panels;
mod printed;
mod promql;
mod receiver;
mod rules;
mod runbooks;
mod server;
mod traffic;
