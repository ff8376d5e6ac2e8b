//! Spans of HTTP clients: httpx and requests in Python, undici and fetch in JavaScript.
//!
//! One span for each attempt with the true status, but without the model, and blind to what
//! happens inside a stream.

use crate::domain::classify::Transport;
use crate::intake::sighting::{Basis, Ending, Layer, Reading, Sighting};

use super::super::record::Record;
use super::{host, seen, sighting};

pub(super) fn read(record: &Record) -> Option<Reading> {
    let attributes = &record.attributes;
    let method = attributes.text(&["http.request.method", "http.method"])?;
    // What a server answers is a span of its own, without the whole URL.
    if method != "POST" || attributes.text(&["url.full", "http.url"]).is_none() {
        return None;
    }
    let mut sighting =
        Sighting { host: host(record), ..sighting(record, Layer::Http, Basis::Attempt) };
    if let Ending::Failed(evidence) = &mut sighting.ending {
        // undici writes the number of a DOMException where the name of an error belongs.
        evidence.transport = match evidence.error_type.as_deref() {
            Some("23") => Some(Transport::ReadTimeout),
            Some("20") => Some(Transport::ClientAbort),
            Some(_) | None => None,
        };
        evidence.error_type.take_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    }
    seen(sighting)
}
