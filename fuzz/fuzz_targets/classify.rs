//! Any reply, any report, any name: none may panic, and a name's name is the name.
//!
//! Run with `cargo +nightly fuzz run classify`; the recorded bodies make a good first corpus.
#![no_main]

use brownout::domain::classify::{
    Reply, Reported, Transport, classify, classify_reported, quotas, retry_after,
};
use brownout::domain::model_name::canonical;
use brownout::domain::time::Timestamp;
use libfuzzer_sys::fuzz_target;

const PROVIDERS: [&str; 8] =
    ["anthropic", "bedrock", "zai", "dashscope", "groq", "cohere", "fireworks", ""];
const STATUSES: [u16; 8] = [200, 400, 402, 424, 429, 498, 503, 529];

fuzz_target!(|data: &[u8]| {
    let Some((control, text)) = data.split_at_checked(4) else { return };
    let status = STATUSES.get(usize::from(control[0] % 9)).copied();
    let transport = Transport::ALL.get(usize::from(control[1] % 11)).copied();
    let provider = PROVIDERS[usize::from(control[2] % 8)];
    let (first, second) = text.split_at(text.len() * usize::from(control[3]) / 255);
    let words = String::from_utf8_lossy(first);
    let headers = [
        "retry-after",
        "content-type",
        "x-amzn-errortype",
        "x-ratelimit-reset",
        "anthropic-ratelimit-tokens-reset",
    ]
    .map(|name| (name.to_owned(), words.chars().take(64).collect::<String>()));
    for (body, stream) in [(first, second), (second, first), (text, &[][..]), (&[][..], text)] {
        classify(&Reply {
            provider,
            dialect: None,
            status,
            headers: &headers,
            body,
            stream,
            transport,
        });
        retry_after(&headers, body, Timestamp::from_secs(1_795_473_000));
    }
    quotas(&headers, Timestamp::from_millis(0));
    let body = String::from_utf8_lossy(second);
    classify_reported(&Reported {
        provider,
        dialect: None,
        status,
        error_type: words.split('\n').next(),
        error_code: words.split('\n').nth(1),
        body: Some(&body),
        transport,
        in_stream: control[0] > 127,
    });
    let name = canonical(&words);
    assert_eq!(canonical(&name), name);
});
