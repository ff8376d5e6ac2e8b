//! From the names that clients use to targets: hosts, synonyms, aliases, spellings.
//!
//! The same model arrives as `anthropic.claude-opus-4-7-v1:0`, `Claude-Opus-4.7` or
//! `my-deployment`, its provider as `gcp.gemini`, `google` or a bare host. All of them must end in
//! one series. A host is believed before a name, because clients name the SDK (`openai`) while the
//! request went elsewhere (`api.deepseek.com`). Names are input from outside, so everything kept is
//! bounded: an unknown host is `other` and never a label of its own, and the memory of names seen
//! is cleared when it is full. How many targets there may be is the store's affair.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::domain::model_name;
use crate::domain::target::{Model, NameError, OTHER, Provider, Target};

use super::catalog::{self, host_matches};
use super::config::Config;

/// Most raw names remembered. 500 targets under some spellings each fit many times over.
const REMEMBERED_MAX: usize = 10_000;

/// Longest raw names remembered, provider, host and model together, in bytes: an ARN fits.
const REMEMBERED_BYTES_MAX: usize = 384;

/// Longest raw name looked at, in bytes.
const RAW_BYTES_MAX: usize = 1024;

/// Turns reported names into targets. Shared between tasks; made anew for a new configuration.
#[derive(Debug)]
pub struct Names {
    providers: HashMap<Provider, Spellings>,
    /// Aliases that mean the same model wherever they are configured.
    aliases: HashMap<String, Option<Model>>,
    /// `host` or `host:port` of configured providers. `None` where two of them share one.
    hosts: HashMap<String, Option<Provider>>,
    /// Patterns of configured hosts, in the order of the configuration.
    patterns: Vec<(String, Provider)>,
    seen: RwLock<HashTable<Seen>>,
    hasher: RandomState,
}

/// What the configuration says about the names of one provider.
#[derive(Debug, Default)]
struct Spellings {
    aliases: HashMap<String, Model>,
    regions: Vec<String>,
    accounts: Vec<String>,
}

/// A raw triple and what it means.
#[derive(Debug)]
struct Seen {
    provider: Option<Box<str>>,
    host: Option<Box<str>>,
    model: Box<str>,
    target: Target,
}

/// A raw triple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Raw<'a> {
    provider: Option<&'a str>,
    host: Option<&'a str>,
    model: &'a str,
}

/// Why names mean no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Neither a provider nor a host.
    #[error("provider or host is required")]
    Nobody,
    /// The provider's name cannot be a label.
    #[error("provider {0}")]
    Provider(NameError),
    /// The host cannot be one.
    #[error("host {0}")]
    Host(NameError),
    /// The model's name cannot be a label.
    #[error("model {0}")]
    Model(NameError),
}

impl Names {
    /// The names of a configuration, over those of the catalogue.
    pub fn new(config: &Config) -> Self {
        let mut names = Self {
            providers: HashMap::new(),
            aliases: HashMap::new(),
            hosts: HashMap::new(),
            patterns: Vec::new(),
            seen: RwLock::new(HashTable::new()),
            hasher: RandomState::default(),
        };
        for (name, provider) in &config.providers {
            let spellings = Spellings {
                aliases: with_canonical(&provider.aliases),
                regions: provider.regions.clone(),
                accounts: provider.accounts.clone(),
            };
            for (alias, model) in &spellings.aliases {
                agree(&mut names.aliases, alias, model);
            }
            names.providers.insert(name.clone(), spellings);
            for host in &provider.hosts {
                if host.contains('*') {
                    names.patterns.push((host.clone(), name.clone()));
                } else {
                    // The checks of the configuration keep these apart.
                    names.hosts.insert(host.clone(), Some(name.clone()));
                }
            }
        }
        // After all explicit hosts, which win over what only follows from a URL.
        let explicit: Vec<String> = names.hosts.keys().cloned().collect();
        for (name, provider) in &config.providers {
            if let Some(host) = host_of(&provider.base_url).filter(|host| !explicit.contains(host))
            {
                agree(&mut names.hosts, &host, name);
            }
        }
        names
    }

    /// The target that a client means. A repeated question costs one look-up and no allocation.
    ///
    /// `host` may be a host, `host:port` or a whole URL, as clients put all three there.
    ///
    /// # Errors
    /// [`ResolveError`] when a name is missing or cannot be a label.
    pub fn resolve(
        &self,
        provider: Option<&str>,
        host: Option<&str>,
        model: &str,
    ) -> Result<Target, ResolveError> {
        let given = |name: &&str| !name.trim().is_empty();
        let raw = Raw { provider: provider.filter(given), host: host.filter(given), model };
        let hash = self.hasher.hash_one(raw);
        let is_it = |seen: &Seen| seen.raw() == raw;
        {
            let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(seen) = seen.find(hash, is_it) {
                return Ok(seen.target.clone());
            }
        }
        let target = self.work_out(raw)?;
        if raw.bytes() <= REMEMBERED_BYTES_MAX {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= REMEMBERED_MAX {
                // Refusing instead would let one flood of names slow down everything after it.
                seen.clear();
            }
            if seen.find(hash, is_it).is_none() {
                let entry = Seen::new(raw, target.clone());
                seen.insert_unique(hash, entry, |seen| self.hasher.hash_one(seen.raw()));
            }
        }
        Ok(target)
    }

    /// The provider that a name means, whatever its spelling; `None` where it cannot be a label.
    pub fn provider(&self, raw: &str) -> Option<Provider> {
        self.provider_named(raw).ok()
    }

    /// Whether this host, `host:port` or URL is one of a provider's, or of several.
    pub fn serves(&self, host: &str) -> bool {
        let with_port = authority(host);
        let is_configured = [with_port.as_str(), without_port(&with_port)]
            .iter()
            .any(|host| self.hosts.contains_key(*host));
        is_configured || self.provider_at(host).is_ok_and(|provider| provider.is_some())
    }

    /// The provider that this host, `host:port` or URL is one of, if it is one's alone.
    pub fn provider_of_host(&self, host: &str) -> Option<Provider> {
        self.provider_at(host).ok().flatten()
    }

    /// Whether this name is that of a provider whose hosts are known: not of one that everybody
    /// runs at an address of their own.
    pub fn knows(&self, provider: &str) -> bool {
        let Ok(named) = self.provider_named(provider) else { return false };
        let is_at_home = |known: &catalog::Known| !known.hosts.is_empty();
        let configured = self.patterns.iter().map(|(_, provider)| provider);
        configured.chain(self.hosts.values().flatten()).any(|it| *it == named)
            || catalog::named(named.as_str()).is_some_and(is_at_home)
    }

    /// The configured spelling of a region of a provider; `None` when it is not configured.
    pub fn region(&self, provider: &Provider, raw: &str) -> Option<&str> {
        configured(&self.providers.get(provider)?.regions, raw)
    }

    /// The configured spelling of an account of a provider; `None` when it is not configured.
    pub fn account(&self, provider: &Provider, raw: &str) -> Option<&str> {
        configured(&self.providers.get(provider)?.accounts, raw)
    }

    fn work_out(&self, raw: Raw<'_>) -> Result<Target, ResolveError> {
        let by_host = match raw.host {
            Some(host) => self.provider_at(host)?,
            None => None,
        };
        let provider = match (by_host, raw.provider) {
            (Some(provider), _) => provider,
            (None, Some(name)) => self.provider_named(name)?,
            (None, None) if raw.host.is_some() => {
                Provider::new(OTHER).map_err(ResolveError::Provider)?
            }
            (None, None) => return Err(ResolveError::Nobody),
        };
        let model = self.model_of(&provider, raw.model).map_err(ResolveError::Model)?;
        Ok(Target::new(provider, model))
    }

    fn provider_at(&self, raw: &str) -> Result<Option<Provider>, ResolveError> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(ResolveError::Host(NameError::TooLong));
        }
        let with_port = authority(raw);
        let bare = without_port(&with_port);
        for host in [with_port.as_str(), bare] {
            match self.hosts.get(host) {
                Some(Some(provider)) => return Ok(Some(provider.clone())),
                // Shared by two providers, so the name must tell.
                Some(None) => return Ok(None),
                None => {}
            }
        }
        let fits = |(pattern, _): &&(String, Provider)| {
            host_matches(pattern, bare) || host_matches(pattern, &with_port)
        };
        if let Some((_, provider)) = self.patterns.iter().find(fits) {
            return Ok(Some(provider.clone()));
        }
        catalog::hosted(bare)
            .map(|known| Provider::new(known.name).map_err(ResolveError::Provider))
            .transpose()
    }

    fn provider_named(&self, raw: &str) -> Result<Provider, ResolveError> {
        let provider = Provider::new(raw).map_err(ResolveError::Provider)?;
        if self.providers.contains_key(&provider) {
            return Ok(provider);
        }
        match catalog::named(provider.as_str()) {
            Some(known) => Provider::new(known.name).map_err(ResolveError::Provider),
            None => Ok(provider),
        }
    }

    fn model_of(&self, provider: &Provider, raw: &str) -> Result<Model, NameError> {
        let own = self.providers.get(provider).map(|spellings| &spellings.aliases);
        let alias = |name: &str| {
            own.and_then(|aliases| aliases.get(name))
                .or_else(|| self.aliases.get(name).and_then(Option::as_ref))
                .cloned()
        };
        let raw = raw.trim();
        if let Some(model) = alias(raw) {
            return Ok(model);
        }
        let model = model_name::model(raw)?;
        Ok(alias(model.as_str()).unwrap_or(model))
    }
}

impl Seen {
    fn new(raw: Raw<'_>, target: Target) -> Self {
        Self {
            provider: raw.provider.map(Into::into),
            host: raw.host.map(Into::into),
            model: raw.model.into(),
            target,
        }
    }

    fn raw(&self) -> Raw<'_> {
        Raw { provider: self.provider.as_deref(), host: self.host.as_deref(), model: &self.model }
    }
}

impl Raw<'_> {
    fn bytes(&self) -> usize {
        self.provider.map_or(0, str::len) + self.host.map_or(0, str::len) + self.model.len()
    }
}

/// Aliases under the name as written and, where that is free, under its canonical form.
fn with_canonical<'a>(
    aliases: impl IntoIterator<Item = (&'a String, &'a Model)> + Clone,
) -> HashMap<String, Model> {
    let mut all = HashMap::new();
    for (alias, target) in aliases.clone() {
        all.insert(alias.clone(), target.clone());
    }
    for (alias, target) in aliases {
        if let Ok(name) = model_name::model(alias) {
            all.entry(name.as_str().to_owned()).or_insert_with(|| target.clone());
        }
    }
    all
}

/// Notes that `key` means `value`, or nothing at all once two meanings differ.
fn agree<T: Clone + PartialEq>(map: &mut HashMap<String, Option<T>>, key: &str, value: &T) {
    map.entry(key.to_owned())
        .and_modify(|known| {
            if known.as_ref() != Some(value) {
                *known = None;
            }
        })
        .or_insert_with(|| Some(value.clone()));
}

fn configured<'a>(names: &'a [String], raw: &str) -> Option<&'a str> {
    names.iter().find(|name| name.eq_ignore_ascii_case(raw.trim())).map(String::as_str)
}

/// `host` or `host:port` of a base URL, in lower case.
fn host_of(url: &str) -> Option<String> {
    Some(authority(url)).filter(|host| !host.is_empty())
}

/// `host` or `host:port` of a host or a URL, in lower case.
fn authority(raw: &str) -> String {
    let rest = raw.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.trim_end_matches('.').to_lowercase()
}

/// A host without its port; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
