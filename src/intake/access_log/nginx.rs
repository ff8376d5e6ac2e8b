//! nginx: every attempt is in the line.
//!
//! `$upstream_status` and its sisters are lists, `502, 529, 200`: a comma from one server to the
//! next, a colon from one group of servers to the next. nginx writes 502 and 504 there itself
//! where a server gave no answer; then there is no `$upstream_header_time`, and where not even a
//! connection was made no `$upstream_connect_time`. Where it found no server alive it writes the
//! name of the group for an address.

use crate::domain::classify::Transport;

use super::exchange::{EXCHANGES_MAX, End, Exchange, View, status};
use super::time;
use crate::intake::report::scalar::Scalar;

/// The client went away before there was an answer.
const CLIENT_GONE: u16 = 499;

/// The exchanges of a line; `None` where nginx answered by itself.
pub(super) fn exchanges(view: &View<'_, '_>) -> Option<Vec<Exchange>> {
    let is_told = view.is_logged("upstream_status") || view.is_logged("upstream");
    if !is_told {
        let end = view.status().map_or(End::AsTold, end_without_upstream);
        return Some(vec![Exchange::new(end)]);
    }
    let lists =
        ["upstream_status", "upstream", "upstream_header", "upstream_connect", "upstream_ms"]
            .map(|field| view.raw(field).unwrap_or_default());
    let [statuses, addresses, headers, connects, times] = lists.each_ref().map(|text| items(text));
    let count = statuses.len().max(addresses.len()).min(EXCHANGES_MAX);
    let unit = view.unit("upstream_ms");
    let mut exchanges = Vec::new();
    for index in 0..count {
        let of = |list: &[&str]| list.get(index).map(|item| (*item).to_owned());
        let is_last = index + 1 == count;
        let code = statuses.get(index).and_then(|text| status(text));
        let code = code.or_else(|| view.status().filter(|code| is_last && *code == CLIENT_GONE));
        // An address has a port or is a socket; the name of a group is neither, nor is the dash
        // of a line without an upstream.
        let was_asked = addresses.get(index).map_or(code.is_some(), |text| text.contains(':'));
        if !was_asked {
            continue;
        }
        let has_header = headers.get(index).is_none_or(|text| *text != "-");
        let has_connection = connects.get(index).is_none_or(|text| *text != "-");
        let time = of(&times).map(|text| Scalar::Text(text.into()));
        exchanges.push(Exchange {
            ms: time.and_then(|time| time::millis(&time, unit)),
            ..Exchange::new(end(code, has_header, has_connection))
        });
    }
    (!exchanges.is_empty()).then_some(exchanges)
}

fn end(code: Option<u16>, has_header: bool, has_connection: bool) -> End {
    let broken = |transport| End::Broken(transport, None);
    match (code, has_header, has_connection) {
        (Some(CLIENT_GONE), ..) => broken(Transport::ClientAbort),
        (None, _, true) => broken(Transport::ResetBeforeHeaders),
        (Some(502), false, true) => broken(Transport::ResetBeforeHeaders),
        (None | Some(502), _, false) => broken(Transport::ConnectRefused),
        (Some(504), false, true) => broken(Transport::ReadTimeout),
        (Some(504), false, false) => broken(Transport::ConnectTimeout),
        (Some(code), ..) => End::Status(code),
    }
}

/// A line that does not tell of upstreams at all.
fn end_without_upstream(code: u16) -> End {
    end(Some(code), true, true)
}

fn items(text: &str) -> Vec<&str> {
    let items = text.split(", ").flat_map(|group| group.split(" : ")).map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}
