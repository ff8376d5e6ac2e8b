//! Probes that are asked for over HTTP: the real daemon, a provider on a real socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fake::{CONTENT, EVENT_STREAM, KEY, OVERLOADED, START, STOP, read_request};
use crate::daemon::{self, Answer, Running, eventually};
use crate::exposition::promtool_accepts;

const HAIKU: &str = "/probe?target=anthropic/claude-haiku-4-5";

/// A scrape that is given up soon.
const IMPATIENT: [(&str, &str); 1] = [("x-prometheus-scrape-timeout-seconds", "0.6")];

/// A provider that counts the requests and holds its answers back until told.
struct Provider {
    port: u16,
    requests: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

impl Provider {
    /// One that answers at once, a stream or an error.
    async fn ready(answer: String) -> Self {
        let provider = Self::slow(answer).await;
        provider.answers.add_permits(1_000);
        provider
    }

    async fn slow(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let mut tasks = JoinSet::new();
        let (counted, turns) = (Arc::clone(&requests), Arc::clone(&answers));
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (counted, turns) = (Arc::clone(&counted), Arc::clone(&turns));
                serving.spawn(serve(socket, answer.clone(), counted, turns));
            }
        });
        Self { port, requests, answers, _tasks: tasks }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// A daemon that knows it; `more` is the rest of its configuration.
    async fn daemon(&self, more: &str) -> Running {
        let port = self.port;
        daemon::start(&format!(
            "providers:\n  anthropic:\n    base_url: http://127.0.0.1:{port}\n    \
             api_key: {{command: [echo, {KEY}]}}\n    \
             models: [claude-haiku-4-5, claude-opus-4-7]\n  \
             groq:\n    models: [keyless]\n{more}"
        ))
        .await
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: String,
    counted: Arc<AtomicUsize>,
    turns: Arc<Semaphore>,
) {
    read_request(&mut socket).await;
    counted.fetch_add(1, Ordering::SeqCst);
    turns.acquire().await.unwrap().forget();
    // Whoever hung up need not be told.
    drop(socket.write_all(answer.as_bytes()).await);
}

fn fine() -> String {
    [EVENT_STREAM, START, CONTENT, STOP].concat()
}

fn refused(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

async fn get(daemon: &Running, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request =
        headers.iter().fold(daemon.request(Method::GET, path), |request, (name, value)| {
            request.header(*name, *value)
        });
    // As curl and Prometheus do, and no browser.
    daemon.send(request).await
}

#[tokio::test]
async fn a_probe_asked_for_answers_counts_and_is_kept() {
    let provider = Provider::ready(fine()).await;
    let daemon = provider.daemon("").await;
    // As soon as the counter is open.
    let look = async || get(&daemon, HAIKU, &[]).await;
    let answer = eventually("it is probed", look, |answer| answer.status == 200).await;
    // At once: the time for which it is left alone is real here.
    let again = get(&daemon, HAIKU, &[]).await;
    assert_eq!(again.status, 429, "{}", again.body);
    assert_eq!(again.json()["error"]["code"], "probe_too_soon");
    assert!((1..=5).contains(&again.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(provider.requests(), 1);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    for line in [
        "probe_success 1",
        "probe_unfinished 0",
        "probe_http_status_code 200",
        "probe_class{class=\"ok\"} 1",
        "probe_class{class=\"overloaded\"} 0",
        "probe_misconfigured 0",
        "probe_on_demand 1",
    ] {
        assert!(answer.body.lines().any(|it| it == line), "{line}: {}", answer.body);
    }
    for phase in ["connect", "ttfb", "ttft", "total"] {
        let series = format!("probe_http_duration_seconds{{phase=\"{phase}\"}} ");
        assert!(answer.body.contains(&series), "{phase}: {}", answer.body);
    }
    promtool_accepts(answer.body.into_bytes());

    // It is an outcome like any other, and its money is counted, without any schedule.
    let labels = "provider=\"anthropic\",model=\"claude-haiku-4-5\"";
    let look = async || daemon.get("/metrics").await.1;
    let counted =
        format!("brownout_requests_total{{{labels},source=\"probe\",attempt=\"first\"}} 1");
    let metrics = eventually("it is counted", look, |text| text.contains(&counted)).await;
    assert!(metrics.contains(&format!("brownout_probe_success{{{labels}}} 1")), "{metrics}");
    let total = format!("brownout_probe_duration_seconds{{{labels},phase=\"total\"}} ");
    assert!(metrics.contains(&total), "{metrics}");
    assert!(!metrics.contains(&format!("brownout_probe_next_run_timestamp_seconds{{{labels}}}")));

    let kept = daemon.json("/v1/probes/anthropic/claude-haiku-4-5").await;
    let run = &kept["probes"][0];
    assert_eq!((&run["class"], &run["on_demand"]), (&"ok".into(), &true.into()), "{kept}");
    assert_eq!(run["request_id"], "req_011");
    assert!(run["ttft_ms"].is_f64() && run["cost_usd"].is_f64(), "{kept}");
    let all = daemon.json("/v1/probes").await;
    assert_eq!(all["probes"][0]["model"], "claude-haiku-4-5", "{all}");
    let none = daemon.json("/v1/probes/anthropic/claude-opus-4-7").await;
    assert_eq!(none["probes"], serde_json::json!([]));
    assert_eq!(daemon.get("/v1/probes/anthropic/no-such-model").await.0, 404);

    let other = get(&daemon, "/probe?target=anthropic/claude-opus-4-7", &[]).await;
    assert_eq!(other.status, 200, "{}", other.body);
}

#[tokio::test]
async fn debug_tells_the_story_without_a_secret() {
    let json = "content-type: application/json\r\nretry-after: 7\r\nx-secret: abc\r\n";
    let provider = Provider::ready(refused("529 Overloaded", json, OVERLOADED)).await;
    let daemon = provider.daemon("").await;
    let path = format!("{HAIKU}&debug=true");
    let look = async || get(&daemon, &path, &[]).await;
    let answer = eventually("it is probed", look, |answer| answer.status == 200).await;
    for part in [
        "anthropic/claude-haiku-4-5: overloaded",
        "x-api-key: [redacted]",
        "\"content\":\".\"",
        "HTTP/1.1",
        "HTTP 529 after",
        "retry-after: 7",
        "`overloaded_error` in the answer",
        "Metrics that would have been returned:",
        "probe_success 0",
        "probe_class{class=\"overloaded\"} 1",
    ] {
        assert!(answer.body.contains(part), "{part} is missing in {}", answer.body);
    }
    assert!(!answer.body.contains("T0P5ECRET") && !answer.body.contains("x-secret"));
}

#[tokio::test]
async fn only_configured_names_of_those_who_mean_it_are_probed() {
    let provider = Provider::ready(fine()).await;
    let daemon = provider.daemon("ingest: {tokens: [{name: a, env: PATH}]}\n").await;
    let token = format!("Bearer {}", std::env::var("PATH").unwrap());
    let browser = [("authorization", &*token), ("user-agent", "Mozilla/5.0")];
    let with_token = &browser[..1];
    let look = async || get(&daemon, "/probe?target=groq/keyless", with_token).await;
    let code = |answer: &Answer| answer.json()["error"]["code"].clone();
    let opened = |answer: &Answer| code(answer) == "probe_without_key";
    let keyless = eventually("it is open", look, opened).await;
    assert_eq!(keyless.status, 404);
    for (query, headers, status, expected) in [
        ("", with_token, 400, "missing_target"),
        ("?target=", with_token, 400, "missing_target"),
        ("?target=claude-haiku-4-5", with_token, 400, "bad_target"),
        ("?target=http://127.0.0.1/v1", with_token, 400, "bad_target"),
        ("?target=anthropic/nonesuch", with_token, 404, "unknown_target"),
        ("?target=nobody/nonesuch", with_token, 404, "unknown_target"),
        ("?target=anthropic/claude-haiku-4-5&debug=perhaps", with_token, 400, "bad_query"),
        ("?target=anthropic/claude-haiku-4-5&url=x", with_token, 400, "bad_query"),
        ("?target=anthropic/claude-haiku-4-5&target=b/c", with_token, 400, "bad_query"),
        ("?target=anthropic/claude-haiku-4-5", &browser, 403, "foreign_page"),
        ("?target=anthropic/claude-haiku-4-5", &[], 401, "unauthorized"),
    ] {
        let answer = get(&daemon, &format!("/probe{query}"), headers).await;
        assert_eq!((answer.status, code(&answer)), (status, expected.into()), "{query}");
        assert_ne!(answer.json()["error"]["remedy"], "", "{query}");
    }
    for method in [Method::HEAD, Method::POST] {
        let request = daemon.request(method.clone(), HAIKU).header("authorization", &token);
        let answer = daemon.send(request).await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.header("allow").contains("GET"), "{method}: {:?}", answer.headers);
    }
    assert_eq!(provider.requests(), 0, "nothing of this cost anything");
}

#[tokio::test]
async fn whoever_asks_while_a_probe_is_in_flight_gets_that_one() {
    let provider = Provider::slow(fine()).await;
    let daemon = provider.daemon("").await;
    let opening = "/probe?target=groq/keyless";
    let look = async || get(&daemon, opening, &[]).await.status;
    eventually("it is open", look, |status| *status == 404).await;
    let ask = || get(&daemon, HAIKU, &IMPATIENT);
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    for answer in [one, two, three] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("probe_unfinished 1\n"), "{}", answer.body);
    }
    // The one who asks may be answered before the request has gone out.
    let look = async || provider.requests();
    assert_eq!(eventually("it is asked for", look, |requests| *requests > 0).await, 1);
}

#[tokio::test]
async fn a_probe_of_the_schedule_in_flight_is_joined() {
    let provider = Provider::slow(fine()).await;
    let daemon = provider.daemon("probes: {every: 1s, jitter: 0%}\n").await;
    let look = async || provider.requests();
    eventually("both targets are in flight", look, |requests| *requests == 2).await;
    let answer = get(&daemon, HAIKU, &IMPATIENT).await;
    assert!(answer.body.contains("probe_unfinished 1\n"), "{}", answer.body);
    assert_eq!(provider.requests(), 2);
    provider.answers.add_permits(2);
    let look = async || daemon.json("/v1/probes/anthropic/claude-haiku-4-5").await;
    let kept = eventually("it is kept", look, |kept| kept["probes"][0]["at"].is_string()).await;
    assert_eq!(kept["probes"][0]["on_demand"], false, "{kept}");
}

#[tokio::test]
async fn without_money_nothing_is_asked_for() {
    let provider = Provider::ready(fine()).await;
    let budget = "probes: {every: 1h, budget: {usd_per_day: 0.0000001}}\n";
    let daemon = provider.daemon(budget).await;
    let look = async || get(&daemon, HAIKU, &[]).await;
    let code = |answer: &Answer| answer.json()["error"]["code"].clone();
    let refused = |answer: &Answer| code(answer) == "probe_budget";
    let answer = eventually("the budget refuses it", look, refused).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.get("retry-after").is_none(), "it fits tomorrow no more than today");
    assert_eq!(provider.requests(), 0);
}

#[tokio::test]
async fn a_scrape_is_answered_in_its_time_and_the_probe_goes_on() {
    let provider = Provider::slow(fine()).await;
    let daemon = provider.daemon("").await;
    let look = async || get(&daemon, HAIKU, &IMPATIENT).await;
    let answer = eventually("it answers", look, |answer| answer.status == 200).await;
    assert!(answer.body.contains("probe_success 0\n"), "{}", answer.body);
    assert!(answer.body.contains("probe_unfinished 1\n"), "{}", answer.body);
    provider.answers.add_permits(1);
    let look = async || daemon.json("/v1/probes/anthropic/claude-haiku-4-5").await;
    let done = eventually("it is kept", look, |kept| kept["probes"][0]["at"].is_string()).await;
    assert_eq!(done["probes"][0]["class"], "ok", "a short scrape is not the provider's fault");
}
