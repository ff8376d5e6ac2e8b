//! AWS's binary event stream: length-prefixed messages, twice checked by CRC-32.
//!
//! A message is its length, the length of its headers and a checksum of both, then the headers,
//! the payload and a checksum of everything before. All numbers are big-endian.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

/// Bytes of a message beside headers and payload: the prelude with its checksum, and the other.
const FRAME_BYTES: usize = 16;

/// The type of a header that holds a text; all of ours do.
const TEXT: u8 = 7;

/// A message with a JSON payload that reports an event of this type.
pub(super) fn event(name: &str, payload: &Value) -> Bytes {
    message(
        &[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")],
        payload,
    )
}

/// A message that reports an exception of this type, which ends the stream.
pub(super) fn exception(name: &str, payload: &Value) -> Bytes {
    message(
        &[
            (":exception-type", name),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        payload,
    )
}

fn message(named: &[(&str, &str)], payload: &Value) -> Bytes {
    let mut headers = BytesMut::new();
    for (name, value) in named {
        headers.put_u8(u8::try_from(name.len()).expect("names of headers are a few letters"));
        headers.put_slice(name.as_bytes());
        headers.put_u8(TEXT);
        headers.put_u16(u16::try_from(value.len()).expect("values of headers are a few words"));
        headers.put_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let mut message = BytesMut::new();
    message.put_u32(length(FRAME_BYTES + headers.len() + payload.len()));
    message.put_u32(length(headers.len()));
    message.put_u32(crc32fast::hash(&message));
    message.put_slice(&headers);
    message.put_slice(payload.as_bytes());
    message.put_u32(crc32fast::hash(&message));
    message.freeze()
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an event of an answer is far smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_laid_out_as_documented() {
        let bytes = event("messageStop", &json!({"stopReason": "end_turn"}));
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(number(0) as usize, bytes.len());
        let headers = number(4) as usize;
        assert_eq!(&bytes[12..25], b"\x0b:event-type\x07");
        assert_eq!(&bytes[25..38], b"\x00\x0bmessageStop");
        assert_eq!(&bytes[12 + headers..bytes.len() - 4], br#"{"stopReason":"end_turn"}"#);
        // The checksum in the prelude of an empty message, as AWS's own test vectors have it.
        assert_eq!(crc32fast::hash(&[0, 0, 0, 0x10, 0, 0, 0, 0]), 0x05c2_48eb);
        assert_eq!(number(8), crc32fast::hash(&bytes[..8]));
        assert_eq!(number(bytes.len() - 4), crc32fast::hash(&bytes[..bytes.len() - 4]));
    }
}
