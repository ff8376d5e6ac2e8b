//! What records mean, one file for each source.
//!
//! Sources are told by meaning (whose scope, which attributes), not by exact shape: names of spans
//! and versions change. Error evidence outranks the status code, since a failure inside a stream
//! has the status 200.

mod anthropic_sdk;
mod claude_code;
mod codex;
mod gemini_cli;
mod gen_ai;
mod http;
mod litellm;
mod openinference;
mod openllmetry;
#[cfg(test)]
mod tests;
mod vercel_ai;

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::intake::sighting::{Basis, Ending, Evidence, Ignored, Layer, Reading, Sighting};

use super::Signal;
use super::record::Record;

/// Reads a record, or knows nothing of it.
type Reader = fn(&Record) -> Option<Reading>;

/// The readers of spans. The more general ones come last: they would take what others know better.
const SPANS: [Reader; 8] = [
    anthropic_sdk::read,
    claude_code::read_span,
    litellm::read,
    vercel_ai::read,
    openinference::read,
    openllmetry::read,
    gen_ai::read,
    http::read,
];

/// The readers of events.
const EVENTS: [Reader; 3] = [claude_code::read_event, codex::read, gemini_cli::read];

/// Attributes that hold the HTTP status, the newer name first.
const STATUS: [&str; 3] = ["http.response.status_code", "http.status_code", "status_code"];

/// What tells events apart that have no number and no id: the clock of JavaScript has milliseconds,
/// and in one of them many calls may fail.
const TELLS_APART: [&str; 13] = [
    "session.id",
    "event.sequence",
    "prompt.id",
    "prompt_id",
    "model",
    "model_name",
    "attempt",
    "http.response.status_code",
    "http.status_code",
    "status_code",
    "duration_ms",
    "duration",
    "event.kind",
];

/// Operations that call a model once; agents, tools and workflows hold such calls.
const CALLS: [&str; 7] = [
    "chat",
    "completion",
    "embeddings",
    "generate_content",
    "message",
    "responses",
    "text_completion",
];

/// Providers whose names begin with a company's that makes several.
const COMPANIES: [&str; 5] = ["aws", "azure", "gcp", "google", "ibm"];

/// Most attempts of one call believed.
const ATTEMPTS_MAX: u32 = 1_000;

/// What a record means.
pub(super) fn read(record: &Record) -> Reading {
    let readers: &[Reader] = match record.signal {
        Signal::Traces => &SPANS,
        Signal::Logs => &EVENTS,
    };
    let reading = readers.iter().find_map(|reader| reader(record));
    reading.unwrap_or(Reading::Ignored(Ignored::Unrelated))
}

/// A sighting with what all records have.
fn sighting(record: &Record, layer: Layer, basis: Basis) -> Sighting {
    Sighting {
        ending: ending(record),
        at: record.at(),
        duration: record.duration(),
        place: record.place,
        service: record.service.to_string(),
        replay_key: replay_key(record),
        ..Sighting::new(layer, basis)
    }
}

/// The same for a span that speaks the conventions for generative AI.
fn gen_ai_sighting(record: &Record, layer: Layer, basis: Basis) -> Sighting {
    let attributes = &record.attributes;
    let ttft = attributes.number(&["gen_ai.response.time_to_first_chunk"]);
    let ttft = ttft.and_then(|seconds| super::record::millis(seconds * 1_000.0));
    Sighting {
        provider: provider(record, &["gen_ai.provider.name", "gen_ai.system"]),
        host: host(record),
        model: owned(attributes.text(&["gen_ai.request.model"])),
        time_to_first_token: ttft,
        ..sighting(record, layer, basis)
    }
}

fn seen(sighting: Sighting) -> Option<Reading> {
    Some(Reading::Seen(Box::new(sighting.with_id_in_text())))
}

/// What these say, each once.
fn ids(record: &Record, keys: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for id in keys.iter().filter_map(|key| record.attributes.text(&[key])) {
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

const fn ignored(reason: Ignored) -> Option<Reading> {
    Some(Reading::Ignored(reason))
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Whether the operation is one call of a model, as far as the record says.
fn is_call(record: &Record) -> bool {
    let operation = record.attributes.text(&["gen_ai.operation.name"]);
    operation.is_none_or(|operation| CALLS.contains(&operation))
}

/// The provider's name without the name of the API: `anthropic.messages`, `openai.chat`.
fn provider(record: &Record, keys: &[&str]) -> Option<String> {
    let name = record.attributes.text(keys)?.to_ascii_lowercase();
    if name.starts_with("google.vertex") {
        return Some("vertex".to_owned());
    }
    match name.split_once('.') {
        Some((company, _)) if company == "google" || !COMPANIES.contains(&company) => {
            Some(company.to_owned())
        }
        Some(_) | None => Some(name),
    }
}

/// The host that was asked. The base URL of OpenLLMetry tells more than its provider's name, which
/// is that of the SDK.
fn host(record: &Record) -> Option<String> {
    let at = |address, port| address_at(record, address, port);
    let urls = ["url.full", "http.url", "gen_ai.openai.api_base"];
    at("server.address", "server.port")
        .or_else(|| owned(record.attributes.text(&urls)))
        .or_else(|| owned(record.attributes.text(&["http.host"])))
        .or_else(|| at("net.peer.name", "net.peer.port"))
}

/// An address with its port, which tells servers of one machine apart; what has a port already, or
/// is a whole URL, stays as it is.
fn address_at(record: &Record, address: &str, port: &str) -> Option<String> {
    let address = record.attributes.text(&[address])?;
    let is_port = |port: &f64| port.fract() == 0.0 && (1.0..=65_535.0).contains(port);
    let Some(port) = record.attributes.number(&[port]).filter(is_port) else {
        return Some(address.to_owned());
    };
    if address.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("[{address}]:{port}"));
    }
    let has_port = address.contains(':') && !address.ends_with(']');
    Some(if has_port { address.to_owned() } else { format!("{address}:{port}") })
}

fn duration_ms(record: &Record) -> Option<Duration> {
    record.attributes.number(&["duration_ms", "duration"]).and_then(super::record::millis)
}

/// The attempt's number, from 1.
fn attempt(record: &Record) -> Option<u32> {
    let number = record.attributes.number(&["attempt"]).filter(|number| *number >= 1.0)?;
    Some(number.min(f64::from(ATTEMPTS_MAX)) as u32)
}

/// How it ended: any evidence of an error outranks the status.
fn ending(record: &Record) -> Ending {
    let attributes = &record.attributes;
    let status = attributes.status(&STATUS);
    let word = attributes.word("error.type").or_else(|| record.exception.word("exception.type"));
    let is_failure = record.is_error
        || word.is_some()
        || !record.exception.is_empty()
        || status.is_some_and(|status| status >= 400);
    if !is_failure {
        return Ending::Ok(status);
    }
    let text = record.exception.text(&["exception.message"]).or_else(|| record.message());
    let text = text.or_else(|| attributes.text(&["error.message", "error"]));
    Ending::Failed(evidence(status, word, text))
}

/// Evidence of a failure, with the status found wherever it stands.
fn evidence(status: Option<u16>, word: Option<String>, text: Option<&str>) -> Evidence {
    let as_status = |word: &String| word.parse().ok().filter(|code| (400..600).contains(code));
    let in_word = word.as_ref().and_then(as_status);
    let status = status.or(in_word).or_else(|| text.and_then(status_in));
    Evidence {
        status,
        in_stream: status.is_some_and(|status| (200..300).contains(&status)),
        error_type: word.filter(|_| in_word.is_none()),
        error_code: None,
        text: owned(text),
        transport: None,
    }
}

/// The status that exceptions of the SDKs begin with (`Error code: 529 - …`, `529 {…}`), or that
/// heads the page of a proxy.
fn status_in(text: &str) -> Option<u16> {
    let rest = match text.strip_prefix('<') {
        Some(page) => page.split_once("<title>")?.1,
        None => text.strip_prefix("Error code: ").unwrap_or(text),
    };
    let (digits, rest) = rest.split_at_checked(3)?;
    let ends = rest.is_empty() || rest.starts_with(' ');
    let status = digits.parse().ok().filter(|status| (400..600).contains(status))?;
    ends.then_some(status)
}

/// The same whenever the same record is sent again; `None` where nothing tells records apart.
fn replay_key(record: &Record) -> Option<String> {
    let place = &record.place;
    match record.signal {
        Signal::Traces if place.span == [0; 8] => None,
        Signal::Traces => Some(hex(&[&place.trace[..], &place.span])),
        Signal::Logs => {
            let attributes = &record.attributes;
            let request = attributes.text(&["client_request_id", "request_id", "auth.request_id"]);
            let is_numbered = attributes.has("session.id") && attributes.has("event.sequence");
            if record.ended_ns == 0 && request.is_none() && !is_numbered {
                return None;
            }
            let (service, name, ended) = (&record.service, event(record), record.ended_ns);
            let mut key = format!("{service} {name} {ended} {}", request.unwrap_or_default());
            for part in TELLS_APART {
                let word = attributes.word(part).unwrap_or_default();
                write!(key, " {word}").expect("a string takes everything");
            }
            Some(key)
        }
    }
}

/// The name of an event, where its record has it.
fn event(record: &Record) -> &str {
    record.attributes.text(&["event.name"]).unwrap_or(&record.name)
}

fn hex(parts: &[&[u8]]) -> String {
    let mut text = String::new();
    for byte in parts.iter().copied().flatten() {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}
