//! A fate: what becomes of one request, with its status and its times.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::dialect::{Dialect, Headers, Limits, REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, Voice};
use super::kind::Kind;
use super::weather::Weather;
use crate::domain::outcome::{Attempt, Class, Outcome, Source};
use crate::domain::target::Target;
use crate::domain::time::{MINUTE_MS, Timestamp};

/// A refusal is quicker than an answer: this share of the answer's time.
const REFUSAL_SHARE: f64 = 0.1;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    /// How it ends.
    pub kind: Kind,
    /// What a right classifier calls it.
    pub class: Class,
    /// The HTTP status; `None` where the connection is cut before one.
    pub code: Option<u16>,
    /// From sending to the end of the answer.
    pub duration: Duration,
    /// From sending to the first content, where there is any.
    pub time_to_first_token: Option<Duration>,
    /// What the client is told to wait, if anything.
    pub retry_after: Option<Duration>,
}

impl Fate {
    /// The outcome that a client reports which sees this fate, `at` the time it ended.
    pub fn outcome(&self, target: &Target, attempt: Attempt, at: Timestamp) -> Outcome {
        Outcome {
            attempt,
            code: self.code,
            duration: Some(self.duration),
            time_to_first_token: self.time_to_first_token,
            ..Outcome::new(target.clone(), Source::Client, at, self.class)
        }
    }

    /// The error body in the provider's own words, for clients that report status and body.
    pub fn error_body(&self, target: &Target) -> Option<String> {
        let provider = target.provider.as_str();
        let voice = Voice {
            dialect: Dialect::of(provider),
            provider,
            model: target.model.as_str(),
            request_id: "req_simulated",
        };
        if self.kind == Kind::StreamOverloaded {
            return Some(voice.dialect.speech().overload_text(&voice));
        }
        voice.reply(self.kind, self.retry_after.unwrap_or_default()).map(|reply| reply.body)
    }

    /// The headers that tell how the account's limits stand after `served` requests of a minute,
    /// in the provider's own names.
    pub fn limit_headers(
        &self,
        target: &Target,
        served: u64,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        self.limits(Dialect::of(target.provider.as_str()), served, now)
    }

    /// The same in a dialect of the client's choice: a minute's allowance, empty when throttled.
    pub(super) fn limits(&self, dialect: Dialect, served: u64, now: Timestamp) -> Headers {
        let throttled = self.retry_after.is_some();
        let to_minute = Duration::from_millis(MINUTE_MS - now.millis() % MINUTE_MS);
        let reset_in = self.retry_after.unwrap_or(to_minute);
        let served = served % REQUESTS_PER_MINUTE;
        let requests_remaining = if throttled { 0 } else { REQUESTS_PER_MINUTE - served };
        dialect.speech().limits(&Limits {
            requests_remaining,
            tokens_remaining: TOKENS_PER_MINUTE / REQUESTS_PER_MINUTE * requests_remaining,
            reset_in,
            reset_at: now.plus(reset_in),
        })
    }
}

/// The fate with its status and times, told by this target in this dialect.
pub(super) fn timed(
    kind: Kind,
    (dialect, target): (Dialect, &Target),
    weather: &Weather,
    pace: f64,
) -> Fate {
    let (provider, model) = (target.provider.as_str(), target.model.as_str());
    let voice = Voice { dialect, provider, model, request_id: "" };
    let latency = weather.latency().mul_f64(pace);
    let first = weather.time_to_first_token().mul_f64(pace).min(latency);
    let (duration, time_to_first_token) = match kind {
        Kind::Ok | Kind::Drip | Kind::Huge => (latency, Some(first)),
        Kind::Slow => {
            let share = first.as_secs_f64() / latency.as_secs_f64().max(f64::MIN_POSITIVE);
            (weather.slow(), Some(weather.slow().mul_f64(share.min(1.0))))
        }
        // As long as a client waits that waits too long.
        Kind::HalfOpen => (weather.slow(), None),
        // The stream breaks soon after its first content.
        Kind::StreamOverloaded | Kind::StreamReset => {
            let left = latency.saturating_sub(first);
            (first + left.mul_f64(REFUSAL_SHARE), Some(first))
        }
        Kind::Overloaded
        | Kind::RateLimited
        | Kind::QuotaExhausted
        | Kind::Billing
        | Kind::Auth
        | Kind::Unavailable
        | Kind::ServerError
        | Kind::Reset
        | Kind::WrongType
        | Kind::Redirect => (latency.mul_f64(REFUSAL_SHARE), None),
    };
    let retry_after = weather.retry_after();
    // What is no reply of its own begins as a good answer does.
    let replied = || voice.reply(kind, retry_after).map_or(200, |reply| reply.code);
    let code = (kind != Kind::Reset).then(replied);
    let retry_after = (kind == Kind::RateLimited).then_some(retry_after);
    Fate { kind, class: kind.class(), code, duration, time_to_first_token, retry_after }
}

/// How much longer or shorter than the median: log-normal with a spread of about 30 %.
pub(super) fn pace(rng: &mut StdRng) -> f64 {
    // Twelve uniform draws less six are close enough to a normal one.
    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    (normal * 0.3).exp()
}
