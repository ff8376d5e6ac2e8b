//! Probes over TLS, by the real program: it takes its authorities from the environment.

use std::net::SocketAddr;

use brownout::domain::outcome::Class;
use brownout::simulator::serve;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::weather::PLACES;
use crate::simulator::{Row, fleet, ledger};
use crate::temp::TempFile;
use crate::tls::{Authority, BOTH, Certificate, Front};

/// A variable that no test environment sets by itself.
const KEY_VARIABLE: &str = "BROWNOUT_TEST_TLS_KEY";

/// One probe of this provider at this URL by the program, which trusts this authority.
async fn probed(provider: &str, dialect: &str, url: &str, authority: &Authority) -> Value {
    let config = format!(
        "providers:\n  {provider}:\n    dialect: {dialect}\n    base_url: {url}\n    \
         api_key: {{env: {KEY_VARIABLE}}}\n    models: [m]\n"
    );
    let file = TempFile::new("tls.yaml", &config);
    let output = Command::new(env!("CARGO_BIN_EXE_brownout"))
        .args(["probe", &format!("{provider}/m"), "--json", "--config.file", file.path()])
        .env_clear()
        .env(KEY_VARIABLE, "any")
        .env("SSL_CERT_FILE", authority.path())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs a test beside a simulator in this weather.
async fn beside(settings: &[(&str, f64)], test: impl AsyncFnOnce(SocketAddr)) -> Vec<Row> {
    let fleet = fleet(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::select! {
        served = serve(fleet.clone(), listener, CancellationToken::new()) => {
            panic!("the simulator ended: {served:?}")
        }
        () = test(address) => {}
    }
    ledger(&fleet)
}

#[tokio::test]
async fn every_dialect_is_probed_over_tls_with_either_version_of_http() {
    let authority = Authority::new();
    for (offered, agreed) in [(BOTH, "h2"), (&["http/1.1"], "http/1.1")] {
        for (settings, class) in [(&[][..], Class::Ok), (&[("overloaded", 1.0)], Class::Overloaded)]
        {
            let rows = beside(settings, async |address| {
                for (provider, dialect, path) in PLACES {
                    let front =
                        Front::start(address, &authority, Certificate::Right, offered).await;
                    let url = format!("{}{path}", front.url());
                    let report = probed(provider, dialect.as_str(), &url, &authority).await;
                    assert_eq!(report["class"], class.as_str(), "{dialect:?} {agreed}: {report}");
                    assert!(report["connect_ms"].is_f64(), "{report}");
                    assert_eq!(front.negotiated(), [agreed], "{dialect:?}");
                }
            })
            .await;
            assert!(rows.iter().all(|row| row.1 == class), "{rows:?}");
            assert_eq!(rows.iter().map(|row| row.3).sum::<u64>(), PLACES.len() as u64);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_a_fault_of_the_network() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (certificate, trusted) in [
        (Certificate::Right, &theirs),
        (Certificate::WrongName, &ours),
        (Certificate::Expired, &ours),
    ] {
        let rows = beside(&[], async |address| {
            let front = Front::start(address, &ours, certificate, BOTH).await;
            let url = format!("{}/anthropic", front.url());
            let report = probed("anthropic", "anthropic", &url, trusted).await;
            let found = (&report["class"], &report["matched_by"]);
            let expected = (&Value::from("network"), &Value::from("transport"));
            assert_eq!(found, expected, "{certificate:?}: {report}");
            assert!(report["http_status"].is_null() && report["connect_ms"].is_null());
            assert_eq!(front.negotiated(), Vec::<String>::new(), "{certificate:?}");
        })
        .await;
        assert_eq!(rows, [], "{certificate:?}: nothing was sent");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_fault_of_the_network() {
    let url = "https://nowhere.invalid";
    let report = probed("anthropic", "anthropic", url, &Authority::new()).await;
    assert_eq!((&report["class"], &report["matched_by"]), (&"network".into(), &"transport".into()));
}
