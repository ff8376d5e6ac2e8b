//! Chains: configured orders of targets to fall back along.

use std::collections::BTreeMap;

use crate::domain::target::{NameError, Provider, Target};

use super::super::catalog;
use super::problem::{Problems, nearest, quoted};
use super::reader::Field;
use super::{Config, ProviderConfig};
use crate::domain::model_name;

/// Most chains.
const CHAINS_MAX: usize = 64;
/// Most targets of one chain: nobody waits for the thirtieth.
const CHAIN_TARGETS_MAX: usize = 32;
/// Longest name of a chain, in bytes: it stands in URLs.
const CHAIN_NAME_BYTES_MAX: usize = 64;

/// Reads the section `chains`; needs `config.providers` to be read.
pub(super) fn chains(
    field: &Field<'_>,
    config: &Config,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<Target>> {
    let mut chains = BTreeMap::new();
    for (key, field) in field.entries(CHAINS_MAX, problems).unwrap_or_default() {
        let good = !key.name.is_empty()
            && key.name.len() <= CHAIN_NAME_BYTES_MAX
            && key.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !good {
            let message = "a chain's name is 1 to 64 letters, digits, dashes, dots or underscores";
            problems.push(&field.path, Some(key.place), message);
        }
        let targets = chain(&field, config, problems);
        chains.insert(key.name.clone(), targets);
    }
    chains
}

fn chain(field: &Field<'_>, config: &Config, problems: &mut Problems) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let Some(items) = field.list(CHAIN_TARGETS_MAX, problems) else { return targets };
    if items.is_empty() {
        field.wrong(problems, "is empty, list at least one PROVIDER/MODEL");
    }
    for item in items {
        let Some(text) = item.text("PROVIDER/MODEL", problems) else { continue };
        match target(text, &config.providers) {
            Err(message) => item.wrong(problems, message),
            Ok(target) => match targets.iter().position(|known| *known == target) {
                Some(first) => {
                    let message = format!("{target} is at [{first}] already, list it once");
                    item.wrong(problems, message);
                }
                None => targets.push(target),
            },
        }
    }
    targets
}

/// The target a user means by `provider/model`: synonyms, aliases and spellings resolved. The
/// provider must be configured or in the catalogue.
pub(super) fn target(
    text: &str,
    providers: &BTreeMap<Provider, ProviderConfig>,
) -> Result<Target, String> {
    let raw = match Target::parse(text) {
        Ok(raw) => raw,
        Err(NameError::Empty) => {
            return Err(format!("{} is not PROVIDER/MODEL", quoted(text)));
        }
        Err(error) => return Err(format!("a name in {} {error}", quoted(text))),
    };
    let provider = provider(raw.provider.as_str(), providers)?;
    let alias = providers.get(&provider).and_then(|config| config.aliases.get(raw.model.as_str()));
    let model = match alias {
        Some(model) => model.clone(),
        None => model_name::model(raw.model.as_str())
            .map_err(|error| format!("model {} {error}", quoted(raw.model.as_str())))?,
    };
    Ok(Target::new(provider, model))
}

/// The provider a user means by a name: configured, or one of the catalogue by any of its names.
pub(super) fn provider(
    name: &str,
    providers: &BTreeMap<Provider, ProviderConfig>,
) -> Result<Provider, String> {
    let raw = Provider::new(name).map_err(|error| format!("{} {error}", quoted(name)))?;
    if providers.contains_key(&raw) {
        return Ok(raw);
    }
    let known = catalog::named(raw.as_str()).ok_or_else(|| unknown(raw.as_str(), providers))?;
    Provider::new(known.name).map_err(|error| error.to_string())
}

fn unknown(name: &str, providers: &BTreeMap<Provider, ProviderConfig>) -> String {
    let catalogue = catalog::PROVIDERS.iter().map(|known| known.name);
    let known: Vec<&str> = catalogue.chain(providers.keys().map(Provider::as_str)).collect();
    match nearest(name, &known) {
        Some(near) => format!("unknown provider {}, did you mean \"{near}\"?", quoted(name)),
        None => format!("unknown provider {}, configure it under providers", quoted(name)),
    }
}
