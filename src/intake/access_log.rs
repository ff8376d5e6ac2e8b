//! Access logs of proxies: lines of JSON, read through a mapping, to native records.
//!
//! A proxy sees the status of every exchange, with whatever client, and is where many calls pass
//! through anyway. What it does not see is a failure inside a stream that begins with a 200.
//!
//! A mapping says where the fields of a record are; what a proxy's flags mean is known here, one
//! file for each. An answer that the proxy made itself must not be blamed on the provider: no
//! connection is `network`, no answer is `timeout`, a limit of the proxy's own is not counted at
//! all. Only the keys that the mapping names are decoded, so what else a log holds (addresses,
//! keys in headers) is neither kept nor logged. The records then pass the same checks as native
//! ones.

mod caddy;
mod envoy;
mod exchange;
mod haproxy;
mod line;
mod mapping;
mod model_url;
mod nginx;
mod time;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::time::Timestamp;
use crate::ground::config::{IngestConfig, presets};

use super::batch::{BatchError, split};
use super::door::Door;
use super::report::record::BYTES_MAX;
use super::report::{Receipt, Reports};

use exchange::Read;
use mapping::Mapping;

/// The mappings in force, by name.
#[derive(Debug)]
pub struct Mappings(BTreeMap<String, Mapping>);

/// Takes batches of log lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLogs {
    door: Door,
    reports: Reports,
    mappings: Arc<ArcSwap<Mappings>>,
}

/// Why a batch of lines was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no mapping of this name.
    #[error("there is no mapping of this name, only {0}")]
    UnknownMapping(String),
    /// The batch cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl Mappings {
    /// The built-in mappings and those of a configuration.
    pub fn new(ingest: &IngestConfig) -> Self {
        let configured =
            ingest.mappings.iter().map(|(name, config)| (name.clone(), config.clone()));
        let all = presets().into_iter().chain(configured);
        Self(all.map(|(name, config)| (name, Mapping::new(config))).collect())
    }
}

impl AccessLogs {
    /// Lines through this door.
    pub fn new(door: Door, mappings: Arc<ArcSwap<Mappings>>) -> Self {
        Self { reports: Reports::new(door.clone()), door, mappings }
    }

    /// Counts the lines of a decoded batch by the mapping of this name. `batch_key` is the
    /// client's `Idempotency-Key`.
    ///
    /// # Errors
    /// [`LogError`] when the batch as a whole cannot be read; nothing is counted then.
    pub fn take(
        &self,
        body: &[u8],
        mapping: &str,
        batch_key: Option<&str>,
        now: Timestamp,
    ) -> Result<Receipt, LogError> {
        let mappings = self.mappings.load();
        let mapping = mappings.0.get(mapping).ok_or_else(|| {
            let names: Vec<&str> = mappings.0.keys().map(String::as_str).collect();
            LogError::UnknownMapping(names.join(", "))
        })?;
        let names = self.door.names();
        let mut ignored = 0;
        let mut records = Vec::new();
        for (index, element) in split(body, BYTES_MAX)?.into_iter().enumerate() {
            match element.and_then(|bytes| exchange::read(mapping, bytes, &names)) {
                Ok(Read::Records(attempts)) => {
                    records.extend(attempts.into_iter().map(|record| (index, Ok(record))));
                }
                Ok(Read::Ignored(reason)) => {
                    self.door.stats().count_ignored(reason.as_str());
                    ignored += 1;
                }
                Err(refusal) => records.push((index, Err(refusal))),
            }
        }
        // The one place where outcomes can learn which kind of source told of them; how many
        // attempts a line only counts is `Exchange::hidden`.
        let mut receipt = self.reports.count(records.into_iter(), batch_key, now);
        receipt.ignored = ignored;
        for rejection in &mut receipt.rejected {
            rejection.error.push_str(&mapping.whence(&rejection.error));
        }
        Ok(receipt)
    }
}
