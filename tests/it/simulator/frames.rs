//! Reads AWS's binary event stream, checksums included, into the text that classification knows.

/// Every message as lines of headers, a blank line and the payload.
pub(super) fn text(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while !bytes.is_empty() {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let (length, headers) = (number(0) as usize, number(4) as usize);
        assert_eq!(number(8), crc32fast::hash(&bytes[..8]), "checksum of a prelude");
        if bytes.len() < length {
            return text;
        }
        let end = length - 4;
        assert_eq!(number(end), crc32fast::hash(&bytes[..end]), "checksum of a message");
        let (mut head, payload) = bytes[12..end].split_at(headers);
        while !head.is_empty() {
            let name = take(&mut head, 1);
            assert_eq!(head[0], 7, "{name} is a text");
            head = &head[1..];
            text.push_str(&format!("{name}: {}\n", take(&mut head, 2)));
        }
        text.push_str(&format!("\n{}\n\n", std::str::from_utf8(payload).unwrap()));
        bytes = &bytes[length..];
    }
    text
}

/// A text after its length, which is a number of so many bytes.
fn take<'a>(bytes: &mut &'a [u8], size: usize) -> &'a str {
    let length = bytes[..size].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let (text, rest) = bytes[size..].split_at(length);
    *bytes = rest;
    std::str::from_utf8(text).unwrap()
}
