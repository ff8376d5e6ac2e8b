//! What is sent to whom: one table of every provider of the catalogue, to be read by a reviewer.

use std::fmt::Write as _;

use brownout::domain::model_name;
use brownout::domain::target::{Provider, Target};
use brownout::ground::catalog::PROVIDERS;
use brownout::ground::config::{ProbesConfig, ProviderConfig};
use brownout::intake::probe::ProbeSpec;

/// Models of a provider by their names on the wire, one for each caveat; a deployment with the
/// model it stands for.
fn models(provider: &str) -> &'static [&'static str] {
    match provider {
        "anthropic" => &["claude-opus-4-7"],
        "openai" => &["gpt-4o", "gpt-5-nano", "gpt-5.5", "gpt-5.5-pro", "gpt-6-astra", "o3"],
        "azure" => &["prod-chat=gpt-5.5", "my/deployment=gpt-4o"],
        "gemini" => {
            &["gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.1-pro-preview"]
        }
        "vertex" => &["claude-haiku-4-5@20251001"],
        "bedrock" => &["us.anthropic.claude-haiku-4-5-20251001-v1:0"],
        "deepseek" => &["deepseek-v4-pro"],
        "moonshot" => &["kimi-k2.6", "kimi-k2.7-code", "kimi-k3"],
        "xai" => &["grok-4.7", "grok-4.20-non-reasoning"],
        "mistral" => &["mistral-small-latest", "magistral-small-latest"],
        "zai" => &["glm-5.3"],
        "dashscope" => &["qwen-plus", "qwen3-next-80b-a3b-thinking"],
        "groq" | "together" | "coreweave" | "deepinfra" => &["openai/gpt-oss-20b"],
        "fireworks" => &["accounts/fireworks/models/gpt-oss-20b"],
        "cerebras" => &["gpt-oss-120b"],
        "perplexity" => &["sonar", "sonar-reasoning-pro"],
        "openrouter" => &["anthropic/claude-opus-4.7", "google/gemini-2.5-flash"],
        _ => &["a-model"],
    }
}

fn request(provider_name: &str, provider: &ProviderConfig, model: &str) -> String {
    let (wire_model, counted) = model.split_once('=').unwrap_or((model, model));
    let model = model_name::model(counted).unwrap();
    let mut provider = provider.clone();
    provider.wire_names.insert(model.clone(), wire_model.to_owned());
    let target = Target::new(Provider::new(provider_name).unwrap(), model);
    let mut text = format!("{target}\n");
    match ProbeSpec::new(target, &provider, &ProbesConfig::default(), None) {
        Ok(spec) => {
            writeln!(text, "  POST {}", spec.url).unwrap();
            writeln!(text, "  key: {}", spec.auth.as_str()).unwrap();
            for (name, value) in &spec.headers {
                writeln!(text, "  {name}: {}", value.to_str().unwrap()).unwrap();
            }
            writeln!(text, "  {}", String::from_utf8_lossy(&spec.body)).unwrap();
        }
        Err(error) => writeln!(text, "  {error}").unwrap(),
    }
    text
}

#[test]
fn every_provider_of_the_catalogue_is_sent_what_the_table_says() {
    let mut table = Vec::new();
    for known in PROVIDERS {
        let mut provider = ProviderConfig::known(known);
        if provider.base_url.is_empty() {
            known.base_url_example.clone_into(&mut provider.base_url);
        }
        table.extend(models(known.name).iter().map(|model| request(known.name, &provider, model)));
    }
    // The second API of OpenAI, which is another dialect of the same provider.
    let openai = PROVIDERS.iter().find(|known| known.name == "openai").unwrap();
    let mut provider = ProviderConfig::known(openai);
    provider.dialect = brownout::ground::catalog::Dialect::OpenAiResponses;
    table.extend(models("openai").iter().map(|model| request("openai", &provider, model)));
    crate::golden::check("tests/it/probe/requests.txt", &table.join("\n"));
}
