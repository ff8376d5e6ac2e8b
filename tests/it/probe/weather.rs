//! Real probes of every dialect in every weather of the simulator: what a probe calls its fate is
//! what the simulator meant, and its ledger has it.

use std::time::Duration;

use brownout::domain::target::Target;
use brownout::ground::catalog::Dialect;
use brownout::ground::clock::Clock;
use brownout::ground::config::{ProbesConfig, ProviderConfig};
use brownout::ground::secret::SecretSource;
use brownout::intake::probe::{Credential, ProbeSpec, client, probe};
use brownout::simulator::Kind;

use super::fake::KEY;
use crate::simulator::{beside, fleet, ledger};

/// Provider and dialect, and where the simulator plays it, as configurations say it.
pub(super) const PLACES: [(&str, Dialect, &str); 8] = [
    ("anthropic", Dialect::Anthropic, "/anthropic"),
    ("openai", Dialect::OpenAiChat, "/openai/v1"),
    ("openai", Dialect::OpenAiResponses, "/openai/v1"),
    ("azure", Dialect::Azure, "/azure/openai/v1"),
    ("azure", Dialect::Azure, "/azure"),
    ("gemini", Dialect::Gemini, "/gemini"),
    ("vertex", Dialect::VertexAnthropic, "/vertex/v1/projects/p/locations/global"),
    ("bedrock", Dialect::Bedrock, "/bedrock"),
];

fn spec((provider, dialect, path): (&str, Dialect, &str), base: &str) -> ProbeSpec {
    let config = ProviderConfig::new(dialect, format!("{base}{path}"));
    let second = Duration::from_secs(1);
    // Far longer than any weather below, except the one that never ends.
    let probes =
        ProbesConfig { timeout: 60 * second, ttft_timeout: 30 * second, ..ProbesConfig::default() };
    let target = Target::parse(&format!("{provider}/m")).unwrap();
    let source = SecretSource::Command(vec!["echo".to_owned(), KEY.to_owned()]);
    let credential = Credential::read(&source).unwrap();
    ProbeSpec::new(target, &config, &probes, Some(credential)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_dialect_in_every_weather_is_seen_as_what_it_is() {
    for kind in Kind::ALL {
        let settings = if kind == Kind::Ok { vec![] } else { vec![(kind.as_str(), 1.0)] };
        let fleet = fleet(&[&settings[..], &[("slow_ms", 3_000.0)]].concat());
        beside(&fleet, async |base| {
            let client = client().unwrap();
            for place in PLACES {
                fleet.reset_ledger();
                let report = probe(&client, &spec(place, &base), &Clock::System).await;
                let what = format!("{place:?} {kind:?}: {report:?}");
                assert_eq!(report.class, kind.class(), "{what}");
                let row = (place.0.to_owned(), kind.class(), report.http_status, 1);
                assert_eq!(ledger(&fleet), [row], "{what}");
                let is_asked_wrong = kind.class().is_misconfigured_probe();
                assert_eq!(report.misconfigured.is_some(), is_asked_wrong, "{what}");
            }
        })
        .await;
    }
}
