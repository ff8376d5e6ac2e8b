//! Bytes and probes to outcomes: the ways in. Beside them, what status pages say.

pub mod report;
pub mod batch;
pub mod otlp;
pub mod litellm;
pub mod access_log;
pub mod sighting;
pub mod door;
pub mod refusal;
pub mod probe;
pub mod schedule;
pub mod status_page;

mod seen;
