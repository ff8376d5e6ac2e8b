//! The bytes of a batch, taken apart into the bytes of its records.

use super::refusal::{Refusal, RejectReason};

/// Records in one batch; more is refused as a whole, so that one request stays a short one.
pub const RECORDS_MAX: usize = 5_000;

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

/// Takes a batch apart, by brackets and strings alone: what is wrong inside a record stays inside
/// it, be it bad UTF-8, a raw line break or a missing value. A record larger than `bytes_max`
/// is refused.
pub(super) fn split(body: &[u8], bytes_max: usize) -> Result<Elements<'_>, BatchError> {
    let elements = pieces(body)?.into_iter();
    Ok(elements.map(|piece| piece.and_then(|bytes| checked(bytes, bytes_max))).collect())
}

fn pieces(body: &[u8]) -> Result<Elements<'_>, BatchError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    match body.first() {
        None => Err(BatchError::Empty),
        Some(b'[') => split_array(body),
        Some(b'{') => {
            let end = end_of_value(body, 0);
            let whole = end.is_none_or(|end| body[end..].trim_ascii().is_empty());
            match envelope(body) {
                Some(outcomes) if whole => split_array(outcomes),
                // One object, pretty-printed or not; a batch by lines has more behind it.
                Some(_) | None if end.is_some() && whole => Ok(vec![Ok(body)]),
                Some(_) | None => split_lines(body),
            }
        }
        Some(_) => split_lines(body),
    }
}

/// The array of `{"outcomes": […]}`, from its bracket on.
fn envelope(body: &[u8]) -> Option<&[u8]> {
    let mut at = 1;
    loop {
        at = skip_blank(body, at);
        let key_end = end_of_value(body, at).filter(|_| body.get(at) == Some(&b'"'))?;
        let colon = skip_blank(body, key_end);
        let value = skip_blank(body, colon + 1);
        if body.get(colon) != Some(&b':') {
            return None;
        }
        if &body[at..key_end] == b"\"outcomes\"" {
            return (body.get(value) == Some(&b'[')).then(|| &body[value..]);
        }
        let comma = skip_blank(body, end_of_value(body, value)?);
        if body.get(comma) != Some(&b',') {
            return None;
        }
        at = comma + 1;
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
        elements.push(Ok(line));
    }
    Ok(elements)
}

/// Takes an array apart. Where it breaks off, the records before the break are kept and the
/// break is named.
fn split_array(body: &[u8]) -> Result<Elements<'_>, BatchError> {
    let mut elements = Vec::new();
    let mut at = skip_blank(body, 1);
    if body.get(at) == Some(&b']') {
        return Ok(elements);
    }
    loop {
        let end = match body.get(at) {
            None | Some(b',' | b']' | b'}') => None,
            Some(_) => end_of_value(body, at),
        };
        let Some(end) = end else {
            elements.push(Err(broken("a record is missing or does not end", at)));
            return Ok(elements);
        };
        if elements.len() >= RECORDS_MAX {
            return Err(BatchError::TooManyRecords);
        }
        elements.push(Ok(&body[at..end]));
        at = skip_blank(body, end);
        match body.get(at) {
            Some(b',') => at = skip_blank(body, at + 1),
            Some(b']') => return Ok(elements),
            Some(_) | None => {
                elements.push(Err(broken("expected a comma or the end of the array", at)));
                return Ok(elements);
            }
        }
    }
}

fn broken(what: &str, at: usize) -> Refusal {
    let text = format!("malformed JSON at byte {at}: {what}; nothing behind it was read");
    Refusal::new(RejectReason::Malformed, text)
}

/// The end of the JSON value that begins at `from`, by its brackets and strings; `None` where
/// there is none. What is inside is not looked at.
fn end_of_value(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = end_of_string(bytes, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return (depth == 1).then_some(at + 1),
            b'}' | b']' => depth -= 1,
            _ if depth == 0 => return Some(end_of_scalar(bytes, at)).filter(|end| *end > at),
            _ => {}
        }
        at += 1;
    }
}

/// The end of a number, a literal, or whatever else stands in their place.
fn end_of_scalar(bytes: &[u8], from: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'"') || byte.is_ascii_whitespace();
    bytes[from..].iter().position(ends).map_or(bytes.len(), |length| from + length)
}

/// The end of the string that begins at `from`, behind its closing quote.
fn end_of_string(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn skip_blank(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn checked(bytes: &[u8], bytes_max: usize) -> Result<&[u8], Refusal> {
    if bytes.len() <= bytes_max {
        return Ok(bytes);
    }
    let text = format!("the record is {} bytes, at most {bytes_max}", bytes.len());
    Err(Refusal::new(RejectReason::TooLarge, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 1_000;

    /// The records as text, refusals as `!reason`.
    fn check(body: impl AsRef<[u8]>, expected: &[&str]) {
        let body = body.as_ref();
        let elements: Vec<String> = split(body, BYTES_MAX)
            .unwrap()
            .into_iter()
            .map(|element| match element {
                Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Err(refusal) => format!("!{}", refusal.reason.as_str()),
            })
            .collect();
        assert_eq!(elements, expected, "{:.200}", String::from_utf8_lossy(body));
    }

    #[test]
    fn every_form_of_a_batch_is_told_from_its_bytes() {
        check(r#"{"a":1}"#, &[r#"{"a":1}"#]);
        check("{\n \"a\":1\n}\n", &["{\n \"a\":1\n}"]);
        check("{\"a\":1}\n\n{\"b\":2}\r\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check(r#"[{"a":1}, 7 ]"#, &[r#"{"a":1}"#, "7"]);
        check(r#"{"outcomes":[{"a":1}]}"#, &[r#"{"a":1}"#]);
        check(r#"{"v":[{}], "outcomes" : [ {"a":1} ] , "x":2}"#, &[r#"{"a":1}"#]);
        check(r#"{"outcomes":7}"#, &[r#"{"outcomes":7}"#]);
        check("\u{feff}[]", &[]);
    }

    #[test]
    fn what_comes_before_a_break_is_kept() {
        check(r#"[{"a":1},{"b":"#, &[r#"{"a":1}"#, "!malformed"]);
        check(r#"[{"a":1},]"#, &[r#"{"a":1}"#, "!malformed"]);
        check(r#"{"outcomes":[{"a":1},{"b":"#, &[r#"{"a":1}"#, "!malformed"]);
        check(r#"{"outcomes":[{"a":1}"#, &[r#"{"a":1}"#, "!malformed"]);
        check("{\"a\":1}\nnonsense\n{\"b\":2}", &[r#"{"a":1}"#, "nonsense", r#"{"b":2}"#]);
    }

    #[test]
    fn what_is_wrong_inside_a_record_stays_inside_it() {
        for bad in ["{\"m\":\"\\ud800\"}", "{\"m\":\"a\nb\"}", "{\"m\":}", "{,}", "nonsense"] {
            check(
                format!(r#"[{{"a":1}},{bad},{{"b":"]}}\""}}]"#),
                &[r#"{"a":1}"#, bad, r#"{"b":"]}\""}"#],
            );
        }
        let raw: &[u8] = b"{\"outcomes\":[{\"a\":1},{\"m\":\"\xff\"},{\"b\":2}]}";
        check(raw, &["{\"a\":1}", "{\"m\":\"\u{fffd}\"}", "{\"b\":2}"]);
    }

    proptest::proptest! {
        #[test]
        fn valid_json_is_split_as_a_json_reader_splits_it(
            texts in proptest::collection::vec(".{0,20}", 0..6),
            envelope: bool,
        ) {
            let values: Vec<serde_json::Value> =
                texts.iter().map(|text| serde_json::json!({"t": text, text: [text]})).collect();
            let array = serde_json::to_string_pretty(&values).unwrap();
            let body = if envelope { format!("{{\"outcomes\": {array}}}") } else { array };
            let parts: Vec<serde_json::Value> = split(body.as_bytes(), BYTES_MAX)
                .unwrap()
                .into_iter()
                .map(|part| serde_json::from_slice(part.unwrap()).unwrap())
                .collect();
            proptest::prop_assert_eq!(parts, values);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for head in [&b""[..], b"[", b"{\"outcomes\":[", b"{"] {
                let _ = split(&[head, &bytes].concat(), BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_batch_is_bounded_and_so_is_a_record() {
        assert_eq!(split(b"  \n ", BYTES_MAX), Err(BatchError::Empty));
        let many = format!("[{}7]", "7,".repeat(RECORDS_MAX));
        assert_eq!(split(many.as_bytes(), BYTES_MAX), Err(BatchError::TooManyRecords));
        let lines = "{}\n".repeat(RECORDS_MAX + 1);
        assert_eq!(split(lines.as_bytes(), BYTES_MAX), Err(BatchError::TooManyRecords));
        let large = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(BYTES_MAX));
        check(&large, &["!too_large", "{}"]);
        let deep = format!("[{}", "[".repeat(1_000_000));
        check(&deep, &["!malformed"]);
    }
}
