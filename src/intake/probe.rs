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

use crate::domain::classify::{
    MatchedBy, Quota, Reply, Transport, Verdict, classify, quotas, retry_after, telling_word,
};
use crate::domain::outcome::{Class, Outcome, Source};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::ground::clock::Clock;
use crate::ground::secret::Secret;

mod spec;
mod wire;
mod cost;
mod credential;
mod aws;
mod client;
mod transport;
mod framing;
mod sse;
mod event_stream;
mod attempt;
mod redact;
mod request_id;
mod trace;
mod explain;
mod run;

pub(in crate::intake) use client::tls;
pub use client::{CONNECT_TIMEOUT, ClientError, client};
pub use cost::{INPUT_TOKENS, PRICE_ASSUMED, Usage};
pub use credential::Credential;
pub use explain::explain;
/// The HTTP client of all probes, made by [`client()`].
pub use reqwest::Client;
pub(in crate::intake) use spec::is_loopback;
pub use spec::{ProbeSpec, SpecError};
pub use trace::Trace;

use attempt::Exchange;
use client::Connection;
use credential::Proof;
use request_id::request_id;
use trace::Events;
use wire::Answer;

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
    /// Whether the request may have reached the provider: a connection was there to send it on.
    pub may_have_been_sent: bool,
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
    seen(client, spec, clock, Events::default()).await.0
}

/// Makes one probe, and keeps what [`explain()`] tells of it.
pub async fn probe_traced(
    client: &Client,
    spec: &ProbeSpec,
    clock: &Clock,
) -> (ProbeReport, Trace) {
    let (report, proof, exchange) = seen(client, spec, clock, Events::wanted()).await;
    let Some(exchange) = exchange else { return (report, Trace::default()) };
    let verdict = Verdict { class: report.class, matched_by: report.matched_by };
    let word = telling_word(&reply(spec, &exchange), verdict);
    let trace = Trace::new(spec, proof.as_ref().map(Proof::secret), &exchange, word);
    (report, trace)
}

/// One probe and what it was made of; without an exchange if nothing could be sent.
async fn seen(
    client: &Client,
    spec: &ProbeSpec,
    clock: &Clock,
    events: Events,
) -> (ProbeReport, Option<Proof>, Option<Exchange>) {
    let started_at = clock.now();
    let proof = match credential::proof(client, spec, clock).await {
        Ok(proof) => proof,
        Err(error) => {
            return (unsendable(Class::Auth, error, started_at, clock.now()), None, None);
        }
    };
    let seen = attempt::exchange(client, spec, proof.as_ref(), events).await;
    let at = clock.now();
    let key = proof.as_ref().map(Proof::secret);
    let (report, exchange) = match seen {
        Ok(exchange) => (report(spec, key, &exchange, started_at, at), Some(exchange)),
        Err(error) => (unsendable(Class::InvalidRequest, error, started_at, at), None),
    };
    if report.class == Class::Auth {
        credential::refused(spec);
    }
    (report, proof, exchange)
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
        if refused || !self.may_have_been_sent { 0.0 } else { spec.cost_bound_usd() }
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
    let verdict = proven(classify(&reply(spec, exchange)), exchange);
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
        // A complete answer asks nobody to wait, whatever it says of limits.
        retry_after: (verdict.class != Class::Ok)
            .then(|| retry_after(&exchange.headers, &exchange.body, at))
            .flatten(),
        quotas: quotas(&exchange.headers, at),
        may_have_been_sent: matches!(
            exchange.connection,
            Connection::Reused | Connection::Opened(_)
        ),
        misconfigured: misconfigured(spec, key, exchange, verdict.class),
        started_at,
        at,
    }
}

/// What classification is told of an exchange.
fn reply<'a>(spec: &'a ProbeSpec, exchange: &'a Exchange) -> Reply<'a> {
    Reply {
        provider: spec.target.provider.as_str(),
        dialect: Some(wire::family(spec.dialect)),
        status: exchange.status,
        headers: &exchange.headers,
        body: &exchange.body,
        stream: if exchange.is_plain { &[] } else { &exchange.stream },
        transport: exchange.transport,
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
fn unsendable(
    class: Class,
    error: impl std::error::Error,
    started_at: Timestamp,
    at: Timestamp,
) -> ProbeReport {
    ProbeReport {
        class,
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
        may_have_been_sent: false,
        misconfigured: Some(error.to_string()),
        started_at,
        at,
    }
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
