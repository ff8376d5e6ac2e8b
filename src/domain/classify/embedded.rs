//! JSON where it is not supposed to be: cut short, quoted in a sentence, or printed by Python.
//!
//! SDK exceptions and gateways wrap a provider's error in text, for example
//! `litellm.InternalServerError: AnthropicException - {"type": "error", …}` or
//! `Error code: 529 - {'type': 'error', …}`. What is found here is only a value; whether it is
//! an error is for `evidence` to say.

use serde_json::Value;

/// Most text searched for an embedded object, in bytes: errors begin early.
const SEARCHED_BYTES_MAX: usize = 16 * 1024;
/// Most opening braces tried in one text.
const STARTS_MAX: usize = 8;
/// Deepest nesting that a cut text is closed at.
const OPEN_MAX: usize = 128;

/// The JSON value of a text, mended if it was cut short.
pub(super) fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| mend(text))
}

/// The first value at the head of a text and the number of bytes it took.
pub(super) fn parse_head(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

/// The first object quoted in a text that `accept` takes.
pub(super) fn find(text: &str, accept: impl Fn(&Value) -> bool) -> Option<Value> {
    let text = super::message::cut(text, SEARCHED_BYTES_MAX);
    let starts = text.match_indices('{').map(|(start, _)| start).take(STARTS_MAX);
    for start in starts {
        let rest = &text[start..];
        let value = parse_head(rest)
            .map(|(value, _)| value)
            .or_else(|| serde_json::from_str(&python_as_json(rest)?).ok())
            .or_else(|| parse_unescaped(rest))
            .or_else(|| mend(rest))
            .filter(|value| value.is_object() && accept(value));
        if value.is_some() {
            return value;
        }
    }
    None
}

/// `{\"error\": …}`: an object whose quotes were escaped once too often.
fn parse_unescaped(text: &str) -> Option<Value> {
    if !text.starts_with("{\\\"") {
        return None;
    }
    parse_head(&text.replace("\\\"", "\"")).map(|(value, _)| value)
}

/// Closes a JSON text that was cut short, or gives up.
///
/// First as it stands, with the open string ended; if that leaves half a key or literal, back to
/// the last complete value.
fn mend(text: &str) -> Option<Value> {
    let text = text.trim_start();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let cut = scan(text)?;
    let mut whole = String::with_capacity(text.len() + cut.open.len() + 1);
    whole.push_str(text.trim_end_matches('\\'));
    if cut.is_in_string {
        whole.push('"');
    }
    close(&mut whole, &cut.open);
    if let Ok(value) = serde_json::from_str(&whole) {
        return Some(value);
    }
    let text = &text[..cut.complete?];
    let mut whole = text.to_owned();
    close(&mut whole, &scan(text)?.open);
    serde_json::from_str(&whole).ok()
}

/// Where a JSON text stands at its end.
struct Cut {
    is_in_string: bool,
    open: Vec<u8>,
    /// The end of the last complete member or element.
    complete: Option<usize>,
}

/// Walks a text; `None` if its brackets do not match or it closed before its end.
fn scan(text: &str) -> Option<Cut> {
    let mut cut = Cut { is_in_string: false, open: Vec::new(), complete: None };
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if cut.is_in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => cut.is_in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => cut.is_in_string = true,
            b'{' | b'[' => {
                cut.open.push(if byte == b'{' { b'}' } else { b']' });
                if cut.open.len() > OPEN_MAX {
                    return None;
                }
            }
            b'}' | b']' => {
                if cut.open.pop() != Some(byte) || cut.open.is_empty() {
                    return None;
                }
                cut.complete = Some(at + 1);
            }
            b',' => cut.complete = Some(at),
            _ => {}
        }
    }
    Some(cut)
}

fn close(text: &mut String, open: &[u8]) {
    text.extend(open.iter().rev().map(|byte| char::from(*byte)));
}

/// A Python literal at the head of a text as JSON: `{'a': None, "b": b'x'}`.
fn python_as_json(text: &str) -> Option<String> {
    let mut json = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_alphabetic() {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            json.push_str(match &rest[..end] {
                "None" => "null",
                "True" => "true",
                "False" => "false",
                // Prefixes of byte and raw strings.
                "b" | "r" | "u" => "",
                _ => return None,
            });
            rest = &rest[end..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' | '"' => rest = python_string(rest, c, &mut json)?,
            '(' => json.push('['),
            ')' => json.push(']'),
            '{' | '[' => {
                depth += 1;
                json.push(c);
            }
            '}' | ']' => {
                json.push(c);
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(json);
                }
            }
            _ => json.push(c),
        }
    }
    None
}

/// Copies a Python string up to its closing quote; gives what follows.
fn python_string<'a>(text: &'a str, quote: char, json: &mut String) -> Option<&'a str> {
    json.push('"');
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                json.push('"');
                return Some(&text[at + c.len_utf8()..]);
            }
            '"' => json.push_str("\\\""),
            '\\' => match chars.next()?.1 {
                '\'' => json.push('\''),
                // Two hexadecimal digits follow, which JSON writes as four.
                'x' => json.push_str("\\u00"),
                escaped @ ('"' | '\\' | '/' | 'n' | 'r' | 't' | 'b' | 'f' | 'u') => {
                    json.push('\\');
                    json.push(escaped);
                }
                other => json.push(other),
            },
            c if c.is_control() => json.push(' '),
            c => json.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_cut_anywhere_keeps_its_complete_members() {
        let whole =
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Over \"x\""}}"#;
        for end in whole.find("message").unwrap()..whole.len() {
            let value = parse(&whole[..end]).unwrap();
            assert_eq!(value["error"]["type"], "overloaded_error", "cut at {end}");
        }
        assert_eq!(parse("{\"a\":1,\"b\":\"x\\"), Some(json!({"a": 1, "b": "x"})));
        assert_eq!(parse("not json"), None);
        assert_eq!(parse("}{"), None);
    }

    #[test]
    fn objects_are_found_in_prose_and_in_python() {
        for (text, message) in [
            (r#"litellm.X: Y - {"m": "a"}. Handle it."#, "a"),
            (r#"Y - b'{"m": "a"}'"#, "a"),
            (r#"Error code: 529 - {'m': "it's", 'n': None, 'o': [True, (1, 2)]}"#, "it's"),
            (r"Error - {'m': 'say \'hi\' \xe9'}", "say 'hi' é"),
            (r#"Error - {\"m\": \"a\"}"#, "a"),
            (r#"{set} then {"m": "a"}"#, "a"),
            (r#"cut: {"m": "a", "rest": "of i"#, "a"),
        ] {
            let value = find(text, |value| value.get("m").is_some()).unwrap();
            assert_eq!(value["m"], message, "{text}");
        }
        assert_eq!(find("{'a': os.system}", |_| true), None);
    }
}
