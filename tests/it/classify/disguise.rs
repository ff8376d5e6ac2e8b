//! Replies in disguise: the same facts in another form.

use serde_json::{Value, json};

use super::{NONE, Recorded, misjudged};

#[test]
fn the_form_of_a_reply_changes_nothing() {
    let names = [("upper-case headers", upper_case_headers as fn(&mut Recorded))];
    let forms = [
        ("pretty JSON", pretty as fn(&mut Recorded)),
        ("escapes", escaped),
        ("CRLF", crlf),
        ("bare CR", bare_cr),
        ("byte order mark", byte_order_mark),
        ("white space around", blank_lines),
        ("shouting tokens", shouting_tokens),
        ("numbers as strings", stringly_numbers),
        ("upper-case provider", |case| case.provider = case.provider.to_uppercase()),
    ];
    for (name, change) in names.into_iter().chain(forms) {
        assert_eq!(misjudged(change), NONE, "{name}");
    }
}

#[test]
fn wrapping_an_error_in_another_envelope_changes_nothing() {
    type Wrap = fn(Value) -> Value;
    let wraps: [(&str, Wrap); 4] = [
        ("array", |body| json!([body])),
        ("response", |body| json!({"type": "response.failed", "response": body})),
        ("data", |body| json!({"object": "x", "data": body})),
        ("double error", |body| json!({"error": body})),
    ];
    for (name, wrap) in wraps {
        let wrong = misjudged(|case| {
            if let Ok(body) = serde_json::from_str::<Value>(&case.body)
                && body.get("error").is_some_and(Value::is_object)
            {
                case.body = wrap(body).to_string();
            }
        });
        assert_eq!(wrong, NONE, "{name}");
    }
}

#[test]
fn an_unknown_provider_or_lost_headers_cost_few_cases() {
    let unknown = misjudged(|case| {
        case.provider = "nobody".to_owned();
        case.dialect = None;
    });
    assert!(unknown.len() <= 5, "{unknown:#?}");
    let headless = misjudged(|case| case.headers.clear());
    assert!(headless.len() <= 3, "{headless:#?}");
}

fn upper_case_headers(case: &mut Recorded) {
    for (name, _) in &mut case.headers {
        *name = name.to_uppercase();
    }
}

fn pretty(case: &mut Recorded) {
    if let Ok(body) = serde_json::from_str::<Value>(&case.body) {
        case.body = serde_json::to_string_pretty(&body).unwrap();
    }
    let reformat = |line: &str| match line.strip_prefix("data: ").map(serde_json::from_str) {
        // Data over many lines, each with its own field name.
        Some(Ok::<Value, _>(data)) => {
            let data = serde_json::to_string_pretty(&data).unwrap();
            data.lines().map(|line| format!("data: {line}\n")).collect()
        }
        _ => format!("{line}\n"),
    };
    case.stream = case.stream.lines().map(reformat).collect();
}

/// Every letter inside JSON strings as a `\u` escape.
fn escaped(case: &mut Recorded) {
    fn escape(json: &str) -> String {
        let mut is_string = false;
        let mut is_escaped = false;
        let mut out = String::new();
        for c in json.chars() {
            let was_escaped = std::mem::take(&mut is_escaped);
            match c {
                '"' if !was_escaped => is_string = !is_string,
                '\\' if !was_escaped => is_escaped = true,
                _ => {}
            }
            if is_string && !was_escaped && c.is_ascii_alphabetic() {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                out.push(c);
            }
        }
        out
    }
    if serde_json::from_str::<Value>(&case.body).is_ok() {
        case.body = escape(&case.body);
    }
    let line = |line: &str| match line.strip_prefix("data: {") {
        Some(data) => format!("data: {{{}\n", escape(data)),
        None => format!("{line}\n"),
    };
    case.stream = case.stream.lines().map(line).collect();
}

fn crlf(case: &mut Recorded) {
    case.stream = case.stream.replace('\n', "\r\n");
}

fn bare_cr(case: &mut Recorded) {
    case.stream = case.stream.replace('\n', "\r");
}

fn byte_order_mark(case: &mut Recorded) {
    for text in [&mut case.body, &mut case.stream] {
        if !text.is_empty() {
            text.insert(0, '\u{feff}');
        }
    }
}

fn blank_lines(case: &mut Recorded) {
    for text in [&mut case.body, &mut case.stream] {
        if !text.is_empty() {
            *text = format!("\n\n  \n{text}\n\n");
        }
    }
}

fn shouting_tokens(case: &mut Recorded) {
    fn shout(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, member) in object {
                    match member {
                        Value::String(text)
                            if ["type", "code", "error_type"].contains(&key.as_str()) =>
                        {
                            *text = text.to_uppercase();
                        }
                        member => shout(member),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(shout),
            _ => {}
        }
    }
    if let Ok(mut body) = serde_json::from_str::<Value>(&case.body) {
        shout(&mut body);
        case.body = body.to_string();
    }
}

fn stringly_numbers(case: &mut Recorded) {
    fn quote(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, member) in object {
                    match member {
                        Value::Number(number) if key == "code" => {
                            *member = json!(number.to_string());
                        }
                        Value::String(text) if key == "code" => {
                            if let Ok(number) = text.parse::<u64>() {
                                *member = json!(number);
                            }
                        }
                        member => quote(member),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(quote),
            _ => {}
        }
    }
    if let Ok(mut body) = serde_json::from_str::<Value>(&case.body) {
        quote(&mut body);
        case.body = body.to_string();
    }
}
