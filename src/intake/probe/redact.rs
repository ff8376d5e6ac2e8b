//! The provider's own words about a misconfigured probe, made safe to show.
//!
//! A wrong key is best explained by the provider ("your key has expired"), but providers quote
//! the key, whole or in part, in that very explanation. Everything that looks like one is masked;
//! what remains is short, printable and on one line.

use serde_json::Value;

use super::sse::Decoder;

/// Longest message shown, in characters: one line of a terminal or a table cell.
pub(super) const MESSAGE_CHARS_MAX: usize = 200;

/// Shortest piece of a key that is masked wherever it appears.
const KEY_PIECE_BYTES: usize = 6;

/// From this length on, a word of mixed letters and digits is taken for a key.
const TOKEN_CHARS_MIN: usize = 20;

/// What replaces a masked word.
pub(super) const MASK: &str = "[redacted]";

/// The human message inside an error document, looked for where providers put it.
pub(super) fn provider_message(document: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(document).ok()?;
    // Gemini wraps its error object into an array of one.
    let value = if value.is_array() { &value[0] } else { &value };
    [
        &value["error"]["message"],
        &value["error"],
        &value["message"],
        &value["response"]["error"]["message"],
        &value["detail"],
    ]
    .into_iter()
    .find_map(Value::as_str)
    .map(str::to_owned)
}

/// The same for the last event of a raw stream that carries a message.
pub(super) fn stream_message(stream: &[u8]) -> Option<String> {
    let mut last = None;
    let mut decoder = Decoder::default();
    let mut on_event =
        |_: &str, data: &str| last = provider_message(data.as_bytes()).or(last.take());
    decoder.feed(stream, &mut on_event);
    decoder.finish(&mut on_event);
    // The payload of a binary frame stands on a line of its own.
    let frames = || stream.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    last.or_else(|| frames().filter_map(provider_message).next_back())
}

/// Masks what looks like a key and bounds the rest. Words that name `model` are kept: which model
/// was not found is the point of such a message.
pub(super) fn redact(message: &str, key: Option<&str>, model: &str) -> String {
    let mut safe = String::new();
    for word in message.split_whitespace() {
        // Before looking for the key, or a control character inside it would hide it.
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if !safe.is_empty() {
            safe.push(' ');
        }
        if is_secret(&word, key, model) {
            safe.push_str(MASK);
        } else {
            safe.push_str(&word);
        }
        if safe.chars().count() > MESSAGE_CHARS_MAX {
            break;
        }
    }
    safe.chars().take(MESSAGE_CHARS_MAX).collect()
}

fn is_secret(word: &str, key: Option<&str>, model: &str) -> bool {
    if key.is_some_and(|key| shares_a_piece(word, key)) {
        return true;
    }
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '*');
    let lower = bare.to_ascii_lowercase();
    if lower.starts_with("sk-") || lower.contains("***") || lower.starts_with("bearer") {
        return true;
    }
    let of_a_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    !(model.len() > 2 && bare.contains(model))
        && bare.chars().count() >= TOKEN_CHARS_MIN
        && bare.chars().all(of_a_token)
        && bare.contains(|c: char| c.is_ascii_digit())
        && bare.contains(|c: char| c.is_ascii_alphabetic())
}

/// Whether the word holds the key or a telling piece of it.
pub(super) fn shares_a_piece(word: &str, key: &str) -> bool {
    let key = key.as_bytes();
    if key.len() < KEY_PIECE_BYTES {
        return !key.is_empty() && word.as_bytes().windows(key.len()).any(|piece| piece == key);
    }
    word.as_bytes()
        .windows(KEY_PIECE_BYTES)
        .any(|piece| key.windows(KEY_PIECE_BYTES).any(|of_key| of_key == piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked_and_model_names_kept() {
        let key = Some("sk-ant-api03-SECRETPART");
        for (message, expected) in [
            ("invalid x-api-key", "invalid x-api-key"),
            (
                "Incorrect API key provided: sk-ab12*****xyz.",
                "Incorrect API key provided: [redacted]",
            ),
            ("key 'sk-ant-api03-SECRETPART' expired", "key [redacted] expired"),
            ("key s\u{7}k\u{7}-ant-\u{7}api03-SEC\u{7}RET expired", "key [redacted] expired"),
            ("key ...CRETPART expired", "key [redacted] expired"),
            ("token a8f3c0d9e1b2a8f3c0d9e1b2 unknown", "token [redacted] unknown"),
            (
                "model: claude-opus-4-7-20260424 not found",
                "model: claude-opus-4-7-20260424 not found",
            ),
            ("two\n\tlines\u{7}", "two lines"),
            ("", ""),
        ] {
            assert_eq!(redact(message, key, "claude-opus-4-7-20260424"), expected);
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let long = "word ".repeat(1_000);
        assert_eq!(redact(&long, None, "m").chars().count(), MESSAGE_CHARS_MAX);
        let one_word = "é".repeat(5_000);
        assert_eq!(redact(&one_word, None, "m").chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn the_message_is_found_where_providers_put_it() {
        for (document, expected) in [
            (r#"{"type":"error","error":{"type":"x","message":"a"}}"#, Some("a")),
            (r#"{"error":"b"}"#, Some("b")),
            (r#"{"message":"c"}"#, Some("c")),
            (r#"[{"error":{"message":"d"}}]"#, Some("d")),
            (r#"{"detail":"e"}"#, Some("e")),
            ("[]", None),
            ("<html>", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(provider_message(document.as_bytes()).as_deref(), expected, "{document}");
        }
    }
}
