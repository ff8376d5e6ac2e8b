//! Which provider's own rules apply.
//!
//! Only providers that mean something of their own by a token or a status are listed; for all
//! others (Anthropic, OpenAI, Gemini, OpenRouter, vLLM…) the common tables say everything, so
//! they share one family and an unknown name loses nothing.

use super::transport::same_letters;

/// A provider that gives its own meaning to a token or a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Amazon Bedrock.
    Bedrock,
    /// `CoreWeave`'s inference service.
    CoreWeave,
    /// Cohere.
    Cohere,
    /// Alibaba Cloud's DashScope (Model Studio).
    DashScope,
    /// DeepSeek.
    DeepSeek,
    /// Fireworks AI.
    Fireworks,
    /// Groq.
    Groq,
    /// Mistral AI.
    Mistral,
    /// Together AI.
    Together,
    /// z.ai, also known as Zhipu and `BigModel`.
    Zai,
    /// Every other provider.
    General,
}

/// Spellings of each family, lower case and without punctuation.
const NAMES: &[(Family, &[&str])] = &[
    (
        Family::Bedrock,
        &[
            "bedrock",
            "awsbedrock",
            "amazonbedrock",
            "bedrockconverse",
            "bedrockruntime",
            "bedrockinvoke",
            "aws",
            "amazon",
        ],
    ),
    (Family::CoreWeave, &["coreweave", "coreweaveai"]),
    (Family::Cohere, &["cohere", "cohereai", "coherechat"]),
    (
        Family::DashScope,
        &[
            "dashscope",
            "alibaba",
            "alibabacloud",
            "aliyun",
            "bailian",
            "modelstudio",
            "qwen",
            "tongyi",
        ],
    ),
    (Family::DeepSeek, &["deepseek", "deepseekai"]),
    (Family::Fireworks, &["fireworks", "fireworksai"]),
    (Family::Groq, &["groq", "groqcloud"]),
    (Family::Mistral, &["mistral", "mistralai"]),
    (Family::Together, &["together", "togetherai", "togethercomputer", "togetherxyz"]),
    (Family::Zai, &["zai", "zhipu", "zhipuai", "bigmodel", "chatglm", "glm"]),
];

impl Family {
    /// The provider's family, or the dialect's when the provider has no rules of its own.
    pub(super) fn of(provider: &str, dialect: Option<&str>) -> Self {
        match Self::named(provider) {
            Self::General => dialect.map_or(Self::General, Self::named),
            family => family,
        }
    }

    /// The family with this name.
    pub(super) fn named(name: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, names)| names.iter().any(|known| same_letters(name, known)))
            .map_or(Self::General, |(family, _)| *family)
    }
}
