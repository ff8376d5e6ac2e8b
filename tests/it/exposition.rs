//! Metrics as Prometheus and its libraries read them.

mod closed_sets;
mod conformance;
mod golden;
mod reader;
mod sample;
mod series;
mod table;
mod zero_first;

pub(crate) use conformance::promtool_accepts;
