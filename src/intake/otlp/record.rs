//! A span or a log event, reduced to what the readers look at.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::intake::sighting::Place;

use super::attributes::{Attributes, Value};
use super::{ExportError, RECORDS_MAX, Signal};

/// Longest name of a span, scope or service kept, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Longest body of a log record that can be the name of an event, in bytes.
pub(super) const EVENT_BYTES_MAX: usize = 64;
/// Longest attempt believed: a day.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// One span or log record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) signal: Signal,
    /// The name of the span or of the event.
    pub(super) name: String,
    /// The instrumentation that made it.
    pub(super) scope: Arc<str>,
    /// The process that sent it.
    pub(super) service: Arc<str>,
    pub(super) place: Place,
    pub(super) started_ns: u64,
    pub(super) ended_ns: u64,
    /// The status of a span says ERROR.
    pub(super) is_error: bool,
    /// The message of that status.
    pub(super) message: Option<Value>,
    pub(super) attributes: Attributes,
    /// The attributes of the last exception among the events of a span.
    pub(super) exception: Attributes,
    /// Events of a span that each tell of an attempt's beginning.
    pub(super) attempts_begun: u32,
}

/// The name of those events.
pub(super) const ATTEMPT_BEGUN: &str = "gen_ai.request.attempt";

impl Record {
    pub(super) fn new(signal: Signal) -> Self {
        Self {
            signal,
            name: String::new(),
            scope: Arc::from(""),
            service: Arc::from(""),
            place: Place::default(),
            started_ns: 0,
            ended_ns: 0,
            is_error: false,
            message: None,
            attributes: Attributes::default(),
            exception: Attributes::default(),
            attempts_begun: 0,
        }
    }

    /// Takes the body of a log record where it is the name of an event, and only there: it may be
    /// a sentence, and the sentence a prompt.
    pub(super) fn take_body(&mut self, body: &str) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        if self.name.is_empty() && body.len() <= EVENT_BYTES_MAX && body.chars().all(is_name) {
            body.clone_into(&mut self.name);
        }
    }

    /// When it ended, if it says so.
    pub(super) fn at(&self) -> Option<Timestamp> {
        (self.ended_ns > 0).then(|| Timestamp::from_millis(self.ended_ns / 1_000_000))
    }

    /// How long a span took.
    pub(super) fn duration(&self) -> Option<Duration> {
        let nanos = self.ended_ns.checked_sub(self.started_ns).filter(|_| self.started_ns > 0)?;
        Some(Duration::from_nanos(nanos)).filter(|duration| *duration <= DURATION_MAX)
    }

    /// The text of the span's status.
    pub(super) fn message(&self) -> Option<&str> {
        match self.message.as_ref()? {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Number(_) | Value::Truth(_) => None,
        }
    }
}

/// Milliseconds as reported.
pub(super) fn millis(number: f64) -> Option<Duration> {
    let is_sensible = (0.0..=DURATION_MAX.as_millis() as f64).contains(&number);
    is_sensible.then(|| Duration::from_secs_f64(number / 1_000.0))
}

/// A name, cut to what is kept of one.
pub(super) fn name(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES_MAX.min(text.len()))]
}

/// Where decoded records go.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) records: Vec<Record>,
}

impl Sink {
    /// Takes a record if a reader can make anything of it.
    pub(super) fn push(&mut self, record: Record) -> Result<(), ExportError> {
        if record.attributes.is_empty() {
            return Ok(());
        }
        if self.records.len() >= RECORDS_MAX {
            return Err(ExportError::TooManyRecords);
        }
        self.records.push(record);
        Ok(())
    }

    /// Notes the scope of all records from this one on.
    pub(super) fn set_scope(&mut self, from: usize, scope: &str) {
        let scope: Arc<str> = name(scope).into();
        self.records[from..].iter_mut().for_each(|record| record.scope = Arc::clone(&scope));
    }

    /// Notes the service of all records from this one on.
    pub(super) fn set_service(&mut self, from: usize, service: &str) {
        let service: Arc<str> = name(service).into();
        self.records[from..].iter_mut().for_each(|record| record.service = Arc::clone(&service));
    }
}
