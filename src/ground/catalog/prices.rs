//! What models cost, in US dollars for a million tokens: data only.
//!
//! From the price file of LiteLLM 1.109.1 (`model_prices_and_context_window_backup.json`, MIT). Of
//! all models the ones that people use now are listed; any other can be priced in the
//! configuration. The clouds' prices are those of their global endpoints: a region or a data zone
//! costs a tenth to a fifth more. Providers that also bill the request are left out.

use super::Price;

/// Prices of models, by the name the provider gives them or the canonical one.
pub type Prices = &'static [(&'static str, Price)];

const fn usd(input: f64, output: f64) -> Price {
    Price { input_usd_per_mtok: input, output_usd_per_mtok: output }
}

/// Anthropic's models, the same at Anthropic and in the clouds.
pub(super) const CLAUDE: Prices = &[
    ("claude-fable-5-1", usd(10.0, 50.0)),
    ("claude-fable-5", usd(10.0, 50.0)),
    ("claude-opus-5-5", usd(4.0, 20.0)),
    ("claude-opus-5", usd(5.0, 25.0)),
    ("claude-opus-4-8", usd(5.0, 25.0)),
    ("claude-opus-4-7", usd(5.0, 25.0)),
    ("claude-opus-4-6", usd(5.0, 25.0)),
    ("claude-opus-4-5", usd(5.0, 25.0)),
    ("claude-sonnet-5-5", usd(2.0, 10.0)),
    ("claude-sonnet-5", usd(2.0, 10.0)),
    ("claude-sonnet-4-6", usd(3.0, 15.0)),
    ("claude-sonnet-4-5", usd(3.0, 15.0)),
    ("claude-haiku-5-5", usd(0.1, 0.5)),
    ("claude-haiku-4-5", usd(1.0, 5.0)),
];

/// OpenAI's models, the same at OpenAI and on Azure.
pub(super) const GPT: Prices = &[
    ("gpt-6.1-sol", usd(2.0, 10.0)),
    ("gpt-6.1-terra", usd(1.0, 5.0)),
    ("gpt-6-astra", usd(10.0, 50.0)),
    ("gpt-6-sol", usd(2.0, 10.0)),
    ("gpt-6-luna", usd(0.1, 0.5)),
    ("gpt-5.6", usd(4.0, 20.0)),
    ("gpt-5.6-sol", usd(4.0, 20.0)),
    ("gpt-5.6-terra", usd(2.0, 12.0)),
    ("gpt-5.6-luna", usd(0.2, 1.2)),
    ("gpt-5.5", usd(5.0, 30.0)),
    ("gpt-5.5-pro", usd(30.0, 180.0)),
    ("gpt-5.4", usd(2.5, 15.0)),
    ("gpt-5.4-pro", usd(30.0, 180.0)),
    ("gpt-5.4-mini", usd(0.75, 4.5)),
    ("gpt-5.4-nano", usd(0.2, 1.25)),
    ("gpt-5.3-codex", usd(1.75, 14.0)),
    ("gpt-5.2", usd(1.75, 14.0)),
    ("gpt-5.2-pro", usd(21.0, 168.0)),
    ("gpt-5.1", usd(1.25, 10.0)),
    ("gpt-5", usd(1.25, 10.0)),
    ("gpt-5-mini", usd(0.25, 2.0)),
    ("gpt-5-nano", usd(0.05, 0.4)),
    ("gpt-5-pro", usd(15.0, 120.0)),
    ("gpt-4.1", usd(2.0, 8.0)),
    ("gpt-4.1-mini", usd(0.4, 1.6)),
    ("gpt-4.1-nano", usd(0.1, 0.4)),
    ("gpt-4o", usd(2.5, 10.0)),
    ("o3", usd(2.0, 8.0)),
    ("o3-pro", usd(20.0, 80.0)),
    ("o3-mini", usd(1.1, 4.4)),
    ("o4-mini", usd(1.1, 4.4)),
];

/// Google's models.
pub(super) const GEMINI: Prices = &[
    ("gemini-3.8-flash", usd(0.75, 3.75)),
    ("gemini-3.7-flash", usd(0.75, 3.75)),
    ("gemini-3.6-flash", usd(0.75, 3.75)),
    ("gemini-3.5-flash", usd(1.5, 9.0)),
    ("gemini-3.5-flash-lite", usd(0.3, 2.5)),
    ("gemini-3.1-pro-preview", usd(2.0, 12.0)),
    ("gemini-3.1-flash-lite", usd(0.25, 1.5)),
    ("gemini-3-flash-preview", usd(0.5, 3.0)),
    ("gemini-2.5-pro", usd(1.25, 10.0)),
    ("gemini-2.5-flash", usd(0.3, 2.5)),
    ("gemini-2.5-flash-lite", usd(0.1, 0.4)),
    ("gemini-pro-latest", usd(2.0, 12.0)),
    ("gemini-flash-latest", usd(0.75, 3.75)),
    ("gemini-flash-lite-latest", usd(0.3, 2.5)),
];

/// Amazon's models.
pub(super) const NOVA: Prices = &[
    ("amazon.nova-2-lite-v1:0", usd(0.3, 2.5)),
    ("amazon.nova-premier-v1:0", usd(2.5, 12.5)),
    ("amazon.nova-pro-v1:0", usd(0.8, 3.2)),
    ("amazon.nova-lite-v1:0", usd(0.06, 0.24)),
    ("amazon.nova-micro-v1:0", usd(0.035, 0.14)),
];

/// DeepSeek's models at DeepSeek.
pub(super) const DEEPSEEK: Prices = &[
    ("deepseek-v4-pro", usd(1.32, 3.96)),
    ("deepseek-v4-flash", usd(0.3, 1.2)),
    ("deepseek-flash", usd(0.3, 1.2)),
];

/// Moonshot's models at Moonshot.
pub(super) const KIMI: Prices = &[
    ("kimi-k3.1-pro", usd(2.0, 10.0)),
    ("kimi-k3", usd(3.0, 15.0)),
    ("kimi-k2.7-code", usd(0.95, 4.0)),
    ("kimi-k2.6", usd(0.95, 4.0)),
];

/// xAI's models.
pub(super) const GROK: Prices = &[
    ("grok-4.7", usd(2.0, 6.0)),
    ("grok-4.6", usd(2.0, 6.0)),
    ("grok-4.5", usd(2.0, 6.0)),
    ("grok-4.3", usd(1.25, 2.5)),
    ("grok-4.20", usd(1.25, 2.5)),
    ("grok-4.20-reasoning", usd(1.25, 2.5)),
    ("grok-4.20-non-reasoning", usd(1.25, 2.5)),
    ("grok-build-0.1", usd(1.0, 2.0)),
    ("grok-code-fast-1", usd(1.0, 2.0)),
];

/// Groq, which hosts open models.
pub(super) const GROQ: Prices = &[
    ("openai/gpt-oss-120b", usd(0.15, 0.6)),
    ("openai/gpt-oss-20b", usd(0.075, 0.3)),
    ("qwen/qwen3.8-27b", usd(0.8, 4.0)),
];

/// Mistral's models.
pub(super) const MISTRAL: Prices = &[
    ("mistral-large-4", usd(1.36, 4.18)),
    ("mistral-large-latest", usd(0.5, 1.5)),
    ("mistral-medium-latest", usd(1.5, 7.5)),
    ("mistral-small-latest", usd(0.15, 0.6)),
    ("magistral-medium-latest", usd(1.5, 7.5)),
    ("magistral-small-latest", usd(0.15, 0.6)),
    ("codestral-latest", usd(0.3, 0.9)),
    ("devstral-latest", usd(0.4, 2.0)),
    ("devstral-small-latest", usd(0.1, 0.3)),
    ("ministral-14b-latest", usd(0.2, 0.2)),
    ("ministral-8b-latest", usd(0.15, 0.15)),
    ("ministral-3b-latest", usd(0.1, 0.1)),
];

/// Together AI, which hosts open models.
pub(super) const TOGETHER: Prices = &[
    ("openai/gpt-oss-120b", usd(0.15, 0.6)),
    ("moonshotai/Kimi-K3", usd(3.0, 15.0)),
    ("zai-org/GLM-5.3", usd(1.4, 4.4)),
    ("zai-org/GLM-5.3-Flash", usd(0.15, 0.5)),
    ("deepseek-ai/DeepSeek-V4-Pro-0813", usd(1.32, 3.96)),
    ("deepseek-ai/DeepSeek-V4.1-Flash", usd(0.3, 1.2)),
    ("Qwen/Qwen3.7-Max", usd(1.5, 4.5)),
    ("Qwen/Qwen3.7-Plus", usd(0.32, 1.28)),
    ("MiniMaxAI/MiniMax-M3.1-Flash", usd(0.15, 0.6)),
];

/// Fireworks AI, which hosts open models.
pub(super) const FIREWORKS: Prices = &[
    ("accounts/fireworks/models/gpt-oss-120b", usd(0.15, 0.6)),
    ("accounts/fireworks/models/gpt-oss-20b", usd(0.07, 0.3)),
    ("accounts/fireworks/models/kimi-k3", usd(3.0, 15.0)),
    ("accounts/fireworks/models/glm-5p3", usd(1.4, 4.4)),
    ("accounts/fireworks/models/glm-5p3-flash", usd(0.15, 0.5)),
    ("accounts/fireworks/models/deepseek-v4p1-flash", usd(0.3, 1.2)),
    ("accounts/fireworks/models/qwen3p8-max", usd(2.0, 6.0)),
    ("accounts/fireworks/models/minimax-m3", usd(0.3, 1.2)),
];

/// z.ai's models.
pub(super) const GLM: Prices = &[
    ("glm-5.3", usd(1.4, 4.4)),
    ("glm-5.3-flash", usd(0.15, 0.5)),
    ("glm-5.2", usd(1.4, 4.4)),
    ("glm-5.1", usd(1.4, 4.4)),
    ("glm-5", usd(1.0, 3.2)),
    ("glm-4.7", usd(0.6, 2.2)),
    ("glm-4.6", usd(0.6, 2.2)),
    ("glm-4.5-air", usd(0.2, 1.1)),
];

/// DashScope: Alibaba's models and some it hosts.
pub(super) const DASHSCOPE: Prices = &[
    ("qwen3.8-max", usd(2.0, 6.0)),
    ("qwen3.8-flash", usd(0.15, 0.47)),
    ("qwen3.7-max", usd(2.5, 7.5)),
    ("qwen-max", usd(1.6, 6.4)),
    ("qwen-plus", usd(0.4, 1.2)),
    ("qwen-turbo", usd(0.05, 0.2)),
    ("deepseek-v4-pro", usd(2.4, 4.8)),
    ("deepseek-v4-flash", usd(0.2, 0.4)),
    ("glm-5.2", usd(1.4, 4.4)),
];

/// Cerebras, which hosts open models.
pub(super) const CEREBRAS: Prices = &[
    ("gpt-oss-120b", usd(0.35, 0.75)),
    ("qwen-3.8-27b", usd(0.99, 1.49)),
    ("gemma-4-31b", usd(0.99, 1.49)),
];

/// Cohere's models.
pub(super) const COMMAND: Prices = &[
    ("command-a-03-2025", usd(2.5, 10.0)),
    ("command-r-plus-08-2024", usd(2.5, 10.0)),
    ("command-r-08-2024", usd(0.15, 0.6)),
    ("command-r7b-12-2024", usd(0.0375, 0.15)),
];

/// `DeepInfra`, which hosts open models.
pub(super) const DEEPINFRA: Prices =
    &[("openai/gpt-oss-120b", usd(0.037, 0.17)), ("openai/gpt-oss-20b", usd(0.03, 0.14))];

/// `SambaNova`, which hosts open models.
pub(super) const SAMBANOVA: Prices = &[
    ("gpt-oss-120b", usd(0.22, 0.59)),
    ("DeepSeek-V3.2", usd(3.0, 4.5)),
    ("Meta-Llama-3.3-70B-Instruct", usd(0.6, 1.2)),
];

/// `CoreWeave`'s inference service, which hosts open models.
pub(super) const COREWEAVE: Prices = &[
    ("openai/gpt-oss-120b", usd(0.03, 0.17)),
    ("openai/gpt-oss-20b", usd(0.03, 0.13)),
    ("zai-org/GLM-5.3", usd(1.2, 4.0)),
];
