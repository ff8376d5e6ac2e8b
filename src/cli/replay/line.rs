//! A line to an entry: which stream, which second, how many attempts and failures.
//!
//! Two forms are understood and told apart by their fields: trace lines
//! `{"t", "p", "m", "c", "n", "a"?}` and native outcomes as they are reported to the daemon.
//! Only what counts for the overload signal gets a number: first attempts that ended `ok` or
//! `overloaded`. Everything else still names its stream and moves the clock.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::outcome::{Attempt, Class, Signal};
use crate::domain::target::NameError;
use crate::ground::names::Names;
use crate::intake::report;

/// Most characters of a reader's message that are passed on: it may quote the line.
const MESSAGE_CHARS_MAX: usize = 120;

/// Why a line is left out.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum LineError {
    #[error("not an object of the expected fields: {0}")]
    Json(String),
    #[error("{0}")]
    Outcome(String),
    #[error("is longer than 1 MiB")]
    TooLong,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{field} {cause}")]
    Name { field: &'static str, cause: NameError },
    #[error("{field} is {value:?}, expected {expected}")]
    Value { field: &'static str, value: String, expected: &'static str },
    #[error("is a {0}, but the file began with the other form; replay the two apart")]
    Form(Form),
    #[error("{0} is more than ten years from the first line, expected seconds")]
    Span(&'static str),
    #[error("too many {0} for one replay; split the file")]
    Limit(&'static str),
}

/// Which of the two forms a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Trace,
    Outcome,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace line",
            Self::Outcome => "native outcome",
        })
    }
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) form: Form,
    /// The whole second it lies in, by the file's own clock; `None` where it does not tell.
    pub(super) second: Option<u64>,
    pub(super) provider: Cow<'a, str>,
    pub(super) model: Cow<'a, str>,
    /// First attempts that ended `ok` or as a failure of the signal.
    pub(super) n: u64,
    /// Those of them that were failures of the signal.
    pub(super) failures: u64,
}

/// A string that borrows where it can, also inside an `Option`.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of both forms; all others are ignored.
#[derive(Debug, Deserialize)]
struct Fields<'a> {
    // A trace line.
    t: Option<f64>,
    #[serde(borrow)]
    p: Option<Text<'a>>,
    #[serde(borrow)]
    m: Option<Text<'a>>,
    #[serde(borrow)]
    c: Option<Text<'a>>,
    a: Option<u32>,
    // Both.
    n: Option<u64>,
    // What tells a native outcome from a trace line.
    #[serde(borrow)]
    provider: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// Reads one line.
pub(super) fn read<'a>(line: &'a [u8], names: &Names) -> Result<Entry<'a>, LineError> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        // An array would otherwise be taken for the fields in their order.
        return Err(LineError::Json("expected an object".to_owned()));
    }
    let fields: Fields<'_> =
        serde_json::from_slice(line).map_err(|error| LineError::Json(told(&error)))?;
    let native = fields.provider.is_some() || fields.host.is_some() || fields.model.is_some();
    if native { read_outcome(line, names) } else { read_trace(fields) }
}

fn read_trace(fields: Fields<'_>) -> Result<Entry<'_>, LineError> {
    let t = fields.t.ok_or(LineError::Missing("t"))?;
    let c = fields.c.ok_or(LineError::Missing("c"))?.0;
    let class = match c.as_ref() {
        "ok" => Class::Ok,
        "529" => Class::Overloaded,
        "429" => Class::RateLimited,
        "503" => Class::Unavailable,
        other => return Err(value("c", other, "one of ok 529 429 503")),
    };
    let count = fields.n.ok_or(LineError::Missing("n"))?;
    let (n, failures) = counted(class, Attempt::from_number(fields.a.unwrap_or(1)), count);
    Ok(Entry {
        form: Form::Trace,
        second: Some(whole_second("t", t)?),
        provider: fields.p.ok_or(LineError::Missing("p"))?.0,
        model: fields.m.ok_or(LineError::Missing("m"))?.0,
        n,
        failures,
    })
}

fn read_outcome<'a>(line: &[u8], names: &Names) -> Result<Entry<'a>, LineError> {
    let recorded = report::recorded(line, names).map_err(LineError::Outcome)?;
    let outcome = recorded.outcome;
    let (n, failures) = counted(outcome.class, outcome.attempt, u64::from(outcome.count));
    Ok(Entry {
        form: Form::Outcome,
        second: recorded.dated.then(|| outcome.at.secs()),
        provider: Cow::Owned(outcome.target.provider.as_str().to_owned()),
        model: Cow::Owned(outcome.target.model.as_str().to_owned()),
        n,
        failures,
    })
}

/// What `count` attempts of a class add to the overload signal, as (attempts, failures).
fn counted(class: Class, attempt: Attempt, count: u64) -> (u64, u64) {
    match (attempt, class, class.signal()) {
        (Attempt::First, Class::Ok, _) => (count, 0),
        (Attempt::First, _, Some(Signal::Overload)) => (count, count),
        (Attempt::First, _, Some(Signal::Outage | Signal::RateLimit) | None)
        | (Attempt::Retry, ..) => (0, 0),
    }
}

/// The second that a moment lies in.
fn whole_second(field: &'static str, seconds: f64) -> Result<u64, LineError> {
    if seconds.is_finite() && (0.0..=f64::from(u32::MAX)).contains(&seconds) {
        Ok(seconds as u64)
    } else {
        Err(value(field, &seconds.to_string(), "seconds from 0 to 4294967295"))
    }
}

/// An error about a field's value, which may be long and is cut.
fn value(field: &'static str, value: &str, expected: &'static str) -> LineError {
    LineError::Value { field, value: value.chars().take(40).collect(), expected }
}

/// A reader's message without the place in its own words: the line is one line to it.
fn told(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    let what = what.chars().take(MESSAGE_CHARS_MAX).collect::<String>();
    format!("{what} at column {}", error.column())
}
