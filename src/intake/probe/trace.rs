//! What an attempt went through, step by step, to be shown to people.
//!
//! The names and times of events, never their content; a few headers of the answer; the word that
//! decided. Everything comes from the provider, so everything is bounded, and nothing is shown
//! that holds the key or looks like one.

use std::time::Duration;

use serde_json::Value;

use super::ProbeSpec;
use super::attempt::Exchange;
use super::client::Connection;
use super::redact;
use super::request_id::REQUEST_ID_HEADERS;
use super::wire::Progress;
use crate::domain::classify::Transport;
use crate::ground::secret::Secret;

/// Most events kept: a probe's answer has about ten, the rest would be keep-alives.
const EVENTS_MAX: usize = 64;
/// Longest name of an event or a header kept, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most headers of the answer shown.
const HEADERS_MAX: usize = 16;
/// Longest value of a header shown, in characters.
const VALUE_CHARS_MAX: usize = 128;

/// Headers of an answer that say something about a probe, besides the names of the request.
const TELLING_HEADERS: [&str; 5] =
    ["content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-amzn-errortype"];
/// What the names of rate-limit headers hold.
const RATE_LIMIT: &str = "ratelimit";

/// The events of a stream, noted while it is read; the default notes none, for nobody asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    are_wanted: bool,
    kept: Vec<Event>,
    left_out: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// From sending to its arrival.
    pub(super) at: Duration,
    /// What the provider calls it.
    pub(super) name: String,
    /// What it meant to the probe, if anything.
    pub(super) mark: Option<Mark>,
}

/// What an event meant to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The first content: the time to first token.
    FirstContent,
    /// The answer is complete.
    Complete,
    /// An error instead of an answer.
    Error,
}

impl Events {
    /// Events that somebody wants to read.
    pub(super) fn wanted() -> Self {
        Self { are_wanted: true, ..Self::default() }
    }

    /// Lets `read` take one event into account, and notes what that changed.
    pub(super) fn around(
        &mut self,
        at: Duration,
        (name, data): (&str, &str),
        progress: &mut Progress,
        read: impl FnOnce(&mut Progress),
    ) {
        let (content, terminal, failed) = (progress.content, progress.terminal, progress.failed);
        read(progress);
        if !self.are_wanted {
            return;
        }
        if self.kept.len() == EVENTS_MAX {
            self.left_out += 1;
            return;
        }
        let mark = if progress.failed && !failed {
            Some(Mark::Error)
        } else if progress.terminal && !terminal {
            Some(Mark::Complete)
        } else if progress.content && !content {
            Some(Mark::FirstContent)
        } else {
            None
        };
        self.kept.push(Event { at, name: name_of(name, data), mark });
    }
}

/// The event's own name, or the kind of object that it carries.
fn name_of(name: &str, data: &str) -> String {
    if !name.is_empty() {
        return plain(name);
    }
    if data.trim() == "[DONE]" {
        return "[DONE]".to_owned();
    }
    let value: Value = serde_json::from_str(data).unwrap_or_default();
    let kind = ["type", "object"].into_iter().find_map(|key| value[key].as_str());
    kind.map_or_else(|| "data".to_owned(), plain)
}

/// A name without what no name holds.
fn plain(name: &str) -> String {
    let of_a_name = |c: &char| c.is_ascii_alphanumeric() || "._:-/".contains(*c);
    let name: String = name.chars().filter(of_a_name).take(NAME_BYTES_MAX).collect();
    if name.is_empty() { "event".to_owned() } else { name }
}

/// What an attempt went through.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// What became of the connection.
    pub(super) connection: Connection,
    /// The version of HTTP, if headers came.
    pub(super) version: Option<reqwest::Version>,
    /// The headers of the answer that say something, redacted.
    pub(super) headers: Vec<(String, String)>,
    /// The first events of the stream.
    pub(super) events: Vec<Event>,
    /// How many more there were.
    pub(super) events_left_out: usize,
    /// What the transport failed of, if it did.
    pub(super) transport: Option<Transport>,
    /// The word in the answer that decided.
    pub(super) word: Option<String>,
    /// What the provider said of the failure, redacted.
    pub(super) message: Option<String>,
}

impl Trace {
    /// What can be shown of an exchange. `word` is the one that decided.
    pub(super) fn new(
        spec: &ProbeSpec,
        key: Option<&Secret>,
        exchange: &Exchange,
        word: Option<String>,
    ) -> Self {
        let key = key.map(Secret::expose);
        let holds_key = |text: &str| key.is_some_and(|key| redact::shares_a_piece(text, key));
        let mut events = exchange.events.kept.clone();
        for event in events.iter_mut().filter(|event| holds_key(&event.name)) {
            redact::MASK.clone_into(&mut event.name);
        }
        let message = redact::provider_message(&exchange.body)
            .or_else(|| redact::stream_message(&exchange.stream))
            .map(|message| redact::redact(&message, key, &spec.wire_model));
        Self {
            connection: exchange.connection,
            version: exchange.version,
            headers: headers(&exchange.headers, key),
            events,
            events_left_out: exchange.events.left_out,
            transport: exchange.transport,
            word: word.filter(|word| !holds_key(word)),
            message: message.filter(|message| !message.is_empty()),
        }
    }
}

/// The headers that say something about the answer.
fn headers(headers: &[(String, String)], key: Option<&str>) -> Vec<(String, String)> {
    let tells = |name: &str| {
        let is_known = REQUEST_ID_HEADERS.contains(&name) || TELLING_HEADERS.contains(&name);
        name.len() <= NAME_BYTES_MAX && (is_known || name.contains(RATE_LIMIT))
    };
    let told = headers.iter().filter(|(name, _)| tells(name)).take(HEADERS_MAX);
    told.map(|(name, value)| (name.clone(), shown(name, value, key))).collect()
}

/// A header's value as it may be shown.
fn shown(name: &str, value: &str, key: Option<&str>) -> String {
    let is_id = REQUEST_ID_HEADERS.contains(&name);
    let value = if !is_id {
        redact::redact(value, key, "")
    } else if key.is_some_and(|key| redact::shares_a_piece(value, key)) {
        redact::MASK.to_owned()
    } else {
        // Random by nature: it looks like a key and is none.
        value.to_owned()
    };
    value.chars().filter(|c| !c.is_control()).take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_bounded_and_named_without_their_content() {
        let mut events = Events::wanted();
        let mut progress = Progress::default();
        for (name, data, expected) in [
            ("message_start", "{}", "message_start"),
            ("", r#"{"type":"ping"}"#, "ping"),
            ("", r#"{"object":"chat.completion.chunk","x":"secret"}"#, "chat.completion.chunk"),
            ("", "[DONE]", "[DONE]"),
            ("", "a secret answer", "data"),
            ("a b\u{1b}[2J", "", "ab2J"),
            ("\u{1b}", "", "event"),
            (&*"x".repeat(200), "", &*"x".repeat(NAME_BYTES_MAX)),
        ] {
            events.around(Duration::ZERO, (name, data), &mut progress, |_| {});
            assert_eq!(events.kept.last().unwrap().name, expected);
        }
        for _ in 0..1_000 {
            events.around(Duration::ZERO, ("ping", ""), &mut progress, |_| {});
        }
        assert_eq!((events.kept.len(), events.left_out), (EVENTS_MAX, 1_008 - EVENTS_MAX));
    }

    #[test]
    fn an_event_is_marked_by_what_it_changed() {
        let mut events = Events::wanted();
        let mut progress = Progress::default();
        let changes: [(fn(&mut Progress), _); 5] = [
            (|_| {}, None),
            (|it| it.content = true, Some(Mark::FirstContent)),
            (|it| it.content = true, None),
            (|it| it.terminal = true, Some(Mark::Complete)),
            (|it| it.failed = true, Some(Mark::Error)),
        ];
        for (change, mark) in changes {
            events.around(Duration::ZERO, ("e", ""), &mut progress, change);
            assert_eq!(events.kept.last().unwrap().mark, mark);
        }
    }

    #[test]
    fn of_headers_only_the_telling_ones_are_shown_and_never_the_key() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let given = [
            pair("set-cookie", "session=1"),
            pair("request-id", "req_1"),
            pair("x-request-id", "sk-T0P5ECRET"),
            pair("anthropic-ratelimit-requests-remaining", "7"),
            pair("retry-after", "sk-T0P5ECRET\u{1b}[2J"),
        ];
        let expected = [
            pair("request-id", "req_1"),
            pair("x-request-id", redact::MASK),
            pair("anthropic-ratelimit-requests-remaining", "7"),
            pair("retry-after", redact::MASK),
        ];
        assert_eq!(headers(&given, Some("sk-T0P5ECRET")), expected);
        let many = vec![pair("x-ratelimit-a", "1"); 100];
        assert_eq!(headers(&many, None).len(), HEADERS_MAX);
    }
}
