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

use super::super::dialect::{self, Answer, ErrorReply, Event, Limits, Request, Voice};
use super::super::dialect::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE};
use super::super::fate::Fate;
use super::super::fleet::Fleet;
use super::super::ledger::Entry;
use super::super::weather::Kind;
use super::{Stage, response};
use crate::domain::outcome::Class;
use crate::domain::time::{MINUTE_MS, Timestamp};

/// Time between the last piece and a cut, so that the piece leaves before the connection ends.
const CUT_AFTER: Duration = Duration::from_millis(5);

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
        let mut headers = self.limits(voice, now);
        let answer = Answer::new(request, now.secs());
        if let Some(reply) = voice.error(self.fate.kind).filter(|_| self.fate.code != Some(200)) {
            if !pause(&self.shutdown, self.fate.duration).await {
                return cut();
            }
            self.ended = true;
            headers.extend(retry_headers(&self.fate));
            return error_response(voice, &reply, headers);
        }
        if self.fate.kind == Kind::Reset {
            pause(&self.shutdown, self.fate.duration).await;
            self.ended = true;
            return cut();
        }
        headers.extend(voice.headers());
        if request.stream {
            headers.push(("cache-control", "no-cache".to_owned()));
            let steps = self.steps(voice, &answer);
            return response(200, "text/event-stream; charset=utf-8", headers, self.stream(steps));
        }
        if !pause(&self.shutdown, self.fate.duration).await {
            return cut();
        }
        self.ended = true;
        response(200, "application/json", headers, Body::from(voice.whole(&answer)))
    }

    /// The pieces of the stream with the pauses between them.
    fn steps(&self, voice: &Voice<'_>, answer: &Answer) -> VecDeque<Step> {
        let mut events = voice.stream(answer);
        let first = self.fate.time_to_first_token.unwrap_or(self.fate.duration);
        let mut steps = VecDeque::new();
        let end = match self.fate.kind {
            Kind::StreamOverloaded | Kind::StreamReset => {
                // Everything up to and with the first content, then the trouble. An answer of no
                // tokens has no content; the first event is then enough, it is not terminal.
                let content = events.iter().position(|event| event.content);
                events.truncate(content.map_or(1, |index| index + 1));
                let overloaded = self.fate.kind == Kind::StreamOverloaded;
                Some(if overloaded {
                    Step::Send(Duration::ZERO, voice.overload_event())
                } else {
                    Step::Cut
                })
            }
            Kind::Ok
            | Kind::Slow
            | Kind::Overloaded
            | Kind::RateLimited
            | Kind::QuotaExhausted
            | Kind::Billing
            | Kind::Auth
            | Kind::Unavailable
            | Kind::ServerError
            | Kind::Reset => None,
        };
        let contents = events.iter().filter(|event| event.content).count().max(1);
        let rest = self.fate.duration.saturating_sub(first);
        let mut before = first;
        for event in events {
            let wait = if event.content { before } else { Duration::ZERO };
            if event.content {
                before = rest / u32::try_from(contents).unwrap_or(u32::MAX);
            }
            steps.push_back(Step::Send(wait, event));
        }
        steps.extend(end);
        steps
    }

    /// The body that takes the steps.
    fn stream(mut self, steps: VecDeque<Step>) -> Body {
        self.answering = true;
        Body::from_stream(stream::unfold((self, steps), |(mut exchange, mut steps)| async move {
            let step = steps.pop_front()?;
            let (wait, event) = match step {
                Step::Send(wait, event) => (wait, Some(event)),
                Step::Cut => (CUT_AFTER, None),
            };
            let cut = Err(io::Error::from(io::ErrorKind::ConnectionReset));
            if !pause(&exchange.shutdown, wait).await {
                steps.clear();
                return Some((cut, (exchange, steps)));
            }
            // The terminal piece is as good as sent: a client that hangs up on it is done.
            exchange.ended = steps.is_empty();
            exchange.begun |= event.as_ref().is_some_and(|event| event.content);
            let item = event.map_or(cut, |event| Ok(Bytes::from(event.text)));
            Some((item, (exchange, steps)))
        }))
    }

    /// Headers about the account's limits: a minute's allowance, empty when throttled.
    fn limits(&self, voice: &Voice<'_>, now: Timestamp) -> Vec<(&'static str, String)> {
        let served = self.fleet.served(&self.intended.target) % REQUESTS_PER_MINUTE;
        let throttled = self.fate.retry_after.is_some();
        let to_minute = Duration::from_millis(MINUTE_MS - now.millis() % MINUTE_MS);
        let reset_in = self.fate.retry_after.unwrap_or(to_minute);
        let requests_remaining = if throttled { 0 } else { REQUESTS_PER_MINUTE - served };
        voice.limits(&Limits {
            requests_remaining,
            tokens_remaining: TOKENS_PER_MINUTE / REQUESTS_PER_MINUTE * requests_remaining,
            reset_in,
            reset_at: now.plus(reset_in),
        })
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

/// An error answer with its headers.
pub(super) fn error_response(
    voice: &Voice<'_>,
    reply: &ErrorReply,
    mut headers: Vec<(&'static str, String)>,
) -> Response {
    if reply.is_from_gateway() {
        headers.clear();
    } else {
        headers.extend(voice.headers());
    }
    response(reply.code, reply.content_type, headers, Body::from(reply.body.clone()))
}

/// What tells an SDK whether and when to try again.
fn retry_headers(fate: &Fate) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-should-retry", dialect::is_retryable(fate.kind).to_string())];
    if let Some(wait) = fate.retry_after {
        headers.push(("retry-after", dialect::seconds(wait)));
    }
    headers
}

/// A response whose body fails at once: the server drops the connection before it has sent
/// the head, so that the client sees it closed without an answer.
fn cut() -> Response {
    let failure = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    let body = Body::from_stream(stream::once(std::future::ready(failure)));
    Response::new(body)
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
