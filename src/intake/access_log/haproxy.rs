//! `HAProxy`: the two letters of the termination state, who ended the session and when.
//!
//! The status of a line is that which the client got: where the state says that the server never
//! answered, it is `HAProxy`'s own.

use crate::domain::classify::Transport;

use super::exchange::{End, Exchange, View};

/// What stands for the server where none was chosen.
const NO_SERVER: &str = "<NOSRV>";

/// The last exchange of a line; `None` where `HAProxy` answered by itself.
pub(super) fn exchange(view: &View<'_, '_>) -> Option<Exchange> {
    let server = view.text("upstream");
    if server.as_deref() == Some(NO_SERVER) {
        return None;
    }
    let state = view.text("flags").unwrap_or_default();
    let mut letters = state.chars();
    let (cause, stage) = (letters.next().unwrap_or('-'), letters.next().unwrap_or('-'));
    let code = view.status();
    let end = match (cause, stage) {
        ('-', _) => code.map_or(End::AsTold, End::Status),
        // Nobody was asked yet: the request was incomplete, or waited in a queue.
        (_, 'R' | 'Q' | 'T') => return None,
        ('C' | 'c', 'C' | 'H') => End::Broken(Transport::ClientAbort, None),
        ('C' | 'c', _) => code.map_or(End::Broken(Transport::ClientAbort, None), End::Status),
        ('S' | 'D', 'C') => End::Broken(Transport::ConnectRefused, None),
        ('s', 'C') => End::Broken(Transport::ConnectTimeout, None),
        // An answer that `HAProxy` found invalid is none.
        ('S' | 'D' | 'P', 'H') => End::Broken(Transport::ResetBeforeHeaders, None),
        ('s', 'H') => End::Broken(Transport::ReadTimeout, None),
        ('S' | 'D' | 'P', 'D' | 'L') => behind(code, Transport::ResetMidStream),
        ('s', 'D' | 'L') => behind(code, Transport::IdleTimeout),
        (_, _) => return None,
    };
    let hidden = view.number("proxy_retries").unwrap_or(0);
    Some(Exchange { hidden, ..Exchange::new(end) })
}

/// An answer that broke off behind its headers; a bad status stays what it was.
fn behind(code: Option<u16>, transport: Transport) -> End {
    match code {
        Some(code) if code >= 400 => End::Status(code),
        code => End::Broken(transport, code),
    }
}
