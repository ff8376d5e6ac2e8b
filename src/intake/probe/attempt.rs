//! One exchange with a provider: send, read to the terminal event, and note when each thing came.
//!
//! All deadlines, limits and measurements are here; what they mean is decided by the caller. The
//! four times are kept apart: opening the connection, the first byte of the answer (its headers),
//! the first content, and the end. Time runs on the runtime's monotonic clock, so a step of the
//! wall clock cannot show up as latency.

use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Response, Version};
use tokio::time::{Instant, timeout_at};

use super::client::{Connection, ConnectionWatch};
use super::cost::Usage;
use super::credential::Proof;
use super::framing::Decoder;
use super::trace::Events;
use super::wire::{self, Answer, Progress, Wire};
use super::{ProbeSpec, SpecError, transport};
use crate::domain::classify::Transport;

/// Most bytes read of one answer. A probe's stream is a few KiB; this leaves room for keep-alive
/// comments over a whole minute, and none for a body bomb.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;

/// Room for the usual answer: a dozen events.
const BODY_BYTES_USUAL: usize = 4 * 1024;

/// How long to wait for what follows a complete answer (usage, `[DONE]`, the end of the body).
/// Reading to the end is what lets the connection be used again.
const LINGER: Duration = Duration::from_secs(2);

/// How long to wait for the body of an error whose status is already known.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(10);

/// Most bytes kept of one header value.
const HEADER_BYTES_MAX: usize = 1024;

/// What was seen of one exchange.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The status, if headers came.
    pub(super) status: Option<u16>,
    /// Response headers, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The body, if it was not a stream.
    pub(super) body: Vec<u8>,
    /// The raw stream, if it was one.
    pub(super) stream: Vec<u8>,
    /// Whether every event of the stream is a plain one of a good answer.
    pub(super) is_plain: bool,
    /// What a success was worth.
    pub(super) answer: Answer,
    /// What the transport failed of, if it did.
    pub(super) transport: Option<Transport>,
    /// The events of the stream and when they came.
    pub(super) events: Events,
    /// What became of the connection.
    pub(super) connection: Connection,
    /// The version of HTTP that was spoken, if headers came.
    pub(super) version: Option<Version>,
    /// How long the connection took to open; `None` when a warm one was used.
    pub(super) connect: Option<Duration>,
    /// From sending to the headers of the answer.
    pub(super) ttfb: Option<Duration>,
    /// From sending to the first content.
    pub(super) ttft: Option<Duration>,
    /// From sending to the end: the terminal event, or the failure.
    pub(super) total: Duration,
    /// Tokens billed.
    pub(super) usage: Usage,
}

/// Makes the one attempt, and notes its `events`. A failing provider is a result, never an error.
///
/// # Errors
/// [`SpecError`] when no request can be made of the specification; nothing was sent then.
pub(super) async fn exchange(
    client: &reqwest::Client,
    spec: &ProbeSpec,
    proof: Option<&Proof>,
    events: Events,
) -> Result<Exchange, SpecError> {
    let request = request(client, spec, proof)?;

    let started = Instant::now();
    let deadlines = Deadlines::new(started, spec);
    let watch = ConnectionWatch::default();
    let sending = watch.during(client.execute(request));
    let sent = timeout_at(deadlines.first_content, sending).await;

    let mut exchange = Exchange { events, ..Exchange::default() };
    match sent {
        Ok(Ok(response)) => {
            exchange.ttfb = Some(started.elapsed());
            read(response, spec, &deadlines, &mut exchange).await;
        }
        Ok(Err(error)) => exchange.transport = Some(transport::before_headers(&error)),
        Err(_) if watch.get() == Connection::Opening => {
            exchange.transport = Some(Transport::ConnectTimeout);
        }
        Err(_) => exchange.transport = Some(Transport::ReadTimeout),
    }
    exchange.connection = watch.get();
    if let Connection::Opened(took) = exchange.connection {
        exchange.connect = Some(took);
    }
    if exchange.total.is_zero() {
        exchange.total = started.elapsed();
    }
    Ok(exchange)
}

/// The request, which goes out once.
fn request(
    client: &reqwest::Client,
    spec: &ProbeSpec,
    proof: Option<&Proof>,
) -> Result<reqwest::Request, SpecError> {
    let post = client.post(&spec.url).headers(spec.headers.clone()).body(spec.body.clone());
    let mut request = post.build().map_err(|_| SpecError::Url)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(proof) = proof {
        proof.apply(spec.auth, &mut request)?;
    }
    Ok(request)
}

/// When patience ends.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    started: Instant,
    first_content: Instant,
    end: Instant,
}

impl Deadlines {
    fn new(started: Instant, spec: &ProbeSpec) -> Self {
        Self {
            started,
            first_content: started + spec.ttft_timeout.min(spec.timeout),
            end: started + spec.timeout,
        }
    }

    /// The deadline of the next read.
    fn next(&self, success: bool, progress: &Progress, linger_until: Option<Instant>) -> Instant {
        if let Some(until) = linger_until {
            until
        } else if !success {
            (Instant::now() + ERROR_BODY_WAIT).min(self.end)
        } else if progress.content {
            self.end
        } else {
            self.first_content
        }
    }
}

/// Reads the body of a response, whatever it is, into `exchange`.
async fn read(
    mut response: Response,
    spec: &ProbeSpec,
    deadlines: &Deadlines,
    exchange: &mut Exchange,
) {
    let success = response.status().is_success();
    exchange.status = Some(response.status().as_u16());
    exchange.version = Some(response.version());
    exchange.headers = headers(&response);
    let is_readable = is_identity(&response);
    let may_stream = success && is_readable && !is_page(&response);

    let mut reader =
        Reader::new(spec.wire(), deadlines.started, std::mem::take(&mut exchange.events));
    let ended = loop {
        let deadline = deadlines.next(success, &reader.progress, reader.linger_until);
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                match reader.take(&chunk, may_stream) {
                    Flow::More => {}
                    Flow::Full => break Some(Transport::ClientAbort),
                    // What cannot be read has not come.
                    Flow::Broken => break None,
                }
            }
            Ok(Ok(None)) => break None,
            Ok(Err(error)) => break Some(transport::inside_body(&error)),
            Err(_) => break Some(Transport::IdleTimeout),
        }
        if reader.progress.failed {
            break None;
        }
    };
    reader.finish(may_stream);

    let is_stream = may_stream && reader.decoder.saw_stream();
    exchange.answer = match ended {
        _ if reader.progress.terminal => Answer::Complete,
        None if success && !is_readable => Answer::Foreign,
        None if success && !is_stream => reader.answer(),
        Some(_) | None => Answer::Cut,
    };
    let progress = &reader.progress;
    exchange.transport = match ended {
        // The status of an error and an error inside the stream are the evidence, even when the
        // rest of the body never came; a complete answer stays one, whatever follows it.
        _ if !success || progress.failed || progress.terminal => None,
        None if exchange.answer == Answer::Cut => Some(Transport::EofBeforeTerminal),
        ended => ended,
    };
    exchange.ttft = match reader.first_content {
        // An answer of no content that ends properly was cut by the token limit.
        None if progress.terminal => reader.terminal,
        first => first,
    };
    exchange.total = reader.terminal.unwrap_or_else(|| deadlines.started.elapsed());
    exchange.usage = progress.usage;
    exchange.is_plain = progress.terminal && reader.decoder.events_alone() == Some(progress.plain);
    exchange.events = reader.events;
    if is_stream {
        exchange.stream = reader.decoder.into_text(reader.raw);
    } else {
        exchange.body = reader.raw;
    }
}

/// Whether to go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    More,
    Full,
    Broken,
}

/// The part of an answer read so far.
struct Reader {
    wire: &'static dyn Wire,
    started: Instant,
    raw: Vec<u8>,
    decoder: Decoder,
    progress: Progress,
    events: Events,
    first_content: Option<Duration>,
    terminal: Option<Duration>,
    linger_until: Option<Instant>,
}

impl Reader {
    fn new(wire: &'static dyn Wire, started: Instant, events: Events) -> Self {
        Self {
            wire,
            started,
            raw: Vec::with_capacity(BODY_BYTES_USUAL),
            decoder: Decoder::new(wire.framing()),
            progress: Progress::default(),
            events,
            first_content: None,
            terminal: None,
            linger_until: None,
        }
    }

    fn take(&mut self, chunk: &[u8], may_stream: bool) -> Flow {
        let room = BODY_BYTES_MAX - self.raw.len();
        let kept = &chunk[..chunk.len().min(room)];
        self.raw.extend_from_slice(kept);
        if may_stream {
            let (at, wire) = (self.started.elapsed(), self.wire);
            let (progress, events) = (&mut self.progress, &mut self.events);
            self.decoder.feed(kept, &mut |name, data| {
                events.around(at, (name, data), progress, |it| wire.read(name, data, it));
            });
            self.note();
        }
        if self.decoder.is_broken() {
            Flow::Broken
        } else if kept.len() < chunk.len() {
            Flow::Full
        } else {
            Flow::More
        }
    }

    fn finish(&mut self, may_stream: bool) {
        if may_stream {
            let (at, wire) = (self.started.elapsed(), self.wire);
            let (progress, events) = (&mut self.progress, &mut self.events);
            self.decoder.finish(&mut |name, data| {
                events.around(at, (name, data), progress, |it| wire.read(name, data, it));
            });
            self.note();
        }
    }

    /// Reads the whole body as an answer that was not streamed: some gateways cannot stream.
    fn answer(&mut self) -> Answer {
        let answer = wire::whole(self.wire, &self.raw, &mut self.progress);
        self.note();
        answer
    }

    /// Takes the time of what has just been seen for the first time.
    fn note(&mut self) {
        let elapsed = self.started.elapsed();
        if self.progress.content && self.first_content.is_none() {
            self.first_content = Some(elapsed);
        }
        if self.progress.terminal && self.terminal.is_none() {
            self.terminal = Some(elapsed);
            self.linger_until = Some(self.started + elapsed + LINGER);
        }
    }
}

/// Whether the server says that the body is a page. Any other type may be a stream: some proxies
/// drop or mistake it, and a JSON document is told from a stream by its lines.
fn is_page(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("html") || text.contains("xml")
    })
}

/// Whether the body is as the provider wrote it. No other encoding was asked for, so whoever
/// sends one does not speak to us.
fn is_identity(response: &Response) -> bool {
    response.headers().get_all(CONTENT_ENCODING).iter().all(|value| {
        let value = value.as_bytes().trim_ascii();
        value.is_empty() || value.eq_ignore_ascii_case(b"identity")
    })
}

fn headers(response: &Response) -> Vec<(String, String)> {
    let text = |value: &[u8]| {
        let value = &value[..value.len().min(HEADER_BYTES_MAX)];
        std::str::from_utf8(value)
            .map_or_else(|_| String::from_utf8_lossy(value).into_owned(), str::to_owned)
    };
    response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}
