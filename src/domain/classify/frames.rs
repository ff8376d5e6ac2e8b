//! A stream's raw text as frames: server-sent events, event-stream frames shown as text, and
//! JSON that came undecorated.
//!
//! Tolerant on purpose: any line ending, any case of field names, events cut off at the end,
//! several values under one event. Gemini sends its in-stream error without `data:`, over many
//! lines; Ollama sends nothing but JSON lines. Whether a frame is an error is decided elsewhere.

use serde_json::Value;

use super::{embedded, errors};

/// Most lines tried as the start of undecorated JSON that turn out not to be; each costs a look
/// at all that follows.
const FALSE_STARTS_MAX: usize = 16;
/// Most values kept of one stream; the cap on bytes is the first limit.
const FRAMES_MAX: usize = 100_000;

/// One event.
#[derive(Default)]
pub(super) struct Frame {
    /// The event's name, empty if it had none.
    pub(super) event: String,
    /// Its data, if that was JSON.
    pub(super) value: Option<Value>,
    /// Its data, if that was not JSON.
    pub(super) text: String,
    /// Event streams: the exception's name.
    pub(super) exception: Option<String>,
    /// DashScope: the status that a comment line announces.
    pub(super) status: Option<u16>,
}

/// A stream's frames.
#[derive(Default)]
pub(super) struct Frames {
    /// In order.
    pub(super) frames: Vec<Frame>,
    /// Whether `[DONE]` came.
    pub(super) is_done: bool,
}

/// Reads a stream's text.
pub(super) fn read(text: &str) -> Frames {
    let mut reader = Reader::default();
    let mut rest = text.trim_start_matches('\u{feff}');
    while !rest.is_empty() && reader.done.frames.len() < FRAMES_MAX {
        if let Some(taken) = reader.undecorated(rest) {
            rest = &rest[taken..];
            continue;
        }
        let (line, after) = split_line(rest);
        reader.line(line);
        rest = after;
    }
    reader.end()
}

/// The first line, without its ending, and what follows it. CR, LF and CRLF all end a line.
fn split_line(text: &str) -> (&str, &str) {
    match text.find(['\r', '\n']) {
        None => (text, ""),
        Some(end) => {
            let rest = &text[end..];
            let rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
            (&text[..end], rest)
        }
    }
}

#[derive(Default)]
struct Reader {
    done: Frames,
    event: String,
    data: String,
    /// Status of a comment line, for the event under way.
    status: Option<u16>,
    /// Headers of an event-stream frame that waits for its payload.
    pending: Option<Pending>,
    false_starts: usize,
}

/// Headers of an event-stream frame.
#[derive(Default)]
struct Pending {
    message_type: String,
    name: String,
    message: String,
    is_exception: bool,
}

impl Reader {
    /// Takes JSON that starts here without a field name; gives the number of bytes it took.
    fn undecorated(&mut self, rest: &str) -> Option<usize> {
        let start = rest.len() - rest.trim_start_matches([' ', '\t', ',']).len();
        let json = &rest[start..];
        if !json.starts_with(['{', '[']) || self.false_starts >= FALSE_STARTS_MAX {
            return None;
        }
        let (value, taken) = match embedded::parse_head(json) {
            Some(found) => found,
            None => match embedded::parse(json) {
                Some(value) => (value, json.len()),
                None => {
                    self.false_starts += 1;
                    return None;
                }
            },
        };
        self.dispatch();
        let pending = self.pending.take().unwrap_or_default();
        self.push_value(value, pending);
        Some(start + taken)
    }

    fn line(&mut self, line: &str) {
        if line.trim().is_empty() {
            self.dispatch();
            return;
        }
        if let Some(comment) = line.strip_prefix(':') {
            self.comment(comment);
            return;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        if name.eq_ignore_ascii_case("data") {
            self.add_data(value);
        } else if name.eq_ignore_ascii_case("event") {
            value.trim().clone_into(&mut self.event);
        } else if name.eq_ignore_ascii_case("error") {
            // llama.cpp before it followed OpenAI.
            "error".clone_into(&mut self.event);
            self.add_data(value);
        }
    }

    fn add_data(&mut self, value: &str) {
        if !self.data.is_empty() {
            self.data.push('\n');
        }
        self.data.push_str(value);
    }

    /// A comment of server-sent events, or a header of an event-stream frame.
    fn comment(&mut self, comment: &str) {
        if let Some(status) = comment.strip_prefix("HTTP_STATUS/") {
            self.status = status.trim().parse().ok();
            return;
        }
        let Some((name, value)) = comment.split_once(':') else { return };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let mut pending = self.pending.take().unwrap_or_default();
        // A header that came already belongs to the next frame.
        if pending.has(&name) {
            self.done.frames.push(pending.frame());
            pending = Pending::default();
        }
        match name.as_str() {
            "message-type" => value.clone_into(&mut pending.message_type),
            "error-message" => value.clone_into(&mut pending.message),
            "event-type" => value.clone_into(&mut pending.name),
            "exception-type" | "error-code" => {
                value.clone_into(&mut pending.name);
                pending.is_exception = true;
            }
            _ => {}
        }
        self.pending = (!pending.is_empty()).then_some(pending);
    }

    fn flush_pending(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.done.frames.push(pending.frame());
        }
    }

    /// Ends the event under way.
    fn dispatch(&mut self) {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        let status = self.status.take();
        let mut rest = data.trim();
        if rest.is_empty() {
            // An event without data ends nothing unless its name says so.
            if !event.is_empty() {
                self.done.frames.push(Frame { event, status, ..Frame::default() });
            }
            return;
        }
        while !rest.is_empty() && self.done.frames.len() < FRAMES_MAX {
            if let Some(after) = rest.strip_prefix("[DONE]") {
                self.done.is_done = true;
                rest = after.trim_start();
                continue;
            }
            let frame = Frame { event: event.clone(), status, ..Frame::default() };
            let (frame, taken) = match embedded::parse_head(rest) {
                Some((value, taken)) => (Frame { value: Some(value), ..frame }, taken),
                None => match embedded::parse(rest) {
                    Some(value) => (Frame { value: Some(value), ..frame }, rest.len()),
                    None => (Frame { text: rest.to_owned(), ..frame }, rest.len()),
                },
            };
            self.done.frames.push(frame);
            rest = rest[taken..].trim_start();
        }
    }

    /// Keeps a value; the elements of an array that was streamed are frames of their own.
    fn push_value(&mut self, value: Value, pending: Pending) {
        match value {
            Value::Array(values) if pending.name.is_empty() => {
                let room = FRAMES_MAX.saturating_sub(self.done.frames.len());
                self.done.frames.extend(
                    values
                        .into_iter()
                        .take(room)
                        .map(|value| Frame { value: Some(value), ..Frame::default() }),
                );
            }
            value => self.done.frames.push(Frame { value: Some(value), ..pending.frame() }),
        }
    }

    fn end(mut self) -> Frames {
        self.dispatch();
        self.flush_pending();
        self.done
    }
}

impl Pending {
    fn has(&self, name: &str) -> bool {
        let field = match name {
            "message-type" => &self.message_type,
            "error-message" => &self.message,
            "event-type" | "exception-type" | "error-code" => &self.name,
            _ => return false,
        };
        !field.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.message_type.is_empty() && self.message.is_empty() && self.name.is_empty()
    }

    fn frame(self) -> Frame {
        let is_named = errors::is_error_type(&self.message_type);
        if is_named || self.is_exception {
            Frame { exception: Some(self.name), text: self.message, ..Frame::default() }
        } else {
            Frame { event: self.name, ..Frame::default() }
        }
    }
}
