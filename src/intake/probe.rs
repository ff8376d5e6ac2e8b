//! Synthetic probes: one real inference request, read to its terminal event.
//!
//! Overload shows only where inference is admitted, and often after the headers of a 200: so a
//! probe asks for one token of real inference, streaming, and reads until the provider says that
//! the answer is complete. It is one attempt and one observation: no SDK, no retry, no redirect.
//! Which error it is, it does not decide: the raw text goes to `domain::classify`, which knows them
//! all. But a success that holds no error is not enough here: `ok` takes a complete answer.
//!
//! A probe does not know when it runs, what it may spend, or where its result goes: that is
//! `intake::schedule`. Never logged or reported: the key, the prompt, the answer.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::domain::classify::{
    MatchedBy, Quota, Reply, Transport, Verdict, classify, quotas, retry_after,
};
use crate::domain::outcome::{Class, Outcome, Source};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::catalog::{self, Auth, Dialect, Price};
use crate::ground::clock::Clock;
use crate::ground::config::{ProbesConfig, ProviderConfig};
use crate::ground::secret::Secret;

mod wire;
mod credential;
mod client;
mod transport;
mod sse;
mod attempt;
mod redact;
mod cost;

pub(in crate::intake) use client::tls;
pub use client::{CONNECT_TIMEOUT, ClientError, client};
pub use cost::{INPUT_TOKENS, PRICE_ASSUMED, Usage};
pub use credential::Credential;
/// The HTTP client of all probes, made by [`client()`].
pub use reqwest::Client;

use attempt::Exchange;
use wire::{Answer, Place, Wire};

/// Longest request id kept, in bytes: real ones are below 64, and a cut one finds nothing.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Headers that carry the provider's name for a request, the provider's own before the CDN's.
const REQUEST_ID_HEADERS: [&str; 5] =
    ["request-id", "x-request-id", "x-amzn-requestid", "apim-request-id", "cf-ray"];

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
    /// The key; `None` for servers that need none, and where the request is signed.
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
    /// Probes do not speak this dialect.
    #[error("probes do not speak the dialect {0} yet")]
    Dialect(&'static str),
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
        let wire = wire::wire(dialect).ok_or(SpecError::Dialect(dialect.as_str()))?;
        check_url(&provider.base_url)?;
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
        if let Some(credential) = &credential {
            key_header(provider.auth(), &credential.held())?;
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

    /// The most one probe may cost in US dollars; without a known price, [`PRICE_ASSUMED`] counts.
    pub fn cost_bound_usd(&self) -> f64 {
        cost::bound_usd(self.price.as_ref(), self.max_tokens)
    }

    /// What one probe will usually cost in US dollars, reckoned like the bound with a prompt of
    /// [`INPUT_TOKENS`].
    pub fn cost_usual_usd(&self) -> f64 {
        cost::usual_usd(self.price.as_ref(), self.max_tokens)
    }

    /// How many tokens of answer the costs are reckoned with.
    pub fn output_tokens(&self) -> u64 {
        cost::output_tokens(self.max_tokens)
    }

    fn wire(&self) -> &'static dyn Wire {
        wire::wire(self.dialect).expect("a specification is made only for dialects that have one")
    }
}

/// Checks that a path can be appended to a base URL. A password in it would be shown with it.
fn check_url(base_url: &str) -> Result<(), SpecError> {
    let base = reqwest::Url::parse(base_url).map_err(|_| SpecError::Url)?;
    let plain = base.query().is_none()
        && base.fragment().is_none()
        && base.username().is_empty()
        && base.password().is_none();
    let good = matches!(base.scheme(), "http" | "https") && base.has_host() && plain;
    if good { Ok(()) } else { Err(SpecError::Url) }
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

/// The header that carries a key, marked as secret so that no debug output shows it; `None` where
/// requests are signed instead.
fn key_header(auth: Auth, key: &Secret) -> Result<Option<(HeaderName, HeaderValue)>, SpecError> {
    let key = key.expose();
    let (name, text) = match auth {
        Auth::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
        Auth::XApiKey => (HeaderName::from_static("x-api-key"), key.to_owned()),
        Auth::ApiKey => (HeaderName::from_static("api-key"), key.to_owned()),
        Auth::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), key.to_owned()),
        Auth::SigV4 => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| SpecError::Key)?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// What one probe found.
#[derive(Clone, Debug)]
pub struct ProbeReport {
    /// What the attempt ended as.
    pub class: Class,
    /// Which rule decided that.
    pub matched_by: MatchedBy,
    /// The HTTP status; `None` where there was no response.
    pub http_status: Option<u16>,
    /// Time to open the connection (name, TCP, TLS); `None` when a warm one was used or none
    /// could be opened.
    pub connect: Option<Duration>,
    /// From sending, connection included, to the headers of the answer.
    pub ttfb: Option<Duration>,
    /// From sending, connection included, to the first content.
    pub ttft: Option<Duration>,
    /// From sending to the terminal event or the failure.
    pub total: Option<Duration>,
    /// What it cost in US dollars; `None` when price or usage is not known.
    pub cost_usd: Option<f64>,
    /// Tokens billed, as far as told.
    pub usage: Usage,
    /// The provider's name for the request: for its support and our logs, never a label.
    pub request_id: Option<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Rate limits of the account, from the headers.
    pub quotas: Vec<Quota>,
    /// Why the answer means a misconfigured probe, redacted and bounded; `None` when it does not.
    pub misconfigured: Option<String>,
    /// When it was sent.
    pub started_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
}

/// Makes one probe. A failing provider is a report like any other.
///
/// Dropping the future gives the probe up; nothing is recorded then.
pub async fn probe(client: &Client, spec: &ProbeSpec, clock: &Clock) -> ProbeReport {
    let started_at = clock.now();
    let key = match &spec.credential {
        Some(credential) => Some(credential.current().await),
        None => None,
    };
    let seen = attempt::exchange(client, spec, key.as_ref()).await;
    let at = clock.now();
    let report = match seen {
        Ok(exchange) => report(spec, key.as_ref(), &exchange, started_at, at),
        Err(error) => unsendable(error, started_at, at),
    };
    if let Some(credential) = spec.credential.as_ref().filter(|_| report.class == Class::Auth) {
        credential.refused();
    }
    report
}

impl ProbeReport {
    /// The report as an outcome of `target`.
    pub fn outcome(&self, target: &Target) -> Outcome {
        let mut outcome = Outcome::new(target.clone(), Source::Probe, self.at, self.class);
        outcome.code = self.http_status;
        outcome.duration = self.total;
        outcome.time_to_first_token = self.ttft;
        outcome
    }

    /// What to charge a budget for this probe, in US dollars: its cost where it is known, nothing
    /// where the provider refused it, and the bound where a bill may have begun.
    pub fn charge_usd(&self, spec: &ProbeSpec) -> f64 {
        if let Some(cost) = self.usage.cost_usd(spec.price.as_ref().unwrap_or(&PRICE_ASSUMED)) {
            // An answer that was cut may have told only the beginning of its bill.
            let complete = self.class == Class::Ok;
            return if complete { cost } else { cost.max(spec.cost_bound_usd()) };
        }
        let refused = self.http_status.is_some_and(|status| status >= 300);
        let never_sent = self.http_status.is_none() && self.class == Class::Network;
        if refused || never_sent { 0.0 } else { spec.cost_bound_usd() }
    }
}

/// Turns what was seen into a report. Pure, so that any exchange can be judged in a test.
fn report(
    spec: &ProbeSpec,
    key: Option<&Secret>,
    exchange: &Exchange,
    started_at: Timestamp,
    at: Timestamp,
) -> ProbeReport {
    let verdict = classify(&Reply {
        provider: spec.target.provider.as_str(),
        dialect: Some(wire::family(spec.dialect)),
        status: exchange.status,
        headers: &exchange.headers,
        body: &exchange.body,
        stream: &exchange.stream,
        transport: exchange.transport,
    });
    let verdict = proven(verdict, exchange);
    let cost_usd = spec.price.as_ref().and_then(|price| exchange.usage.cost_usd(price));
    ProbeReport {
        class: verdict.class,
        matched_by: verdict.matched_by,
        http_status: exchange.status,
        connect: exchange.connect,
        ttfb: exchange.ttfb,
        ttft: exchange.ttft,
        total: Some(exchange.total),
        cost_usd,
        usage: exchange.usage,
        request_id: request_id(&exchange.headers, key.map(Secret::expose)),
        retry_after: retry_after(&exchange.headers, &exchange.body, at),
        quotas: quotas(&exchange.headers, at),
        misconfigured: misconfigured(spec, key, exchange, verdict.class),
        started_at,
        at,
    }
}

/// Takes an `ok` away that no complete answer stands for. For a client's report, which may hold
/// only a status, a success is one unless something speaks against it; a probe saw everything.
fn proven(verdict: Verdict, exchange: &Exchange) -> Verdict {
    if verdict.class != Class::Ok {
        return verdict;
    }
    match exchange.answer {
        Answer::Complete => verdict,
        Answer::Foreign => Verdict { class: Class::Other, matched_by: MatchedBy::Intermediary },
        Answer::Cut => {
            let transport = exchange.transport.unwrap_or(Transport::EofBeforeTerminal);
            Verdict { class: transport.class(), matched_by: MatchedBy::Transport }
        }
    }
}

/// The report of a probe that could not even be put into a request.
fn unsendable(error: SpecError, started_at: Timestamp, at: Timestamp) -> ProbeReport {
    ProbeReport {
        class: Class::InvalidRequest,
        matched_by: MatchedBy::Transport,
        http_status: None,
        connect: None,
        ttfb: None,
        ttft: None,
        total: None,
        cost_usd: None,
        usage: Usage::default(),
        request_id: None,
        retry_after: None,
        quotas: Vec::new(),
        misconfigured: Some(error.to_string()),
        started_at,
        at,
    }
}

/// The first header that holds a plain name. It is logged and printed, so a server must not be
/// able to put the key, or anything that is no name, into it.
fn request_id(headers: &[(String, String)], key: Option<&str>) -> Option<String> {
    let of_an_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    REQUEST_ID_HEADERS
        .iter()
        .filter_map(|wanted| headers.iter().find(|(name, _)| name == wanted))
        .map(|(_, value)| value)
        .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(of_an_id))
        .find(|id| !key.is_some_and(|key| redact::shares_a_piece(id, key)))
        .cloned()
}

/// Why the probe is misconfigured, in the provider's words as far as they are safe to show.
fn misconfigured(
    spec: &ProbeSpec,
    key: Option<&Secret>,
    exchange: &Exchange,
    class: Class,
) -> Option<String> {
    if !class.is_misconfigured_probe() {
        return None;
    }
    let key = key.map(Secret::expose);
    let words = redact::provider_message(&exchange.body)
        .or_else(|| redact::stream_message(&exchange.stream))
        .map(|message| redact::redact(&message, key, &spec.wire_model))
        .filter(|message| !message.is_empty());
    let status = exchange.status.map_or("no status".to_owned(), |status| format!("HTTP {status}"));
    let complaint = format!("{class}: {}", words.unwrap_or(status));
    Some(complaint.chars().take(redact::MESSAGE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests;
