//! What a probe is made of: checked once, so that a request can always be built of it.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::cost;
use super::credential::Credential;
use super::wire::{self, Place, Wire};
use crate::domain::target::Target;
use crate::ground::catalog::{self, Auth, Dialect, Price};
use crate::ground::config::{ProbesConfig, ProviderConfig};

/// Everything a probe needs to know. Two probes of one specification are the same request.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSpec {
    /// Whom the outcome counts for.
    pub target: Target,
    /// How to ask and how to read.
    pub dialect: Dialect,
    /// Where to send it.
    pub url: String,
    /// The model's name on the wire, which may differ from the target's canonical one.
    pub wire_model: String,
    /// How the key is sent.
    pub auth: Auth,
    /// The key, or what signs the request; `None` for servers that need none.
    pub credential: Option<Credential>,
    /// Headers besides those of every probe and the key's.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Most tokens the model may answer with, as the body says; `None` if it sets no limit.
    pub max_tokens: Option<u64>,
    /// From sending to the terminal event.
    pub timeout: Duration,
    /// From sending to the first content.
    pub ttft_timeout: Duration,
    /// What tokens cost, if known.
    pub price: Option<Price>,
}

/// Why no probe can be made of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The base URL is none, or holds more than scheme, host, port and path.
    #[error("base_url must be an http or https URL without credentials, query or fragment")]
    Url,
    /// The key holds a line break or another character that no header may carry.
    #[error("api_key holds a character that no HTTP header may carry, check its source")]
    Key,
    /// A configured header is none.
    #[error("headers holds a name or a value that no HTTP header may have")]
    Header,
    /// A key or a signature would cross a network in clear text.
    #[error("base_url would send the key in clear text, use https, or api_key: none")]
    ClearText,
    /// A request cannot be signed for a region that is not known.
    #[error("the AWS region is not known, set region of the provider or the variable AWS_REGION")]
    Region,
}

impl ProbeSpec {
    /// Makes a specification, checked so that a request can always be built of it.
    ///
    /// # Errors
    /// [`SpecError`] when something of the configuration cannot go into a request.
    pub fn new(
        target: Target,
        provider: &ProviderConfig,
        probes: &ProbesConfig,
        credential: Option<Credential>,
    ) -> Result<Self, SpecError> {
        let dialect = provider.dialect;
        let wire = wire::wire(dialect);
        let base = check_url(&provider.base_url)?;
        let wire_model =
            provider.wire_names.get(&target.model).map_or(target.model.as_str(), String::as_str);
        let request = &provider.request;
        let url = wire.url(&Place {
            base_url: &provider.base_url,
            wire_model,
            api_version: request.api_version.as_deref(),
        });
        let known = catalog::body_patches(&target, dialect, wire_model);
        let own = request.model_body.get(&target.model);
        let patches = known.iter().chain([&request.body]).chain(own);
        let body = wire::body(wire, wire_model, patches);
        let credential = match credential {
            None if provider.auth() == Auth::SigV4 => Some(Credential::signing(provider)?),
            credential => credential,
        };
        if let Some(credential) = &credential {
            credential.check(provider.auth())?;
        }
        // However the key came to be: a file may say nothing of one that the environment has.
        if credential.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            return Err(SpecError::ClearText);
        }
        Ok(Self {
            dialect,
            url,
            wire_model: wire_model.to_owned(),
            auth: provider.auth(),
            credential,
            headers: headers(wire, provider)?,
            max_tokens: wire::max_tokens(wire, &body),
            body: body.to_string().into(),
            timeout: probes.timeout,
            ttft_timeout: probes.ttft_timeout,
            price: provider.price(&target.model),
            target,
        })
    }

    /// The most one probe may cost in US dollars; without a known price,
    /// [`PRICE_ASSUMED`](super::PRICE_ASSUMED) counts.
    pub fn cost_bound_usd(&self) -> f64 {
        cost::bound_usd(self.price.as_ref(), self.max_tokens)
    }

    /// What one probe will usually cost in US dollars, reckoned like the bound with a prompt of
    /// [`INPUT_TOKENS`](super::INPUT_TOKENS).
    pub fn cost_usual_usd(&self) -> f64 {
        cost::usual_usd(self.price.as_ref(), self.max_tokens)
    }

    /// How many tokens of answer the costs are reckoned with.
    pub fn output_tokens(&self) -> u64 {
        cost::output_tokens(self.max_tokens)
    }

    pub(super) fn wire(&self) -> &'static dyn Wire {
        wire::wire(self.dialect)
    }
}

/// Checks that a path can be appended to a base URL. A password in it would be shown with it.
fn check_url(base_url: &str) -> Result<Url, SpecError> {
    let base = Url::parse(base_url).map_err(|_| SpecError::Url)?;
    let plain = base.query().is_none()
        && base.fragment().is_none()
        && base.username().is_empty()
        && base.password().is_none();
    let good = matches!(base.scheme(), "http" | "https") && base.has_host() && plain;
    if good { Ok(base) } else { Err(SpecError::Url) }
}

/// Whether a URL names this machine, by a name or an address that cannot mean another.
pub(in crate::intake) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The dialect's headers, then the configured ones, which win.
fn headers(wire: &dyn Wire, provider: &ProviderConfig) -> Result<HeaderMap, SpecError> {
    let own = wire.headers().iter().copied();
    let configured = provider.request.headers.iter();
    let configured = configured.map(|(name, value)| (name.as_str(), value.as_str()));
    own.chain(configured)
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| SpecError::Header)?;
            Ok((name, HeaderValue::from_str(value).map_err(|_| SpecError::Header)?))
        })
        .collect()
}
