//! Any bytes at all, and far too many of them.

use brownout::domain::classify::{
    Reply, Reported, Transport, classify, classify_reported, quotas, retry_after,
};
use brownout::domain::outcome::Class;
use brownout::domain::time::Timestamp;
use proptest::prelude::*;

use super::recorded;

fn any_transport() -> impl Strategy<Value = Option<Transport>> {
    prop::option::of(prop::sample::select(Transport::ALL.to_vec()))
}

/// Recorded texts, whole, cut, spliced and with bytes changed, and plain garbage.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let cases = recorded();
    let texts: Vec<String> =
        cases.iter().flat_map(|it| [it.body.clone(), it.stream.clone()]).collect();
    let piece =
        (prop::sample::select(texts), any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(text, from, to)| {
                let bytes = text.as_bytes();
                let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
                bytes[from.min(to)..from.max(to)].to_vec()
            });
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    let syntax = "[\\[\\]{}\",:'a\\\\\n\r 0-9bx]{0,60}".prop_map(String::into_bytes);
    prop::collection::vec(prop_oneof![4 => piece, 1 => garbage, 1 => syntax], 0..5)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_reply_panics(
        body in any_text(),
        stream in any_text(),
        status in prop::option::of(100_u16..600),
        provider in prop::sample::select(vec!["anthropic", "bedrock", "zai", "", "x\u{0}"]),
        transport in any_transport(),
        header in ("[a-z-]{0,20}", "\\PC{0,20}"),
        now in any::<u64>(),
    ) {
        let names = [
            "retry-after", "x-ratelimit-reset", "anthropic-ratelimit-tokens-reset",
            "x-amzn-errortype", "content-type",
        ];
        let mut headers: Vec<_> =
            names.iter().map(|name| ((*name).to_owned(), header.1.clone())).collect();
        headers.push(header);
        let reply = Reply {
            provider, dialect: None, status, headers: &headers, body: &body, stream: &stream,
            transport,
        };
        let verdict = classify(&reply);
        prop_assert!(verdict.class != Class::Ok || !matches!(status, Some(300..)));
        retry_after(&headers, &body, Timestamp::from_millis(now));
        quotas(&headers, Timestamp::from_millis(now));
    }

    #[test]
    fn no_report_panics(
        body in any_text(),
        error_type in prop::option::of("\\PC{0,20}"),
        status in prop::option::of(any::<u16>()),
        transport in any_transport(),
        in_stream in any::<bool>(),
    ) {
        let body = String::from_utf8_lossy(&body);
        let report = Reported {
            provider: "openai", status, error_type: error_type.as_deref(), body: Some(&body),
            transport, in_stream, ..Reported::default()
        };
        classify_reported(&report);
    }
}

#[test]
fn deep_and_large_input_is_answered() {
    let kilobytes = 600;
    for body in [
        "[".repeat(kilobytes * 1024),
        "{\"error\":".repeat(100_000),
        "[{\"error\":{\"message\":\"".repeat(20_000),
        "[\n".repeat(200_000),
        "{\"a\n".repeat(200_000),
        format!("{{\"error\":{{\"message\":\"{}\"}}}}", "{".repeat(kilobytes * 1024)),
        "{'".repeat(200_000),
    ] {
        let reply = Reply { status: Some(500), body: body.as_bytes(), ..Reply::default() };
        assert_eq!(classify(&reply).class, Class::ServerError);
        let reply = Reply { status: Some(500), stream: body.as_bytes(), ..Reply::default() };
        assert_eq!(classify(&reply).class, Class::ServerError);
    }
}

#[test]
fn the_error_at_the_end_of_a_long_stream_is_seen() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\r\n\r\n";
    let error = "data: {\"error\":{\"code\":\"server_is_overloaded\"}}\r\n\r\n";
    let stream = chunk.repeat(20_000) + error;
    let reply = Reply { status: Some(200), stream: stream.as_bytes(), ..Reply::default() };
    assert_eq!(classify(&reply).class, Class::Overloaded);
}
