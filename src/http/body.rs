//! Request bodies within their limits: bytes on the wire, time to send them, bytes decoded.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::errors::ApiError;
use super::limits::Limits;

/// A body must have arrived by then: reports are small, a slower sender is stuck or hostile.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body of this size is read in a few hundred microseconds.
const QUICK_BYTES_MAX: usize = 64 * 1024;

/// Memory that a zstd frame may ask for, as a power of two: 8 MiB, what every encoder's default
/// levels stay under.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Content types a batch may come with. Those that a web page can send without being asked for
/// permission (`text/plain`, forms) are not among them.
const JSON_TYPES: [&str; 5] = [
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-lines",
];

/// The content-type without its parameters, in lower case; empty where there is none.
pub(super) fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Refuses a body that does not claim to be JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let essence = essence(headers);
    if JSON_TYPES.contains(&essence.as_str()) {
        return Ok(());
    }
    let message = if essence.is_empty() {
        "the request has no content-type".to_owned()
    } else {
        format!("content-type {essence:?} is not accepted here")
    };
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
        "send content-type: application/json or application/x-ndjson",
    ))
}

/// A body as it came, and the room it takes.
pub(super) struct Received {
    wire: Bytes,
    encoding: String,
    _held: Vec<OwnedSemaphorePermit>,
}

/// Receives a body within its limits and within what all bodies together may take.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: Body,
    body_max: usize,
    limits: &Limits,
) -> Result<Received, ApiError> {
    let encoding = headers.get(CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    let encoding = encoding.unwrap_or("unreadable").trim().to_ascii_lowercase();
    match tokio::time::timeout(BODY_TIMEOUT, collect(body, body_max, limits)).await {
        Ok(Ok((wire, held))) => Ok(Received { wire, encoding, _held: held }),
        Ok(Err(error)) => Err(error),
        Err(_elapsed) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("the body did not arrive within {BODY_TIMEOUT:?}"),
            "send smaller batches",
        )),
    }
}

async fn collect(
    mut body: Body,
    body_max: usize,
    limits: &Limits,
) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), ApiError> {
    let mut wire = BytesMut::new();
    let mut held = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let message = "the body ended before it was complete".to_owned();
            return Err(ApiError::bad_request("incomplete_body", message, "send it again"));
        };
        let Some(data) = frame.data_ref() else { continue };
        if wire.len() + data.len() > body_max {
            return Err(too_large("on the wire", body_max));
        }
        held.push(limits.hold_bytes(data.len()).ok_or_else(busy)?);
        wire.extend_from_slice(data);
    }
    Ok((wire.freeze(), held))
}

fn busy() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "too many bodies are being received at once",
        "send it again in a second",
    )
}

impl Received {
    /// The same with what is inside a frame around it: `open` gives that and its encoding.
    pub(super) fn opened(
        self,
        open: impl FnOnce(&Bytes) -> Result<(Bytes, &'static str), ApiError>,
    ) -> Result<Self, ApiError> {
        let (wire, encoding) = open(&self.wire)?;
        Ok(Self { wire, encoding: encoding.to_owned(), _held: self._held })
    }

    /// Whether it is read so quickly that it need not leave the async threads.
    pub(super) fn is_quick(&self) -> bool {
        matches!(self.encoding.as_str(), "" | "identity") && self.wire.len() <= QUICK_BYTES_MAX
    }

    /// Bytes on the wire.
    pub(super) fn wire_bytes(&self) -> usize {
        self.wire.len()
    }

    /// Decodes it. May take as long as the decoded limit allows.
    pub(super) fn decode(&self, max: usize) -> Result<Bytes, ApiError> {
        decode(&self.encoding, self.wire.clone(), max)
    }
}

fn decode(encoding: &str, wire: Bytes, max: usize) -> Result<Bytes, ApiError> {
    let decoded = match encoding {
        "" | "identity" => return Ok(wire),
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(&*wire), max),
        // RFC 9110 means zlib; some senders mean the bare stream inside it.
        "deflate" if is_zlib(&wire) => bounded(flate2::read::ZlibDecoder::new(&*wire), max),
        "deflate" => bounded(flate2::read::DeflateDecoder::new(&*wire), max),
        "zstd" => zstd::stream::read::Decoder::with_buffer(&*wire).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            bounded(decoder, max)
        }),
        _ => {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                format!("content-encoding {encoding:?} is not accepted"),
                "use gzip, deflate, zstd or none",
            ));
        }
    };
    match decoded {
        Ok(Some(bytes)) => Ok(bytes.into()),
        Ok(None) => Err(too_large("decoded", max)),
        Err(_) => {
            let message = format!("the body is not valid {encoding}");
            Err(ApiError::bad_request("undecodable_body", message, "check content-encoding"))
        }
    }
}

/// Reads to the end, or gives `None` as soon as there is more than `max`.
fn bounded(reader: impl Read, max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= max).then_some(bytes))
}

/// The two-byte header of RFC 1950.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flg, ..]
        if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)).is_multiple_of(31))
}

fn too_large(what: &str, max: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body is larger than {max} bytes {what}"),
        "send it in parts, or raise the limit in the configuration",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn every_encoding_decodes_and_a_bomb_stops_at_the_limit() {
        let plain = b"{\"provider\":\"x\"}".as_slice();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(plain).unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        raw.write_all(plain).unwrap();
        for (encoding, wire) in [
            ("identity", Bytes::copy_from_slice(plain)),
            ("x-gzip", gzip(plain)),
            ("deflate", zlib.finish().unwrap().into()),
            ("deflate", raw.finish().unwrap().into()),
            ("zstd", zstd::stream::encode_all(plain, 1).unwrap().into()),
        ] {
            assert_eq!(decode(encoding, wire, 1_000).unwrap(), plain, "{encoding}");
        }
        let bomb = gzip(&vec![b' '; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert!(decode("gzip", bomb, 1_000_000).is_err());
        assert!(decode("gzip", Bytes::from_static(b"nonsense"), 1_000).is_err());
        assert!(decode("br", Bytes::new(), 1_000).is_err());
    }
}
