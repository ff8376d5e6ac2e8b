//! How the bytes of an answer are cut into events while they arrive.
//!
//! A dialect names its framing, and an attempt need not know which one it reads.

use super::{event_stream, sse};

/// How an API frames its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Lines of text, as nearly everybody.
    ServerSentEvents,
    /// Binary frames with checksums, as AWS.
    EventStream,
}

/// An incremental decoder of either.
#[derive(Debug)]
pub(super) enum Decoder {
    Sse(sse::Decoder),
    EventStream(event_stream::Decoder),
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::ServerSentEvents => Self::Sse(sse::Decoder::default()),
            Framing::EventStream => Self::EventStream(event_stream::Decoder::default()),
        }
    }

    /// Takes the next bytes and calls `on_event(name, data)` for each event they complete.
    pub(super) fn feed(&mut self, bytes: &[u8], on_event: &mut impl FnMut(&str, &str)) {
        match self {
            Self::Sse(decoder) => decoder.feed(bytes, on_event),
            Self::EventStream(decoder) => decoder.feed(bytes, on_event),
        }
    }

    /// Dispatches what is left at the end of the body. Half a binary frame is none.
    pub(super) fn finish(&mut self, on_event: &mut impl FnMut(&str, &str)) {
        match self {
            Self::Sse(decoder) => decoder.finish(on_event),
            Self::EventStream(_) => {}
        }
    }

    /// Whether anything looked like a stream, whatever the server called it.
    pub(super) fn saw_stream(&self) -> bool {
        match self {
            Self::Sse(decoder) => decoder.saw_stream(),
            Self::EventStream(decoder) => decoder.saw_stream(),
        }
    }

    /// How many events came; `None` if the stream held more than them, or may have.
    pub(super) fn events_alone(&self) -> Option<usize> {
        match self {
            Self::Sse(decoder) => decoder.events_alone(),
            Self::EventStream(_) => None,
        }
    }

    /// Whether nothing that follows can be read.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::Sse(_) => false,
            Self::EventStream(decoder) => decoder.is_broken(),
        }
    }

    /// The stream as the text that is classified, given its raw bytes.
    pub(super) fn into_text(self, raw: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Sse(_) => raw,
            Self::EventStream(decoder) => decoder.into_text(),
        }
    }
}
