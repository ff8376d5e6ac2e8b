//! Exports as JSON, streamed into the sink: no tree of the body is ever built.

mod scalar;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::attributes::{Attributes, Value, kept};
use super::record::{ATTEMPT_BEGUN, EVENT_BYTES_MAX, Record, Sink, name};
use super::{ExportError, RECORDS_MAX, Signal};
use scalar::{Real, Text, Whole, nullable};

/// Longest body of a log record looked at, in bytes as it lies there: around an event's name stands
/// little else.
const BODY_BYTES_MAX: usize = 4 * EVENT_BYTES_MAX;

/// Reads an export.
pub(super) fn read(body: &[u8], signal: Signal, sink: &mut Sink) -> Result<(), ExportError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let level = Level { depth: Depth::Export, signal, sink };
    let read = level.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(|error| {
        if sink.records.len() >= RECORDS_MAX {
            return ExportError::TooManyRecords;
        }
        // The reader's own messages may quote the body.
        let what = match error.classify() {
            Category::Data => "a field has an unexpected type",
            Category::Eof => "it ends too early",
            Category::Syntax | Category::Io => "not JSON",
        };
        let (line, column) = (error.line(), error.column());
        ExportError::Malformed(format!("{what} (line {line}, column {column})"))
    })
}

/// The three objects around the records.
#[derive(Clone, Copy)]
enum Depth {
    Export,
    Resource,
    Scope,
}

/// One of them, being read.
struct Level<'s> {
    depth: Depth,
    signal: Signal,
    sink: &'s mut Sink,
}

/// The array inside one of them.
struct Elements<'s>(Level<'s>);

impl Depth {
    /// The field that leads further in.
    fn inner(self, signal: Signal) -> &'static str {
        match (self, signal) {
            (Self::Export, Signal::Traces) => "resourceSpans",
            (Self::Export, Signal::Logs) => "resourceLogs",
            (Self::Resource, Signal::Traces) => "scopeSpans",
            (Self::Resource, Signal::Logs) => "scopeLogs",
            (Self::Scope, Signal::Traces) => "spans",
            (Self::Scope, Signal::Logs) => "logRecords",
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of an export")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { depth, signal, sink } = self;
        let from = sink.records.len();
        let mut around = Around::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == depth.inner(signal) {
                map.next_value_seed(Elements(Level { depth, signal, sink: &mut *sink }))?;
            } else if matches!(&*key, "resource" | "scope") {
                around = map.next_value::<Option<Around>>()?.unwrap_or_default();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        match depth {
            Depth::Export => {}
            Depth::Resource => sink.set_service(from, &around.service()),
            Depth::Scope => sink.set_scope(from, &around.name),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of an export")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Level { depth, signal, sink } = self.0;
        let depth = match depth {
            Depth::Export => Depth::Resource,
            Depth::Resource => Depth::Scope,
            Depth::Scope => {
                while let Some(record) = seq.next_element::<Fields<'de>>()? {
                    sink.push(record.into_record(signal)).map_err(A::Error::custom)?;
                }
                return Ok(());
            }
        };
        while seq.next_element_seed(Level { depth, signal, sink: &mut *sink })?.is_some() {}
        Ok(())
    }
}

/// A resource or a scope.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Around {
    #[serde(deserialize_with = "nullable")]
    name: String,
    attributes: Identity,
}

impl Around {
    fn service(&self) -> String {
        format!("{}/{}", self.attributes.service, self.attributes.instance)
    }
}

/// What of a resource's attributes tells which process it is.
#[derive(Default)]
struct Identity {
    service: String,
    instance: String,
}

/// The fields of a span and those of a log record; each has its own, and none means two things.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    trace_id: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    parent_span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    name: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    event_name: Text<'a>,
    start_time_unix_nano: Whole,
    end_time_unix_nano: Whole,
    time_unix_nano: Whole,
    observed_time_unix_nano: Whole,
    attributes: Attributes,
    events: Events,
    #[serde(borrow)]
    status: Option<Status<'a>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Status<'a> {
    code: Whole,
    #[serde(borrow, deserialize_with = "nullable")]
    message: Text<'a>,
}

/// What is kept of an array of events: the last exception, and how many attempts began.
#[derive(Default)]
struct Events {
    exception: Attributes,
    attempts_begun: u32,
}

/// One attribute. Its value stays as it lies in the body until its key is known to be kept: it may
/// be a prompt, and either may come first.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Pair<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    key: Text<'a>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// A value, if it is a scalar; compounds are skipped.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scalar<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Whole>,
    double_value: Option<Real>,
}

impl Fields<'_> {
    fn into_record(self, signal: Signal) -> Record {
        let mut record = Record::new(signal);
        let unsigned = |whole: Whole| whole.0.and_then(|it| it.try_into().ok()).unwrap_or(0_u64);
        record.place.trace = id(&self.trace_id.0);
        record.place.span = id(&self.span_id.0);
        record.place.parent = id(&self.parent_span_id.0);
        record.attributes = self.attributes;
        match signal {
            Signal::Traces => {
                name(&self.name.0).clone_into(&mut record.name);
                record.started_ns = unsigned(self.start_time_unix_nano);
                record.ended_ns = unsigned(self.end_time_unix_nano);
                record.exception = self.events.exception;
                record.attempts_begun = self.events.attempts_begun;
                let status = self.status.unwrap_or_default();
                record.is_error = status.code.0 == Some(2);
                record.message = Value::text("", &status.message.0);
            }
            Signal::Logs => {
                name(&self.event_name.0).clone_into(&mut record.name);
                let observed = unsigned(self.observed_time_unix_nano);
                record.ended_ns = match unsigned(self.time_unix_nano) {
                    0 => observed,
                    nanos => nanos,
                };
                // A longer one is no name of an event.
                let body = self.body.filter(|body| body.get().len() <= BODY_BYTES_MAX);
                if let Some(body) = body.and_then(scalar).and_then(|body| body.string_value) {
                    record.take_body(&body.0);
                }
            }
        }
        record
    }
}

impl Scalar<'_> {
    fn value(self, key: &str) -> Option<Value> {
        self.string_value
            .and_then(|text| Value::text(key, &text.0))
            .or(self.bool_value.map(Value::Truth))
            .or(self.int_value.and_then(|whole| whole.0).map(Value::Integer))
            .or(self.double_value.and_then(|real| real.0).map(Value::Number))
    }
}

/// A value that is wanted; one that cannot be read counts as absent.
fn scalar(raw: &RawValue) -> Option<Scalar<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// An id in hexadecimal; zero where it is not one.
fn id<const BYTES: usize>(hex: &str) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let hex = hex.as_bytes();
    if hex.len() != 2 * BYTES {
        return bytes;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return [0; BYTES],
        }
    }
    bytes
}

/// Reads an array element by element and keeps none of them.
struct Each<T, F>(F, std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.0(element);
        }
        Ok(())
    }
}

fn each<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    take: impl FnMut(T),
) -> Result<(), D::Error> {
    deserializer.deserialize_any(Each(take, std::marker::PhantomData))
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut attributes = Self::default();
        each(deserializer, |pair: Pair<'de>| {
            if let Some(key) = kept(&pair.key.0)
                && let Some(value) = pair.value.and_then(scalar).and_then(|it| it.value(key))
            {
                attributes.insert(key, value);
            }
        })?;
        Ok(attributes)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut identity = Self::default();
        each(deserializer, |pair: Pair<'de>| {
            let field = match &*pair.key.0 {
                "service.name" => &mut identity.service,
                "service.instance.id" => &mut identity.instance,
                _ => return,
            };
            let text = pair.value.and_then(scalar).and_then(|value| value.string_value);
            *field = text.unwrap_or_default().0.into_owned();
        })?;
        Ok(identity)
    }
}

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(default)]
        #[derive(Default)]
        struct Event<'a> {
            #[serde(borrow, deserialize_with = "nullable")]
            name: Text<'a>,
            attributes: Attributes,
        }
        let mut events = Self::default();
        each(deserializer, |event: Event<'de>| match &*event.name.0 {
            "exception" => events.exception = event.attributes,
            ATTEMPT_BEGUN => events.attempts_begun = events.attempts_begun.saturating_add(1),
            _ => {}
        })?;
        Ok(events)
    }
}
