//! Exports with values that cannot be read, or must not be.

use super::*;

/// The status, the model and the start of the only span with these attributes.
fn read_span(start: &str, attributes: &str) -> String {
    let body = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"startTimeUnixNano":{start},
        "attributes":[{attributes},{{"key":"model","value":{{"stringValue":"m"}}}}]}}]}}]}}]}}"#
    );
    let mut sink = Sink::default();
    if let Err(error) = read(body.as_bytes(), Signal::Traces, &mut sink) {
        return error.to_string();
    }
    let [record] = sink.records.as_slice() else { panic!("{:?}", sink.records) };
    let (status, model) =
        (record.attributes.number(&["status_code"]), record.attributes.text(&["model"]));
    format!("{} {} {}", status.unwrap_or(0.0), model.unwrap(), record.started_ns)
}

#[test]
fn a_scalar_that_cannot_be_read_is_absent_and_nothing_else_is_lost() {
    let pair = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{value}}}"#);
    for (start, key, value, expected) in [
        ("1", "status_code", r#"{"doubleValue":"NaN"}"#, "0 m 1"),
        ("1", "status_code", r#"{"doubleValue":"Infinity"}"#, "0 m 1"),
        ("1", "status_code", r#"{"doubleValue":"529"}"#, "529 m 1"),
        ("1", "status_code", r#"{"doubleValue":529.0}"#, "529 m 1"),
        ("1", "status_code", r#"{"intValue":"garbage"}"#, "0 m 1"),
        ("1", "status_code", r#"{"intValue":"529"}"#, "529 m 1"),
        ("1", "status_code", r#"{"intValue":529}"#, "529 m 1"),
        ("1", "status_code", r#"{"intValue":18446744073709551615}"#, "0 m 1"),
        ("1", "status_code", r#"{"stringValue":"\ud83d"}"#, "0 m 1"),
        ("1", "status_code", "7", "0 m 1"),
        ("1", "score", r#"{"doubleValue":"-Infinity"}"#, "0 m 1"),
        ("1", "score", r#"{"intValue":"99999999999999999999"}"#, "0 m 1"),
        ("1", "score", r#"{"boolValue":"perhaps"}"#, "0 m 1"),
        ("18446744073709551615", "x", "null", "0 m 0"),
        (r#""tomorrow""#, "x", "null", "0 m 0"),
        (r#""1795473738741102000""#, "x", "null", "0 m 1795473738741102000"),
        ("1795473738741102000", "x", "null", "0 m 1795473738741102000"),
    ] {
        assert_eq!(read_span(start, &pair(key, value)), expected, "{start} {key} {value}");
    }
}

/// Half of a character is JSON, but no text: whoever makes a text of it fails.
#[test]
fn a_value_is_not_decoded_unless_its_key_is_kept() {
    for pair in [
        r#"{"key":"ai.prompt","value":{"stringValue":"a secret \ud83d"}}"#,
        r#"{"value":{"stringValue":"a secret \ud83d"},"key":"ai.prompt"}"#,
    ] {
        assert_eq!(read_span("1", pair), "0 m 1", "{pair}");
    }
    let kept = r#"{"value":{"intValue":"529"},"key":"status_code"}"#;
    assert_eq!(read_span("1", kept), "529 m 1");
}
