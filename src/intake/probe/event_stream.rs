//! AWS's binary event stream (`application/vnd.amazon.eventstream`), decoded as it arrives.
//!
//! A frame is its length, the length of its headers, a checksum of both, headers, a payload and a
//! checksum of everything (smithy.io, "Amazon Event Stream Specification"). The AWS SDK's own
//! crate reads a frame that is whole; here is what it leaves to its caller: a frame is believed
//! only when its first twelve bytes are in order, so that a damaged length can neither make us
//! wait for the rest of a frame that never ends nor hold more memory than an answer may have.
//! After a damaged frame nothing can be found again: the stream counts as cut there.
//!
//! What classification reads is text, so each frame is also kept as the text that people and
//! SDKs show: its headers, a blank line, its payload.

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;

use super::attempt::BODY_BYTES_MAX;

/// Length, length of the headers, and the checksum of these two.
const PRELUDE_BYTES: usize = 12;

/// Shortest frame: a prelude and the last checksum.
const FRAME_BYTES_MIN: usize = PRELUDE_BYTES + 4;

/// Headers that say what a frame is. Others are not kept.
const KEPT_HEADERS: [&str; 5] =
    [":message-type", ":event-type", ":exception-type", ":error-code", ":error-message"];

/// An incremental decoder. Feed it bytes in any split; it calls back once per frame.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pending: Vec<u8>,
    text: Vec<u8>,
    saw_stream: bool,
    is_broken: bool,
}

impl Decoder {
    /// Takes the next bytes and calls `on_event(name, payload)` for each frame they complete. A
    /// frame that is an exception or an error has the name `error`, as server-sent events have.
    pub(super) fn feed(&mut self, bytes: &[u8], on_event: &mut impl FnMut(&str, &str)) {
        if self.is_broken || bytes.is_empty() {
            return;
        }
        if !self.saw_stream && self.pending.is_empty() && bytes[0] != 0 {
            // No frame is so long that its length begins with another byte, and no text begins
            // with this one.
            self.is_broken = true;
            return;
        }
        self.saw_stream = true;
        self.pending.extend_from_slice(bytes);
        let mut taken = 0;
        loop {
            match frame(&self.pending[taken..]) {
                Ok(None) => break,
                Ok(Some((message, length))) => {
                    taken += length;
                    self.take(&message, on_event);
                }
                Err(Damaged) => {
                    self.is_broken = true;
                    break;
                }
            }
        }
        self.pending.drain(..taken);
    }

    /// Whether anything looked like an event stream.
    pub(super) fn saw_stream(&self) -> bool {
        self.saw_stream
    }

    /// Whether a frame was damaged, so that nothing after it can be read.
    pub(super) fn is_broken(&self) -> bool {
        self.saw_stream && self.is_broken
    }

    /// All frames as text.
    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }

    fn take(&mut self, message: &Message, on_event: &mut impl FnMut(&str, &str)) {
        let payload = String::from_utf8_lossy(message.payload());
        for name in KEPT_HEADERS {
            if let Some(value) = header(message, name) {
                // A line break in it would forge another header.
                let value: String = value.chars().filter(|c| !c.is_control()).collect();
                self.text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
            }
        }
        self.text.push(b'\n');
        self.text.extend_from_slice(payload.as_bytes());
        self.text.push(b'\n');
        let failed = matches!(header(message, ":message-type"), Some("exception" | "error"))
            || header(message, ":exception-type").is_some();
        let name = header(message, ":event-type").unwrap_or_default();
        on_event(if failed { "error" } else { name }, &payload);
    }
}

/// The bytes are no frame.
struct Damaged;

/// The frame that begins here and its length; `None` when its end has not come yet.
fn frame(bytes: &[u8]) -> Result<Option<(Message, usize)>, Damaged> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
    let number = |at: usize| {
        let bytes = [prelude[at], prelude[at + 1], prelude[at + 2], prelude[at + 3]];
        u32::from_be_bytes(bytes)
    };
    let length = number(0) as usize;
    let is_possible = (FRAME_BYTES_MIN..=BODY_BYTES_MAX).contains(&length);
    if !is_possible || crc32fast::hash(&prelude[..8]) != number(8) {
        return Err(Damaged);
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let message = read_message_from(whole).map_err(|_| Damaged)?;
    Ok(Some((message, length)))
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
    found.value().as_string().ok().map(|value| value.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame made by hand, so that nothing of it comes from the crate that reads it.
    fn made(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(u8::try_from(name.len()).unwrap());
            block.extend_from_slice(name.as_bytes());
            block.push(7);
            block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            block.extend_from_slice(value.as_bytes());
        }
        let length = u32::try_from(16 + block.len() + payload.len()).unwrap();
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame.extend_from_slice(&block);
        frame.extend_from_slice(payload.as_bytes());
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame
    }

    fn event(name: &str, payload: &str) -> Vec<u8> {
        made(&[(":message-type", "event"), (":event-type", name)], payload)
    }

    /// What is read of `bytes` fed in pieces of this size.
    fn read(bytes: &[u8], piece: usize) -> (Vec<(String, String)>, Decoder) {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for bytes in bytes.chunks(piece) {
            decoder.feed(bytes, &mut |name, data| events.push((name.to_owned(), data.to_owned())));
        }
        (events, decoder)
    }

    #[test]
    fn frames_are_read_in_any_split_and_kept_as_text() {
        let exception =
            [(":exception-type", "throttlingException"), (":message-type", "exception")];
        let error = [(":message-type", "error"), (":error-code", "Internal\nError")];
        let bytes = [
            event("messageStart", r#"{"role":"assistant"}"#),
            made(&exception, r#"{"message":"slow down"}"#),
            made(&error, ""),
        ]
        .concat();
        for piece in [1, 2, 11, 12, 13, bytes.len()] {
            let (events, decoder) = read(&bytes, piece);
            let events: Vec<_> = events.iter().map(|(name, data)| (&**name, &**data)).collect();
            assert_eq!(
                events,
                [
                    ("messageStart", r#"{"role":"assistant"}"#),
                    ("error", r#"{"message":"slow down"}"#),
                    ("error", ""),
                ]
            );
            assert!(decoder.saw_stream() && !decoder.is_broken());
            assert_eq!(
                String::from_utf8(decoder.into_text()).unwrap(),
                ":message-type: event\n:event-type: messageStart\n\n{\"role\":\"assistant\"}\n\
                 :message-type: exception\n:exception-type: throttlingException\n\n\
                 {\"message\":\"slow down\"}\n\
                 :message-type: error\n:error-code: InternalError\n\n\n"
            );
        }
    }

    #[test]
    fn damage_is_seen_at_once_and_ends_the_stream() {
        let whole = event("messageStop", r#"{"stopReason":"max_tokens"}"#);
        let with = |at: usize, byte: u8| {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            damaged
        };
        let last = whole.len() - 1;
        // A length of nearly 16 MiB, and one that its checksum does not stand for: neither waits
        // for the rest.
        for damaged in [with(1, 0xff), with(2, 1), with(4, 0x7f), with(last, !whole[last])] {
            let (events, decoder) = read(&[&damaged[..], &whole].concat(), 7);
            assert!(decoder.saw_stream() && decoder.is_broken());
            assert_eq!(events, []);
        }
        let (events, decoder) = read(&[&whole[..], &with(20, b'x')].concat(), 1);
        assert!(decoder.is_broken());
        assert_eq!(events.len(), 1, "what came before it counts");
        let (events, decoder) = read(&whole[..last], 5);
        assert!(!decoder.is_broken());
        assert_eq!(events, [], "half a frame is none");
    }

    #[test]
    fn a_text_is_no_stream() {
        for text in ["{\"output\":{}}", "data: x\n\n", "<html>", ""] {
            let (events, decoder) = read(text.as_bytes(), 3);
            assert!(!decoder.saw_stream() && !decoder.is_broken(), "{text}");
            assert_eq!(events, []);
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_never_kept(
            mut headers in prop::collection::vec(any::<u8>(), 0..200), lie in any::<u16>()
        ) {
            // A true prelude and true checksums around headers that are none.
            let length = u32::try_from(16 + headers.len()).unwrap();
            let block = u32::from(lie) % (length + 8);
            let mut frame = [length.to_be_bytes(), block.to_be_bytes()].concat();
            frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
            frame.append(&mut headers);
            frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
            let (_, decoder) = read(&frame, 9);
            prop_assert!(decoder.pending.len() <= frame.len());
            prop_assert!(decoder.text.len() <= 4 * frame.len());
        }
    }
}
