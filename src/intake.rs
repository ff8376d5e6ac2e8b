//! Bytes and probes to outcomes: the ways in. Beside them, what status pages say.

pub mod report;
pub mod probe;
pub mod schedule;
pub mod status_page;
