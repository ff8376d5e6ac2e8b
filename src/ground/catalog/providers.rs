//! The table of known providers: data only.

use super::{BodyRule, Dialect, Known, Price};

/// What every entry is made from, so that an entry says only what is particular to it.
const BASE: Known = Known {
    name: "",
    synonyms: &[],
    dialect: Dialect::OpenAiChat,
    body: &[],
    base_url: None,
    key_env: None,
    hosts: &[],
    prices: &[],
    is_free: false,
    status_page: None,
};

/// A caveat of a provider's chat completions.
const fn chat(models: &'static [&'static str], patch: &'static str) -> BodyRule {
    BodyRule { dialect: Dialect::OpenAiChat, models, patch }
}

/// Every model.
const ALL: &[&str] = &["*"];

/// US dollars for a million tokens in and out.
const fn usd(input: f64, output: f64) -> Price {
    Price { input_usd_per_mtok: input, output_usd_per_mtok: output }
}

/// Every provider known without configuration: vendors, clouds, aggregators, own servers.
pub const PROVIDERS: &[Known] = &[
    Known {
        name: "anthropic",
        synonyms: &["claude"],
        dialect: Dialect::Anthropic,
        base_url: Some("https://api.anthropic.com"),
        key_env: Some("ANTHROPIC_API_KEY"),
        hosts: &["api.anthropic.com"],
        prices: &[
            ("claude-opus-4-7", usd(5.0, 25.0)),
            ("claude-sonnet-4-6", usd(3.0, 15.0)),
            ("claude-haiku-4-5", usd(1.0, 5.0)),
            ("claude-haiku-5-5", usd(0.1, 0.5)),
        ],
        status_page: Some("https://status.claude.com"),
        ..BASE
    },
    Known {
        name: "openai",
        synonyms: &["text-completion-openai", "open_ai"],
        base_url: Some("https://api.openai.com/v1"),
        key_env: Some("OPENAI_API_KEY"),
        hosts: &["api.openai.com", "*.api.openai.com"],
        prices: &[
            ("gpt-5.5", usd(5.0, 30.0)),
            ("gpt-5-nano", usd(0.05, 0.4)),
            ("gpt-6-luna", usd(0.1, 0.5)),
        ],
        // Reasoning models refuse `max_tokens` and answer 400 to a budget below 16; `default`
        // keeps probes off priority capacity. The first GPT-5 models know `minimal` as the least
        // effort, later ones `none`; the variants that only reason hard take no field at all.
        body: &[
            chat(
                ALL,
                r#"{"max_tokens": null, "max_completion_tokens": 16, "service_tier": "default"}"#,
            ),
            chat(
                &["gpt-5*", "gpt-6*", "gpt-7*", "gpt-8*", "gpt-9*"],
                r#"{"reasoning_effort": "none"}"#,
            ),
            chat(&["gpt-5", "gpt-5-*"], r#"{"reasoning_effort": "minimal"}"#),
            chat(&["*-pro*", "*-codex*", "*-chat*"], r#"{"reasoning_effort": null}"#),
        ],
        status_page: Some("https://status.openai.com"),
        ..BASE
    },
    Known {
        name: "azure",
        synonyms: &[
            "azure_openai",
            "azure-openai",
            "azure.ai.openai",
            "azure.ai.inference",
            "az.ai.openai",
            "az.ai.inference",
            "azure_ai",
            "azure_text",
        ],
        dialect: Dialect::Azure,
        key_env: Some("AZURE_OPENAI_API_KEY"),
        hosts: &[
            "*.openai.azure.com",
            "*.cognitiveservices.azure.com",
            "*.services.ai.azure.com",
            "*.inference.ai.azure.com",
        ],
        ..BASE
    },
    Known {
        name: "gemini",
        synonyms: &[
            "google",
            "google_ai",
            "google_ai_studio",
            "google.generative-ai",
            "gcp.gemini",
            "gcp.gen_ai",
            "google_genai",
        ],
        dialect: Dialect::Gemini,
        base_url: Some("https://generativelanguage.googleapis.com"),
        key_env: Some("GEMINI_API_KEY"),
        hosts: &["generativelanguage.googleapis.com"],
        prices: &[("gemini-2.5-flash-lite", usd(0.1, 0.4))],
        ..BASE
    },
    Known {
        name: "vertex",
        synonyms: &[
            "vertex_ai",
            "vertexai",
            "gcp.vertex_ai",
            "google.vertex",
            "google_vertex",
            "vertex_ai-anthropic_models",
            "vertex_ai-language-models",
            "vertex_ai_beta",
        ],
        dialect: Dialect::VertexAnthropic,
        hosts: &["aiplatform.googleapis.com", "*-aiplatform.googleapis.com"],
        ..BASE
    },
    Known {
        name: "bedrock",
        synonyms: &[
            "aws_bedrock",
            "aws.bedrock",
            "amazon_bedrock",
            "amazon-bedrock",
            "bedrock_converse",
            "aws",
        ],
        dialect: Dialect::Bedrock,
        key_env: Some("AWS_BEARER_TOKEN_BEDROCK"),
        hosts: &[
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-runtime-fips.*.amazonaws.com",
            "bedrock-runtime.*.amazonaws.com.cn",
        ],
        ..BASE
    },
    Known {
        name: "deepseek",
        synonyms: &["deep_seek"],
        base_url: Some("https://api.deepseek.com"),
        key_env: Some("DEEPSEEK_API_KEY"),
        hosts: &["api.deepseek.com"],
        prices: &[("deepseek-v4-flash", usd(0.3, 1.2)), ("deepseek-v4-pro", usd(1.32, 3.96))],
        body: &[chat(ALL, r#"{"thinking": {"type": "disabled"}}"#)],
        status_page: Some("https://status.deepseek.com"),
        ..BASE
    },
    Known {
        name: "moonshot",
        synonyms: &["moonshot_ai", "moonshotai", "kimi"],
        base_url: Some("https://api.moonshot.ai/v1"),
        key_env: Some("MOONSHOT_API_KEY"),
        hosts: &["api.moonshot.ai", "api.moonshot.cn"],
        prices: &[("kimi-k2.6", usd(0.95, 4.0)), ("kimi-k3", usd(3.0, 15.0))],
        // The code models think always and answer 400 when told not to.
        body: &[
            chat(ALL, r#"{"thinking": {"type": "disabled"}}"#),
            chat(&["*-code*"], r#"{"thinking": null}"#),
        ],
        ..BASE
    },
    Known {
        name: "xai",
        synonyms: &["x_ai", "x-ai", "x.ai", "grok"],
        base_url: Some("https://api.x.ai/v1"),
        key_env: Some("XAI_API_KEY"),
        hosts: &["api.x.ai", "*.api.x.ai"],
        ..BASE
    },
    Known {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        key_env: Some("GROQ_API_KEY"),
        hosts: &["api.groq.com"],
        prices: &[("openai/gpt-oss-20b", usd(0.075, 0.3))],
        status_page: Some("https://groqstatus.com"),
        ..BASE
    },
    Known {
        name: "mistral",
        synonyms: &["mistral_ai", "mistralai"],
        base_url: Some("https://api.mistral.ai/v1"),
        key_env: Some("MISTRAL_API_KEY"),
        hosts: &["api.mistral.ai"],
        prices: &[("mistral-small", usd(0.15, 0.6))],
        // It sends usage unasked and refuses fields it does not know.
        body: &[chat(ALL, r#"{"stream_options": null}"#)],
        ..BASE
    },
    Known {
        name: "together",
        synonyms: &["together_ai", "togetherai"],
        base_url: Some("https://api.together.xyz/v1"),
        key_env: Some("TOGETHER_API_KEY"),
        hosts: &["api.together.xyz", "api.together.ai"],
        ..BASE
    },
    Known {
        name: "fireworks",
        synonyms: &["fireworks_ai", "fireworksai"],
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        key_env: Some("FIREWORKS_API_KEY"),
        hosts: &["api.fireworks.ai"],
        ..BASE
    },
    Known {
        name: "zai",
        synonyms: &["z_ai", "z.ai", "z-ai", "zhipu", "zhipuai", "bigmodel"],
        base_url: Some("https://api.z.ai/api/paas/v4"),
        key_env: Some("ZAI_API_KEY"),
        hosts: &["api.z.ai", "open.bigmodel.cn"],
        ..BASE
    },
    Known {
        name: "dashscope",
        synonyms: &["alibaba", "alibaba_cloud", "qwen"],
        base_url: Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        key_env: Some("DASHSCOPE_API_KEY"),
        hosts: &[
            "dashscope-intl.aliyuncs.com",
            "dashscope.aliyuncs.com",
            "dashscope-us.aliyuncs.com",
        ],
        ..BASE
    },
    Known {
        name: "cerebras",
        synonyms: &["cerebras_ai"],
        base_url: Some("https://api.cerebras.ai/v1"),
        key_env: Some("CEREBRAS_API_KEY"),
        hosts: &["api.cerebras.ai"],
        ..BASE
    },
    Known {
        name: "cohere",
        synonyms: &["cohere_chat"],
        base_url: Some("https://api.cohere.ai/compatibility/v1"),
        key_env: Some("COHERE_API_KEY"),
        hosts: &["api.cohere.ai", "api.cohere.com"],
        status_page: Some("https://status.cohere.com"),
        ..BASE
    },
    Known {
        name: "perplexity",
        synonyms: &["perplexity_ai", "perplexityai"],
        base_url: Some("https://api.perplexity.ai"),
        key_env: Some("PERPLEXITY_API_KEY"),
        hosts: &["api.perplexity.ai"],
        status_page: Some("https://status.perplexity.com"),
        ..BASE
    },
    Known {
        name: "openrouter",
        synonyms: &["open_router"],
        base_url: Some("https://openrouter.ai/api/v1"),
        key_env: Some("OPENROUTER_API_KEY"),
        hosts: &["openrouter.ai"],
        // Without the pin one would measure its failover, which is another series.
        body: &[
            chat(ALL, r#"{"max_tokens": 16}"#),
            chat(&["*/*"], r#"{"provider": {"order": ["{vendor}"], "allow_fallbacks": false}}"#),
        ],
        ..BASE
    },
    Known {
        name: "tokenmix",
        base_url: Some("https://api.tokenmix.ai/v1"),
        key_env: Some("TOKENMIX_API_KEY"),
        hosts: &["api.tokenmix.ai"],
        ..BASE
    },
    Known {
        name: "deepinfra",
        synonyms: &["deep_infra"],
        base_url: Some("https://api.deepinfra.com/v1/openai"),
        key_env: Some("DEEPINFRA_API_KEY"),
        hosts: &["api.deepinfra.com"],
        ..BASE
    },
    Known {
        name: "nvidia",
        synonyms: &["nvidia_nim"],
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        key_env: Some("NVIDIA_API_KEY"),
        hosts: &["integrate.api.nvidia.com"],
        ..BASE
    },
    Known {
        name: "sambanova",
        base_url: Some("https://api.sambanova.ai/v1"),
        key_env: Some("SAMBANOVA_API_KEY"),
        hosts: &["api.sambanova.ai"],
        ..BASE
    },
    Known {
        name: "coreweave",
        synonyms: &["wandb"],
        base_url: Some("https://api.inference.wandb.ai/v1"),
        key_env: Some("WANDB_API_KEY"),
        hosts: &["api.inference.wandb.ai"],
        ..BASE
    },
    Known { name: "vllm", synonyms: &["hosted_vllm"], is_free: true, ..BASE },
    Known { name: "sglang", is_free: true, ..BASE },
    Known { name: "tgi", is_free: true, ..BASE },
    Known { name: "ollama", synonyms: &["ollama_chat"], is_free: true, ..BASE },
    Known { name: "llamacpp", synonyms: &["llama.cpp", "llama_cpp"], is_free: true, ..BASE },
    Known {
        name: "litellm",
        synonyms: &["litellm_proxy"],
        key_env: Some("LITELLM_API_KEY"),
        ..BASE
    },
];
