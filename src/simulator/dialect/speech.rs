//! What a wire format has to be able to do.

use std::time::Duration;

use super::{Answer, Asked, ErrorReply, Event, Headers, Limits, Reading, Refusal, Voice, seconds};
use crate::simulator::kind::Trouble;

/// A wire format.
pub(in crate::simulator) trait Speech: Sync {
    /// The provider that is meant where a path names none.
    fn provider(&self) -> &'static str;

    /// Where requests go, in the router's notation: `{provider}` is who is asked, `{place}` the
    /// model or deployment, with what is asked of it after a colon in Google's paths.
    fn paths(&self) -> &'static [&'static str];

    /// Whether the request brings a credential of a right form; any will do.
    fn has_key(&self, asked: &Asked<'_>) -> bool;

    /// Reads a request: what is wanted, or why it is refused, and the model if one was named.
    fn read(&self, asked: &Asked<'_>) -> Reading;

    /// How this trouble is told. `wait` is for formats that put it into the body.
    fn error(&self, voice: &Voice<'_>, trouble: Trouble, wait: Duration) -> ErrorReply;

    /// The answer to a request that is refused.
    fn refusal(&self, voice: &Voice<'_>, refusal: &Refusal) -> ErrorReply;

    /// A whole answer.
    fn whole(&self, voice: &Voice<'_>, answer: &Answer) -> String;

    /// A streamed answer, to its terminal event.
    fn stream(&self, voice: &Voice<'_>, answer: &Answer) -> Vec<Event>;

    /// The media type of a stream.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// How many events of a stream come before it reports overload in its middle.
    fn overloaded_after(&self, events: &[Event]) -> usize {
        begun(events)
    }

    /// What reports overload in the middle of a stream.
    fn overload_event(&self, voice: &Voice<'_>) -> Event;

    /// The same as a client reports it that keeps the text.
    fn overload_text(&self, voice: &Voice<'_>) -> String {
        String::from_utf8_lossy(&self.overload_event(voice).bytes).into_owned()
    }

    /// The headers of every answer: the request's id under this format's name, and the like.
    fn headers(&self, voice: &Voice<'_>) -> Headers;

    /// The headers that tell the state of the account's limits.
    fn limits(&self, _limits: &Limits) -> Headers {
        Vec::new()
    }

    /// The headers that tell an SDK whether and when to try again.
    fn retry(&self, is_retryable: bool, wait: Option<Duration>) -> Headers {
        let mut headers = vec![("x-should-retry", is_retryable.to_string())];
        headers.extend(wait.map(|wait| ("retry-after", seconds(wait))));
        headers
    }
}

/// How many events of a stream are its beginning: up to and with the first content, or the first
/// event where there is none, but never the last one, which may say that the answer is complete.
pub(in crate::simulator) fn begun(events: &[Event]) -> usize {
    let content = events.iter().position(|event| event.content).unwrap_or(0);
    (content + 1).min(events.len().saturating_sub(1))
}
