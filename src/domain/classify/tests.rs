//! What a cut, a header and a bare status say; the shapes of errors are in `tests/data/errors`.

use super::{MatchedBy, Reply, Reported, Transport, classify, classify_reported};
use crate::domain::outcome::Class;

#[test]
fn a_cut_matters_until_the_terminal_event() {
    let open = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    let error = "event: error\ndata: {\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let terminals = [
        "data: [DONE]\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{}}\n\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
        "{\"done\":true}\n",
        ":message-type: event\n:event-type: messageStop\n\n{\"stopReason\":\"end_turn\"}",
    ];
    let class = |stream: &str, transport| {
        let reply = Reply {
            status: Some(200),
            stream: stream.as_bytes(),
            transport: Some(transport),
            ..Reply::default()
        };
        classify(&reply).class
    };
    for transport in Transport::ALL {
        assert_eq!(class(open, transport), transport.class(), "{transport:?}");
        assert_eq!(class(error, transport), Class::Overloaded, "{transport:?}");
    }
    for terminal in terminals {
        assert_eq!(class(terminal, Transport::ResetMidStream), Class::Ok, "{terminal}");
        assert_eq!(class(terminal, Transport::Dns), Class::Network, "{terminal}");
    }
}

#[test]
fn an_error_status_outweighs_a_cut_body() {
    let cut =
        Reply { status: Some(529), transport: Some(Transport::ResetMidStream), ..Reply::default() };
    assert_eq!(classify(&cut).class, Class::Overloaded);
}

#[test]
fn headers_alone_are_evidence() {
    for (status, name, value, class) in [
        (503, "X-Amzn-ErrorType", "ServiceUnavailableException:http://x/", Class::Overloaded),
        (500, "x-amzn-errortype", "ServiceUnavailableException", Class::Overloaded),
        (429, "x-amzn-errortype", "ModelNotReadyException", Class::Unavailable),
        (400, "x-amzn-errortype", "ServiceQuotaExceededException:", Class::QuotaExhausted),
        (429, "Anthropic-RateLimit-Unified-Status", "Rejected", Class::QuotaExhausted),
        (429, "anthropic-ratelimit-unified-status", "allowed", Class::RateLimited),
        (200, "anthropic-ratelimit-unified-status", "rejected", Class::Ok),
    ] {
        let headers = [(name.to_owned(), value.to_owned())];
        let reply = Reply { status: Some(status), headers: &headers, ..Reply::default() };
        assert_eq!(classify(&reply).class, class, "{status} {name}: {value}");
    }
}

#[test]
fn a_bare_status_has_its_class() {
    for (statuses, class) in [
        (&[200, 201, 204, 299][..], Class::Ok),
        (&[400, 404, 405, 413, 415, 422], Class::InvalidRequest),
        (&[401, 403], Class::Auth),
        (&[402], Class::Billing),
        (&[408, 504, 524], Class::Timeout),
        (&[429], Class::RateLimited),
        (&[424, 500, 501], Class::ServerError),
        (&[502, 503, 520, 521, 522, 523, 525, 526, 527, 530], Class::Unavailable),
        (&[529], Class::Overloaded),
        (&[100, 101, 103, 199, 300, 301, 302, 304, 307, 308, 399], Class::Other),
        (&[409, 410, 418, 451, 498, 499, 511], Class::Other),
    ] {
        for status in statuses {
            let reply = Reply { status: Some(*status), ..Reply::default() };
            assert_eq!(classify(&reply).class, class, "{status}");
            let report = Reported { status: Some(*status), ..Reported::default() };
            assert_eq!(classify_reported(&report).class, class, "{status} reported");
        }
    }
    assert_eq!(classify(&Reply::default()).class, Class::Other);
}

#[test]
fn an_answer_that_is_not_a_2xx_is_no_success() {
    let body = br#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#.as_slice();
    let stream = b"data: [DONE]\n\n".as_slice();
    for status in [100, 103, 199, 300, 302, 307, 399] {
        for (body, stream) in [(body, &[][..]), (b"moved".as_slice(), &[][..]), (&[][..], stream)] {
            let verdict =
                classify(&Reply { status: Some(status), body, stream, ..Reply::default() });
            let expected = (Class::Other, MatchedBy::Status);
            assert_eq!((verdict.class, verdict.matched_by), expected, "{status}");
        }
    }
    let reset = Some(Transport::ResetBeforeHeaders);
    let cut = Reply { status: Some(100), transport: reset, ..Reply::default() };
    assert_eq!(classify(&cut).class, Class::Network, "an interim status is not an answer");
}
