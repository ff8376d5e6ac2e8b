//! Which kind of export a body is, where the path does not say it.
//!
//! Some clients post to exactly the URL they are given. The JSON of an export names its kind in its
//! first field. Protobuf has no names, and the messages around the records are alike in all three
//! kinds; the records themselves differ in the wire types of their first fields, above all in where
//! their times stand. An export without records, or whose records have no time, cannot be told.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::protobuf::{Fields, Wire};
use super::{Encoding, ExportError, Signal};

/// What an export is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metrics, which are not read.
    Metrics,
}

impl Kind {
    /// What to read it as; `None` for what is not read.
    pub const fn signal(self) -> Option<Signal> {
        match self {
            Self::Traces => Some(Signal::Traces),
            Self::Logs => Some(Signal::Logs),
            Self::Metrics => None,
        }
    }

    /// The kind of an export, told from its bytes; `None` where they do not tell.
    pub fn told_by(body: &[u8], encoding: Encoding) -> Option<Self> {
        match encoding {
            Encoding::Json => in_json(body),
            Encoding::Protobuf => in_protobuf(body).ok().flatten(),
        }
    }
}

fn in_json(body: &[u8]) -> Option<Kind> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Export {
        resource_spans: Option<IgnoredAny>,
        resource_logs: Option<IgnoredAny>,
        resource_metrics: Option<IgnoredAny>,
    }
    // A sequence would fill the fields of a struct as well.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    let export: Export = is_object.then(|| serde_json::from_slice(body).ok())??;
    match export {
        Export { resource_spans: Some(_), .. } => Some(Kind::Traces),
        Export { resource_logs: Some(_), .. } => Some(Kind::Logs),
        Export { resource_metrics: Some(_), .. } => Some(Kind::Metrics),
        Export { .. } => None,
    }
}

/// Looks at records until one tells. The way to them is the same in all kinds: resources are field
/// 1 of the export, scopes field 2 of a resource, records field 2 of a scope.
fn in_protobuf(body: &[u8]) -> Result<Option<Kind>, ExportError> {
    let mut resources = Fields::of(body);
    while let Some((number, value)) = resources.next()? {
        let (1, Wire::Bytes(resource)) = (number, value) else { continue };
        let mut scopes = Fields::of(resource);
        while let Some((number, value)) = scopes.next()? {
            let (2, Wire::Bytes(scope)) = (number, value) else { continue };
            let mut records = Fields::of(scope);
            while let Some((number, value)) = records.next()? {
                let (2, Wire::Bytes(record)) = (number, value) else { continue };
                if let Some(kind) = of_record(record)? {
                    return Ok(Some(kind));
                }
            }
        }
    }
    Ok(None)
}

fn of_record(record: &[u8]) -> Result<Option<Kind>, ExportError> {
    let (mut is_named, mut has_data, mut has_numbers) = (false, false, false);
    let mut fields = Fields::of(record);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            // The start and the end of a span. In the others these fields are no 64-bit times.
            (7 | 8, Wire::Fixed64(_)) => return Ok(Some(Kind::Traces)),
            // The time of a log record, or when it was observed.
            (1 | 11, Wire::Fixed64(_)) => return Ok(Some(Kind::Logs)),
            // A metric has a name and one of five kinds of data, and no number of its own.
            (1, Wire::Bytes(_)) => is_named = true,
            (5 | 7 | 9 | 10 | 11, Wire::Bytes(_)) => has_data = true,
            (_, Wire::Bytes(_)) => {}
            (_, Wire::Varint(_) | Wire::Fixed32 | Wire::Fixed64(_)) => has_numbers = true,
        }
    }
    Ok((is_named && has_data && !has_numbers).then_some(Kind::Metrics))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An export in protobuf whose only record has these bytes.
    fn around(record: &[u8]) -> Vec<u8> {
        let wrap = |field: u8, inner: &[u8]| {
            let mut bytes = vec![field << 3 | 2, u8::try_from(inner.len()).unwrap()];
            bytes.extend_from_slice(inner);
            bytes
        };
        let scope = [wrap(1, b""), wrap(2, record)].concat();
        wrap(1, &[wrap(1, b""), wrap(2, &scope), wrap(3, b"schema")].concat())
    }

    #[test]
    fn kinds_are_told_by_what_only_they_have() {
        let span = b"\x0a\x02id\x12\x01s\x2a\x04name\x3912345678\x4112345678";
        let metric = b"\x0a\x04name\x1a\x01s\x3a\x00";
        for (record, kind) in [
            (&span[..], Some(Kind::Traces)),
            (b"\x0912345678\x10\x09\x2a\x00", Some(Kind::Logs)),
            (b"\x10\x09\x2a\x00\x5912345678", Some(Kind::Logs)),
            (metric, Some(Kind::Metrics)),
            (b"\x0a\x04name\x12\x01d\x4a\x00", Some(Kind::Metrics)),
            // A profile: its time is the third field.
            (b"\x0a\x00\x12\x00\x1912345678\x20\x07\x3a\x02id", None),
            // Neither a record without a time nor one that is empty.
            (b"\x2a\x00\x10\x01", None),
            (b"", None),
            (b"\x0b", None),
        ] {
            let body = around(record);
            assert_eq!(Kind::told_by(&body, Encoding::Protobuf), kind, "{record:?}");
            let second = [around(b""), body].concat();
            assert_eq!(Kind::told_by(&second, Encoding::Protobuf), kind, "second {record:?}");
        }
        for (body, kind) in [
            (r#"{"resourceSpans":[]}"#, Some(Kind::Traces)),
            (r#" {"x":[{}],"resourceLogs":[{"y":"resourceSpans"}]}"#, Some(Kind::Logs)),
            (r#"{"resourceMetrics":[{}]}"#, Some(Kind::Metrics)),
            (r#"{"resourceProfiles":[{}]}"#, None),
            (r#"{"model":"resourceSpans"}"#, None),
            (r#"[[],[],[]]"#, None),
            (r#"{"resourceSpans":[]"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(Kind::told_by(body.as_bytes(), Encoding::Json), kind, "{body}");
        }
    }
}
