//! The simulated providers, over real HTTP.

use brownout::domain::outcome::Class;
use brownout::domain::target::Target;
use brownout::simulator::{Fleet, Plan, Scenario, Weather, serve};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::daemon::eventually;

mod dialects;
mod faults;
mod formats;
mod frames;
mod sdk;
mod words;

/// Everybody with words or a dialect of their own, and one without.
const PROVIDERS: [&str; 10] = [
    "anthropic",
    "openai",
    "azure",
    "gemini",
    "vertex",
    "bedrock",
    "deepseek",
    "moonshot",
    "openrouter",
    "tokenmix",
];

/// A fleet with one model `m` per provider, quick and exact, in this weather.
pub(crate) fn fleet(settings: &[(&str, f64)]) -> Fleet {
    let quick = [("latency_ms", 2.0), ("ttft_ms", 1.0), ("retry_after_ms", 20.0)];
    let weather = Weather::default().changed(&quick).unwrap().changed(settings).unwrap();
    let plans = PROVIDERS
        .map(|provider| {
            let target = Target::parse(&format!("{provider}/m")).unwrap();
            (target, Plan::constant(weather.clone(), 0.0))
        })
        .into();
    Fleet::new(Scenario { exact: true, plans }, Some(1))
}

/// Runs a test beside the server, which must still be running when the test ends.
pub(crate) async fn beside<T>(fleet: &Fleet, test: impl AsyncFnOnce(String) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::select! {
        served = serve(fleet.clone(), listener, CancellationToken::new()) => {
            panic!("the server ended: {served:?}")
        }
        result = test(base) => result,
    }
}

fn client() -> Client {
    // A second installation is refused, which is fine: the first one holds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn question(model: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "Weather?"}]);
    let options = json!({"include_usage": true});
    let mut body =
        json!({"model": model, "max_tokens": 64, "messages": messages, "stream": stream});
    if stream {
        body["stream_options"] = options;
    }
    body
}

async fn ask(client: &Client, url: String, stream: bool) -> Response {
    let request = client.post(url).bearer_auth("any").json(&question("m", stream));
    request.send().await.unwrap()
}

/// Sends a whole request on a socket of its own and leaves the answer to the caller.
async fn ask_raw(base: &str, path: &str) -> TcpStream {
    let body = question("m", false).to_string();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n");
    let request = format!("{head}content-length: {length}\r\n\r\n{body}");
    let mut socket = TcpStream::connect(base.trim_start_matches("http://")).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// A row of the ledger: provider, class, code, count.
pub(crate) type Row = (String, Class, Option<u16>, u64);

pub(crate) fn ledger(fleet: &Fleet) -> Vec<Row> {
    let row = |row: brownout::simulator::LedgerRow| {
        (row.provider.to_string(), row.class, row.code, row.count)
    };
    fleet.ledger().into_iter().map(row).collect()
}

/// A request that is under way, or was answered in full, counts as `ok` in the ledger.
fn none_is_ok(rows: &[Row]) -> bool {
    rows.iter().all(|(_, class, ..)| *class != Class::Ok)
}

/// What follows `data: ` in a stream, as JSON where it is.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text))).collect()
}

#[tokio::test]
async fn streams_keep_the_order_of_their_dialect_to_the_terminal_event() {
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        let client = client();
        let text = ask(&client, format!("{base}/v1/messages"), true).await.text().await.unwrap();
        let events_named: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        let mut expected = vec!["message_start", "content_block_start", "ping"];
        expected.extend(["content_block_delta"; 8]);
        expected.extend(["content_block_stop", "message_delta", "message_stop"]);
        assert_eq!(events_named, expected);
        let data = events(&text);
        let types: Vec<_> = data.iter().map(|data| data["type"].as_str().unwrap()).collect();
        assert_eq!(types, expected);
        assert!(data[0]["message"]["usage"]["input_tokens"].as_u64().unwrap() > 0);
        assert_eq!(data[12]["usage"]["output_tokens"], 8);

        let url = format!("{base}/deepseek/chat/completions");
        let text = ask(&client, url, true).await.text().await.unwrap();
        assert!(text.starts_with(": keep-alive\n\ndata: "), "{text}");
        let chunks = events(&text);
        let count = chunks.len();
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(chunks[count - 3]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[count - 2]["usage"]["completion_tokens"], 8);
        assert_eq!(chunks[count - 2]["choices"], json!([]));
        assert_eq!(chunks[count - 1], json!("[DONE]"));
    })
    .await;
    assert_eq!(ledger(&fleet).iter().map(|row| row.3).sum::<u64>(), 2);
}

#[tokio::test]
async fn overload_in_the_middle_of_a_stream_follows_a_200() {
    let fleet = fleet(&[("stream_overloaded", 1.0)]);
    beside(&fleet, async |base| {
        let client = client();
        let reply = ask(&client, format!("{base}/v1/messages"), true).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let text = reply.text().await.unwrap();
        assert!(text.contains("content_block_delta") && !text.contains("message_stop"), "{text}");
        let last = events(&text).pop().unwrap();
        assert_eq!(last["error"]["type"], "overloaded_error");
        let text = ask(&client, format!("{base}/v1/chat/completions"), true).await;
        let text = text.text().await.unwrap();
        assert!(!text.contains("[DONE]"), "{text}");
        assert_eq!(events(&text).pop().unwrap()["error"]["code"], "server_is_overloaded");
    })
    .await;
    let overloaded = |provider: &str| (provider.to_owned(), Class::Overloaded, Some(200), 1);
    assert_eq!(ledger(&fleet), [overloaded("anthropic"), overloaded("openai")]);
}

#[tokio::test]
async fn a_reset_closes_the_connection_without_a_byte() {
    let fleet = fleet(&[("reset", 1.0)]);
    beside(&fleet, async |base| {
        let mut socket = ask_raw(&base, "/v1/messages").await;
        let mut received = Vec::new();
        // Closed or reset: either way nothing came.
        let _ = socket.read_to_end(&mut received).await;
        assert_eq!(String::from_utf8_lossy(&received), "");
        let url = format!("{base}/v1/chat/completions");
        let request = client().post(url).bearer_auth("k").json(&question("m", true));
        assert!(request.send().await.unwrap_err().is_request());
    })
    .await;
    let network = |provider: &str| (provider.to_owned(), Class::Network, None, 1);
    assert_eq!(ledger(&fleet), [network("anthropic"), network("openai")]);
}

#[tokio::test]
async fn a_reset_in_a_stream_breaks_it_after_its_first_content() {
    let fleet = fleet(&[("stream_reset", 1.0)]);
    beside(&fleet, async |base| {
        let mut reply = ask(&client(), format!("{base}/v1/messages"), true).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let mut text = String::new();
        let error = loop {
            match reply.chunk().await {
                Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(None) => panic!("the stream ended well: {text}"),
                Err(error) => break error,
            }
        };
        assert!(text.contains("content_block_delta"), "{error}: {text}");
    })
    .await;
    assert_eq!(ledger(&fleet), [("anthropic".to_owned(), Class::Network, Some(200), 1)]);
}

#[tokio::test]
async fn a_client_that_leaves_a_slow_answer_saw_a_timeout() {
    let fleet = fleet(&[("slow", 1.0), ("slow_ms", 600_000.0)]);
    beside(&fleet, async |base| {
        let client = client();
        // Streamed: the head is there, then nothing; whole: nothing at all.
        let reply = ask(&client, format!("{base}/v1/messages"), true).await;
        assert_eq!(reply.status(), StatusCode::OK);
        drop(reply);
        let socket = ask_raw(&base, "/v1/chat/completions").await;
        eventually("both requests came in", async || ledger(&fleet), |rows| rows.len() == 2).await;
        drop(socket);
        eventually("it is known that they left", async || ledger(&fleet), |rows| none_is_ok(rows))
            .await;
    })
    .await;
    let expected = [
        ("anthropic".to_owned(), Class::Timeout, Some(200), 1),
        ("openai".to_owned(), Class::Timeout, None, 1),
    ];
    assert_eq!(ledger(&fleet), expected);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_aborted_it() {
    let fleet = fleet(&[("latency_ms", 600_000.0)]);
    beside(&fleet, async |base| {
        let mut reply = ask(&client(), format!("{base}/v1/messages"), true).await;
        let mut text = String::new();
        let look = async || {
            let chunk = reply.chunk().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            text.clone()
        };
        eventually("the answer has begun", look, |text| text.contains("text_delta")).await;
        drop(reply);
        eventually("it is known that it left", async || ledger(&fleet), |rows| none_is_ok(rows))
            .await;
    })
    .await;
    assert_eq!(ledger(&fleet), [("anthropic".to_owned(), Class::Other, Some(200), 1)]);
}

#[tokio::test]
async fn shutdown_cuts_what_is_under_way_and_ends() {
    let fleet = fleet(&[("slow", 1.0), ("slow_ms", 600_000.0)]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let client = client();
    let ((), served) = tokio::join!(
        async {
            let reply = ask(&client, format!("{base}/v1/messages"), true).await;
            shutdown.cancel();
            assert!(reply.bytes().await.is_err());
        },
        serve(fleet.clone(), listener, shutdown.clone()),
    );
    served.unwrap();
    assert_eq!(ledger(&fleet), [("anthropic".to_owned(), Class::Network, Some(200), 1)]);
}

#[tokio::test]
async fn exact_rates_hold_over_http_and_ids_are_unique() {
    let fleet = fleet(&[("overloaded", 0.07), ("stream_overloaded", 0.02)]);
    let ids = beside(&fleet, async |base| {
        let client = client();
        let mut ids = std::collections::HashSet::new();
        for n in 0..200 {
            let url = format!("{base}/v1/messages");
            let request = client
                .post(url)
                .header("x-api-key", "any")
                .header("x-stainless-retry-count", if n % 4 == 3 { "1" } else { "0" })
                .json(&question("m", true));
            let reply = request.send().await.unwrap();
            let remaining = &reply.headers()["anthropic-ratelimit-requests-remaining"];
            assert_eq!(remaining, &(3_999 - n).to_string());
            ids.insert(reply.headers()["request-id"].clone());
            reply.bytes().await.unwrap();
        }
        ids.len()
    })
    .await;
    assert_eq!(ids, 200);
    let sum = |pick: fn(&brownout::simulator::LedgerRow) -> bool| -> u64 {
        fleet.ledger().iter().filter(|row| pick(row)).map(|row| row.count).sum()
    };
    assert_eq!(sum(|_| true), 200);
    assert_eq!(sum(|row| row.code == Some(529)), 14);
    assert_eq!(sum(|row| row.class == Class::Overloaded && row.code == Some(200)), 4);
    assert_eq!(sum(|row| row.attempt == brownout::domain::outcome::Attempt::Retry), 50);
}

#[tokio::test]
async fn the_admin_endpoints_change_weather_and_show_the_ledger() {
    let fleet = fleet(&[]);
    beside(&fleet, async |base| {
        let client = client();
        let post = async |body: Value| {
            let reply = client.post(format!("{base}/admin/weather")).json(&body).send();
            let reply = reply.await.unwrap();
            (reply.status().as_u16(), reply.json::<Value>().await.unwrap())
        };
        let (status, weather) =
            post(json!({"provider": "openai", "model": "m", "rate_limited": 1, "ttft_ms": 0}))
                .await;
        assert_eq!((status, &weather["rate_limited"]), (200, &json!(1.0)));
        assert_eq!((&weather["latency_ms"], &weather["ttft_ms"]), (&json!(2.0), &json!(0.0)));
        let reply = ask(&client, format!("{base}/v1/chat/completions"), false).await;
        assert_eq!(reply.headers()["retry-after"], "0.02");
        assert_eq!(reply.headers()["x-ratelimit-remaining-requests"], "0");
        for (body, status, text) in [
            (json!({"provider": "openai", "model": "m", "slow": 0.5}), 400, "sum to 1.5"),
            (json!({"provider": "openai", "model": "m", "slo": 0.5}), 400, "slo: unknown key"),
            (
                json!({"provider": "openai", "model": "m", "slow": []}),
                400,
                "slow: expected a number",
            ),
            (json!({"provider": "openai", "slow": 0.5}), 400, "`provider` and `model`"),
            (json!({"provider": "openai", "model": "n"}), 404, "openai/n is not in the scenario"),
            (json!([]), 400, "expected a map"),
        ] {
            let (actual, answer) = post(body).await;
            let message = answer["error"]["message"].as_str().unwrap();
            assert_eq!(actual, status, "{message}");
            assert!(message.contains(text), "{message}");
        }
        let get = async |path: &str| {
            let reply = client.get(format!("{base}{path}")).send().await.unwrap();
            reply.json::<Value>().await.unwrap()
        };
        let weather = get("/admin/weather").await;
        assert_eq!(weather["targets"].as_array().unwrap().len(), PROVIDERS.len());
        let row = json!({"provider": "openai", "model": "m", "attempt": "first",
                         "class": "rate_limited", "code": 429, "count": 1});
        assert_eq!(get("/admin/ledger").await, json!({"total": 1, "rows": [row]}));
        client.post(format!("{base}/admin/reset-ledger")).send().await.unwrap();
        assert_eq!(get("/admin/ledger").await, json!({"total": 0, "rows": []}));
        let unknown = client.get(format!("{base}/v2")).send().await.unwrap();
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    })
    .await;
}
