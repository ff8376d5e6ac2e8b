//! What the bodies of some providers' and models' probes need beyond the dialect's own: data only.
//!
//! A model that thinks is told to think as little as it can: not for the cost, which the token
//! limit bounds, but for the time to the first token. What cannot be told, is left out, since most
//! providers answer 400 to a field or a value that a model does not know. Models that refuse a
//! limit of one token, or cut their own grammar with it, get sixteen. Any rule can be overridden in
//! the configuration.
//!
//! Facts from the providers' API references, the efforts of each model also from the price file of
//! LiteLLM 1.109.1, and from issues where one is named.

use super::{BodyRule, Dialect};

/// Every model.
const ALL: &[&str] = &["*"];

/// Models of OpenAI that reason; the later ones know `none` as the least effort.
const REASONING: &[&str] = &["gpt-5*", "gpt-6*", "gpt-7*", "gpt-8*", "gpt-9*", "o1*", "o3*", "o4*"];
/// The first of the GPT-5 models know `minimal` instead.
const MINIMAL_AT_LEAST: &[&str] = &["gpt-5", "gpt-5-*"];
/// These always think; their least is `low`.
const LOW_AT_LEAST: &[&str] =
    &["gpt-6-astra*", "gpt-6.1-sol*", "gpt-6-rosalind*", "o1*", "o3*", "o4*"];
/// Variants that only think hard, or not at all, take no effort.
const NO_EFFORT: &[&str] = &["*-pro*", "*-chat*", "*-search*", "*-cyber*", "*-deep-research*"];

const fn rule(dialect: Dialect, models: &'static [&'static str], patch: &'static str) -> BodyRule {
    BodyRule { dialect, models, patch }
}

/// A caveat of a provider's chat completions.
const fn chat(models: &'static [&'static str], patch: &'static str) -> BodyRule {
    rule(Dialect::OpenAiChat, models, patch)
}

const fn responses(models: &'static [&'static str], patch: &'static str) -> BodyRule {
    rule(Dialect::OpenAiResponses, models, patch)
}

const fn azure(models: &'static [&'static str], patch: &'static str) -> BodyRule {
    rule(Dialect::Azure, models, patch)
}

const fn gemini(models: &'static [&'static str], patch: &'static str) -> BodyRule {
    rule(Dialect::Gemini, models, patch)
}

/// Reasoning models refuse `max_tokens`, and answer 400 to a budget below 16; `default` keeps
/// probes off priority capacity.
pub(super) const OPENAI: &[BodyRule] = &[
    chat(ALL, r#"{"max_tokens": null, "max_completion_tokens": 16, "service_tier": "default"}"#),
    chat(REASONING, r#"{"reasoning_effort": "none"}"#),
    chat(MINIMAL_AT_LEAST, r#"{"reasoning_effort": "minimal"}"#),
    chat(LOW_AT_LEAST, r#"{"reasoning_effort": "low"}"#),
    chat(&["*-codex*"], r#"{"reasoning_effort": null}"#),
    chat(NO_EFFORT, r#"{"reasoning_effort": null}"#),
    responses(ALL, r#"{"service_tier": "default"}"#),
    responses(REASONING, r#"{"reasoning": {"effort": "none"}}"#),
    responses(MINIMAL_AT_LEAST, r#"{"reasoning": {"effort": "minimal"}}"#),
    responses(LOW_AT_LEAST, r#"{"reasoning": {"effort": "low"}}"#),
    responses(&["*-codex*"], r#"{"reasoning": {"effort": "low"}}"#),
    responses(NO_EFFORT, r#"{"reasoning": null}"#),
];

/// A deployment is known by the model it is listed as. Without a service tier: the dated API does
/// not know it, and priority capacity is a deployment of its own.
pub(super) const AZURE: &[BodyRule] = &[
    azure(REASONING, r#"{"max_tokens": null, "max_completion_tokens": 16}"#),
    azure(REASONING, r#"{"reasoning_effort": "none"}"#),
    azure(MINIMAL_AT_LEAST, r#"{"reasoning_effort": "minimal"}"#),
    azure(LOW_AT_LEAST, r#"{"reasoning_effort": "low"}"#),
    azure(&["*-codex*"], r#"{"reasoning_effort": null}"#),
    azure(NO_EFFORT, r#"{"reasoning_effort": null}"#),
    responses(REASONING, r#"{"reasoning": {"effort": "none"}}"#),
    responses(MINIMAL_AT_LEAST, r#"{"reasoning": {"effort": "minimal"}}"#),
    responses(LOW_AT_LEAST, r#"{"reasoning": {"effort": "low"}}"#),
    responses(&["*-codex*"], r#"{"reasoning": {"effort": "low"}}"#),
    responses(NO_EFFORT, r#"{"reasoning": null}"#),
];

/// Before Gemini 3 thinking has a budget, of 0 where it can be switched off and 128 at least where
/// it cannot; since then a level, of which `low` is the least that every model knows.
pub(super) const GEMINI: &[BodyRule] = &[
    gemini(&["gemini-2.5*"], r#"{"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}"#),
    gemini(
        &["gemini-2.5-pro*"],
        r#"{"generationConfig": {"thinkingConfig": {"thinkingBudget": 128}}}"#,
    ),
    gemini(
        &["gemini-3*", "gemini-4*", "gemini-5*", "gemini-*-latest"],
        r#"{"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}"#,
    ),
    gemini(
        &["*-image*", "*-tts*", "*-audio*"],
        r#"{"generationConfig": {"thinkingConfig": null}}"#,
    ),
];

/// V4 thinks unless told not to.
pub(super) const DEEPSEEK: &[BodyRule] = &[chat(ALL, r#"{"thinking": {"type": "disabled"}}"#)];

/// The code and thinking models think always and answer 400 when told not to; K3 takes an effort in
/// place of `thinking` (platform.kimi.ai/docs/guide/use-reasoning-effort).
pub(super) const MOONSHOT: &[BodyRule] = &[
    chat(ALL, r#"{"thinking": {"type": "disabled"}}"#),
    chat(&["*-code*", "*thinking*"], r#"{"thinking": null}"#),
    chat(&["kimi-k3*"], r#"{"thinking": null, "reasoning_effort": "low", "max_tokens": 16}"#),
];

/// Grok 4 and later think, and which of them may be told not to differs.
pub(super) const XAI: &[BodyRule] = &[
    chat(&["grok-3-mini*", "grok-4*", "grok-5*", "grok-build*", "grok-code*"], SIXTEEN),
    chat(&["*non-reasoning*"], r#"{"max_tokens": 1}"#),
];

const SIXTEEN: &str = r#"{"max_tokens": 16}"#;

/// Of the open models, those of OpenAI cannot be told not to think, and servers fail to read an
/// answer of theirs that is cut within its first marks.
pub(super) const OPEN_MODELS: &[BodyRule] =
    &[chat(&["*gpt-oss*"], r#"{"max_tokens": 16, "reasoning_effort": "low"}"#)];

/// It sends usage unasked and refuses fields it does not know.
pub(super) const MISTRAL: &[BodyRule] =
    &[chat(ALL, r#"{"stream_options": null}"#), chat(&["magistral*"], SIXTEEN)];

/// Since 4.5 they think unless told not to (docs.z.ai/guides/capabilities/thinking-mode).
pub(super) const ZAI: &[BodyRule] = &[chat(
    &["glm-4.5*", "glm-4.6*", "glm-4.7*", "glm-5*", "glm-6*"],
    r#"{"thinking": {"type": "disabled"}}"#,
)];

/// Models that only think answer 400 when told not to ("restricted to True"; new-api#1519), and
/// those that never do need no telling (alibabacloud.com/help/en/model-studio/deep-thinking).
pub(super) const DASHSCOPE: &[BodyRule] = &[
    chat(&["qwen3*", "qwen-plus*", "qwen-flash*", "qwen-turbo*"], r#"{"enable_thinking": false}"#),
    chat(&["*thinking*", "*instruct*", "*-coder*"], r#"{"enable_thinking": null}"#),
];

/// Without the pin one would measure its failover, which is another series. Some vendors are not
/// called the same as upstreams, and a name that is none answers 404. An open model of a vendor
/// that serves nobody needs an upstream of one's own choice.
pub(super) const OPENROUTER: &[BodyRule] = &[
    chat(ALL, SIXTEEN),
    chat(&["*/*"], r#"{"provider": {"order": ["{vendor}"], "allow_fallbacks": false}}"#),
    chat(&["google/*"], r#"{"provider": {"order": ["google-ai-studio"]}}"#),
    chat(&["x-ai/*"], r#"{"provider": {"order": ["xai"]}}"#),
    chat(&["mistralai/*"], r#"{"provider": {"order": ["mistral"]}}"#),
    chat(&["qwen/*"], r#"{"provider": {"order": ["alibaba"]}}"#),
];
