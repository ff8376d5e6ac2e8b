//! Server-sent events, decoded as they arrive.
//!
//! A probe must know the moment of the first content, so it reads events while bytes come in and
//! not when the body is complete. Follows the parsing rules of the HTML standard (section
//! "Server-sent events"): lines end in LF, CR or CRLF, a blank line dispatches, several `data`
//! lines join with LF, lines that start with a colon are comments. Memory is bounded: a line or
//! an event over its limit is dropped, and the decoder goes on with the next one. It does not
//! reconnect and does not know `id` or `retry`: a probe is one attempt.

use std::borrow::Cow;

/// Longest line kept, in bytes. Provider chunks are below 4 KiB; this leaves room for error
/// objects that quote a request.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Longest event kept, in bytes of joined data.
const EVENT_BYTES_MAX: usize = 128 * 1024;

/// An incremental decoder. Feed it bytes in any split; it calls back once per event.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    line_too_long: bool,
    after_cr: bool,
    past_first_line: bool,
    name: String,
    data: String,
    has_data: bool,
    event_too_long: bool,
    saw_stream: bool,
    events: usize,
    saw_more: bool,
}

impl Decoder {
    /// Takes the next bytes and calls `on_event(name, data)` for each event they complete. The
    /// name is empty when the event has none.
    pub(super) fn feed(&mut self, bytes: &[u8], on_event: &mut impl FnMut(&str, &str)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(end) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.extend_line(rest);
                return;
            };
            self.extend_line(&rest[..end]);
            self.after_cr = rest[end] == b'\r';
            self.end_line(on_event);
            rest = &rest[end + 1..];
        }
    }

    fn extend_line(&mut self, piece: &[u8]) {
        let room = LINE_BYTES_MAX - self.line.len();
        self.line_too_long |= piece.len() > room;
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Dispatches what is left at the end of the body: some servers omit the last blank line.
    pub(super) fn finish(&mut self, on_event: &mut impl FnMut(&str, &str)) {
        if !self.line.is_empty() {
            self.end_line(on_event);
        }
        self.dispatch(on_event);
    }

    /// Whether anything looked like an event stream: a field or a comment. Tells a stream from a
    /// plain body when the server sends no usable content type.
    pub(super) fn saw_stream(&self) -> bool {
        self.saw_stream
    }

    /// How many events came; `None` if the stream held anything that is not in them, such as a
    /// comment or a field that is not ours to read.
    pub(super) fn events_alone(&self) -> Option<usize> {
        (!self.saw_more).then_some(self.events)
    }

    fn end_line(&mut self, on_event: &mut impl FnMut(&str, &str)) {
        let mut line = std::mem::take(&mut self.line);
        let too_long = std::mem::take(&mut self.line_too_long);
        let first = !std::mem::replace(&mut self.past_first_line, true);
        if too_long {
            // Half a line would be half a JSON document: drop the whole event instead.
            self.event_too_long = true;
        } else if line.is_empty() {
            self.dispatch(on_event);
        } else {
            // Nearly every line is good, and telling so is much quicker than mending it.
            let text = std::str::from_utf8(&line)
                .map_or_else(|_| String::from_utf8_lossy(&line), Cow::Borrowed);
            let text = if first { text.trim_start_matches('\u{feff}') } else { &text };
            self.field(text);
        }
        // The buffer is reused: a stream is hundreds of short lines.
        line.clear();
        self.line = line;
    }

    fn field(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => {
                self.saw_stream = true;
                self.saw_more = true;
            }
            "data" => {
                self.saw_stream = true;
                if self.data.len() + value.len() > EVENT_BYTES_MAX {
                    self.event_too_long = true;
                    return;
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => {
                self.saw_stream = true;
                self.name.clear();
                self.name.push_str(value);
            }
            _ => self.saw_more = true,
        }
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(&str, &str)) {
        let has_data = std::mem::take(&mut self.has_data);
        let too_long = std::mem::take(&mut self.event_too_long);
        if has_data && !too_long {
            self.events += 1;
            on_event(&self.name, &self.data);
        } else {
            self.saw_more |= too_long || !self.name.is_empty();
        }
        self.name.clear();
        self.data.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `text` in chunks of `step` bytes.
    fn decode(text: &[u8], step: usize) -> Vec<(String, String)> {
        let mut events = Vec::new();
        let mut decoder = Decoder::default();
        let mut on_event = |name: &str, data: &str| events.push((name.into(), data.into()));
        for chunk in text.chunks(step) {
            decoder.feed(chunk, &mut on_event);
        }
        decoder.finish(&mut on_event);
        events
    }

    #[test]
    fn every_line_ending_and_every_split_gives_the_same_events() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
            ("event: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]),
            ("data: a\ndata: b\n\n", &[("", "a\nb")]),
            ("data:a\ndata:  b\n\n", &[("", "a\n b")]),
            (": keep-alive\n\n: again\n\ndata: a\n\n", &[("", "a")]),
            ("\n\n\ndata: a\n\n", &[("", "a")]),
            ("data\n\n", &[("", "")]),
            ("event: lonely\n\ndata: a\n\n", &[("", "a")]),
            ("id: 7\nretry: 9\nodd\ndata: a\n\n", &[("", "a")]),
            ("\u{feff}data: a\n\n", &[("", "a")]),
            ("data: [DONE]", &[("", "[DONE]")]),
            ("data: héllo\n\n", &[("", "héllo")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(n, d)| (n.to_string(), d.to_string())).collect();
            for text in [text.to_string(), text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
                for step in [1, 2, 3, text.len()] {
                    assert_eq!(decode(text.as_bytes(), step), expected, "{text:?} by {step}");
                }
            }
        }
    }

    #[test]
    fn an_overlong_line_or_event_is_dropped_and_the_next_one_read() {
        let long_line = format!("data: {}\n\ndata: b\n\n", "x".repeat(LINE_BYTES_MAX + 1));
        assert_eq!(decode(long_line.as_bytes(), 4096), [(String::new(), "b".to_string())]);
        let half = format!("data: {}\n", "x".repeat(LINE_BYTES_MAX / 2));
        let long_event = format!("{}\ndata: b\n\n", half.repeat(6));
        assert_eq!(decode(long_event.as_bytes(), 4096), [(String::new(), "b".to_string())]);
    }

    #[test]
    fn events_are_counted_only_where_nothing_else_came() {
        for (text, expected) in [
            ("data: a\n\nevent: x\ndata: b\n\n", Some(2)),
            ("data: a\n\ndata: b", Some(2)),
            (": HTTP_STATUS/429\ndata: a\n\n", None),
            ("data: a\n\nevent: error\n\n", None),
            ("data: a\n\n{\"error\": 1}\n\n", None),
            ("data: a\n\nerror: b\n\n", None),
        ] {
            let mut decoder = Decoder::default();
            decoder.feed(text.as_bytes(), &mut |_, _| {});
            decoder.finish(&mut |_, _| {});
            assert_eq!(decoder.events_alone(), expected, "{text:?}");
        }
        let mut decoder = Decoder::default();
        let long = format!("data: {}\n\n", "x".repeat(LINE_BYTES_MAX + 1));
        decoder.feed(long.as_bytes(), &mut |_, _| {});
        assert_eq!(decoder.events_alone(), None);
    }

    #[test]
    fn a_plain_body_is_not_taken_for_a_stream() {
        for (text, stream) in [
            ("{\"error\":{\"message\":\"x\"}}\n", false),
            ("<html>\n<body>no: stream</body>\n", false),
            ("error code: 1020\n", false),
            (": keep-alive\n", true),
            ("event: ping\n", true),
            ("data: 1\n", true),
        ] {
            let mut decoder = Decoder::default();
            decoder.feed(text.as_bytes(), &mut |_, _| {});
            assert_eq!(decoder.saw_stream(), stream, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_alike_however_they_are_split(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            step in 1_usize..40,
        ) {
            proptest::prop_assert_eq!(decode(&bytes, step), decode(&bytes, 1_000));
        }
    }
}
