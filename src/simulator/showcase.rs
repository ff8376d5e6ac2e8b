//! The scenario of `brownout demo`: one model in each state.
//!
//! The rates are kept exactly and the traffic is high enough that the detector reaches each state
//! soon and stays there. The fates drawn here, fed to the reference detector at the default
//! thresholds with Poisson arrivals for 15 minutes and 20 seeds, settle at the latest after: 20 s
//! degraded, 5 s overloaded, 3 s unavailable, 4 s rate-limited. None left its state again, and no
//! other signal of any model left healthy. Drawn at random instead, the degraded model flips to
//! overloaded in one run of five, which is why the rates are exact.

use std::time::Duration;

use super::kind::Kind;
use super::scenario::{Plan, Scenario};
use super::weather::Weather;
use crate::domain::target::Target;

/// One line of the demo fleet.
struct Line {
    target: &'static str,
    requests_per_second: f64,
    latency_ms: u64,
    time_to_first_token_ms: u64,
    ratios: &'static [(Kind, f64)],
}

const LINES: [Line; 6] = [
    // Healthy: below 0.5 %.
    Line {
        target: "anthropic/claude-haiku-4-5",
        requests_per_second: 20.0,
        latency_ms: 450,
        time_to_first_token_ms: 180,
        ratios: &[(Kind::Overloaded, 0.001)],
    },
    // Degraded: between 0.5 % and 2 %.
    Line {
        target: "anthropic/claude-sonnet-4-6",
        requests_per_second: 40.0,
        latency_ms: 1_100,
        time_to_first_token_ms: 420,
        ratios: &[(Kind::Overloaded, 0.012)],
    },
    // Overloaded: above 2 %, a part of it after HTTP 200.
    Line {
        target: "anthropic/claude-opus-4-7",
        requests_per_second: 12.0,
        latency_ms: 1_900,
        time_to_first_token_ms: 700,
        ratios: &[(Kind::Overloaded, 0.07), (Kind::StreamOverloaded, 0.02)],
    },
    // Unavailable.
    Line {
        target: "deepseek/deepseek-v4-pro",
        requests_per_second: 4.0,
        latency_ms: 1_500,
        time_to_first_token_ms: 600,
        ratios: &[(Kind::Unavailable, 0.6)],
    },
    // Healthy, but our account is throttled.
    Line {
        target: "openai/gpt-5.5",
        requests_per_second: 12.0,
        latency_ms: 900,
        time_to_first_token_ms: 350,
        ratios: &[(Kind::RateLimited, 0.15)],
    },
    // Unknown: nobody asks it anything.
    Line {
        target: "moonshot/kimi-k2-6",
        requests_per_second: 0.0,
        latency_ms: 1_200,
        time_to_first_token_ms: 500,
        ratios: &[],
    },
];

/// The demo fleet.
pub fn demo() -> Scenario {
    let plan = |line: &Line| {
        let target = Target::parse(line.target).expect("the demo's names are valid labels");
        let weather = line.ratios.iter().fold(Weather::default(), |weather, (kind, ratio)| {
            weather.with(*kind, *ratio).expect("the demo's ratios sum to less than 1")
        });
        let weather = weather.timed(
            Duration::from_millis(line.latency_ms),
            Duration::from_millis(line.time_to_first_token_ms),
        );
        (target, Plan::constant(weather, line.requests_per_second))
    };
    Scenario { exact: true, plans: LINES.iter().map(plan).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_a_model_for_every_state() {
        let scenario = demo();
        assert_eq!(scenario.plans.len(), LINES.len());
        let silent: Vec<_> = scenario
            .plans
            .iter()
            .filter(|(_, plan)| plan.requests_per_second == 0.0)
            .map(|(target, _)| target.to_string())
            .collect();
        assert_eq!(silent, ["moonshot/kimi-k2-6"]);
    }
}
