//! A real Prometheus scrapes the daemon, evaluates the shipped rules and answers the dashboard.
//!
//! `rules` and `dashboard` read the shipped files and hold them to the rules of their trade;
//! `live` runs Debian's Prometheus against the real daemon. Rule behaviour over hours is tested
//! by `promtool test rules` in `tests/alerts`, and Grafana itself is not tested: it is in no
//! package registry. `alerting` and `messages` run Debian's Alertmanager with the shipped
//! configuration, up to what arrives in a webhook, in Slack and in a mailbox.

mod alerting;
mod alertmanager;
mod dashboard;
mod live;
mod lint;
mod messages;
mod promql;
mod receiver;
mod rules;
mod runbooks;
mod server;
mod traffic;
