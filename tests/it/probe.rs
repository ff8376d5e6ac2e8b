//! Probes against providers that answer every way a provider can, byte by byte.

mod bedrock;
mod command;
mod dialects;
mod fake;
mod loops;
mod on_demand;
mod requests;
mod secrets;
mod tls;
mod weather;

use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::ground::clock::Clock;
use brownout::intake::probe::{client, probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use fake::{
    ANTHROPIC, Act, CONTENT, EVENT_STREAM, KEY, OPENAI, OVERLOADED, PATIENCE, START, STOP, Scene,
    response, send, stream,
};

#[tokio::test(start_paused = true)]
async fn a_complete_stream_is_ok_with_its_times_apart_and_its_cost() {
    let pause = Duration::from_millis(30);
    let mut acts = vec![send(EVENT_STREAM), send(": keep-alive\n\n"), send(START)];
    acts.extend([Act::Pause(pause), send(CONTENT), Act::Pause(pause), send(STOP)]);
    let (report, _) = ANTHROPIC.seen(&acts).await;
    assert_eq!(report.class, Class::Ok);
    assert_eq!(report.http_status, Some(200));
    assert_eq!(report.request_id.as_deref(), Some("req_011"));
    assert_eq!(report.misconfigured, None);
    // The first token is the first content: later than the first byte, earlier than the end.
    let (ttfb, ttft) = (report.ttfb.unwrap(), report.ttft.unwrap());
    let (connect, total) = (report.connect.unwrap(), report.total.unwrap());
    assert!(connect <= ttfb && ttft >= ttfb + pause && total >= ttft + pause, "{report:?}");
    assert!((report.cost_usd.unwrap() - 7.5e-5).abs() < 1e-12);
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let acts = stream(&[START, CONTENT, STOP]);
    let (_, request) = ANTHROPIC.seen(&[&acts[..], &[Act::Reset]].concat()).await;
    let request = request.to_ascii_lowercase();
    for part in [
        "post /v1/messages http/1.1\r\n",
        "x-api-key: sk-ant-api03-t0p5ecret\r\n",
        "anthropic-version: 2023-06-01\r\n",
        "accept: application/json, text/event-stream\r\n",
        "accept-encoding: identity\r\n",
        "user-agent: brownout/",
        "content-type: application/json\r\n",
        "\"max_tokens\":1",
        "\"stream\":true",
    ] {
        assert!(request.contains(part), "{part} is missing in {request}");
    }
}

#[tokio::test]
async fn every_fate_has_its_class() {
    let error_event = format!("event: error\ndata: {OVERLOADED}\n\n");
    let json = "content-type: application/json\r\n";
    let page = "<html><head><title>529</title></head><body>overloaded_error</body></html>";
    let cases: Vec<(&str, Vec<Act>, Class, Option<u16>)> = vec![
        ("529", response("529 Overloaded", json, OVERLOADED), Class::Overloaded, Some(529)),
        (
            "503",
            response("503 Service Unavailable", json, "{\"error\":{\"message\":\"down\"}}"),
            Class::Unavailable,
            Some(503),
        ),
        ("overload in the stream", stream(&[START, &error_event]), Class::Overloaded, Some(200)),
        (
            "overload after content",
            stream(&[START, CONTENT, &error_event]),
            Class::Overloaded,
            Some(200),
        ),
        (
            "overload, then silence",
            [stream(&[START, &error_event]), vec![Act::Stall]].concat(),
            Class::Overloaded,
            Some(200),
        ),
        ("end before the terminal event", stream(&[START, CONTENT]), Class::Network, Some(200)),
        (
            "reset in the stream",
            [stream(&[START, CONTENT]), vec![Act::Pause(Duration::from_millis(20)), Act::Reset]]
                .concat(),
            Class::Network,
            Some(200),
        ),
        ("reset before the headers", vec![Act::Reset], Class::Network, None),
        ("end before the headers", vec![], Class::Network, None),
        ("no HTTP at all", vec![send("SSH-2.0-OpenSSH\r\n\r\n")], Class::Network, None),
        (
            "a portal's page",
            response("200 OK", "content-type: text/html\r\n", page),
            Class::Other,
            Some(200),
        ),
        (
            "a CDN's page, whatever its status",
            response("529 Overloaded", "content-type: text/html\r\n", page),
            Class::Unavailable,
            Some(529),
        ),
        ("empty answer", stream(&[START, STOP]), Class::Ok, Some(200)),
        (
            "error whose body never comes",
            vec![send("HTTP/1.1 529 X\r\ncontent-length: 99\r\n\r\n"), Act::Reset],
            Class::Overloaded,
            Some(529),
        ),
    ];
    for (name, acts, class, status) in cases {
        let report = ANTHROPIC.report(&acts).await;
        assert_eq!(report.class, class, "{name}: {report:?}");
        assert_eq!(report.http_status, status, "{name}");
        assert!(report.total.is_some(), "{name}");
        assert!(report.connect.is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_before_and_after_the_headers() {
    let soon = Duration::from_millis(150);
    let scene = Scene { ttft_timeout: soon, ..ANTHROPIC };
    let silent_after = |parts: &[&str]| [stream(parts), vec![Act::Stall]].concat();
    for (name, acts, status) in [
        ("no headers", vec![Act::Stall], None),
        ("no event", silent_after(&[]), Some(200)),
        ("no content", silent_after(&[START, ": keep-alive\n\n"]), Some(200)),
    ] {
        let report = scene.report(&acts).await;
        assert_eq!(report.class, Class::Timeout, "{name}: {report:?}");
        assert_eq!(report.http_status, status, "{name}");
        assert_eq!(report.ttft, None, "{name}");
    }
    let scene = Scene { timeout: soon, ..ANTHROPIC };
    let report = scene.report(&silent_after(&[START, CONTENT])).await;
    assert_eq!(report.class, Class::Timeout);
    assert!(report.ttft.is_some(), "content had come");
    // A complete answer is one, even if the connection then hangs.
    let scene = Scene { ttft_timeout: PATIENCE, ..ANTHROPIC };
    let report = scene.report(&silent_after(&[START, CONTENT, STOP])).await;
    assert_eq!(report.class, Class::Ok);
}

#[tokio::test(start_paused = true)]
async fn keep_alives_do_not_put_off_the_deadline() {
    let scene = Scene { ttft_timeout: Duration::from_millis(100), ..OPENAI };
    let mut acts = vec![send(EVENT_STREAM)];
    for _ in 0..1_000 {
        acts.extend([send(": keep-alive\n\n"), Act::Pause(Duration::from_millis(5))]);
    }
    assert_eq!(scene.report(&acts).await.class, Class::Timeout);
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_are_network() {
    let client = client().unwrap();
    // Nobody listens on port 1, which only root could change. A label of 64 characters is refused
    // by every resolver before it asks anybody.
    let mut spec = ANTHROPIC.spec(1);
    for url in [spec.url.clone(), format!("http://{}.invalid/", "x".repeat(64))] {
        spec.url = url;
        let report = probe(&client, &spec, &Clock::System).await;
        assert_eq!(report.class, Class::Network, "{}", spec.url);
        assert_eq!((report.http_status, report.connect), (None, None));
        assert!(report.charge_usd(&spec) == 0.0, "nothing was sent");
    }
}

#[tokio::test]
async fn a_server_without_tls_on_an_https_port_is_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = ANTHROPIC.spec(listener.local_addr().unwrap().port());
    spec.url = spec.url.replace("http://", "https://");
    let client = client().unwrap();
    let serving = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = [0; 16];
        socket.read_exact(&mut hello).await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    };
    let (report, _) = tokio::join!(probe(&client, &spec, &Clock::System), serving);
    assert_eq!(report.class, Class::Network);
    assert_eq!(report.connect, None);
}

#[tokio::test]
async fn a_limit_says_how_long_to_wait() {
    let headers = "content-type: application/json\r\nretry-after: 17\r\n";
    let body = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}";
    let report = ANTHROPIC.report(&response("429 Too Many Requests", headers, body)).await;
    assert_eq!(report.class, Class::RateLimited);
    assert_eq!(report.retry_after, Some(Duration::from_secs(17)));
    assert_eq!(report.misconfigured, None, "a rate limit is no misconfiguration");
}

#[tokio::test]
async fn a_body_bomb_is_cut_at_the_cap() {
    let bomb = "x".repeat(64 * 1024);
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: ",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\"",
        "HTTP/1.1 529 X\r\ncontent-type: application/json\r\n\r\n\"",
    ] {
        // Eight times the cap, then silence: reading on would hang.
        let mut acts = vec![send(head)];
        acts.extend(vec![send(bomb.clone()); 32]);
        acts.push(Act::Stall);
        let report = ANTHROPIC.report(&acts).await;
        let expected = if head.contains("529") { Class::Overloaded } else { Class::Other };
        assert_eq!(report.class, expected, "{head}");
    }
}

#[tokio::test]
async fn chat_completions_are_read_to_their_end() {
    let chunk = |delta: &str, finish: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":{finish}}}]}}\r\n\r\n")
    };
    let role = chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null");
    let content = chunk("{\"content\":\"x\"}", "null");
    let finish = chunk("{}", "\"length\"");
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":8,\
         \"completion_tokens\":16}}\n\n";
    let done = "data: [DONE]\n\n";
    let (report, request) = OPENAI.seen(&stream(&[&role, &content, &finish, usage, done])).await;
    assert_eq!(report.class, Class::Ok);
    assert!((report.cost_usd.unwrap() - (8.0 * 5.0 + 16.0 * 25.0) / 1e6).abs() < 1e-12);
    assert!(request.starts_with("POST /chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: Bearer {KEY}\r\n")), "{request}");

    // `[DONE]` alone, or a reason to finish alone, ends an answer; neither does not.
    for (parts, class) in [
        (vec![&*role, &*content, done], Class::Ok),
        (vec![&*role, &*finish], Class::Ok),
        (vec![&*role, &*content], Class::Network),
        (vec![": keep-alive\n\n"], Class::Network),
    ] {
        assert_eq!(OPENAI.report(&stream(&parts)).await.class, class, "{parts:?}");
    }
}

#[tokio::test]
async fn a_success_that_holds_no_complete_answer_is_not_ok() {
    let json = "content-type: application/json\r\n";
    let gzip = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let whole = [START, CONTENT, STOP].concat();
    let unfinished = "{\"type\":\"message\",\"content\":[],\"stop_reason\":null}";
    for (headers, body, class) in [
        ("", "", Class::Network),
        (json, "", Class::Network),
        (json, " \r\n", Class::Network),
        ("content-type: text/event-stream\r\n", "", Class::Network),
        (json, "{\"type\":\"message\",\"stop_rea", Class::Network),
        (json, unfinished, Class::Network),
        (json, "{}", Class::Other),
        (json, "null", Class::Other),
        (json, "{\"status\":\"up\",\"done\":true}", Class::Other),
        (json, "{\"choices\":[{\"finish_reason\":\"stop\"}]}", Class::Other),
        ("", "OK", Class::Other),
        ("", "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n", {
            Class::Network
        }),
        (gzip, "\u{1f}\u{8}\u{0}", Class::Other),
        (gzip, &*whole, Class::Other),
        (json, OVERLOADED, Class::Overloaded),
    ] {
        let report = ANTHROPIC.report(&response("200 OK", headers, body)).await;
        assert_eq!(report.class, class, "{headers:?} {body:?}: {report:?}");
        assert_eq!(report.http_status, Some(200));
        assert_eq!(report.ttft, None, "{body:?}");
    }
    let report = ANTHROPIC.report(&response("204 No Content", "", "")).await;
    assert_eq!(report.class, Class::Network);
}

#[tokio::test]
async fn a_complete_answer_is_ok_streamed_or_not_whatever_its_type() {
    let json = "content-type: application/json\r\n";
    let message = "{\"type\":\"message\",\"content\":[],\"stop_reason\":\"max_tokens\",\
         \"usage\":{\"input_tokens\":10,\"output_tokens\":1}}";
    let completion = "{\"choices\":[{\"message\":{\"content\":\"x\"},\
         \"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1}}";
    let streamed = [START, CONTENT, STOP].concat();
    let identity = "content-encoding: identity\r\n";
    for (scene, headers, body) in [
        (ANTHROPIC, json, message),
        (ANTHROPIC, "", message),
        (ANTHROPIC, json, &*streamed),
        (ANTHROPIC, identity, &*streamed),
        (OPENAI, json, completion),
    ] {
        let report = scene.report(&response("200 OK", headers, body)).await;
        assert_eq!(report.class, Class::Ok, "{headers:?} {body:?}: {report:?}");
        assert!((report.cost_usd.unwrap() - 7.5e-5).abs() < 1e-12, "{body}");
    }
    let empty_reason = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n";
    assert_eq!(OPENAI.report(&stream(&[empty_reason])).await.class, Class::Network);
    let lacking = "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":null}]}";
    assert_eq!(OPENAI.report(&response("200 OK", json, lacking)).await.class, Class::Network);
    let failed = "{\"choices\":[{\"finish_reason\":\"error\"}]}";
    assert_eq!(OPENAI.report(&response("200 OK", json, failed)).await.class, Class::ServerError);
}
