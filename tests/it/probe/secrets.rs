//! What happens to a key: it goes to its provider, and to nobody and nowhere else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::ground::clock::Clock;
use brownout::ground::config::BudgetConfig;
use brownout::intake::probe::client;
use brownout::intake::schedule::{Bell, Budget, Deps, ProbeEvent, run};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fake::{self, ANTHROPIC, KEY, PATIENCE, response};

#[tokio::test]
async fn a_refused_key_is_a_misconfigured_probe_and_never_shown() {
    let body = format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"authentication_error\",\
         \"message\":\"key {KEY} has expired\"}}}}"
    );
    let json = "content-type: application/json\r\n";
    let report = ANTHROPIC.report(&response("401 Unauthorized", json, &body)).await;
    assert_eq!(report.class, Class::Auth);
    assert_eq!(report.misconfigured.as_deref(), Some("auth: key [redacted] has expired"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_not_sent_on() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let acts = response("307 Temporary Redirect", &location, "");
    let visited = tokio::select! {
        biased;
        _ = elsewhere.accept() => true,
        report = ANTHROPIC.report(&acts) => {
            assert_eq!(report.http_status, Some(307));
            assert_ne!(report.class, Class::Ok);
            false
        }
    };
    assert!(!visited, "the key was sent on");
}

#[tokio::test]
async fn a_key_that_comes_back_as_a_request_id_is_dropped_and_never_logged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = std::env::temp_dir().join(format!("brownout-probe-{port}.log"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(Arc::new(std::fs::File::create(&log).unwrap()))
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let spec = ANTHROPIC.spec(port);
    let headers = format!("request-id: {KEY}\r\ncf-ray: 8f-FRA\r\n");
    let body = format!("{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}");
    let acts = response("401 Unauthorized", &headers, &body);
    let token = CancellationToken::new();
    let seen = Arc::new(Mutex::new(None));
    let on_event = {
        let (token, seen) = (token.clone(), seen.clone());
        Arc::new(move |event| {
            if let ProbeEvent::Finished { report, .. } = event {
                *seen.lock().unwrap() = Some(report);
                token.cancel();
            }
        })
    };
    let deps = Deps::new(
        client().unwrap(),
        Clock::System,
        Budget::new(BudgetConfig::of(None)).into(),
        on_event,
    );
    let running = run(spec, Bell::every(Duration::from_millis(2), 0.0), deps, token);
    let serving = async {
        loop {
            fake::play(listener.accept().await.unwrap().0, &acts).await;
        }
    };
    tokio::select! {
        () = serving => unreachable!("the server never ends"),
        done = tokio::time::timeout(PATIENCE, running) => done.unwrap(),
    }
    let report = seen.lock().unwrap().take().unwrap();
    assert_eq!(report.request_id.as_deref(), Some("8f-FRA"), "the next name that is one");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    assert!(text.contains("the probe is misconfigured"), "{text}");
    assert!(text.contains("auth: bad key [redacted]"), "{text}");
    assert!(text.contains("8f-FRA"), "{text}");
    assert!(!text.contains("T0P5ECRET"), "{text}");
    for line in text.lines() {
        assert!(line.matches("\"target\":").count() <= 1, "a field twice: {line}");
    }
}
