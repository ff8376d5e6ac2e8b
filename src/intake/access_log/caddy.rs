//! Caddy: its log has no word for who made an answer.
//!
//! So a Caddyfile may mark the answers of upstreams with a header (`header_down`). Without it,
//! Caddy's own errors are known by their having no content type, which providers' errors have.

use crate::domain::classify::Transport;

use super::exchange::{End, Exchange, View};

/// The exchange of a line; `None` where Caddy answered by itself.
pub(super) fn exchange(view: &View<'_, '_>) -> Option<Exchange> {
    // A status of 0: the client was gone.
    let Some(code) = view.status() else {
        return Some(Exchange::new(End::Broken(Transport::ClientAbort, None)));
    };
    let is_own = code >= 400 && view.get("upstream").is_none() && view.get("details").is_none();
    Some(Exchange::new(match code {
        code if !is_own => End::Status(code),
        502 => End::Broken(Transport::ResetBeforeHeaders, None),
        504 => End::Broken(Transport::ReadTimeout, None),
        _ => return None,
    }))
}
