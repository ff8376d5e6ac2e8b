//! Exports as protobuf, read where they lie.
//!
//! The generated types of a library would copy every attribute, prompts among them, before it
//! could be left out, and a body of empty spans would become a hundred times its size. So the
//! fields are walked in place, and of a value nothing is looked at before its key is known.

use super::attributes::{Attributes, Value, kept};
use super::record::{ATTEMPT_BEGUN, Record, Sink, name};
use super::{ExportError, Signal};

/// A field's value on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of one message.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// Reads an export.
pub(super) fn read(body: &[u8], signal: Signal, sink: &mut Sink) -> Result<(), ExportError> {
    let mut fields = Fields { rest: body };
    while let Some((number, value)) = fields.next()? {
        if let (1, Wire::Bytes(group)) = (number, value) {
            resource_group(group, signal, sink)?;
        }
    }
    Ok(())
}

fn resource_group(bytes: &[u8], signal: Signal, sink: &mut Sink) -> Result<(), ExportError> {
    let from = sink.records.len();
    let mut service = String::new();
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Wire::Bytes(resource)) => service = service_of(resource)?,
            (2, Wire::Bytes(group)) => scope_group(group, signal, sink)?,
            _ => {}
        }
    }
    sink.set_service(from, &service);
    Ok(())
}

fn scope_group(bytes: &[u8], signal: Signal, sink: &mut Sink) -> Result<(), ExportError> {
    let from = sink.records.len();
    let mut scope = "";
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => {
                let mut fields = Fields { rest: bytes };
                while let Some((number, value)) = fields.next()? {
                    if let (1, Wire::Bytes(bytes)) = (number, value) {
                        scope = text(bytes)?;
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => {
                sink.push(match signal {
                    Signal::Traces => span(bytes)?,
                    Signal::Logs => log_record(bytes)?,
                })?;
            }
            _ => {}
        }
    }
    sink.set_scope(from, scope);
    Ok(())
}

fn service_of(bytes: &[u8]) -> Result<String, ExportError> {
    let (mut service, mut instance) = ("", "");
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        if let (1, Wire::Bytes(pair)) = (number, value) {
            let (key, value) = pair_of(pair)?;
            let field = match key {
                "service.name" => &mut service,
                "service.instance.id" => &mut instance,
                _ => continue,
            };
            let mut fields = Fields { rest: value };
            while let Some((number, value)) = fields.next()? {
                if let (1, Wire::Bytes(bytes)) = (number, value) {
                    *field = text(bytes)?;
                }
            }
        }
    }
    Ok(format!("{service}/{instance}"))
}

fn span(bytes: &[u8]) -> Result<Record, ExportError> {
    let mut record = Record::new(Signal::Traces);
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Wire::Bytes(id)) => record.place.trace = id.try_into().unwrap_or_default(),
            (2, Wire::Bytes(id)) => record.place.span = id.try_into().unwrap_or_default(),
            (4, Wire::Bytes(id)) => record.place.parent = id.try_into().unwrap_or_default(),
            (5, Wire::Bytes(bytes)) => record.name = name(text(bytes)?).to_owned(),
            (7, Wire::Fixed64(nanos)) => record.started_ns = nanos,
            (8, Wire::Fixed64(nanos)) => record.ended_ns = nanos,
            (9, Wire::Bytes(pair)) => attribute(pair, &mut record.attributes)?,
            (11, Wire::Bytes(bytes)) => event(bytes, &mut record)?,
            (15, Wire::Bytes(bytes)) => status(bytes, &mut record)?,
            _ => {}
        }
    }
    Ok(record)
}

fn log_record(bytes: &[u8]) -> Result<Record, ExportError> {
    let mut record = Record::new(Signal::Logs);
    let mut fields = Fields { rest: bytes };
    let mut body = None;
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Wire::Fixed64(nanos)) if nanos > 0 => record.ended_ns = nanos,
            (11, Wire::Fixed64(nanos)) if record.ended_ns == 0 => record.ended_ns = nanos,
            (5, Wire::Bytes(value)) => body = Some(value),
            (6, Wire::Bytes(pair)) => attribute(pair, &mut record.attributes)?,
            (9, Wire::Bytes(id)) => record.place.trace = id.try_into().unwrap_or_default(),
            (10, Wire::Bytes(id)) => record.place.span = id.try_into().unwrap_or_default(),
            (12, Wire::Bytes(bytes)) => record.name = name(text(bytes)?).to_owned(),
            _ => {}
        }
    }
    let mut fields = Fields { rest: body.unwrap_or_default() };
    while let Some((number, value)) = fields.next()? {
        if let (1, Wire::Bytes(bytes)) = (number, value) {
            record.take_body(text(bytes)?);
        }
    }
    Ok(record)
}

fn event(bytes: &[u8], record: &mut Record) -> Result<(), ExportError> {
    let mut attributes = Attributes::default();
    let mut event_name: &[u8] = b"";
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Wire::Bytes(bytes)) => event_name = bytes,
            (3, Wire::Bytes(pair)) => attribute(pair, &mut attributes)?,
            _ => {}
        }
    }
    if event_name == b"exception" {
        record.exception = attributes;
    } else if event_name == ATTEMPT_BEGUN.as_bytes() {
        record.attempts_begun = record.attempts_begun.saturating_add(1);
    }
    Ok(())
}

fn status(bytes: &[u8], record: &mut Record) -> Result<(), ExportError> {
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Wire::Bytes(bytes)) => record.message = Value::text("", text(bytes)?),
            (3, Wire::Varint(code)) => record.is_error = code == 2,
            _ => {}
        }
    }
    Ok(())
}

fn attribute(pair: &[u8], attributes: &mut Attributes) -> Result<(), ExportError> {
    let (key, value) = pair_of(pair)?;
    let Some(key) = kept(key) else { return Ok(()) };
    let mut fields = Fields { rest: value };
    while let Some((number, value)) = fields.next()? {
        let value = match (number, value) {
            (1, Wire::Bytes(bytes)) => Value::text(key, text(bytes)?),
            (2, Wire::Varint(truth)) => Some(Value::Truth(truth != 0)),
            (3, Wire::Varint(number)) => Some(Value::Integer(number.cast_signed())),
            (4, Wire::Fixed64(bits)) => Some(Value::Number(f64::from_bits(bits))),
            _ => None,
        };
        if let Some(value) = value {
            attributes.insert(key, value);
        }
    }
    Ok(())
}

/// The key of an attribute, and the bytes of its value.
fn pair_of(bytes: &[u8]) -> Result<(&str, &[u8]), ExportError> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields { rest: bytes };
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((text(key)?, value))
}

fn text(bytes: &[u8]) -> Result<&str, ExportError> {
    std::str::from_utf8(bytes).map_err(|_| malformed("a text is not UTF-8"))
}

fn malformed(what: &str) -> ExportError {
    ExportError::Malformed(what.to_owned())
}

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, ExportError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(short)?;
                self.rest = rest;
                Wire::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| short())?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(short)?;
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            5 => {
                self.rest = self.rest.get(4..).ok_or_else(short)?;
                Wire::Fixed32
            }
            _ => return Err(malformed("a field has an unknown wire type")),
        };
        if tag >> 3 == 0 {
            return Err(malformed("a field has the number 0"));
        }
        Ok(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, ExportError> {
        let mut number = 0;
        for at in 0..10 {
            let (byte, rest) = self.rest.split_first().ok_or_else(short)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed("a number is longer than 64 bits"))
    }
}

fn short() -> ExportError {
    malformed("it ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_bytes_are_refused_and_unknown_fields_are_skipped() {
        let mut sink = Sink::default();
        for (body, is_good) in [
            (&b""[..], true),
            (b"\x0a\x00\x0a\x00", true),
            (b"\x7a\x01x\x0a\x02\x7a\x00\x78\x01\x7d1234\x7912345678", true),
            (b"\x0a\x05\x00", false),
            (b"\x0a\x01\x0a", false),
            (b"\x0b", false),
            (b"\x02\x00", false),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", false),
            (b"{}", false),
            (b"\x79123", false),
        ] {
            assert_eq!(read(body, Signal::Traces, &mut sink).is_ok(), is_good, "{body:?}");
        }
        assert!(sink.records.is_empty());
    }
}
