//! Faults of the path, and HTTP/2.

use brownout::domain::outcome::Class;
use reqwest::{Client, StatusCode, Version};

use super::formats::FORMATS;
use super::{beside, fleet, ledger};
use crate::daemon::eventually;

/// A client that speaks HTTP/2 without asking first.
fn http2() -> Client {
    drop(super::client());
    Client::builder().no_proxy().http2_prior_knowledge().build().unwrap()
}

#[tokio::test]
async fn every_format_is_served_over_http2_too() {
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        let client = http2();
        for format in &FORMATS {
            for stream in [true, false] {
                let reply = format.request(&client, &base, stream).send().await.unwrap();
                assert_eq!(reply.version(), Version::HTTP_2, "{}", format.name);
                assert_eq!(reply.status(), StatusCode::OK, "{}", format.name);
                assert!(!reply.bytes().await.unwrap().is_empty(), "{}", format.name);
            }
        }
    })
    .await;
    let rows = ledger(&fleet);
    assert!(rows.iter().all(|row| row.1 == Class::Ok), "{rows:?}");
    assert_eq!(rows.iter().map(|row| row.3).sum::<u64>(), 2 * FORMATS.len() as u64);
}

#[tokio::test]
async fn in_http2_a_reset_has_no_head_and_the_connection_lives_on() {
    for (setting, has_head) in [("reset", false), ("stream_reset", true)] {
        let fleet = fleet(&[(setting, 1.0)]);
        beside(&fleet, async |base| {
            let client = http2();
            for _ in 0..2 {
                let sent = FORMATS[0].request(&client, &base, true).send().await;
                assert_eq!(sent.is_ok(), has_head, "{setting}: {sent:?}");
                if let Ok(reply) = sent {
                    assert!(reply.bytes().await.is_err(), "{setting}");
                }
            }
        })
        .await;
        let code = has_head.then_some(200);
        let row = ("anthropic".to_owned(), Class::Network, code, 2);
        assert_eq!(ledger(&fleet), [row], "{setting}");
    }
}

#[tokio::test]
async fn a_dripping_answer_is_whole_in_the_end() {
    let (fair, drip) = (fleet(&[]), fleet(&[("drip", 1.0)]));
    for format in &FORMATS {
        for stream in [true, false] {
            let ask = async |base: String| {
                let client = super::client();
                let mut reply = format.request(&client, &base, stream).send().await.unwrap();
                let (mut whole, mut chunks) = (Vec::new(), 0);
                while let Some(chunk) = reply.chunk().await.unwrap() {
                    whole.extend_from_slice(&chunk);
                    chunks += 1;
                }
                (whole.len(), chunks)
            };
            let (length, chunks) = beside(&fair, ask).await;
            let (dripped, drips) = beside(&drip, ask).await;
            // Not byte by byte: ids and times differ from one answer to the next.
            assert_eq!(dripped, length, "{}", format.name);
            assert!(drips > 2 * chunks, "{}: {drips} {chunks}", format.name);
        }
    }
}

#[tokio::test]
async fn a_half_open_answer_begins_and_a_client_that_leaves_it_saw_a_timeout() {
    let fleet = fleet(&[("half_open", 1.0)]);
    beside(&fleet, async |base| {
        let client = super::client();
        for stream in [true, false] {
            let mut reply = FORMATS[0].request(&client, &base, stream).send().await.unwrap();
            let chunk = reply.chunk().await.unwrap().unwrap();
            let text = String::from_utf8_lossy(&chunk);
            assert!(text.contains("\"type\":\"message\"") || !stream, "{text}");
            assert!(!text.contains("stop_sequence\":null,\"type") || stream, "{text}");
        }
        let timeout = ("anthropic".to_owned(), Class::Timeout, Some(200), 2);
        let look = async || ledger(&fleet);
        eventually("both are timeouts", look, |rows| *rows == [timeout.clone()]).await;
    })
    .await;
}

#[tokio::test]
async fn a_huge_answer_is_as_long_as_it_says_to_whoever_reads_it() {
    let fleet = fleet(&[("huge", 1.0)]);
    beside(&fleet, async |base| {
        let client = super::client();
        for stream in [true, false] {
            let mut reply = FORMATS[1].request(&client, &base, stream).send().await.unwrap();
            let (mut bytes, mut tail) = (0, Vec::new());
            while let Some(chunk) = reply.chunk().await.unwrap() {
                bytes += chunk.len();
                tail = chunk.to_vec();
            }
            assert!(bytes > 16 * 1024 * 1024, "{bytes}");
            let end = if stream { &b"data: [DONE]\n\n"[..] } else { b"}" };
            assert!(tail.ends_with(end), "{}", String::from_utf8_lossy(&tail));
        }
    })
    .await;
    assert_eq!(ledger(&fleet), [("openai".to_owned(), Class::Other, Some(200), 2)]);
}
