//! Bytes and probes to outcomes: the ways in.

pub mod report;
pub mod probe;
pub mod schedule;
