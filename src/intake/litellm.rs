//! LiteLLM's generic API callback: its logging payloads to sightings.
//!
//! A payload is ten kilobytes of which a dozen fields are read; prompts, answers and the model map
//! are skipped undecoded. A batch is an array, one object, or one object a line, and LiteLLM calls
//! the latter `application/json` too, so the form is told from the bytes.
//!
//! LiteLLM maps Anthropic's overload, resets and much else to 500: its 500 is no evidence, the
//! message is. What a record stands for depends on who made it, see [`Origin`].

mod payload;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::value::RawValue;

use crate::domain::classify::Transport;
use crate::domain::time::Timestamp;

use super::batch::{BatchError, split};
use super::door::Door;
use super::refusal::Refusal;
use super::sighting::{Basis, Ending, Evidence, Ignored, Layer, Reading, Sighting};
use super::take::Taken;

use payload::{ErrorInformation, Headers, Loose, Metadata, Payload};

/// Largest payload, in bytes: the prompt is in it.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most retries believed.
const RETRIES_MAX: f64 = 1_000.0;

/// How LiteLLM's own word for an overload ends. Beside 503 it means any outage, beside 500 a load
/// that was shed.
const OVERLOADED: &str = "PROVIDER_OVERLOADED";
/// The provider's word for that.
const SHED: &str = "overloaded_error";

/// The status that LiteLLM gives to errors it has no other for.
const UNKNOWN_STATUS: u16 = 500;

/// Another LiteLLM behind this one: a gateway, which tells of its calls itself.
const GATEWAY: &str = "litellm_proxy";

/// Providers that LiteLLM asks without an SDK in between, so that nothing retries unseen: one
/// request a record with 1.80, 1.106 and 1.110. The others go through the client of OpenAI, which
/// retries twice by itself unless the caller forbids it, and no record says whether he did.
const ASKED_ONCE: [&str; 14] = [
    "anthropic",
    "azure_ai",
    "bedrock",
    "cohere",
    "cohere_chat",
    "databricks",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "huggingface",
    "mistral",
    "openrouter",
    "xai",
];

/// Takes batches of payloads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Callbacks {
    door: Door,
}

impl Callbacks {
    /// Callbacks through this door.
    pub fn new(door: Door) -> Self {
        Self { door }
    }

    /// Counts what a batch tells.
    ///
    /// # Errors
    /// [`BatchError`] when the batch as a whole cannot be read; nothing is counted then.
    pub fn take(&self, body: &[u8], now: Timestamp) -> Result<Taken, BatchError> {
        Ok(self.door.take(read(body)?, now))
    }
}

/// What the payloads of a batch mean, in their order.
///
/// # Errors
/// [`BatchError`] when the batch as a whole cannot be read.
pub fn read(body: &[u8]) -> Result<Vec<Result<Reading, Refusal>>, BatchError> {
    let payloads = split(body, PAYLOAD_BYTES_MAX)?.into_iter();
    Ok(payloads.map(|payload| payload.and_then(read_one)).collect())
}

/// Who made a record: the same fields mean different things.
///
/// All of it was seen against a provider that fails as told, with LiteLLM 1.80, 1.106 and 1.110
/// (`docs/telemetry.md` has the table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The proxy. Its records of one call share one object, which lets one failure through: the
    /// *first* failed try, whatever came after it, so exactly the first attempt of the call. The
    /// failures of later tries are never told, nor those on the model that it falls back to. Where
    /// the call succeeded in the end, a second record says so, numbered unless it was a stream.
    Proxy,
    /// A router inside a program. Each try has an object of its own, so each is told, with its
    /// class; what they have in common is the trace.
    Router,
    /// A bare call of the SDK. Its own retries are like the proxy's (one failure, the first); those
    /// of the client underneath are not to be seen, and then the record is the last attempt's.
    Sdk,
}

/// Which attempt a record is, and of what.
struct Standing {
    basis: Basis,
    attempt: Option<u32>,
    call: Option<String>,
    resends: u32,
}

impl Origin {
    fn of(payload: &Payload<'_>) -> Self {
        let metadata = payload.metadata.0.map(RawValue::get);
        let metadata: Option<Metadata<'_>> =
            metadata.and_then(|metadata| serde_json::from_str(metadata).ok());
        let is_proxy = metadata.is_some_and(|metadata| {
            metadata.user_api_key_request_route.text().is_some()
                || metadata.user_api_key_hash.text().is_some()
                || metadata.requester_ip_address.text().is_some()
        });
        match (is_proxy, payload.model_group.text()) {
            (true, _) => Self::Proxy,
            (false, Some(_)) => Self::Router,
            (false, None) => Self::Sdk,
        }
    }

    /// What a record of this origin stands for. Without a number the first of a call is its first
    /// attempt and the others are retries.
    fn standing(self, payload: &Payload<'_>, headers: &Headers<'_>) -> Standing {
        let number = |header: &Loose<'_>| {
            header.number().map(|number| number.clamp(0.0, RETRIES_MAX) as u32)
        };
        let retries = number(&headers.attempted_retries);
        let is_fallback = number(&headers.attempted_fallbacks).is_some_and(|count| count > 0);
        let call = payload.litellm_call_id.owned();
        let attempt = Standing { basis: Basis::Attempt, attempt: None, call, resends: 0 };
        match self {
            Self::Proxy => match retries {
                // Of the model fallen back to only successes are told, so they are no first
                // attempts: it would look well whatever it did.
                Some(retries) if is_fallback => {
                    Standing { attempt: Some(retries + 2), resends: retries, ..attempt }
                }
                Some(retries) => Standing {
                    attempt: Some(retries + 1),
                    resends: retries.saturating_sub(1),
                    ..attempt
                },
                None => attempt,
            },
            Self::Router => match payload.trace_id.text().filter(|trace| is_own(trace)) {
                // A fallback is the first attempt at another model.
                Some(trace) => {
                    let model = payload.model.text().unwrap_or_default();
                    Standing { call: Some(format!("{trace} {model}")), ..attempt }
                }
                None => {
                    Standing { attempt: retries.map(|retries| retries + 1), call: None, ..attempt }
                }
            },
            Self::Sdk => {
                let provider = payload.custom_llm_provider.text().unwrap_or_default();
                let is_asked_once = ASKED_ONCE.contains(&&*provider);
                let basis = if is_asked_once { Basis::Attempt } else { Basis::Operation };
                Standing { basis, ..attempt }
            }
        }
    }
}

/// Whether a trace is one that LiteLLM made up for a call: those that callers name may hold many
/// calls, and the failures of all but one would look like retries.
fn is_own(trace: &str) -> bool {
    trace.len() == 36 && trace.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn read_one(payload: &[u8]) -> Result<Reading, Refusal> {
    let mut payload: Payload<'_> = serde_json::from_slice(payload)
        .map_err(|error| Refusal::not_json(&error, "a JSON object"))?;
    let Some(status) = payload.status.text() else {
        return Ok(Reading::Ignored(Ignored::Unrelated));
    };
    let error = payload.error_information.take().unwrap_or_default();
    let hidden = payload.hidden_params.take().unwrap_or_default();
    let headers = hidden.additional_headers.unwrap_or_default();
    let ending = match &*status {
        "success" => Ending::Ok(None),
        "failure" => Ending::Failed(evidence(&error, &payload.error_str)),
        _ => return Ok(Reading::Ignored(Ignored::Unrelated)),
    };
    if is_its_own(&payload, &error) {
        return Ok(Reading::Ignored(Ignored::Gateway));
    }
    let Standing { basis, attempt, call, resends } =
        Origin::of(&payload).standing(&payload, &headers);
    let (started, ended) = (payload.start_time.number(), payload.end_time.number());
    let first = payload.completion_start_time.number().filter(|first| Some(*first) < ended);
    let since_start = |end: Option<f64>| seconds(end? - started?);
    let request_id =
        [error.error_provider_request_id, headers.provider_request_id, headers.request_id];
    let request_id = request_id.iter().find_map(Loose::owned);
    let call_id = payload.litellm_call_id.owned();
    // Of a failure it is the id of the call.
    let answer = payload.id.owned().filter(|id| call_id.as_ref() != Some(id));
    let sighting = Sighting {
        provider: payload.custom_llm_provider.owned(),
        host: payload.api_base.owned(),
        // The deployment; the name of its group is in a field of its own.
        model: hidden.litellm_model_name.owned().or_else(|| payload.model.owned()),
        at: ended.and_then(seconds).map(|since| Timestamp::default().plus(since)),
        duration: since_start(ended),
        time_to_first_token: since_start(first),
        attempt,
        resends,
        request_ids: request_id.into_iter().chain(answer).collect(),
        replay_key: call_id.map(|call| {
            let micros = started.and_then(seconds).map(|start| (start.as_nanos() + 500) / 1_000);
            let micros = micros.and_then(|micros| micros.try_into().ok()).unwrap_or(0);
            replay_key(basis, &call, matches!(ending, Ending::Failed(_)), micros)
        }),
        call,
        ending,
        ..Sighting::new(Layer::LiteLlmCallback, basis)
    };
    Ok(Reading::Seen(Box::new(sighting.with_id_in_text())))
}

/// What the callback's record and the span of one try have in common: the call, how it ended, and
/// the microsecond in which it began. LiteLLM makes both of the same numbers.
pub(super) fn replay_key(basis: Basis, call: &str, has_failed: bool, started_us: u64) -> String {
    format!("litellm {basis:?} {call} {has_failed} {started_us}")
}

/// Whether a record is the gateway's own doing, and no provider was asked: an answer from its
/// cache, one of its limits, a group whose deployments all rest, or a call of another LiteLLM.
fn is_its_own(payload: &Payload<'_>, error: &ErrorInformation<'_>) -> bool {
    let category = error.error_rate_limit_category.text();
    let provider = payload.custom_llm_provider.text();
    payload.cache_hit.is_true()
        || category.is_some_and(|category| category.starts_with("litellm"))
        || provider.as_deref() == Some(GATEWAY)
        || (provider.is_none() && payload.api_base.text().is_none())
}

fn evidence(error: &ErrorInformation<'_>, error_str: &Loose<'_>) -> Evidence {
    // `server_is_overloaded` stands where other versions have a number.
    let code = error.error_code.owned();
    let status = code.as_ref().and_then(|code| code.parse::<u16>().ok());
    let text = error.error_message.owned().or_else(|| error_str.owned());
    if is_cut(error, text.as_deref()) {
        let transport = Some(Transport::ResetBeforeHeaders);
        return Evidence { transport, ..Evidence::default() };
    }
    let is_shed = status == Some(UNKNOWN_STATUS)
        && error.normalized_error.text().is_some_and(|word| word.ends_with(OVERLOADED));
    Evidence {
        status: status.filter(|status| (400..600).contains(status) && *status != UNKNOWN_STATUS),
        error_type: error.error_class.owned(),
        error_code: code.filter(|_| status.is_none()).or(is_shed.then(|| SHED.to_owned())),
        text,
        transport: None,
        in_stream: false,
    }
}

/// Whether the connection was cut, which LiteLLM calls an internal server error.
fn is_cut(error: &ErrorInformation<'_>, text: Option<&str>) -> bool {
    let normalized = error.normalized_error.text();
    let said = text.and_then(|text| text.split_once("Exception - ")).map(|(_, said)| said);
    normalized.is_some_and(|word| word.ends_with("CONNECTION_ERROR"))
        || said.is_some_and(|said| {
            said.starts_with("Connection error") || said.contains("Connection reset by peer")
        })
}

/// Seconds as reported, if they can be any.
fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok().filter(|duration| duration.as_secs() < 1 << 40)
}
