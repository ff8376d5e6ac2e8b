//! The built-in catalogue: which providers exist, under which names and hosts, how they speak.
//!
//! It saves configuration, and it makes reports of different clients agree: one client says
//! `gcp.gemini`, another `google`, a third only the host. What a provider answers is not here but
//! in `domain::classify`. The catalogue is a convenience, never a limit: any of it can be
//! overridden, and a provider it does not know is configured with a URL.
//!
//! Sources: the providers' own API references; the provider names of OpenTelemetry's semantic
//! conventions (`gen_ai.provider.name`), of LiteLLM and of the Vercel AI SDK; prices from the
//! price file of LiteLLM 1.109.1 (MIT).

mod request;
mod caveats;
mod prices;
mod providers;

pub use prices::Prices;
pub use providers::PROVIDERS;
pub use request::{Auth, BodyRule, bedrock_url, body_patches, fits};

/// What a base URL looks like, of a provider that is one among many.
const BASE_URL_EXAMPLE: &str = "https://llm.example.com/v1";

/// How a provider speaks: the shape of requests, streams and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's Chat Completions and everything compatible.
    OpenAiChat,
    /// OpenAI's Responses API.
    OpenAiResponses,
    /// Google's `generateContent`.
    Gemini,
    /// Azure's deployments of OpenAI models.
    Azure,
    /// Anthropic's Messages API behind Vertex AI.
    VertexAnthropic,
    /// Amazon Bedrock's Converse API.
    Bedrock,
}

/// What tokens cost, in US dollars a million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// For each million of tokens in the request.
    pub input_usd_per_mtok: f64,
    /// For each million of tokens in the answer.
    pub output_usd_per_mtok: f64,
}

impl Price {
    /// That of one's own server.
    pub const FREE: Self = Self { input_usd_per_mtok: 0.0, output_usd_per_mtok: 0.0 };
}

/// A provider the program knows without configuration.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name in labels.
    pub name: &'static str,
    /// Other names that mean it, in lower case.
    pub synonyms: &'static [&'static str],
    /// How it speaks, unless configured.
    pub dialect: Dialect,
    /// What the bodies of its probes need beyond the dialect's own; a later rule wins.
    pub body: &'static [BodyRule],
    /// Where it lives; `None` where that differs from user to user.
    pub base_url: Option<&'static str>,
    /// What its base URL looks like, where it has none for everybody.
    pub base_url_example: &'static str,
    /// The environment variable in which its own tools expect the key; `None` if it needs none,
    /// or more than one.
    pub key_env: Option<&'static str>,
    /// Host names it answers at, as for [`host_matches`].
    pub hosts: &'static [&'static str],
    /// Prices of models; no model is in two of the tables.
    pub prices: &'static [Prices],
    /// Whether it is one's own server, which bills nobody.
    pub is_free: bool,
    /// Its public status page, where that answers in Statuspage's shape.
    pub status_page: Option<&'static str>,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Anthropic,
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::Gemini,
        Self::Azure,
        Self::VertexAnthropic,
        Self::Bedrock,
    ];

    /// The name used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiChat => "openai",
            Self::OpenAiResponses => "openai_responses",
            Self::Gemini => "gemini",
            Self::Azure => "azure",
            Self::VertexAnthropic => "vertex_anthropic",
            Self::Bedrock => "bedrock",
        }
    }

    /// The dialect of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }
}

/// What the base URL of the provider of this name looks like.
pub fn base_url_example(name: &str) -> &'static str {
    provider(name).map_or(BASE_URL_EXAMPLE, |known| known.base_url_example)
}

/// The provider of exactly this name; synonyms do not count.
pub fn provider(name: &str) -> Option<&'static Known> {
    PROVIDERS.iter().find(|known| known.name == name)
}

/// The provider that a client means by this name, in lower case: its name, a synonym, or either
/// with parts after a dot, as in `anthropic.messages` and `google.vertex.chat`.
pub fn named(name: &str) -> Option<&'static Known> {
    let mut name = name;
    loop {
        let is_it = |known: &&Known| known.name == name || known.synonyms.contains(&name);
        if let Some(known) = PROVIDERS.iter().find(is_it) {
            return Some(known);
        }
        // The longest known name wins: `azure.ai.openai` is found before `azure` would be.
        name = name.rsplit_once('.')?.0;
    }
}

/// The provider that answers at this host, given in lower case without a port.
pub fn hosted(host: &str) -> Option<&'static Known> {
    PROVIDERS.iter().find(|known| known.hosts.iter().any(|pattern| host_matches(pattern, host)))
}

/// Whether a host fits a pattern: the host itself, or one with a single `*` in it that stands for
/// one character or more, as in `*.openai.azure.com` and `bedrock-runtime.*.amazonaws.com`.
pub fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == host,
        Some((prefix, suffix)) => {
            host.len() > prefix.len() + suffix.len()
                && host.starts_with(prefix)
                && host.ends_with(suffix)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::model_name;
    use crate::domain::target::Provider;

    #[test]
    fn a_name_means_one_provider() {
        let mut seen = BTreeSet::new();
        for known in PROVIDERS {
            assert_eq!(Provider::new(known.name).unwrap().as_str(), known.name);
            for name in known.synonyms.iter().chain([&known.name]) {
                assert!(seen.insert(*name), "{name} means two providers");
                assert_eq!(*name, name.to_lowercase());
            }
        }
    }

    #[test]
    fn a_host_means_one_provider_and_the_base_url_is_at_a_known_host() {
        for known in PROVIDERS {
            for pattern in known.hosts {
                assert!(pattern.matches('*').count() <= 1, "{pattern}");
                let host = pattern.replace('*', "x-1");
                assert_eq!(hosted(&host).unwrap().name, known.name, "{pattern}");
            }
            if let Some(url) = known.base_url {
                let uri: http::Uri = url.parse().unwrap();
                assert_eq!(uri.scheme_str(), Some("https"), "{url}");
                assert_eq!(hosted(uri.host().unwrap()).unwrap().name, known.name, "{url}");
                assert!(!url.ends_with('/'), "{url}");
            }
            if let Some(page) = known.status_page {
                let uri: http::Uri = page.parse().unwrap();
                assert_eq!((uri.scheme_str(), uri.path()), (Some("https"), "/"), "{page}");
                assert!(!page.ends_with('/'), "{page}");
            }
        }
    }

    #[test]
    fn clients_names_for_providers_are_understood() {
        for (name, expected) in [
            ("anthropic.messages", "anthropic"),
            ("openai.chat", "openai"),
            ("openai.responses", "openai"),
            ("aws.bedrock", "bedrock"),
            ("azure.ai.openai", "azure"),
            ("azure.ai.inference", "azure"),
            ("gcp.gemini", "gemini"),
            ("gcp.gen_ai", "gemini"),
            ("gcp.vertex_ai", "vertex"),
            ("google.vertex.chat", "vertex"),
            ("google.generative-ai", "gemini"),
            ("moonshot_ai", "moonshot"),
            ("x_ai", "xai"),
            ("mistral_ai", "mistral"),
            ("together_ai", "together"),
            ("bedrock_converse", "bedrock"),
        ] {
            assert_eq!(named(name).map(|known| known.name), Some(expected), "{name}");
        }
        for name in ["", ".", "mycorp", "mycorp.openai", "openaix"] {
            assert!(named(name).is_none(), "{name}");
        }
    }

    #[test]
    fn hosts_are_matched_whole() {
        for (host, expected) in [
            ("api.anthropic.com", Some("anthropic")),
            ("my-res.openai.azure.com", Some("azure")),
            ("bedrock-runtime.us-east-1.amazonaws.com", Some("bedrock")),
            ("us-east5-aiplatform.googleapis.com", Some("vertex")),
            ("aiplatform.googleapis.com", Some("vertex")),
            (".openai.azure.com", None),
            ("api.anthropic.com.evil.example", None),
            ("evilapi.anthropic.com", None),
            ("", None),
        ] {
            assert_eq!(hosted(host).map(|known| known.name), expected, "{host}");
        }
    }

    /// Those of a provider by canonical name, as a configuration has them.
    fn prices(provider_name: &str) -> BTreeMap<String, Price> {
        let mut found = BTreeMap::new();
        for (name, price) in provider(provider_name).unwrap().prices.iter().copied().flatten() {
            let name = model_name::canonical(name);
            assert!(found.insert(name.clone(), *price).is_none(), "{provider_name}: {name} twice");
        }
        found
    }

    #[test]
    fn a_model_of_a_provider_has_one_price_that_is_one() {
        for known in PROVIDERS {
            for (name, price) in prices(known.name) {
                let usd = [price.input_usd_per_mtok, price.output_usd_per_mtok];
                // Above is a price for a single token, or a slip of the decimal point.
                assert!(usd.iter().all(|usd| (0.01..=500.0).contains(usd)), "{name} {usd:?}");
            }
        }
    }

    #[test]
    fn the_prices_give_the_costs_of_one_probe_that_were_measured() {
        // Ten tokens in; one out, sixteen for OpenAI.
        for (provider_name, model, output, usd) in [
            ("anthropic", "claude-opus-4-7", 1.0, 7.5e-5),
            ("anthropic", "claude-sonnet-4-6", 1.0, 4.5e-5),
            ("anthropic", "claude-haiku-4-5", 1.0, 1.5e-5),
            ("anthropic", "claude-haiku-5-5", 1.0, 1.5e-6),
            ("openai", "gpt-5-nano", 16.0, 6.9e-6),
            ("openai", "gpt-6-luna", 16.0, 9e-6),
            ("openai", "gpt-5.5", 16.0, 5.3e-4),
            ("azure", "gpt-5.5", 16.0, 5.3e-4),
            ("deepseek", "deepseek-v4-flash", 1.0, 4.2e-6),
            ("deepseek", "deepseek-v4-pro", 1.0, 1.7e-5),
            ("moonshot", "kimi-k2.6", 1.0, 1.4e-5),
            ("moonshot", "kimi-k3", 1.0, 4.5e-5),
            ("gemini", "gemini-2.5-flash-lite", 1.0, 1.4e-6),
            ("mistral", "mistral-small", 1.0, 2.1e-6),
            ("groq", "gpt-oss-20b", 1.0, 1.1e-6),
            ("vertex", "claude-opus-4-7", 1.0, 7.5e-5),
            ("bedrock", "claude-opus-4-7", 1.0, 7.5e-5),
        ] {
            let price = prices(provider_name)[model];
            let cost = (10.0 * price.input_usd_per_mtok + output * price.output_usd_per_mtok) / 1e6;
            assert!((cost / usd - 1.0).abs() < 0.05, "{model}: {cost} {usd}");
        }
    }

    #[test]
    fn where_a_provider_lives_is_known_or_shown() {
        for known in PROVIDERS {
            let shown = known.base_url.unwrap_or(known.base_url_example);
            assert!(shown.parse::<http::Uri>().unwrap().host().is_some(), "{}", known.name);
        }
    }

    #[test]
    fn dialects_are_found_by_their_names() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::parse(dialect.as_str()), Some(dialect));
        }
        assert_eq!(Dialect::parse("claude"), None);
    }
}
