//! What a failed exchange failed of, told from the types in the error's chain and never from its
//! words.

use std::error::Error;
use std::io;

use super::client::DnsFailure;
use crate::domain::classify::Transport;

/// Why no response came.
pub(super) fn before_headers(error: &reqwest::Error) -> Transport {
    if !error.is_connect() {
        return if error.is_timeout() {
            Transport::ReadTimeout
        } else {
            Transport::ResetBeforeHeaders
        };
    }
    if find::<DnsFailure>(error).is_some() {
        Transport::Dns
    } else if error.is_timeout() {
        Transport::ConnectTimeout
    } else if find::<rustls::Error>(error).is_some() || tls_was_cut(error) {
        Transport::Tls
    } else {
        Transport::ConnectRefused
    }
}

/// Why a response body ended early.
pub(super) fn inside_body(error: &reqwest::Error) -> Transport {
    let incomplete = find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message);
    if incomplete || has_io_kind(error, &[io::ErrorKind::UnexpectedEof]) {
        Transport::EofBeforeTerminal
    } else {
        Transport::ResetMidStream
    }
}

/// Whether a peer that had accepted the connection cut it during the handshake: opening a TCP
/// connection never ends in these.
fn tls_was_cut(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, InvalidData, UnexpectedEof};
    has_io_kind(error, &[BrokenPipe, ConnectionReset, InvalidData, UnexpectedEof])
}

fn has_io_kind(error: &reqwest::Error, kinds: &[io::ErrorKind]) -> bool {
    chain(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| kinds.contains(&error.kind()))
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The error and its causes. An `io::Error` hides what it wraps from `source` (it gives the
/// source of the wrapped error), so it is opened by hand.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}
