//! Which word of an answer speaks for its verdict, for people who ask why.
//!
//! The rules do not carry their evidence along: nearly every attempt is only counted. This looks
//! again, at the same fields with the same tables, for a word that alone would have led there.

use crate::domain::outcome::Class;

use super::decide::{Case, contents, errors_in, family_of};
use super::family::Family;
use super::{Verdict, status, tokens};

/// Longest word shown, in bytes: those of the tables are shorter.
const WORD_BYTES_MAX: usize = 64;

/// The first word that means the verdict's class; `None` if no word alone does.
pub(super) fn word(case: &Case<'_>, verdict: Verdict) -> Option<String> {
    let [body, stream] = contents(case);
    let family = family_of(case, &stream, &body);
    [&body, &stream].into_iter().flat_map(|content| errors_in(content, case)).find_map(|error| {
        let error = error.with(&case.extra);
        let status = status::effective(case.status, error.code);
        let means = |word: &str| class(family, word, status).is_some_and(|it| fits(it, verdict));
        let mut words = error.tokens.iter().filter(|word| is_plain(word));
        words.find(|word| means(word)).map(ToString::to_string)
    })
}

fn class(family: Family, word: &str, status: Option<u16>) -> Option<Class> {
    tokens::provider_class(family, word)
        .or_else(|| tokens::specific_class(word, status))
        .or_else(|| tokens::generic_class(word, status))
}

/// Whether a word of this class led to the verdict: the wording beside it may have refined it.
fn fits(class: Class, verdict: Verdict) -> bool {
    class == verdict.class
        || matches!(
            (class, verdict.class),
            (Class::RateLimited, Class::QuotaExhausted) | (Class::QuotaExhausted, Class::Billing)
        )
}

/// Whether it is a name and no text: anything else is not ours to show.
fn is_plain(word: &str) -> bool {
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    word.len() <= WORD_BYTES_MAX && word.bytes().all(of_a_name)
}

#[cfg(test)]
mod tests {
    use super::super::{Reply, classify, telling_word};

    #[test]
    fn the_word_that_decided_is_found_again() {
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
        let event = format!("event: error\ndata: {overloaded}\n\n");
        let long = format!(r#"{{"error":{{"type":"{}"}}}}"#, "x".repeat(200));
        for (status, body, stream, expected) in [
            (529, overloaded, "", Some("overloaded_error")),
            (200, "", &*event, Some("overloaded_error")),
            (401, r#"{"error":{"type":"authentication_error"}}"#, "", Some("authentication_error")),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, "", Some("insufficient_quota")),
            (503, "down", "", None),
            (500, r#"{"error":{"type":"the answer is secret"}}"#, "", None),
            (500, &*long, "", None),
            (200, r#"{"type":"message"}"#, "", None),
        ] {
            let reply = Reply {
                provider: "anthropic",
                status: Some(status),
                body: body.as_bytes(),
                stream: stream.as_bytes(),
                ..Reply::default()
            };
            let found = telling_word(&reply, classify(&reply));
            assert_eq!(found.as_deref(), expected, "{status} {body} {stream}");
        }
    }
}
