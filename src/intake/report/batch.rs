//! The bytes of a batch, taken apart into the bytes of its records.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::RejectReason;
use super::refusal::Refusal;

/// Records in one batch; more is refused as a whole, so that one request stays a short one.
pub const RECORDS_MAX: usize = 5_000;

/// Bytes of one record.
const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Why a batch as a whole was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The body holds nothing.
    #[error("the body is empty, expected one outcome or more as JSON")]
    Empty,
    /// The body holds more records than [`RECORDS_MAX`].
    #[error("the batch holds more than {RECORDS_MAX} records, send it in parts")]
    TooManyRecords,
}

/// The records of a batch in order; a piece that cannot be a record is a refusal in its place.
type Elements<'a> = Vec<Result<&'a [u8], Refusal>>;

/// `{"outcomes": […]}`.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    outcomes: Option<&'a RawValue>,
}

/// Takes a batch apart.
pub(super) fn split(body: &[u8]) -> Result<Elements<'_>, BatchError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    match body.first() {
        None => Err(BatchError::Empty),
        Some(b'[') => split_array(body),
        // One object, pretty-printed or not, is whole JSON; anything else is taken by lines.
        Some(_) => match serde_json::from_slice::<Envelope<'_>>(body) {
            Ok(Envelope { outcomes: Some(outcomes) }) if outcomes.get().starts_with('[') => {
                split_array(outcomes.get().as_bytes())
            }
            Ok(_) => Ok(vec![checked(body)]),
            Err(_) => split_lines(body),
        },
    }
}

fn split_lines(body: &[u8]) -> Result<Elements<'_>, BatchError> {
    let mut elements = Vec::new();
    for line in body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if line.is_empty() {
            continue;
        }
        if elements.len() >= RECORDS_MAX {
            return Err(BatchError::TooManyRecords);
        }
        elements.push(checked(line));
    }
    Ok(elements)
}

/// Takes an array apart. Where it breaks off, the records before the break are kept and the
/// break is named.
fn split_array(body: &[u8]) -> Result<Elements<'_>, BatchError> {
    let mut collected = Collected::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let result =
        Collect(&mut collected).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if collected.too_many {
        return Err(BatchError::TooManyRecords);
    }
    let mut elements = collected.elements;
    if let Err(error) = result {
        let text = format!("malformed JSON: {error}; the batch was read up to here");
        elements.push(Err(Refusal::new(RejectReason::Malformed, text)));
    }
    Ok(elements)
}

fn checked(bytes: &[u8]) -> Result<&[u8], Refusal> {
    if bytes.len() <= RECORD_BYTES_MAX {
        return Ok(bytes);
    }
    let text = format!("the record is {} bytes, at most {RECORD_BYTES_MAX}", bytes.len());
    Err(Refusal::new(RejectReason::TooLarge, text))
}

#[derive(Default)]
struct Collected<'a> {
    elements: Elements<'a>,
    too_many: bool,
}

/// Collects the raw elements of an array into a place that outlives an error.
struct Collect<'c, 'a>(&'c mut Collected<'a>);

impl<'a> DeserializeSeed<'a> for Collect<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Collect<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of outcomes")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'a RawValue>()? {
            if self.0.elements.len() >= RECORDS_MAX {
                self.0.too_many = true;
                return Err(serde::de::Error::custom("too many records"));
            }
            self.0.elements.push(checked(element.get().as_bytes()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records as text, refusals as `!reason`.
    fn check(body: &str, expected: &[&str]) {
        let elements: Vec<String> = split(body.as_bytes())
            .unwrap()
            .into_iter()
            .map(|element| match element {
                Ok(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Err(refusal) => format!("!{}", refusal.reason.as_str()),
            })
            .collect();
        assert_eq!(elements, expected, "{body}");
    }

    #[test]
    fn every_form_of_a_batch_is_told_from_its_bytes() {
        check(r#"{"a":1}"#, &[r#"{"a":1}"#]);
        check("{\n \"a\":1\n}\n", &["{\n \"a\":1\n}"]);
        check("{\"a\":1}\n\n{\"b\":2}\r\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check(r#"[{"a":1}, 7 ]"#, &[r#"{"a":1}"#, "7"]);
        check(r#"{"outcomes":[{"a":1}]}"#, &[r#"{"a":1}"#]);
        check("\u{feff}[]", &[]);
    }

    #[test]
    fn what_comes_before_a_break_is_kept() {
        check(r#"[{"a":1},{"b":"#, &[r#"{"a":1}"#, "!malformed"]);
        check(r#"[{"a":1}]]"#, &[r#"{"a":1}"#, "!malformed"]);
        check("{\"a\":1}\nnonsense\n{\"b\":2}", &[r#"{"a":1}"#, "nonsense", r#"{"b":2}"#]);
    }

    #[test]
    fn a_batch_is_bounded_and_so_is_a_record() {
        assert_eq!(split(b"  \n "), Err(BatchError::Empty));
        let many = format!("[{}7]", "7,".repeat(RECORDS_MAX));
        assert_eq!(split(many.as_bytes()), Err(BatchError::TooManyRecords));
        let lines = "{}\n".repeat(RECORDS_MAX + 1);
        assert_eq!(split(lines.as_bytes()), Err(BatchError::TooManyRecords));
        let large = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(RECORD_BYTES_MAX));
        check(&large, &["!too_large", "{}"]);
        let deep = format!("[{}", "[".repeat(1_000_000));
        check(&deep, &["!malformed"]);
    }
}
