//! `/metrics` over HTTP: format and compression by negotiation.

use std::io::Read;

use crate::daemon::{self, Answer, Running};

/// What Prometheus 2.42 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

async fn scrape(daemon: &Running, accept: &str) -> Answer {
    let request = daemon.request(reqwest::Method::GET, "/metrics");
    daemon.send(request.header("accept", accept)).await
}

#[tokio::test]
async fn the_format_is_the_one_asked_for() {
    let daemon = daemon::start("providers: {anthropic: {models: [claude-opus-4-7]}}").await;
    for (accept, content_type, end) in [
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8", "# EOF\n"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        ("image/png", "text/plain; version=0.0.4; charset=utf-8", "\n"),
    ] {
        let answer = scrape(&daemon, accept).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
        assert!(answer.body.ends_with(end), "{accept}");
        assert!(answer.body.contains("brownout_requests_total{provider=\"anthropic\""));
        assert_eq!(answer.header("content-encoding"), "", "nobody asked for gzip");
    }
}

#[tokio::test]
async fn a_scrape_is_compressed_for_those_who_take_it() {
    let daemon = daemon::start("").await;
    let request = daemon.request(reqwest::Method::GET, "/metrics");
    let response = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.headers()["vary"].to_str().unwrap().contains("accept-encoding"));
    let bytes = response.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    assert!(text.contains("brownout_build_info{"), "{text:.200}");
}
