//! The order of the rules: from a reply's parts to one verdict.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::outcome::Class;

use super::evidence::{Evidence, Extra};
use super::family::Family;
use super::finish::{self, Finish};
use super::frames::{self, Frame, Frames};
use super::judge::{Scene, judge};
use super::transport::{Transport, parse_report_error};
use super::{
    MatchedBy, PARSED_BYTES_MAX, Verdict, embedded, errors, intermediary, prose, status, tokens,
};

/// Of a long stream this much is read at its head, in bytes; the rest of the allowance at its
/// tail, where the error or the terminal event is.
const STREAM_HEAD_BYTES: usize = 64 * 1024;

/// Everything known about an attempt, whoever saw it.
pub(super) struct Case<'a> {
    pub(super) family: Family,
    pub(super) status: Option<u16>,
    pub(super) plan_limit: bool,
    pub(super) content_type: &'a str,
    pub(super) body: &'a [u8],
    pub(super) stream: &'a [u8],
    pub(super) transport: Option<Transport>,
    pub(super) extra: Extra<'a>,
    /// A client's report: its body is an error's, its text may be an exception's.
    pub(super) reported: bool,
    /// A client's report of a failure after the headers.
    pub(super) in_stream: bool,
}

/// A body or stream in the form the rules read.
pub(super) enum Content {
    Empty,
    Values(Vec<Value>),
    Text(String),
    Stream(Frames),
}

/// Applies the rules in their order.
pub(super) fn decide(case: &Case<'_>) -> Verdict {
    let body = body_text(case.body);
    let stream = stream_text(case.stream);
    for text in [&body, &stream] {
        if let Some(class) = intermediary::class(case.status, case.content_type, text) {
            return Verdict::new(class, MatchedBy::Intermediary);
        }
    }
    let (body, stream) = (read_body(&body, case), read_stream(&stream));
    if let Content::Values(values) = &body
        && let Some(value) = values.first()
        && let Some(class) = intermediary::json_class(case.status, value)
    {
        return Verdict::new(class, MatchedBy::Intermediary);
    }
    by_errors(case, &body, &stream)
        .or_else(|| by_finish(&body, &stream, case))
        .or_else(|| by_transport(case))
        .unwrap_or_else(|| by_bare_status(case.status, &body, &stream))
}

/// The worst of the errors in body, stream and report.
fn by_errors(case: &Case<'_>, body: &Content, stream: &Content) -> Option<Verdict> {
    let mut errors: Vec<(Evidence<'_>, bool)> = Vec::new();
    for content in [body, stream] {
        let is_stream = matches!(content, Content::Stream(_));
        errors.extend(errors_in(content, case).into_iter().map(|error| (error, is_stream)));
    }
    let has_words = !case.extra.tokens.is_empty();
    let is_failure = !matches!(case.status, None | Some(100..=299));
    if errors.is_empty() && (has_words || is_failure) {
        errors.push((Evidence::default(), false));
    }
    if errors.is_empty() {
        return None;
    }
    let family = family_of(case, stream, body);
    let scene = Scene { family, status: case.status, plan_limit: case.plan_limit };
    let mut best: Option<Verdict> = None;
    let mut code = None;
    let mut is_streamed = false;
    for (error, is_stream) in errors {
        let error = error.with(&case.extra);
        code = code.or(error.code);
        is_streamed |= is_stream;
        if let Some(mut verdict) = judge(&error, scene) {
            if is_stream || (case.in_stream && !is_failure) {
                verdict.matched_by = MatchedBy::StreamEvent;
            }
            let is_worse = |best: Verdict| tokens::rank(verdict.class) > tokens::rank(best.class);
            if best.is_none_or(is_worse) {
                best = Some(verdict);
            }
        }
    }
    best.or_else(|| by_report(case, body))
        .or_else(|| by_error_status(case, code, is_streamed, body, stream))
}

/// The provider's family; only AWS speaks in event-stream exceptions.
pub(super) fn family_of(case: &Case<'_>, stream: &Content, body: &Content) -> Family {
    let is_aws = [stream, body].into_iter().any(|content| match content {
        Content::Stream(frames) => frames.frames.iter().any(|frame| frame.exception.is_some()),
        Content::Empty | Content::Values(_) | Content::Text(_) => false,
    });
    if case.family == Family::General && is_aws { Family::Bedrock } else { case.family }
}

/// What a report without a telling word says about the transport.
fn by_report(case: &Case<'_>, body: &Content) -> Option<Verdict> {
    if !case.reported || !matches!(case.status, None | Some(100..=299)) {
        return None;
    }
    let named = || case.extra.tokens.iter().find_map(|token| parse_report_error(token));
    if let Some(transport) = case.transport.or_else(named) {
        return Some(Verdict::new(transport.class(), MatchedBy::Transport));
    }
    match body {
        Content::Text(text) => {
            let transport = prose::transport(text)?;
            Some(Verdict::new(transport.class(), MatchedBy::Message))
        }
        Content::Empty | Content::Values(_) | Content::Stream(_) => None,
    }
}

/// The class of an error that only its status describes.
fn by_error_status(
    case: &Case<'_>,
    code: Option<u16>,
    is_streamed: bool,
    body: &Content,
    stream: &Content,
) -> Option<Verdict> {
    let number = status::effective(case.status, code);
    let is_failure = !matches!(case.status, None | Some(100..=299));
    let matched_by =
        if is_streamed && !is_failure { MatchedBy::StreamEvent } else { MatchedBy::Status };
    if let Some(number) = number {
        return Some(Verdict::new(status::class(number), matched_by));
    }
    // Without any status: an error inside an answer is the server's, a mere word is nobody's.
    let is_found = is_streamed || matches!(body, Content::Values(_));
    if is_found {
        return Some(Verdict::new(Class::ServerError, matched_by));
    }
    let is_silent = matches!((body, stream), (Content::Empty, Content::Empty));
    (case.transport.is_none() || !is_silent).then(|| Verdict::new(Class::Other, matched_by))
}

/// What the end of the answer says.
fn by_finish(body: &Content, stream: &Content, case: &Case<'_>) -> Option<Verdict> {
    let transport = case.transport;
    let may_succeed = matches!(case.status, None | Some(200..=299));
    for content in [stream, body] {
        let (finish, is_stream) = match content {
            Content::Stream(frames) => (finish_of(frames), true),
            Content::Values(values) => {
                let finish = values.iter().map(|value| finish::of("", value)).max();
                (finish.unwrap_or(Finish::Open), false)
            }
            Content::Empty | Content::Text(_) => continue,
        };
        let matched_by = |otherwise| if is_stream { MatchedBy::StreamEvent } else { otherwise };
        match finish {
            Finish::OutOfCapacity => {
                return Some(Verdict::new(Class::Overloaded, matched_by(MatchedBy::Token)));
            }
            Finish::TimedOut => {
                return Some(Verdict::new(Class::Timeout, matched_by(MatchedBy::GenericToken)));
            }
            // A cut explains a failed finish better than the finish itself.
            Finish::Failed if transport.is_none() => {
                return Some(Verdict::new(Class::ServerError, matched_by(MatchedBy::GenericToken)));
            }
            Finish::Complete
                if may_succeed && transport.is_none_or(Transport::is_after_headers) =>
            {
                return Some(Verdict::OK);
            }
            Finish::Failed | Finish::Complete | Finish::Open => {}
        }
    }
    None
}

fn finish_of(frames: &Frames) -> Finish {
    let done = if frames.is_done { Finish::Complete } else { Finish::Open };
    let each = frames
        .frames
        .iter()
        .map(|frame| finish::of(&frame.event, frame.value.as_ref().unwrap_or(&Value::Null)));
    each.max().unwrap_or(Finish::Open).max(done)
}

fn by_transport(case: &Case<'_>) -> Option<Verdict> {
    let transport = case.transport?;
    Some(Verdict::new(transport.class(), MatchedBy::Transport))
}

fn by_bare_status(status: Option<u16>, body: &Content, stream: &Content) -> Verdict {
    let is_silent = matches!((body, stream), (Content::Empty, Content::Empty));
    match status {
        Some(200..=299) => Verdict::OK,
        Some(number) => Verdict::new(status::class(number), MatchedBy::Status),
        // Nothing came, or nobody says what: not a success that anyone saw.
        None if is_silent || matches!(body, Content::Text(_)) => {
            Verdict::new(Class::Other, MatchedBy::Status)
        }
        None => Verdict::OK,
    }
}

/// The errors that a body or stream holds.
pub(super) fn errors_in<'a>(content: &'a Content, case: &Case<'_>) -> Vec<Evidence<'a>> {
    let is_failure = !matches!(case.status, None | Some(100..=299));
    match content {
        Content::Empty => Vec::new(),
        Content::Text(text) => {
            let is_error = is_failure || case.reported || case.status.is_none();
            is_error.then(|| prose::evidence(text, case.reported)).into_iter().collect()
        }
        Content::Values(values) => values
            .iter()
            .flat_map(|value| {
                let is_success = matches!(case.status, Some(100..=299));
                let lenient =
                    is_failure || (!errors::is_answer(value) && (case.reported || !is_success));
                errors::find(value, lenient)
            })
            .map(Evidence::of)
            .collect(),
        Content::Stream(frames) => frames.frames.iter().flat_map(errors_of_frame).collect(),
    }
}

fn errors_of_frame(frame: &Frame) -> Vec<Evidence<'_>> {
    let is_announced = frame.exception.is_some() || errors::is_error_type(&frame.event);
    let mut found: Vec<_> = match &frame.value {
        Some(value) => errors::find(value, is_announced).into_iter().map(Evidence::of).collect(),
        None if is_announced => vec![Evidence::of_text(&frame.text)],
        None => Vec::new(),
    };
    for error in &mut found {
        if let Some(name) = &frame.exception {
            error.push(Cow::Borrowed(name));
        }
        error.code = error.code.or(frame.status.filter(|status| *status >= 400));
    }
    found
}

/// The text of a body, its head if it is long.
fn body_text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(PARSED_BYTES_MAX)])
}

/// The text of a stream, its head and its tail if it is long.
fn stream_text(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.len() <= PARSED_BYTES_MAX {
        return String::from_utf8_lossy(bytes);
    }
    let tail = &bytes[bytes.len() - (PARSED_BYTES_MAX - STREAM_HEAD_BYTES)..];
    // The gap falls inside an event: end it, and begin again at a line.
    let line = tail.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut text = String::from_utf8_lossy(&bytes[..STREAM_HEAD_BYTES]).into_owned();
    text.push_str("\n\n");
    text.push_str(&String::from_utf8_lossy(&tail[line..]));
    Cow::Owned(text)
}

/// Body and stream in the form the rules read.
pub(super) fn contents(case: &Case<'_>) -> [Content; 2] {
    [read_body(&body_text(case.body), case), read_stream(&stream_text(case.stream))]
}

fn read_stream(text: &str) -> Content {
    if text.trim().is_empty() { Content::Empty } else { Content::Stream(frames::read(text)) }
}

fn read_body(text: &str, case: &Case<'_>) -> Content {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Content::Empty;
    }
    let is_declared = case.content_type.to_ascii_lowercase().contains("event-stream");
    let is_streamed = ["data:", "event:", "id:", ":"].iter().any(|start| text.starts_with(start));
    if is_streamed || (is_declared && !text.starts_with(['{', '['])) {
        return Content::Stream(frames::read(text));
    }
    match serde_json::from_str(text) {
        // A JSON text that holds another, or a plain sentence.
        Ok(Value::String(inner)) => match embedded::parse(&inner) {
            Some(value) if value.is_object() => Content::Values(vec![value]),
            Some(_) | None => Content::Text(inner),
        },
        Ok(value) => Content::Values(vec![value]),
        Err(_) if text.starts_with(['{', '[']) => {
            let values: Vec<_> =
                frames::read(text).frames.into_iter().filter_map(|frame| frame.value).collect();
            if values.is_empty() { Content::Text(text.to_owned()) } else { Content::Values(values) }
        }
        Err(_) => Content::Text(text.to_owned()),
    }
}
