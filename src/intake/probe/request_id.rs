//! The provider's name for a request, which its support asks for.

use super::redact;

/// Longest request id kept, in bytes: real ones are below 64, and a cut one finds nothing.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;

/// Headers that carry the provider's name for a request, the provider's own before the CDN's.
pub(super) const REQUEST_ID_HEADERS: [&str; 5] =
    ["request-id", "x-request-id", "x-amzn-requestid", "apim-request-id", "cf-ray"];

/// The first header that holds a plain name. It is logged and printed, so a server must not be
/// able to put the key, or anything that is no name, into it.
pub(super) fn request_id(headers: &[(String, String)], key: Option<&str>) -> Option<String> {
    let of_an_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    REQUEST_ID_HEADERS
        .iter()
        .filter_map(|wanted| headers.iter().find(|(name, _)| name == wanted))
        .map(|(_, value)| value)
        .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(of_an_id))
        .find(|id| !key.is_some_and(|key| redact::shares_a_piece(id, key)))
        .cloned()
}
