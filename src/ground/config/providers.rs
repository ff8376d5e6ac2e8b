//! The section `providers`: the user's words merged over the catalogue's.

use std::collections::BTreeMap;

use crate::domain::model_name;
use crate::domain::target::{Model, OTHER, Provider};

use super::super::catalog::{self, Auth, Dialect, Known, Price};
use super::problem::{Problems, quoted};
use super::reader::{Field, Section};
use super::{ProviderConfig, requests, secrets, status_pages};

/// Most providers.
const PROVIDERS_MAX: usize = 100;
/// Most models of one provider.
const MODELS_MAX: usize = 500;
/// Most aliases of one provider: gateways have many deployments.
const ALIASES_MAX: usize = 1_000;
/// Most hosts, regions or accounts of one provider.
const LABELS_MAX: usize = 32;
/// Longest alias in bytes: an ARN fits.
const ALIAS_BYTES_MAX: usize = 256;
/// Largest price in US dollars for a million tokens. More is a price for a single token.
const PRICE_MAX: f64 = 10_000.0;

const KEYS: [&str; 17] = [
    "dialect",
    "base_url",
    "hosts",
    "api_key",
    "models",
    "aliases",
    "regions",
    "accounts",
    "prices",
    "wire_names",
    "auth",
    "api_version",
    "region",
    "headers",
    "body",
    "model_body",
    "status_page",
];

/// Reads the section.
pub(super) fn providers(
    field: &Field<'_>,
    problems: &mut Problems,
) -> BTreeMap<Provider, ProviderConfig> {
    let mut providers = BTreeMap::new();
    let mut hosts = BTreeMap::new();
    for (key, field) in field.entries(PROVIDERS_MAX, problems).unwrap_or_default() {
        let mut wrong = |message: String| problems.push(&field.path, Some(key.place), message);
        let mut name = match Provider::new(&key.name) {
            Ok(name) => name,
            Err(_) if key.name.contains('/') => {
                wrong("a provider's name has no slash, remove it".to_owned());
                continue;
            }
            Err(error) => {
                wrong(format!("the provider's name {error}"));
                continue;
            }
        };
        let other_name = |known: &&Known| known.synonyms.contains(&name.as_str());
        if let Some(known) = catalog::PROVIDERS.iter().find(other_name) {
            wrong(format!("is another name of \"{}\", write that", known.name));
            // So that the rest is judged by what is known of it.
            name = Provider::new(known.name).unwrap_or(name);
        }
        if name.as_str() == OTHER {
            wrong("is the name for what belongs to no provider, choose another".to_owned());
        }
        if providers.contains_key(&name) {
            wrong(format!("is a second \"{name}\", keep one of the two"));
        }
        // Read on even then: the file may hold more problems.
        let provider = provider(&name, &field, problems);
        claim_hosts(&name, &provider, &field, &mut hosts, problems);
        providers.insert(name, provider);
    }
    providers
}

fn provider(name: &Provider, field: &Field<'_>, problems: &mut Problems) -> ProviderConfig {
    let known = catalog::provider(name.as_str());
    let mut provider =
        known.map_or_else(|| ProviderConfig::new(Dialect::OpenAiChat, ""), ProviderConfig::known);
    let Some(section) = field.section(&KEYS, problems) else { return provider };
    let names: Vec<(&str, Dialect)> =
        Dialect::ALL.into_iter().map(|dialect| (dialect.as_str(), dialect)).collect();
    if let Some(field) = section.get("dialect") {
        provider.dialect = field.choice("dialect", &names, problems).unwrap_or(provider.dialect);
    }
    api_key(&section, &mut provider, problems);
    provider.request = requests::request(&section, &provider, problems);
    base_url(name, &section, &mut provider, problems);
    let list = |key: &str, problems: &mut Problems, read: fn(&str) -> Result<String, String>| {
        section.get(key).map(|field| labels(&field, read, problems)).unwrap_or_default()
    };
    provider.hosts = list("hosts", problems, host);
    provider.regions = list("regions", problems, label);
    provider.accounts = list("accounts", problems, label);
    if let Some(field) = section.get("models") {
        models(&field, &mut provider, problems);
    }
    if let Some(field) = section.get("aliases") {
        aliases(&field, &mut provider, problems);
    }
    if let Some(field) = section.get("prices") {
        prices(&field, &mut provider, problems);
    }
    if let Some(field) = section.get("wire_names") {
        wire_names(&field, &mut provider, problems);
    }
    if let Some(field) = section.get("status_page") {
        provider.status_page = status_pages::page(name, &field, problems);
    }
    provider
}

fn api_key(section: &Section<'_>, provider: &mut ProviderConfig, problems: &mut Problems) {
    let Some(field) = section.get("api_key") else { return };
    if field.is_word("none") {
        provider.keyless = true;
    } else {
        provider.api_key = secrets::source(&field, problems);
    }
}

fn base_url(
    name: &Provider,
    section: &Section<'_>,
    provider: &mut ProviderConfig,
    problems: &mut Problems,
) {
    let Some(field) = section.get("base_url") else {
        if let Some(region) =
            provider.request.region.as_ref().filter(|_| provider.base_url.is_empty())
        {
            provider.base_url = catalog::bedrock_url(region);
        }
        let example = catalog::base_url_example(name.as_str());
        let is_known = catalog::provider(name.as_str()).is_some();
        // How it speaks is enough to read its reports; that it is there, is not.
        if !is_known && section.get("dialect").is_none() {
            let message = format!(
                "\"{name}\" is not in the catalogue, so give its base_url, such as {example}, \
                 and its dialect, if that is not openai"
            );
            section.field().wrong(problems, message);
        } else if provider.base_url.is_empty() && provider.may_be_probed() {
            let region = if provider.dialect == Dialect::Bedrock { "region, or its " } else { "" };
            let message = format!(
                "where \"{name}\" lives is not known, so give its {region}base_url, such as \
                 {example}"
            );
            section.field().wrong(problems, message);
        }
        return;
    };
    let Some(text) = field.text("a URL", problems) else { return };
    let shows_a_secret = provider.auth() == Auth::SigV4 || section.get("api_key").is_some();
    match url(text, shows_a_secret && !provider.keyless) {
        Ok(url) => provider.base_url = url,
        Err(message) => field.wrong(problems, message),
    }
}

/// Checks a base URL. The text is not repeated in messages, for it may hold a password.
fn url(text: &str, with_key: bool) -> Result<String, &'static str> {
    const EXPECTED: &str = "is not an http or https URL like https://api.example.com/v1";
    let uri: http::Uri = text.parse().map_err(|_| EXPECTED)?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(EXPECTED)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(EXPECTED);
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("holds a user or password, remove it and use api_key");
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("holds a query or fragment, end it with the path");
    }
    if uri.scheme_str() == Some("http") && with_key && !is_loopback(host) {
        return Err("would send the key in clear text, use https, or api_key: none");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether a host is this machine by its very name.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// A list of distinct labels.
fn labels(
    field: &Field<'_>,
    read: fn(&str) -> Result<String, String>,
    problems: &mut Problems,
) -> Vec<String> {
    let mut labels = Vec::new();
    for item in field.list(LABELS_MAX, problems).unwrap_or_default() {
        let Some(text) = item.text("a name", problems) else { continue };
        match read(text) {
            Ok(label) if labels.contains(&label) => {
                item.wrong(problems, format!("{} is listed twice, keep one", quoted(text)));
            }
            Ok(label) => labels.push(label),
            Err(message) => item.wrong(problems, message),
        }
    }
    labels
}

/// A region's or account's name obeys the same rules as a model's: both become labels.
fn label(text: &str) -> Result<String, String> {
    Model::new(text)
        .map(|label| label.as_str().to_owned())
        .map_err(|error| format!("{} {error}", quoted(text)))
}

fn host(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let is_host = host.len() <= 253
        && host.matches('*').count() <= 1
        && host.contains(|c: char| c.is_ascii_alphanumeric())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._*:[]".contains(c));
    if is_host {
        Ok(host)
    } else {
        let message = "is no host name like llm.example.com or *.llm.example.com, without https://";
        Err(format!("{} {message}", quoted(text)))
    }
}

/// One host pattern cannot mean two providers.
fn claim_hosts(
    name: &Provider,
    provider: &ProviderConfig,
    field: &Field<'_>,
    claimed: &mut BTreeMap<String, Provider>,
    problems: &mut Problems,
) {
    for host in &provider.hosts {
        if let Some(first) = claimed.insert(host.clone(), name.clone()) {
            let message = format!("host \"{host}\" belongs to \"{first}\" already, list it once");
            field.wrong(problems, message);
        }
    }
}

fn models(field: &Field<'_>, provider: &mut ProviderConfig, problems: &mut Problems) {
    let Some(items) = field.list(MODELS_MAX, problems) else { return };
    if items.is_empty() {
        field.wrong(problems, "is empty, list at least one model or remove the key");
    }
    for item in items {
        let Some(text) = item.text("a model's name", problems) else { continue };
        let model = match model_name::model(text) {
            Ok(model) => model,
            Err(error) => {
                item.wrong(problems, format!("{} {error}", quoted(text)));
                continue;
            }
        };
        if model.as_str() == OTHER {
            item.wrong(problems, "is the name for models over the limit, remove it");
        } else if let Some(first) = provider.wire_names.get(&model) {
            let first = quoted(first);
            let message = format!("{} is the same model as {first}, remove one", quoted(text));
            item.wrong(problems, message);
        } else {
            provider.wire_names.insert(model.clone(), text.to_owned());
            provider.models.push(model);
        }
    }
}

fn aliases(field: &Field<'_>, provider: &mut ProviderConfig, problems: &mut Problems) {
    let entries = field.entries(ALIASES_MAX, problems).unwrap_or_default();
    for (key, field) in &entries {
        if key.name.trim().is_empty() || key.name.len() > ALIAS_BYTES_MAX {
            let message = format!("an alias is 1 to {ALIAS_BYTES_MAX} bytes long");
            problems.push(&field.path, Some(key.place), message);
        }
        let Some(text) = field.text("the model it stands for", problems) else { continue };
        if entries.iter().any(|(other, _)| other.name == text) {
            field.wrong(problems, format!("{} is an alias too, write its model", quoted(text)));
            continue;
        }
        let model = match model_name::model(text) {
            Ok(model) => model,
            Err(error) => {
                field.wrong(problems, format!("{} {error}", quoted(text)));
                continue;
            }
        };
        let listed =
            model_name::model(&key.name).ok().filter(|name| provider.models.contains(name));
        if let Some(listed) = listed.filter(|listed| *listed != model) {
            let message = format!("hides the listed model \"{listed}\", remove one of the two");
            problems.push(&field.path, Some(key.place), message);
        }
        provider.aliases.insert(key.name.clone(), model);
    }
}

fn prices(field: &Field<'_>, provider: &mut ProviderConfig, problems: &mut Problems) {
    for (key, field) in field.entries(MODELS_MAX, problems).unwrap_or_default() {
        let keys = ["input_usd_per_mtok", "output_usd_per_mtok"];
        let Some(section) = field.section(&keys, problems) else { continue };
        let read = |key: &str, problems: &mut Problems| {
            let Some(field) = section.get(key) else {
                section.field().wrong(problems, format!("has no {key}"));
                return None;
            };
            let usd = field.number(problems)?;
            if usd > PRICE_MAX {
                field.wrong(problems, "is more than 10000 US dollars for a million tokens");
            }
            Some(usd)
        };
        let [input, output] = keys.map(|key| read(key, problems));
        if key.name == "*" {
            if let (Some(input_usd_per_mtok), Some(output_usd_per_mtok)) = (input, output) {
                let price = Price { input_usd_per_mtok, output_usd_per_mtok };
                provider.price_of_others = Some(price);
            }
            continue;
        }
        match model_name::model(&key.name) {
            Err(error) => {
                problems.push(&field.path, Some(key.place), format!("the model's name {error}"));
            }
            Ok(model) => {
                if let (Some(input_usd_per_mtok), Some(output_usd_per_mtok)) = (input, output) {
                    let price = Price { input_usd_per_mtok, output_usd_per_mtok };
                    provider.prices.insert(model, price);
                }
            }
        }
    }
}

/// The names to send where they are not those under which a model is listed.
fn wire_names(field: &Field<'_>, provider: &mut ProviderConfig, problems: &mut Problems) {
    for (key, field) in field.entries(MODELS_MAX, problems).unwrap_or_default() {
        let Some(text) = field.text("the name to send", problems) else { continue };
        let listed =
            model_name::model(&key.name).ok().filter(|model| provider.models.contains(model));
        match listed {
            Some(model) if text.len() <= ALIAS_BYTES_MAX => {
                provider.wire_names.insert(model, text.to_owned());
            }
            Some(_) => field.wrong(problems, format!("is longer than {ALIAS_BYTES_MAX} bytes")),
            None => {
                let message = format!("{} is not among the models, list it", quoted(&key.name));
                problems.push(&field.path, Some(key.place), message);
            }
        }
    }
}
