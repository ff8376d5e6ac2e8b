//! OpenTelemetry's spans and log events: bytes of an export to sightings.
//!
//! Two encodings, protobuf and JSON, are decoded into one light record that keeps only the
//! attributes of a fixed list (`attributes`). Everything else is skipped where it stands: prompts
//! and answers are never copied out of the body. A reader for each source then says what a record
//! means (`readers`).
//!
//! Most spans of an application are not about models. They are no error: an exporter that is told
//! of one drops its batch or sends it for ever.

mod attributes;
mod json;
mod protobuf;
mod readers;
mod record;
mod shape;

use crate::domain::time::Timestamp;

use super::door::Door;
use super::sighting::{Reading, Taken};

use record::Sink;
pub use shape::Kind;

/// Records kept of one export. Batches of exporters hold hundreds, of collectors some thousands.
pub const RECORDS_MAX: usize = 20_000;

/// What an export holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records, events among them.
    Logs,
}

/// How an export is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Binary protobuf.
    Protobuf,
    /// The JSON mapping of OTLP: ids in hexadecimal, 64-bit integers as strings or numbers.
    Json,
}

/// Why an export as a whole was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The bytes are not what they claim to be.
    #[error("the body is not an export of OTLP: {0}")]
    Malformed(String),
    /// More records than [`RECORDS_MAX`].
    #[error("the export holds more than {RECORDS_MAX} records about models, send it in parts")]
    TooManyRecords,
}

/// Takes exports. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exports {
    door: Door,
}

impl Exports {
    /// Exports through this door.
    pub fn new(door: Door) -> Self {
        Self { door }
    }

    /// Counts what an export tells.
    ///
    /// # Errors
    /// [`ExportError`] when it cannot be read; nothing is counted then.
    pub fn take(
        &self,
        body: &[u8],
        signal: Signal,
        encoding: Encoding,
        now: Timestamp,
    ) -> Result<Taken, ExportError> {
        Ok(self.door.take(read(body, signal, encoding)?.into_iter().map(Ok), now))
    }
}

/// What the records of an export mean, in their order. Records that hold nothing of what the
/// readers look for are left out.
///
/// # Errors
/// [`ExportError`] when the bytes cannot be read.
pub fn read(body: &[u8], signal: Signal, encoding: Encoding) -> Result<Vec<Reading>, ExportError> {
    let mut sink = Sink::default();
    match encoding {
        Encoding::Protobuf => protobuf::read(body, signal, &mut sink)?,
        Encoding::Json => json::read(body, signal, &mut sink)?,
    }
    Ok(sink.records.iter().map(readers::read).collect())
}
