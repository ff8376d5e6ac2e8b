//! The table of known providers: data only.

use super::{BASE_URL_EXAMPLE, Dialect, Known, caveats, prices};

/// What every entry is made from, so that an entry says only what is particular to it.
const BASE: Known = Known {
    name: "",
    synonyms: &[],
    dialect: Dialect::OpenAiChat,
    body: &[],
    base_url: None,
    base_url_example: BASE_URL_EXAMPLE,
    key_env: None,
    hosts: &[],
    prices: &[],
    is_free: false,
    status_page: None,
};

/// Every provider known without configuration: vendors, clouds, aggregators, own servers.
pub const PROVIDERS: &[Known] = &[
    Known {
        name: "anthropic",
        synonyms: &["claude"],
        dialect: Dialect::Anthropic,
        base_url: Some("https://api.anthropic.com"),
        key_env: Some("ANTHROPIC_API_KEY"),
        hosts: &["api.anthropic.com"],
        prices: &[prices::CLAUDE],
        status_page: Some("https://status.claude.com"),
        ..BASE
    },
    Known {
        name: "openai",
        synonyms: &["text-completion-openai", "open_ai"],
        base_url: Some("https://api.openai.com/v1"),
        key_env: Some("OPENAI_API_KEY"),
        hosts: &["api.openai.com", "*.api.openai.com"],
        body: caveats::OPENAI,
        prices: &[prices::GPT],
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
        base_url_example: "https://RESOURCE.openai.azure.com/openai/v1",
        key_env: Some("AZURE_OPENAI_API_KEY"),
        hosts: &[
            "*.openai.azure.com",
            "*.cognitiveservices.azure.com",
            "*.services.ai.azure.com",
            "*.inference.ai.azure.com",
        ],
        body: caveats::AZURE,
        prices: &[prices::GPT],
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
        body: caveats::GEMINI,
        prices: &[prices::GEMINI],
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
        base_url_example: concat!(
            "https://REGION-aiplatform.googleapis.com",
            "/v1/projects/PROJECT/locations/REGION"
        ),
        hosts: &["aiplatform.googleapis.com", "*-aiplatform.googleapis.com"],
        body: caveats::GEMINI,
        prices: &[prices::CLAUDE, prices::GEMINI],
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
        base_url_example: "https://bedrock-runtime.REGION.amazonaws.com",
        key_env: Some("AWS_BEARER_TOKEN_BEDROCK"),
        hosts: &[
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-runtime-fips.*.amazonaws.com",
            "bedrock-runtime.*.amazonaws.com.cn",
        ],
        prices: &[prices::CLAUDE, prices::NOVA],
        ..BASE
    },
    Known {
        name: "deepseek",
        synonyms: &["deep_seek"],
        base_url: Some("https://api.deepseek.com"),
        key_env: Some("DEEPSEEK_API_KEY"),
        hosts: &["api.deepseek.com"],
        body: caveats::DEEPSEEK,
        prices: &[prices::DEEPSEEK],
        status_page: Some("https://status.deepseek.com"),
        ..BASE
    },
    Known {
        name: "moonshot",
        synonyms: &["moonshot_ai", "moonshotai", "kimi"],
        base_url: Some("https://api.moonshot.ai/v1"),
        key_env: Some("MOONSHOT_API_KEY"),
        hosts: &["api.moonshot.ai", "api.moonshot.cn"],
        body: caveats::MOONSHOT,
        prices: &[prices::KIMI],
        ..BASE
    },
    Known {
        name: "xai",
        synonyms: &["x_ai", "x-ai", "x.ai", "grok"],
        base_url: Some("https://api.x.ai/v1"),
        key_env: Some("XAI_API_KEY"),
        hosts: &["api.x.ai", "*.api.x.ai"],
        body: caveats::XAI,
        prices: &[prices::GROK],
        ..BASE
    },
    Known {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        key_env: Some("GROQ_API_KEY"),
        hosts: &["api.groq.com"],
        body: caveats::OPEN_MODELS,
        prices: &[prices::GROQ],
        status_page: Some("https://groqstatus.com"),
        ..BASE
    },
    Known {
        name: "mistral",
        synonyms: &["mistral_ai", "mistralai"],
        base_url: Some("https://api.mistral.ai/v1"),
        key_env: Some("MISTRAL_API_KEY"),
        hosts: &["api.mistral.ai"],
        body: caveats::MISTRAL,
        prices: &[prices::MISTRAL],
        ..BASE
    },
    Known {
        name: "together",
        synonyms: &["together_ai", "togetherai"],
        base_url: Some("https://api.together.xyz/v1"),
        key_env: Some("TOGETHER_API_KEY"),
        hosts: &["api.together.xyz", "api.together.ai"],
        body: caveats::OPEN_MODELS,
        prices: &[prices::TOGETHER],
        ..BASE
    },
    Known {
        name: "fireworks",
        synonyms: &["fireworks_ai", "fireworksai"],
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        key_env: Some("FIREWORKS_API_KEY"),
        hosts: &["api.fireworks.ai"],
        body: caveats::OPEN_MODELS,
        prices: &[prices::FIREWORKS],
        ..BASE
    },
    Known {
        name: "zai",
        synonyms: &["z_ai", "z.ai", "z-ai", "zhipu", "zhipuai", "bigmodel"],
        base_url: Some("https://api.z.ai/api/paas/v4"),
        key_env: Some("ZAI_API_KEY"),
        hosts: &["api.z.ai", "open.bigmodel.cn"],
        body: caveats::ZAI,
        prices: &[prices::GLM],
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
        body: caveats::DASHSCOPE,
        prices: &[prices::DASHSCOPE],
        ..BASE
    },
    Known {
        name: "cerebras",
        synonyms: &["cerebras_ai"],
        base_url: Some("https://api.cerebras.ai/v1"),
        key_env: Some("CEREBRAS_API_KEY"),
        hosts: &["api.cerebras.ai"],
        body: caveats::OPEN_MODELS,
        prices: &[prices::CEREBRAS],
        ..BASE
    },
    Known {
        name: "cohere",
        synonyms: &["cohere_chat"],
        base_url: Some("https://api.cohere.ai/compatibility/v1"),
        key_env: Some("COHERE_API_KEY"),
        hosts: &["api.cohere.ai", "api.cohere.com"],
        prices: &[prices::COMMAND],
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
        body: caveats::OPENROUTER,
        // It is pinned to the vendors themselves and passes their prices on.
        prices: &[
            prices::CLAUDE,
            prices::GPT,
            prices::GEMINI,
            prices::DEEPSEEK,
            prices::KIMI,
            prices::GROK,
            prices::MISTRAL,
            prices::GLM,
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
        body: caveats::OPEN_MODELS,
        prices: &[prices::DEEPINFRA],
        ..BASE
    },
    Known {
        name: "nvidia",
        synonyms: &["nvidia_nim"],
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        key_env: Some("NVIDIA_API_KEY"),
        hosts: &["integrate.api.nvidia.com"],
        body: caveats::OPEN_MODELS,
        ..BASE
    },
    Known {
        name: "sambanova",
        base_url: Some("https://api.sambanova.ai/v1"),
        key_env: Some("SAMBANOVA_API_KEY"),
        hosts: &["api.sambanova.ai"],
        body: caveats::OPEN_MODELS,
        prices: &[prices::SAMBANOVA],
        ..BASE
    },
    Known {
        name: "coreweave",
        synonyms: &["wandb"],
        base_url: Some("https://api.inference.wandb.ai/v1"),
        key_env: Some("WANDB_API_KEY"),
        hosts: &["api.inference.wandb.ai"],
        body: caveats::OPEN_MODELS,
        prices: &[prices::COREWEAVE],
        ..BASE
    },
    Known {
        name: "vllm",
        synonyms: &["hosted_vllm"],
        base_url_example: "http://127.0.0.1:8000/v1",
        is_free: true,
        ..BASE
    },
    Known { name: "sglang", base_url_example: "http://127.0.0.1:30000/v1", is_free: true, ..BASE },
    Known { name: "tgi", base_url_example: "http://127.0.0.1:3000/v1", is_free: true, ..BASE },
    Known {
        name: "ollama",
        synonyms: &["ollama_chat"],
        base_url_example: "http://127.0.0.1:11434/v1",
        is_free: true,
        ..BASE
    },
    Known {
        name: "llamacpp",
        synonyms: &["llama.cpp", "llama_cpp"],
        base_url_example: "http://127.0.0.1:8080/v1",
        is_free: true,
        ..BASE
    },
    Known {
        name: "litellm",
        synonyms: &["litellm_proxy"],
        base_url_example: "http://127.0.0.1:4000/v1",
        key_env: Some("LITELLM_API_KEY"),
        ..BASE
    },
];
