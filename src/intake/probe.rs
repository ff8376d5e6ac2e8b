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

use serde_json::{Map, Value};

use crate::domain::classify::{
    MatchedBy, Quota, Reply, Transport, Verdict, classify, quotas, retry_after,
};
use crate::domain::outcome::{Class, Outcome, Source};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::catalog::Price;
use crate::ground::clock::Clock;
use crate::ground::secret::Secret;

mod dialect;
mod anthropic;
mod openai_chat;
mod client;
mod transport;
mod sse;
mod attempt;
mod redact;
mod cost;

pub use client::{CONNECT_TIMEOUT, ClientError, client};
pub use cost::{PRICE_ASSUMED, Usage};
pub use dialect::ProbeDialect;
/// The HTTP client of all probes, made by [`client()`].
pub use reqwest::Client;

use attempt::Exchange;
use dialect::Answer;

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
    pub dialect: ProbeDialect,
    /// Where to send it.
    pub url: String,
    /// The model's name on the wire, which may differ from the target's canonical one.
    pub wire_model: String,
    /// The key; `None` for servers that need none. Its debug output is redacted.
    pub api_key: Option<Secret>,
    /// From sending to the terminal event.
    pub timeout: Duration,
    /// From sending to the first content.
    pub ttft_timeout: Duration,
    /// What tokens cost, if known.
    pub price: Option<Price>,
    /// Most tokens the model may answer with.
    pub max_tokens: u64,
    /// Overrides of the request body: a value replaces a field, `null` removes it.
    pub body: Map<String, Value>,
}

/// What [`ProbeSpec::new`] takes: a provider as configured.
#[derive(Clone, Debug)]
pub struct SpecInput<'a> {
    /// Whom to probe.
    pub target: Target,
    /// How the provider speaks.
    pub dialect: ProbeDialect,
    /// Where it lives, as configured.
    pub base_url: &'a str,
    /// The model's name on the wire.
    pub wire_model: &'a str,
    /// The key, if any.
    pub api_key: Option<Secret>,
    /// From sending to the terminal event.
    pub timeout: Duration,
    /// From sending to the first content.
    pub ttft_timeout: Duration,
    /// What tokens cost, if known.
    pub price: Option<Price>,
    /// Overrides of the request body.
    pub body: Map<String, Value>,
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
}

impl ProbeSpec {
    /// Makes a specification, checked so that a request can always be built of it.
    ///
    /// # Errors
    /// [`SpecError`] when the URL or the key cannot go into a request.
    pub fn new(input: SpecInput<'_>) -> Result<Self, SpecError> {
        let base = reqwest::Url::parse(input.base_url).map_err(|_| SpecError::Url)?;
        // A path is appended, so nothing may follow; a password in a URL would be shown with it.
        let plain = base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !plain {
            return Err(SpecError::Url);
        }
        let url = input.dialect.url(input.base_url);
        let max_tokens = input.dialect.max_tokens(input.target.provider.as_str(), input.wire_model);
        let spec = Self {
            target: input.target,
            dialect: input.dialect,
            url,
            wire_model: input.wire_model.to_owned(),
            api_key: input.api_key,
            timeout: input.timeout,
            ttft_timeout: input.ttft_timeout,
            price: input.price,
            max_tokens,
            body: input.body,
        };
        spec.dialect.headers(&spec)?;
        Ok(spec)
    }

    /// The most one probe may cost in US dollars; without a known price, [`PRICE_ASSUMED`] counts.
    pub fn cost_bound_usd(&self) -> f64 {
        // An override may ask for more than the dialect would.
        let overridden = ["max_tokens", "max_completion_tokens", "max_output_tokens"]
            .iter()
            .filter_map(|name| self.body.get(*name).and_then(Value::as_u64))
            .max();
        cost::bound_usd(self.price.as_ref(), overridden.unwrap_or(0).max(self.max_tokens))
    }
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
    let seen = attempt::exchange(client, spec).await;
    let at = clock.now();
    match seen {
        Ok(exchange) => report(spec, &exchange, started_at, at),
        Err(error) => unsendable(error, started_at, at),
    }
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
    exchange: &Exchange,
    started_at: Timestamp,
    at: Timestamp,
) -> ProbeReport {
    let verdict = classify(&Reply {
        provider: spec.target.provider.as_str(),
        dialect: Some(spec.dialect.as_str()),
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
        request_id: request_id(&exchange.headers, spec.api_key.as_ref().map(Secret::expose)),
        retry_after: retry_after(&exchange.headers, &exchange.body, at),
        quotas: quotas(&exchange.headers, at),
        misconfigured: misconfigured(spec, exchange, verdict.class),
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
fn misconfigured(spec: &ProbeSpec, exchange: &Exchange, class: Class) -> Option<String> {
    if !class.is_misconfigured_probe() {
        return None;
    }
    let key = spec.api_key.as_ref().map(Secret::expose);
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
