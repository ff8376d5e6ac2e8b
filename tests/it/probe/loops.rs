//! The loop of one target, on real sockets and the real client.

use std::sync::Arc;
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::domain::time::Timestamp;
use brownout::ground::clock::Clock;
use brownout::ground::config::BudgetConfig;
use brownout::intake::probe::client;
use brownout::intake::schedule::{Bell, Budget, Deps, ProbeEvent, run};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fake::{ANTHROPIC, CONTENT, PATIENCE, START, STOP, read_request};

/// A provider that answers any number of probes on one warm connection.
async fn keep_answering(listener: &TcpListener) {
    let body = format!("{START}{CONTENT}{STOP}");
    let length = body.len();
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..1_000 {
            read_request(&mut socket).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
            let answer = format!("{head}content-length: {length}\r\n\r\n{body}");
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

/// The shared parts of a loop, and a channel of what happens.
fn deps() -> (Deps, tokio::sync::mpsc::UnboundedReceiver<ProbeEvent>) {
    let (tell, events) = tokio::sync::mpsc::unbounded_channel();
    let listener = Arc::new(move |event| drop(tell.send(event)));
    (
        Deps::new(
            client().unwrap(),
            Clock::System,
            Arc::new(Budget::new(BudgetConfig::of(None))),
            listener,
        ),
        events,
    )
}

#[tokio::test]
async fn the_loop_keeps_probing_on_one_warm_connection_until_told_to_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = ANTHROPIC.spec(listener.local_addr().unwrap().port());
    let target = spec.target.clone();
    let (deps, mut events) = deps();
    let token = CancellationToken::new();
    let bell = Bell::every(Duration::from_millis(2), 0.2);
    let watching = async {
        let (mut reports, mut due) = (Vec::new(), Timestamp::default());
        while reports.len() < 200 {
            match events.recv().await.unwrap() {
                ProbeEvent::Finished { report, .. } => reports.push(report),
                ProbeEvent::Scheduled { next_run, .. } => due = due.max(next_run.unwrap()),
                other => panic!("{other:?}"),
            }
        }
        token.cancel();
        (reports, due)
    };
    let running = run(spec, bell, deps, token.clone());
    let (reports, due) = tokio::select! {
        () = keep_answering(&listener) => unreachable!("the server never ends"),
        ((), found) = async { tokio::join!(running, watching) } => found,
    };
    assert!(reports.iter().all(|report| report.class == Class::Ok));
    assert!(reports[0].connect.is_some());
    assert!(reports[1..].iter().all(|report| report.connect.is_none()), "one connection");
    assert!(due > reports[0].started_at);
    assert_eq!(reports[0].outcome(&target).time_to_first_token, reports[0].ttft);
}

#[tokio::test]
async fn shutdown_gives_up_a_probe_in_flight_and_records_only_its_charge() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = ANTHROPIC.spec(listener.local_addr().unwrap().port());
    let (deps, mut events) = deps();
    let token = CancellationToken::new();
    let running = run(spec, Bell::every(Duration::from_millis(2), 0.0), deps, token.clone());
    let stopping = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        token.cancel();
        // Kept open: the loop must not need the provider to end.
        socket
    };
    let ((), _socket) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(running, stopping) }).await.unwrap();
    let mut given_up = 0;
    while let Some(event) = events.recv().await {
        match event {
            ProbeEvent::Scheduled { .. } => {}
            ProbeEvent::GivenUp { charged_usd, .. } if charged_usd > 0.0 => given_up += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(given_up, 1, "it may be billed");
}
