//! Envoy: response flags and response code details.
//!
//! A line of the listener's log stands for a request with all its retries and counts them; a line
//! of the router's `upstream_log` for one attempt, without details. A status is the provider's
//! where the details say `via_upstream`, or where they are not logged and no flag speaks against
//! it.

use crate::domain::classify::Transport;

use super::exchange::{End, Exchange, View};

/// What a flag says about the answer.
#[derive(Clone, Copy)]
enum Meaning {
    /// Envoy's own doing.
    Own,
    /// The connection or the answer failed: before its headers, and behind them.
    Failed(Transport, Transport),
    /// The client went away.
    ClientGone,
}

use Meaning::{ClientGone, Failed, Own};

const CUT: Meaning = Failed(Transport::ResetBeforeHeaders, Transport::ResetMidStream);
const LATE: Meaning = Failed(Transport::ReadTimeout, Transport::IdleTimeout);

/// The flags that decide, short and long, first those that tell most. Others (`URX`, `DI`) go with
/// another one or with the provider's own answer.
const FLAGS: [(&str, &str, Meaning); 28] = [
    (
        "UF",
        "UpstreamConnectionFailure",
        Failed(Transport::ConnectRefused, Transport::ResetMidStream),
    ),
    ("DF", "DnsResolutionFailed", Failed(Transport::Dns, Transport::Dns)),
    ("UC", "UpstreamConnectionTermination", CUT),
    ("UR", "UpstreamRemoteReset", CUT),
    ("UPE", "UpstreamProtocolError", CUT),
    ("LR", "LocalReset", CUT),
    ("UT", "UpstreamRequestTimeout", LATE),
    ("UMSDR", "UpstreamMaxStreamDurationReached", LATE),
    ("SI", "StreamIdleTimeout", LATE),
    ("DC", "DownstreamConnectionTermination", ClientGone),
    ("DR", "DownstreamRemoteReset", ClientGone),
    ("DPE", "DownstreamProtocolError", ClientGone),
    ("UO", "UpstreamOverflow", Own),
    ("UH", "NoHealthyUpstream", Own),
    ("LH", "FailedLocalHealthCheck", Own),
    ("NR", "NoRouteFound", Own),
    ("NC", "NoClusterFound", Own),
    ("RL", "RateLimited", Own),
    ("RLSE", "RateLimitServiceError", Own),
    ("RFCF", "ResponseFromCacheFilter", Own),
    ("UAEX", "UnauthorizedExternalService", Own),
    ("FI", "FaultInjected", Own),
    ("IH", "InvalidEnvoyRequestHeaders", Own),
    ("NFCF", "NoFilterConfigFound", Own),
    ("OM", "OverloadManagerTerminated", Own),
    ("DO", "DropOverload", Own),
    ("DT", "DurationTimeout", Own),
    ("UDO", "UnconditionalDropOverload", Own),
];

/// The last exchange of a line; `None` where Envoy answered by itself.
pub(super) fn exchange(view: &View<'_, '_>) -> Option<Exchange> {
    let code = view.status();
    let details = view.text("details");
    let flags = view.text("flags").unwrap_or_default();
    let meaning = flags_meaning(&flags);
    let via_upstream = details.as_deref().is_some_and(|text| text.starts_with("via_upstream"));
    let failed = code.is_some_and(|code| code >= 400);
    let began = details.as_deref().is_some_and(|text| text.contains("after_response_started"))
        || code.is_some_and(|code| code < 400);
    let end = match (code, meaning) {
        // What the provider answered stays true whatever became of the rest.
        (Some(code), None | Some(ClientGone | Failed(..))) if via_upstream => End::Status(code),
        (Some(code), Some(Failed(..))) if failed && began => End::Status(code),
        (_, Some(Own)) => return None,
        (_, Some(Failed(_, behind))) if began => End::Broken(behind, code),
        (_, Some(Failed(before, _))) => End::Broken(before, None),
        (Some(code), Some(ClientGone)) => asked(view, End::Status(code))?,
        (_, Some(ClientGone)) => asked(view, End::Broken(Transport::ClientAbort, None))?,
        (Some(code), None) if details.is_none() => asked(view, End::Status(code))?,
        (Some(_), None) => return None,
        // The router's log has neither status nor flag where the client gave up.
        (None, None) => asked(view, End::Broken(Transport::ClientAbort, None))?,
    };
    let told = view.number("attempt").is_some();
    let attempts = view.number("proxy_attempts").filter(|_| !told).unwrap_or(1);
    Some(Exchange { hidden: attempts.saturating_sub(1), ..Exchange::new(end) })
}

/// `end`, unless the log has upstreams and there was none.
fn asked(view: &View<'_, '_>, end: End) -> Option<End> {
    (!view.is_logged("upstream") || view.get("upstream").is_some()).then_some(end)
}

fn flags_meaning(flags: &str) -> Option<Meaning> {
    let given: Vec<&str> = flags.split(',').map(str::trim).collect();
    let decides = |(short, long, _): &&(&str, &str, Meaning)| {
        given.iter().any(|flag| flag == short || flag == long)
    };
    FLAGS.iter().find(decides).map(|(_, _, meaning)| *meaning)
}
