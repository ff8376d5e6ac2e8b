//! What a probe's request needs that differs by provider or model: how the key is sent, and the
//! caveats of bodies, as data.

use serde_json::{Map, Value};

use super::{Dialect, provider};
use crate::domain::model_name;
use crate::domain::target::Target;

/// How the key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`, Anthropic's way.
    XApiKey,
    /// `api-key: KEY`, Azure's way.
    ApiKey,
    /// `x-goog-api-key: KEY`, Google's way.
    XGoogApiKey,
    /// AWS Signature Version 4, from the usual AWS environment; there is no key then.
    SigV4,
}

impl Auth {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Bearer, Self::XApiKey, Self::ApiKey, Self::XGoogApiKey, Self::SigV4];

    /// The name used in the configuration: the header's, where there is one of its own.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::XApiKey => "x-api-key",
            Self::ApiKey => "api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::SigV4 => "sigv4",
        }
    }
}

impl Dialect {
    /// How this dialect's own provider wants the key.
    pub const fn auth(self) -> Auth {
        match self {
            Self::Anthropic => Auth::XApiKey,
            Self::Gemini => Auth::XGoogApiKey,
            Self::Azure => Auth::ApiKey,
            Self::OpenAiChat | Self::OpenAiResponses | Self::VertexAnthropic | Self::Bedrock => {
                Auth::Bearer
            }
        }
    }
}

/// Where Amazon Bedrock answers in a region; China's are another partition.
pub fn bedrock_url(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://bedrock-runtime.{region}.amazonaws.com{china}")
}

/// What the bodies of some models' probes need: a caveat as data.
#[derive(Clone, Copy, Debug)]
pub struct BodyRule {
    /// In which dialect.
    pub dialect: Dialect,
    /// For models of which a name fits one of these, as for [`fits`].
    pub models: &'static [&'static str],
    /// A JSON merge patch (RFC 7396) of the body: a value replaces a field, `null` removes it.
    /// `{vendor}` stands for what is before the slash of the model's name.
    pub patch: &'static str,
}

/// Whether a name fits a pattern, in which each `*` stands for any characters or none.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place is as good as any: what follows may begin later, never earlier.
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}

/// The patches that the catalogue knows for a probe of this model, in the order to apply them.
///
/// A rule means the name that a model is counted under, or any other spelling of it. What is sent
/// may be none: the name of a deployment says nothing, and may look like another model's. Only a
/// pattern with a slash means what is sent, whatever it is.
pub fn body_patches(
    target: &Target,
    dialect: Dialect,
    wire_model: &str,
) -> Vec<Map<String, Value>> {
    let model = target.model.as_str();
    let is_spelling = model_name::canonical(wire_model) == model;
    let vendor = wire_model.split_once('/').map_or("", |(vendor, _)| vendor);
    // It goes into a JSON text; what is no plain name is nobody's name.
    let is_plain = vendor.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let rules = provider(target.provider.as_str()).map_or(&[][..], |known| known.body);
    let fits_one = |pattern: &str| {
        let means_wire = is_spelling || pattern.contains('/');
        fits(pattern, model) || (means_wire && fits(pattern, wire_model))
    };
    rules
        .iter()
        .filter(|rule| rule.dialect == dialect)
        .filter(|rule| rule.models.iter().any(|pattern| fits_one(pattern)))
        .filter(|rule| is_plain || !rule.patch.contains("{vendor}"))
        .filter_map(|rule| serde_json::from_str(&rule.patch.replace("{vendor}", vendor)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::PROVIDERS;
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5.5", false),
            ("gpt-5*", "gpt-5", true),
            ("gpt-5*", "gpt-5.5", true),
            ("*-pro*", "gpt-5-pro-2026-01-01", true),
            ("*-pro*", "gpt-5", false),
            ("*/*", "anthropic/claude", true),
            ("*/*", "claude", false),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_rule_is_a_patch_and_no_rule_is_idle() {
        for known in PROVIDERS {
            for rule in known.body {
                let patch = rule.patch.replace("{vendor}", "x");
                let value: Value = serde_json::from_str(&patch).unwrap();
                assert!(value.is_object(), "{} {patch}", known.name);
                assert!(!rule.models.is_empty(), "{} {patch}", known.name);
            }
        }
    }

    #[test]
    fn caveats_are_found_by_provider_dialect_and_model() {
        use Dialect::{Azure, Gemini, OpenAiChat, OpenAiResponses};
        for (target, dialect, wire_model, expected) in [
            ("openai/gpt-5-nano", OpenAiChat, "gpt-5-nano", r#""reasoning_effort":"minimal""#),
            ("openai/gpt-5.5", OpenAiChat, "gpt-5.5-2026-04-23", r#""reasoning_effort":"none""#),
            ("openai/gpt-5.5-pro", OpenAiChat, "gpt-5.5-pro", r#""reasoning_effort":null"#),
            ("openai/o3", OpenAiChat, "o3", r#""reasoning_effort":"low""#),
            ("openai/gpt-4o", OpenAiChat, "gpt-4o", r#""service_tier":"default""#),
            ("openai/gpt-5.5", OpenAiResponses, "gpt-5.5", r#""reasoning":{"effort":"none"}"#),
            ("azure/gpt-5.5", Azure, "prod-chat", r#"{"reasoning_effort":"none"}]"#),
            ("gemini/gemini-2.5-pro", Gemini, "gemini-2.5-pro", r#""thinkingBudget":128"#),
            ("gemini/gemini-flash", Gemini, "gemini-flash-latest", r#""thinkingLevel":"low""#),
            ("openrouter/glm-5", OpenAiChat, "z-ai/glm-5", r#""order":["z-ai"]"#),
            ("moonshot/kimi-k3", OpenAiChat, "kimi-k3", r#""thinking":null"#),
            ("dashscope/qwq-plus", OpenAiChat, "qwq-plus", "[]"),
            ("azure/gpt-4o", Azure, "gpt-4o", "[]"),
        ] {
            let target = Target::parse(target).unwrap();
            let patches = body_patches(&target, dialect, wire_model);
            let text = serde_json::to_string(&patches).unwrap();
            assert!(text.contains(expected), "{target} {wire_model}: {text}");
        }
        let count = |target: &str, dialect, wire_model: &str| {
            body_patches(&Target::parse(target).unwrap(), dialect, wire_model).len()
        };
        assert_eq!(count("openrouter/c", OpenAiChat, "a\"b/c"), 1);
        assert_eq!(count("openrouter/c", OpenAiResponses, "a/c"), 0);
        assert_eq!(count("nobody/m", OpenAiChat, "m"), 0);
    }
}
