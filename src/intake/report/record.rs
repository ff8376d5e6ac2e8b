//! One native record: its fields, their limits, and the outcome they make.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::classify::{MatchedBy, Reported, classify_reported, parse_report_error};
use crate::domain::outcome::{Attempt, Class, Outcome, Scope, Source};
use crate::domain::target::NAME_BYTES_MAX;
use crate::domain::time::Timestamp;
use crate::ground::names::Names;
use crate::intake::door::{self, Classified};
use crate::intake::refusal::{Refusal, RejectReason};

use super::scalar::{Scalar, WORD_BYTES_MAX};

/// Bytes of one record.
pub(in crate::intake) const BYTES_MAX: usize = 64 * 1024;
/// Longest request id, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Largest pre-aggregated count.
const N_MAX: u64 = 1_000_000;
/// Characters of a client's word that a message repeats.
const QUOTED_CHARS_MAX: usize = 32;
/// Seconds beyond which a time stamp is surely in milliseconds (the year 5138).
const SECONDS_MAX: f64 = 1e11;

/// The phase of an answer whose first content arrived and whose end is still open.
const ADMITTED: &str = "admitted";

/// What ties a record to others.
#[derive(Clone, Debug, Default)]
pub(super) struct Ties {
    /// The idempotency id.
    pub(super) id: Option<String>,
    /// The caller's call.
    pub(super) op: Option<String>,
    /// The number of the attempt; 0 where it is not told.
    pub(super) attempt: u64,
    /// The provider's id of the request.
    pub(super) request_id: Option<String>,
    /// Whether it tells of the first content, and not of the end.
    pub(super) is_admission: bool,
    /// Whether it is the last attempt of its call.
    pub(super) is_final: bool,
}

/// The fields of a record as they came.
#[derive(Debug, Default)]
pub(in crate::intake) struct Record<'a> {
    id: Scalar<'a>,
    ts: Scalar<'a>,
    provider: Scalar<'a>,
    host: Scalar<'a>,
    model: Scalar<'a>,
    region: Scalar<'a>,
    account: Scalar<'a>,
    status: Scalar<'a>,
    class: Scalar<'a>,
    error: Scalar<'a>,
    error_type: Scalar<'a>,
    error_code: Scalar<'a>,
    body: Option<&'a RawValue>,
    phase: Scalar<'a>,
    attempt: Scalar<'a>,
    r#final: Scalar<'a>,
    op: Scalar<'a>,
    ms: Scalar<'a>,
    ttft_ms: Scalar<'a>,
    request_id: Scalar<'a>,
    retry_after: Scalar<'a>,
    n: Scalar<'a>,
    service: Scalar<'a>,
    /// Attempts before it that are only known to have happened. Not a field that a client sends.
    pub(in crate::intake) unclassified: u32,
}

impl<'a> Record<'a> {
    /// Reads the known fields; everything else is skipped undecoded.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes)
            .map_err(|error| Refusal::not_json(&error, "an outcome as a JSON object"))
    }

    /// A record of these fields; names that are no field of a record are skipped.
    pub(in crate::intake) fn of(fields: impl IntoIterator<Item = (&'a str, Scalar<'a>)>) -> Self {
        let mut record = Self::default();
        for (name, value) in fields {
            if let Some(field) = record.field_mut(name) {
                *field = value;
            }
        }
        record
    }

    /// The idempotency id, if it is a text of sensible length.
    pub(in crate::intake) fn id(&self) -> Option<&str> {
        match &self.id {
            Scalar::Text(text) if !text.is_empty() => Some(text),
            Scalar::Text(_)
            | Scalar::Absent
            | Scalar::Bool(_)
            | Scalar::Integer(_)
            | Scalar::Number(_)
            | Scalar::Compound => None,
        }
    }

    /// What ties it to other records, once its fields were checked.
    pub(super) fn ties(&self) -> Result<Ties, Refusal> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let ties = Ties {
            id: owned(self.id()),
            op: owned(self.op.text("op", WORD_BYTES_MAX)?),
            attempt: self.attempt.integer("attempt", 0, u64::from(u32::MAX))?.unwrap_or(0),
            request_id: owned(self.request_id.text("request_id", REQUEST_ID_BYTES_MAX)?),
            is_admission: self.phase.text("phase", WORD_BYTES_MAX)? == Some(ADMITTED),
            is_final: matches!(self.r#final, Scalar::Bool(true)),
        };
        if ties.is_admission && ties.op.is_none() {
            let error = "op: required with phase \"admitted\", as it ties a later failure to it";
            return Err(Refusal::new(RejectReason::MissingField, error.to_owned()));
        }
        if ties.is_admission && self.n.integer("n", 1, N_MAX)?.is_some_and(|n| n > 1) {
            return Err(Refusal::field(
                "n",
                "1 with phase \"admitted\", which is about one stream",
            ));
        }
        Ok(ties)
    }

    /// Checks every field and makes the outcome of a fresh report.
    pub(in crate::intake) fn outcome(
        &self,
        names: &Names,
        now: Timestamp,
    ) -> Result<Classified, Refusal> {
        let at = self.time()?.unwrap_or(now);
        door::admit("ts", at, now)?;
        self.outcome_at(names, at)
    }

    /// Checks every field but the time and makes an outcome that ended at `at`.
    pub(super) fn outcome_at(&self, names: &Names, at: Timestamp) -> Result<Classified, Refusal> {
        self.check_words()?;
        let provider = self.provider.text("provider", NAME_BYTES_MAX)?;
        let host = self.host.text("host", NAME_BYTES_MAX)?;
        if provider.is_none() && host.is_none() {
            return Err(missing("provider or host"));
        }
        let model = self.model.text("model", NAME_BYTES_MAX)?.ok_or_else(|| missing("model"))?;
        let target = names
            .resolve(provider, host, model)
            .map_err(|error| Refusal::new(RejectReason::InvalidField, error.to_string()))?;
        let code = self.status()?;
        let (class, matched_by) = self.class(target.provider.as_str(), code)?;
        let scope = self.scope(names, &target)?;
        let attempt = self.attempt.integer("attempt", 0, u64::from(u32::MAX))?;
        let count = self.n.integer("n", 1, N_MAX)?.unwrap_or(1);
        let mut outcome = Outcome::new(target, Source::Client, at, class);
        outcome.scope = scope;
        outcome.attempt =
            attempt.map_or(Attempt::First, |n| Attempt::from_number(u32::try_from(n).unwrap_or(2)));
        outcome.code = code;
        outcome.duration = self.ms.millis("ms")?;
        outcome.time_to_first_token = self.ttft_ms.millis("ttft_ms")?;
        outcome.count = u32::try_from(count).unwrap_or(u32::MAX);
        outcome.unclassified = self.unclassified;
        Ok(Classified { outcome, matched_by })
    }

    /// Fields that only later readers use are checked all the same, so that a client learns of a
    /// mistake today.
    fn check_words(&self) -> Result<(), Refusal> {
        self.id.text("id", WORD_BYTES_MAX)?;
        self.op.text("op", WORD_BYTES_MAX)?;
        self.service.text("service", WORD_BYTES_MAX)?;
        self.request_id.text("request_id", REQUEST_ID_BYTES_MAX)?;
        match &self.r#final {
            Scalar::Absent | Scalar::Bool(_) => {}
            Scalar::Integer(_) | Scalar::Number(_) | Scalar::Text(_) | Scalar::Compound => {
                return Err(Refusal::field("final", "true or false"));
            }
        }
        match self.retry_after.number() {
            Some(seconds) if !(seconds >= 0.0 && seconds.is_finite()) => {
                Err(Refusal::field("retry_after", "seconds, 0 or more"))
            }
            None if !matches!(self.retry_after, Scalar::Absent) => {
                Err(Refusal::field("retry_after", "a number of seconds"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// When the attempt ended, if the record tells.
    pub(super) fn time(&self) -> Result<Option<Timestamp>, Refusal> {
        let wrong = || Refusal::field("ts", "seconds since 1970 or an RFC 3339 time");
        match &self.ts {
            Scalar::Absent => Ok(None),
            Scalar::Text(text) => Timestamp::parse(text).map(Some).ok_or_else(wrong),
            Scalar::Integer(_) | Scalar::Number(_) => {
                let seconds = self.ts.number().unwrap_or(-1.0);
                if !(0.0..SECONDS_MAX).contains(&seconds) {
                    return Err(Refusal::field("ts", "seconds since 1970 (not milliseconds)"));
                }
                Ok(Some(Timestamp::from_millis((seconds * 1_000.0) as u64)))
            }
            Scalar::Bool(_) | Scalar::Compound => Err(wrong()),
        }
    }

    fn status(&self) -> Result<Option<u16>, Refusal> {
        let status = self.status.integer("status", 100, 599)?;
        Ok(status.and_then(|status| u16::try_from(status).ok()))
    }

    /// The class by evidence; the client's own word only where it gives no evidence.
    fn class(
        &self,
        provider: &str,
        status: Option<u16>,
    ) -> Result<(Class, Option<MatchedBy>), Refusal> {
        let in_stream = match self.phase.text("phase", WORD_BYTES_MAX)? {
            None | Some("headers") => false,
            Some("stream") => true,
            Some(ADMITTED) => return self.admission(status),
            Some(_) => {
                return Err(Refusal::field("phase", "\"headers\", \"stream\" or \"admitted\""));
            }
        };
        let claimed = match self.class.text("class", WORD_BYTES_MAX)? {
            None => None,
            Some(name) => Some(Class::parse(name).ok_or_else(|| {
                let names = Class::ALL.map(Class::as_str).join(", ");
                Refusal::field("class", format!("one of {names}; got {}", quoted(name)))
            })?),
        };
        let transport = match self.error.text("error", NAME_BYTES_MAX)? {
            None => None,
            Some(name) => Some(parse_report_error(name).ok_or_else(|| {
                let expected = "timeout, connect, reset, tls, canceled or a transport error's name";
                Refusal::field("error", format!("{expected}; got {}", quoted(name)))
            })?),
        };
        let error_type = self.error_type.word("error_type")?;
        let error_code = self.error_code.word("error_code")?;
        let body = self.body_text();
        let evidence = transport.is_some() || error_type.is_some() || error_code.is_some();
        let evidence = evidence || body.is_some();
        // A 2xx by itself does not outweigh a client that says the answer failed: that is how an
        // overload inside a stream looks to one who kept nothing else.
        let successful = status.is_some_and(|status| (200..300).contains(&status));
        match claimed {
            Some(class) if !evidence && (status.is_none() || successful) => {
                return Ok((class, None));
            }
            None if status.is_none() && transport.is_none() && error_type.is_none() => {
                return Err(missing("status, error or class"));
            }
            Some(_) | None => {}
        }
        let verdict = classify_reported(&Reported {
            provider,
            dialect: None,
            status,
            error_type: error_type.as_deref(),
            error_code: error_code.as_deref(),
            body: body.as_deref(),
            transport,
            in_stream,
        });
        Ok((verdict.class, Some(verdict.matched_by)))
    }

    /// The class of an answer whose first content is there.
    fn admission(&self, status: Option<u16>) -> Result<(Class, Option<MatchedBy>), Refusal> {
        let fields = [&self.error, &self.error_type, &self.error_code];
        let failed = fields.iter().any(|field| !matches!(field, Scalar::Absent));
        let class = self.class.text("class", WORD_BYTES_MAX)?;
        let is_ok = status.is_none_or(|status| (200..300).contains(&status));
        if failed || !is_ok || class.is_some_and(|class| class != Class::Ok.as_str()) {
            let expected = "\"stream\" with an error: \"admitted\" means that content arrived";
            return Err(Refusal::field("phase", expected));
        }
        Ok((Class::Ok, Some(MatchedBy::Ok)))
    }

    /// The body as text, whether it came as a string or as JSON.
    fn body_text(&self) -> Option<Cow<'a, str>> {
        let raw = self.body?.get();
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
            Some(b'n') | None => None,
            Some(_) => Some(Cow::Borrowed(raw)),
        }
    }

    fn scope(
        &self,
        names: &Names,
        target: &crate::domain::target::Target,
    ) -> Result<Scope, Refusal> {
        let region = self.region.text("region", NAME_BYTES_MAX)?;
        let account = self.account.text("account", NAME_BYTES_MAX)?;
        Ok(Scope {
            region: region.and_then(|raw| names.region(&target.provider, raw)).map(Arc::from),
            account: account.and_then(|raw| names.account(&target.provider, raw)).map(Arc::from),
        })
    }
}

/// A client's word in a message: enough to recognise it, not enough to carry a prompt.
fn quoted(text: &str) -> String {
    let head: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    let more = if head.len() < text.len() { "…" } else { "" };
    format!("{head:?}{more}")
}

fn missing(what: &str) -> Refusal {
    Refusal::new(RejectReason::MissingField, format!("{what}: required, but missing"))
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Record<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an outcome as a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
                let mut record = Record::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "body" {
                        record.body = Some(map.next_value()?);
                        continue;
                    }
                    match record.field_mut(&key) {
                        Some(field) => *field = map.next_value()?,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(record)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'a> Record<'a> {
    fn field_mut(&mut self, key: &str) -> Option<&mut Scalar<'a>> {
        Some(match key {
            "id" => &mut self.id,
            "ts" => &mut self.ts,
            "provider" => &mut self.provider,
            "host" => &mut self.host,
            "model" => &mut self.model,
            "region" => &mut self.region,
            "account" => &mut self.account,
            "status" => &mut self.status,
            "class" => &mut self.class,
            "error" => &mut self.error,
            "error_type" => &mut self.error_type,
            "error_code" => &mut self.error_code,
            "phase" => &mut self.phase,
            "attempt" => &mut self.attempt,
            "final" => &mut self.r#final,
            "op" => &mut self.op,
            "ms" => &mut self.ms,
            "ttft_ms" => &mut self.ttft_ms,
            "request_id" => &mut self.request_id,
            "retry_after" => &mut self.retry_after,
            "n" => &mut self.n,
            "service" => &mut self.service,
            _ => return None,
        })
    }
}
