//! One model, one name.
//!
//! The same model is called `us.anthropic.claude-opus-4-7-v1:0` on Bedrock,
//! `claude-opus-4-7@20260401` on Vertex and `anthropic/claude-opus-4.7:free` on a router. All of
//! these become `claude-opus-4-7`, so that one model is one series per provider. Dates, regions,
//! versions of the packaging and routing wishes go; sizes, previews and four-digit versions stay,
//! because they name different models often enough. Deployment names and fine-tunes say nothing
//! about their model: mapping them is the configuration's `aliases`. Which provider serves is
//! never decided here.

use super::target::{Model, NameError};

/// Names longer than this, in bytes, are only lower-cased: no label is that long.
const NORMALISED_BYTES_MAX: usize = 512;

/// Vendors that prefix a model's id with their name and a dot on Bedrock.
const VENDORS: &[&str] = &[
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelvelabs",
    "writer",
    "xai",
    "zai",
];
/// Geographies that prefix an inference profile's id on Bedrock.
const GEOGRAPHIES: &[&str] = &["us", "eu", "apac", "jp", "au", "ca", "global", "us-gov"];
/// Wishes to a router, after a colon. Other words there are tags that name a model (`llama3:70b`).
const ROUTING: &[&str] = &[
    "free", "nitro", "floor", "online", "thinking", "extended", "exacto", "beta", "standard",
    "flex", "priority", "fast", "latest", "default",
];

/// Longest raw name looked at, in bytes: an ARN fits several times.
const RAW_BYTES_MAX: usize = 1024;

/// The canonical name of a model, checked to be a label.
///
/// # Errors
/// [`NameError`] when the name cannot be a label.
pub fn model(raw: &str) -> Result<Model, NameError> {
    if raw.len() > RAW_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    Model::new(&canonical(raw))
}

/// The canonical name of a model, in lower case and without white space around it.
///
/// Idempotent: the name of a name is the name. A name made of nothing but decoration stays as it
/// is. Whether the result can be a label is checked by `Model::new`.
pub fn canonical(raw: &str) -> String {
    let mut name = raw.trim().to_lowercase();
    if name.len() > NORMALISED_BYTES_MAX {
        return name;
    }
    // Every step shortens the name or leaves a form that no step touches again; the bound is
    // only there to be seen.
    for _ in 0..=2 * NORMALISED_BYTES_MAX {
        let next = step(&name);
        if next == name || next.is_empty() {
            break;
        }
        name = next;
    }
    name
}

/// One round of all the rules.
fn step(name: &str) -> String {
    let name = name.trim();
    if name.starts_with("ft:") {
        return name.to_owned();
    }
    let name = last_segment(name);
    let name = until(name, '@');
    let name = name.strip_suffix(']').and_then(|it| it.rsplit_once('[')).map_or(name, |it| it.0);
    let name = without_vendor(name);
    let name = without_routing(&name);
    let name = without_date(name);
    let name =
        ["-latest", "-default"].iter().fold(name, |it, end| it.strip_suffix(end).unwrap_or(it));
    let name = without_gemini_revision(name);
    claude(name.trim())
}

/// After the last slash; of an ARN without one, after the last colon but its version.
fn last_segment(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.rsplit('/').next().unwrap_or(name)
}

/// Before the last `mark`, unless nothing would be left.
fn until(name: &str, mark: char) -> &str {
    name.split_once(mark).map(|(head, _)| head).filter(|head| !head.is_empty()).unwrap_or(name)
}

/// Without Bedrock's geography, vendor and packaging version.
fn without_vendor(name: &str) -> String {
    let dotted = |name: &str, known: &[&str]| {
        let (head, rest) = name.split_once('.')?;
        (known.contains(&head) && !rest.is_empty()).then(|| (head.to_owned(), rest.to_owned()))
    };
    let name = dotted(name, GEOGRAPHIES).map_or_else(|| name.to_owned(), |(_, rest)| rest);
    let Some((vendor, id)) = dotted(&name, VENDORS) else {
        // Elsewhere `-v3` is part of a name; only with `:0` behind it is it packaging.
        return strip_version(&name, true).unwrap_or(&name).to_owned();
    };
    // `deepseek.r1-v1:0` is nobody's `r1` without its vendor.
    let id = if vendor == "deepseek" && !id.starts_with("deepseek") {
        format!("{vendor}-{id}")
    } else {
        id
    };
    let bare = strip_version(&id, false).unwrap_or(&id);
    // `gpt-oss-120b-1:0`: OpenAI's ids carry the version without a `v`.
    match bare.rsplit_once(':') {
        Some((head, tail)) if is_number(tail) => {
            let unversioned = head.strip_suffix("-1").filter(|_| vendor == "openai");
            unversioned.unwrap_or(head).to_owned()
        }
        Some(_) | None => bare.to_owned(),
    }
}

/// Without `-vN`, `-vN:M` and what follows it; `only_with_colon` asks for the second form.
fn strip_version(name: &str, only_with_colon: bool) -> Option<&str> {
    let (id, revision) = match name.split_once(':') {
        Some((id, rest)) => (id, Some(rest)),
        None => (name, None),
    };
    let is_revision = revision.is_some_and(|rest| is_number(until(rest, ':')));
    if revision.is_some() != is_revision || (only_with_colon && !is_revision) {
        return None;
    }
    let (head, version) = id.rsplit_once("-v")?;
    // `claude-v2` would be left as the bare family.
    (is_number(version) && head.contains('-')).then_some(head)
}

/// Without `:free` and the like.
fn without_routing(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((head, wish)) if !head.is_empty() && ROUTING.contains(&wish) => head,
        Some(_) | None => name,
    }
}

/// Without `-YYYY-MM-DD` or `-YYYYMMDD` at the end.
fn without_date(name: &str) -> &str {
    let bytes = name.as_bytes();
    let is_date = |digits: &[u8]| {
        let is_number = digits.iter().all(u8::is_ascii_digit);
        let part = |range: std::ops::Range<usize>| {
            digits[range].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
        };
        is_number
            && (2000..=2099).contains(&part(0..4))
            && (1..=12).contains(&part(4..6))
            && (1..=31).contains(&part(6..8))
    };
    if let Some(at) = bytes.len().checked_sub(9).filter(|at| *at > 0)
        && bytes[at] == b'-'
        && is_date(&bytes[at + 1..])
    {
        return &name[..at];
    }
    if let Some(at) = bytes.len().checked_sub(11).filter(|at| *at > 0)
        && [at, at + 5, at + 8].iter().all(|dash| bytes[*dash] == b'-')
        && is_date(&[&bytes[at + 1..at + 5], &bytes[at + 6..at + 8], &bytes[at + 9..]].concat())
    {
        return &name[..at];
    }
    name
}

/// Without Gemini's `-001`.
fn without_gemini_revision(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((head, tail))
            if name.starts_with("gemini-")
                && head.len() > "gemini-".len()
                && tail.len() == 3
                && tail.starts_with("00")
                && is_number(tail) =>
        {
            head
        }
        Some(_) | None => name,
    }
}

/// Claude's numbers with dashes, and before or after the family as Anthropic writes them: after
/// it from the fourth generation on (`claude-opus-4-7`), before it until then
/// (`claude-3-5-sonnet`).
fn claude(name: &str) -> String {
    if !name.starts_with("claude-") {
        return name.to_owned();
    }
    let bytes = name.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let dashed: String = name
        .char_indices()
        .map(|(at, c)| if c == '.' && is_digit(at - 1) && is_digit(at + 1) { '-' } else { c })
        .collect();
    let parts: Vec<_> = dashed.split('-').skip(1).collect();
    let is_version = |part: &&&str| part.len() <= 2 && is_number(part);
    let is_family =
        |part: Option<&&str>| part.is_some_and(|part| ["opus", "sonnet", "haiku"].contains(part));
    let leading = parts.iter().take_while(is_version).count();
    let is_late = |number: &str| number.parse::<u32>().is_ok_and(|number| number >= 4);
    let joined = |parts: &[&[&str]]| format!("claude-{}", parts.concat().join("-"));
    if (1..=2).contains(&leading) && is_family(parts.get(leading)) && is_late(parts[0]) {
        let (version, rest) = parts.split_at(leading);
        return joined(&[&rest[..1], version, &rest[1..]]);
    }
    if is_family(parts.first()) {
        let trailing = parts[1..].iter().take_while(is_version).count();
        if (1..=2).contains(&trailing) && !is_late(parts[1]) {
            let (version, rest) = parts[1..].split_at(trailing);
            return joined(&[version, &parts[..1], rest]);
        }
    }
    dashed
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_model_has_one_name() {
        for (name, spellings) in [
            (
                "claude-opus-4-7",
                &[
                    "claude-opus-4-7",
                    " Claude-Opus-4.7 ",
                    "anthropic/claude-opus-4.7",
                    "anthropic/claude-opus-4.7:free",
                    "openrouter/anthropic/claude-4.7-opus:thinking",
                    "claude-opus-4-7-20260416",
                    "claude-opus-4-7-latest",
                    "claude-opus-4-7@20260416",
                    "claude-opus-4-7@default",
                    "claude-opus-4-7[1m]",
                    "anthropic.claude-opus-4-7-v1:0",
                    "us.anthropic.claude-opus-4-7-20260416-v1:0",
                    "us-gov.anthropic.claude-opus-4-7-v1",
                    "global.anthropic.claude-opus-4-7",
                    "bedrock/us-east-1/eu.anthropic.claude-opus-4-7-v1:0:200k",
                    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/\
                     us.anthropic.claude-opus-4-7-20260416-v1:0",
                    "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-opus-4-7-v1:0",
                    "projects/p/locations/global/publishers/anthropic/models/claude-opus-4-7",
                    "publishers/anthropic/models/claude-opus-4-7@20260416",
                ][..],
            ),
            ("claude-opus-4", &["claude-4-opus-20250514", "anthropic/claude-opus-4"]),
            (
                "claude-3-5-sonnet",
                &[
                    "claude-3.5-sonnet:beta",
                    "anthropic.claude-3-5-sonnet-20241022-v2:0",
                    "claude-sonnet-3.5",
                ],
            ),
            ("claude-v2", &["anthropic.claude-v2", "anthropic.claude-v2:1"]),
            ("claude-instant", &["anthropic.claude-instant-v1"]),
            ("gpt-4o", &["gpt-4o-2024-08-06", "azure/gpt-4o-2024-11-20", "GPT-4o"]),
            ("gpt-4-0613", &["gpt-4-0613"]),
            ("gpt-5.5", &["openai/gpt-5.5", "gpt-5.5-2026-03-01"]),
            ("gpt-oss-120b", &["openai.gpt-oss-120b-1:0", "openai/gpt-oss-120b:exacto"]),
            (
                "gemini-2.5-flash-lite",
                &["models/gemini-2.5-flash-lite-001", "google/gemini-2.5-flash-lite"],
            ),
            (
                "deepseek-v3",
                &["deepseek-v3", "deepseek.v3-v1:0", "accounts/fireworks/models/deepseek-v3"],
            ),
            ("deepseek-r1", &["us.deepseek.r1-v1:0"]),
            ("deepseek-v4-pro-0813", &["deepseek/deepseek-v4-pro-0813"]),
            ("mistral-large-2512", &["mistral-large-2512", "mistral.mistral-large-2512-v1:0"]),
            ("nova-pro", &["amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"]),
            ("llama3-1-70b-instruct", &["meta.llama3-1-70b-instruct-v1:0"]),
            ("llama3:70b", &["llama3:70b"]),
            ("llama3", &["llama3:latest"]),
            ("llama-3-8b-instruct", &["@cf/meta/llama-3-8b-instruct"]),
            ("qwen3-32b", &["Qwen/Qwen3-32B"]),
            ("kimi-k2.6", &["moonshotai/kimi-k2.6"]),
            ("ft:gpt-4o-2024-08-06:org::id", &["ft:gpt-4o-2024-08-06:org::id"]),
            ("", &["", "  "]),
            ("@", &["@"]),
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling), name, "{spelling:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_name_of_a_name_is_the_name(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        "us.", "eu.", "anthropic.", "deepseek.", "openai.", "claude-", "4-", "3.5-",
                        "opus", "sonnet-", "-v1", ":0", "-v3", "-latest", "-default", "-20260401",
                        "-2026-04-01", "@", "/", ":free", ":200k", "[1m]", "gemini-", "-001", " ",
                        "ft:", "-1:0", "r1", "\u{212a}", "İ",
                    ]).prop_map(str::to_owned),
                    "\\PC{0,4}",
                ],
                0..12,
            )
        ) {
            let name = canonical(&parts.concat());
            prop_assert_eq!(canonical(&name), name);
        }

        #[test]
        fn a_name_with_a_word_in_it_has_no_slash_at_either_end(
            path in "/{0,2}([a-z]{1,4}/{1,2}){0,3}",
            word in "[a-z][a-z0-9.-]{0,6}[a-z0-9]",
            decoration in "(:free|@default|\\[1m\\]|-v1:0|-latest|)/{0,2}",
        ) {
            let raw = format!("{path}{word}{decoration}");
            let name = canonical(&raw);
            prop_assert!(!name.starts_with('/') && !name.ends_with('/'), "{} of {}", name, raw);
            prop_assert!(model(&raw).is_ok());
        }
    }
}
