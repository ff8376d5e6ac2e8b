//! One exchange: playing out a fate over HTTP, and noticing when the client leaves first.
//!
//! The fate is in the ledger before the first byte is sent. If the client goes away before the
//! end of it, the entry is corrected to what the client saw: a timeout if it was still waiting
//! for the first content or the answer was a slow one, else its own abort (`other`).

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::super::dialect::{Answer, ErrorReply, Event, Headers, Request, Voice, begun};
use super::super::fate::Fate;
use super::super::fleet::Fleet;
use super::super::kind::Kind;
use super::super::ledger::Entry;
use super::{Cut, Stage, response};
use crate::domain::outcome::Class;
use crate::domain::time::Timestamp;

/// Time between the last piece and a cut, so that the piece leaves before the connection ends.
const CUT_AFTER: Duration = Duration::from_millis(5);

/// The pieces of an answer that drips, in bytes: no length that anything else has.
const DRIP_BYTES: usize = 7;

/// Time between two drips: long enough for each to leave in a packet of its own.
const DRIP_AFTER: Duration = Duration::from_millis(1);

/// How often the one piece of a huge answer is sent: 16 MiB in all.
const HUGE_PIECES: usize = 256;

/// An exchange under way; dropped before its end, it corrects the ledger.
pub(super) struct Exchange {
    fleet: Fleet,
    shutdown: CancellationToken,
    intended: Entry,
    fate: Fate,
    /// The head of a stream is out.
    answering: bool,
    /// Some content is out.
    begun: bool,
    ended: bool,
    /// Gives way to the next request when dropped.
    _turn: OwnedSemaphorePermit,
}

/// One step of a stream.
enum Step {
    /// Send this after a pause.
    Send(Duration, Event),
    /// Cut the connection.
    Cut,
    /// Say nothing more, and do not end.
    Silence,
}

impl Exchange {
    /// An exchange whose fate has just been entered as `intended`.
    pub(super) fn new(
        stage: &Stage,
        intended: Entry,
        fate: Fate,
        turn: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            fleet: stage.fleet.clone(),
            shutdown: stage.shutdown.clone(),
            intended,
            fate,
            answering: false,
            begun: false,
            ended: false,
            _turn: turn,
        }
    }

    /// Plays the fate out.
    pub(super) async fn play(
        mut self,
        voice: &Voice<'_>,
        request: &Request,
        now: Timestamp,
    ) -> Response {
        let served = self.fleet.served(&self.intended.target);
        let mut headers = self.fate.limits(voice.dialect, served, now);
        let wait = self.fate.retry_after.unwrap_or_default();
        if let Some(reply) = voice.reply(self.fate.kind, wait) {
            if !pause(&self.shutdown, self.fate.duration).await {
                return cut();
            }
            self.ended = true;
            return error_response(voice, &reply, headers);
        }
        if self.fate.kind == Kind::Reset {
            pause(&self.shutdown, self.fate.duration).await;
            self.ended = true;
            return cut();
        }
        let speech = voice.dialect.speech();
        headers.extend(speech.headers(voice));
        let is_huge = self.fate.kind == Kind::Huge;
        let answer = Answer::new(request, now.secs());
        let answer = if is_huge { answer.with_huge_piece() } else { answer };
        if request.stream {
            headers.push(("cache-control", "no-cache".to_owned()));
            let steps = self.streamed(voice, speech.stream(voice, &answer));
            return response(200, speech.stream_type(), headers, self.stream(steps));
        }
        let whole = Event { content: true, bytes: Bytes::from(speech.whole(voice, &answer)) };
        let steps = self.whole(whole);
        if steps.len() > 1 {
            return response(200, "application/json", headers, self.stream(steps));
        }
        if !pause(&self.shutdown, self.fate.duration).await {
            return cut();
        }
        self.ended = true;
        let body = steps.into_iter().find_map(Step::bytes).unwrap_or_default();
        response(200, "application/json", headers, Body::from(body))
    }

    /// The pieces of a stream with the pauses between them.
    fn streamed(&self, voice: &Voice<'_>, mut events: Vec<Event>) -> VecDeque<Step> {
        let speech = voice.dialect.speech();
        let first = self.fate.time_to_first_token.unwrap_or(self.fate.duration);
        let end = match self.fate.kind {
            Kind::StreamOverloaded => {
                events.truncate(speech.overloaded_after(&events));
                let wait = if events.iter().any(|it| it.content) { Duration::ZERO } else { first };
                Some(Step::Send(wait, speech.overload_event(voice)))
            }
            Kind::StreamReset => {
                events.truncate(begun(&events));
                Some(Step::Cut)
            }
            Kind::HalfOpen => {
                // The first event, unless it says something already.
                let says = events.len() < 2 || events[0].content;
                events.truncate(usize::from(!says));
                Some(Step::Silence)
            }
            Kind::Huge => {
                let content = events.iter().position(|event| event.content);
                let piece = content.map(|index| events[index].clone());
                let at = content.unwrap_or_default();
                events.splice(at..at, piece.into_iter().cycle().take(HUGE_PIECES));
                None
            }
            Kind::Ok
            | Kind::Slow
            | Kind::Drip
            | Kind::Overloaded
            | Kind::RateLimited
            | Kind::QuotaExhausted
            | Kind::Billing
            | Kind::Auth
            | Kind::Unavailable
            | Kind::ServerError
            | Kind::Reset
            | Kind::WrongType
            | Kind::Redirect => None,
        };
        let contents = events.iter().filter(|event| event.content).count().max(1);
        let rest = self.fate.duration.saturating_sub(first);
        let mut before = first;
        let mut steps = VecDeque::new();
        for event in events {
            let wait = if event.content { before } else { Duration::ZERO };
            if event.content {
                before = rest / u32::try_from(contents).unwrap_or(u32::MAX);
            }
            self.push(&mut steps, wait, event);
        }
        steps.extend(end);
        steps
    }

    /// The pieces of an answer that is not streamed: one, unless its fate is another.
    fn whole(&self, whole: Event) -> VecDeque<Step> {
        let mut steps = VecDeque::new();
        match self.fate.kind {
            Kind::HalfOpen => {
                let bytes = whole.bytes.slice(..whole.bytes.len() / 2);
                steps.push_back(Step::Send(Duration::ZERO, Event { content: false, bytes }));
                steps.push_back(Step::Silence);
            }
            Kind::Huge => {
                // Blanks before a JSON text are allowed: the answer is past where anyone reads.
                let blanks = Bytes::from(vec![b' '; whole.bytes.len()]);
                let mut wait = self.fate.duration;
                for bytes in std::iter::repeat_n(blanks, HUGE_PIECES) {
                    steps.push_back(Step::Send(wait, Event { content: false, bytes }));
                    wait = Duration::ZERO;
                }
                steps.push_back(Step::Send(wait, whole));
            }
            Kind::Ok
            | Kind::Slow
            | Kind::Drip
            | Kind::Overloaded
            | Kind::StreamOverloaded
            | Kind::RateLimited
            | Kind::QuotaExhausted
            | Kind::Billing
            | Kind::Auth
            | Kind::Unavailable
            | Kind::ServerError
            | Kind::Reset
            | Kind::StreamReset
            | Kind::WrongType
            | Kind::Redirect => self.push(&mut steps, self.fate.duration, whole),
        }
        steps
    }

    /// Adds a piece, in drips if that is its fate.
    fn push(&self, steps: &mut VecDeque<Step>, wait: Duration, event: Event) {
        if self.fate.kind != Kind::Drip {
            steps.push_back(Step::Send(wait, event));
            return;
        }
        let Event { content, mut bytes } = event;
        let mut wait = wait.max(DRIP_AFTER);
        while !bytes.is_empty() {
            let drip = bytes.split_to(DRIP_BYTES.min(bytes.len()));
            let content = content && bytes.is_empty();
            steps.push_back(Step::Send(wait, Event { content, bytes: drip }));
            wait = DRIP_AFTER;
        }
    }

    /// The body that takes the steps.
    fn stream(mut self, steps: VecDeque<Step>) -> Body {
        self.answering = true;
        Body::from_stream(stream::unfold((self, steps), |(mut exchange, mut steps)| async move {
            let step = steps.pop_front()?;
            let (wait, event) = match step {
                Step::Send(wait, event) => (wait, Some(event)),
                Step::Cut => (CUT_AFTER, None),
                Step::Silence => {
                    exchange.shutdown.cancelled().await;
                    return None;
                }
            };
            let cut = Err(io::Error::from(io::ErrorKind::ConnectionReset));
            if !pause(&exchange.shutdown, wait).await {
                steps.clear();
                return Some((cut, (exchange, steps)));
            }
            // The terminal piece is as good as sent: a client that hangs up on it is done.
            exchange.ended = steps.is_empty();
            exchange.begun |= event.as_ref().is_some_and(|event| event.content);
            let item = event.map_or(cut, |event| Ok(event.bytes));
            Some((item, (exchange, steps)))
        }))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Cut by our own shutdown is no client's doing, but it ends the same way: unfinished.
        if self.ended {
            return;
        }
        let class = if self.shutdown.is_cancelled() {
            Class::Network
        } else if self.fate.kind == Kind::Huge {
            Class::Other
        } else if self.fate.kind == Kind::Slow || !self.begun {
            Class::Timeout
        } else {
            Class::Other
        };
        let code = if self.answering { Some(200) } else { None };
        let actual = Entry { class, code, ..self.intended.clone() };
        self.fleet.correct(&self.intended, &actual);
    }
}

impl Step {
    fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Send(_, event) => Some(event.bytes),
            Self::Cut | Self::Silence => None,
        }
    }
}

/// An error answer with its headers.
pub(super) fn error_response(
    voice: &Voice<'_>,
    reply: &ErrorReply,
    mut headers: Headers,
) -> Response {
    if reply.is_from_gateway() {
        headers.clear();
    } else {
        headers.extend(voice.dialect.speech().headers(voice));
    }
    headers.extend(reply.headers.iter().cloned());
    response(reply.code, reply.content_type, headers, Body::from(reply.body.clone()))
}

/// A response that is never sent: the connection or its stream is cut in its place.
fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

/// Waits; false if the server is told to stop meanwhile.
async fn pause(shutdown: &CancellationToken, wait: Duration) -> bool {
    if wait.is_zero() {
        return true;
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = shutdown.cancelled() => false,
    }
}
