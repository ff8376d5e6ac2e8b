//! A scenario: which models are played, with which weather, and how much traffic they get.
//!
//! ```yaml
//! exact: true                       # rates kept exactly instead of drawn at random
//! providers:
//!   anthropic:
//!     claude-opus-4-7: {requests_per_second: 12, overloaded: 7%, stream_overloaded: 2%}
//!     claude-sonnet-4-6:
//!       phases:                     # one after the other, then from the start again
//!         - {for: 10m, overloaded: 0.1%}
//!         - {for: 2m, overloaded: 30%}
//! ```
//!
//! The settings of a model are those of [`Weather::NAMES`]; a phase starts from the model's own
//! settings and changes some. Traffic is for clients in the same process and for the back-dated
//! history; the HTTP side answers whatever comes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::node::{Placed, Problem};
use super::weather::Weather;
use crate::domain::target::Target;
use crate::domain::time::{Timestamp, millis_of};

pub(super) use reader::Reader;

mod reader;

/// Largest scenario file read, in bytes; a thousand models fit easily.
pub const SCENARIO_BYTES_MAX: usize = 1024 * 1024;

/// What is played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// Whether the rates are kept exactly (see `draw`) or drawn at random.
    pub exact: bool,
    /// The plan of each model.
    pub plans: BTreeMap<Target, Plan>,
}

/// The weather of one model over time, and its traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Requests per second that simulated clients send; 0 for none.
    pub requests_per_second: f64,
    weather: Weather,
    phases: Vec<Phase>,
}

/// A stretch of time with its own weather.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is like.
    pub weather: Weather,
}

/// A scenario that cannot be played, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Every problem, in the order of the file.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// Constant weather.
    pub const fn constant(weather: Weather, requests_per_second: f64) -> Self {
        Self { requests_per_second, weather, phases: Vec::new() }
    }

    /// The weather outside phases.
    pub(super) const fn weather(&self) -> &Weather {
        &self.weather
    }

    /// Which phase holds `now`, counted from `started`; 0 for constant weather.
    pub(super) fn phase_at(&self, started: Timestamp, now: Timestamp) -> usize {
        let round: u64 = self.phases.iter().map(|phase| millis_of(phase.lasts)).sum();
        if round == 0 {
            return 0;
        }
        let mut left = millis_of(now.since(started)) % round;
        for (index, phase) in self.phases.iter().enumerate() {
            let lasts = millis_of(phase.lasts);
            if left < lasts {
                return index;
            }
            left -= lasts;
        }
        0
    }

    /// The weather of a phase.
    pub(super) fn weather_in(&self, phase: usize) -> &Weather {
        self.phases.get(phase).map_or(&self.weather, |phase| &phase.weather)
    }
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`] with every problem found.
    pub fn from_yaml(text: &str) -> Result<Self, ScenarioError> {
        if text.len() > SCENARIO_BYTES_MAX {
            let message = format!("is larger than {SCENARIO_BYTES_MAX} bytes");
            let problem = Problem { line: None, path: String::new(), message };
            return Err(ScenarioError { problems: vec![problem] });
        }
        let root =
            Placed::from_yaml(text).map_err(|problem| ScenarioError { problems: vec![problem] })?;
        let mut reader = Reader::default();
        let scenario = reader.scenario(&root);
        if reader.problems.is_empty() {
            Ok(scenario)
        } else {
            reader.problems.sort_by_key(|problem| problem.line);
            Err(ScenarioError { problems: reader.problems })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::*;

    #[test]
    fn the_example_and_the_module_documentation_are_scenarios() {
        let example = include_str!("../../examples/scenario.yaml");
        let scenario = Scenario::from_yaml(example).unwrap_or_else(|error| panic!("{error}"));
        assert!(scenario.plans.len() >= 4);
        let documented = include_str!("scenario.rs")
            .lines()
            .skip_while(|line| *line != "//! ```yaml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//! ").to_owned() + "\n")
            .collect::<String>();
        let scenario = Scenario::from_yaml(&documented).unwrap_or_else(|error| panic!("{error}"));
        let opus = &scenario.plans[&Target::parse("anthropic/claude-opus-4-7").unwrap()];
        assert!(scenario.exact);
        assert!((opus.weather.ratio(Kind::Overloaded) - 0.07).abs() < 1e-12);
    }

    #[test]
    fn phases_follow_one_another_and_start_again() {
        let text = "providers: {a: {m: {ttft_ms: 5, phases: [{for: 10s}, {for: 2s, reset: 1}]}}}";
        let scenario = Scenario::from_yaml(text).unwrap();
        let plan = scenario.plans.values().next().unwrap();
        let started = Timestamp::from_secs(1_000);
        for (after, phase) in [(0, 0), (9, 0), (10, 1), (11, 1), (12, 0), (23, 1), (24, 0)] {
            let now = Timestamp::from_secs(1_000 + after);
            assert_eq!(plan.phase_at(started, now), phase, "{after}");
        }
        assert_eq!(plan.weather_in(1).time_to_first_token(), Duration::from_millis(5));
        assert!((plan.weather_in(1).ratio(Kind::Reset) - 1.0).abs() < f64::EPSILON);
        assert_eq!(plan.phase_at(started, Timestamp::from_secs(0)), 0);
    }

    #[test]
    fn every_problem_is_listed_with_line_and_path() {
        let text = "\
exact: perhaps
weather: fair
providers:
  anthropic:
    claude-opus-4-7:
      overloaded: 140%
      unavailable: lots
      requests_per_second: -1
    claude-haiku-4-5: {overloaded: 0.9, reset: 0.2, sunny: 1}
  open/ai:
    gpt-5.5:
  deepseek:
    deepseek-v4-pro:
      phases: [{for: 10}, {overloaded: 1}]
";
        let names = Weather::NAMES.join(", ");
        let expected = format!(
            "\
line 1: exact: expected true or false
line 2: weather: unknown key, expected exact or providers
line 6: providers.anthropic.claude-opus-4-7.overloaded: overloaded is 1.4, \
             expected a ratio from 0 to 1
line 7: providers.anthropic.claude-opus-4-7.unavailable: expected a number or a \
             percentage, found \"lots\"
line 8: providers.anthropic.claude-opus-4-7.requests_per_second: is -1, expected 0 to 10000
line 9: providers.anthropic.claude-haiku-4-5.sunny: unknown key, expected one \
             of requests_per_second, phases, {names}
line 9: providers.anthropic.claude-haiku-4-5: the ratios sum to 1.1000, lower \
             some until the sum is at most 1
line 11: providers.open/ai.gpt-5.5: the provider's name holds a slash
line 14: providers.deepseek.deepseek-v4-pro.phases[0].for: is 10, expected a \
             duration of 1s to a year, as 10m
line 14: providers.deepseek.deepseek-v4-pro.phases[1]: `for` is missing, say \
             how long it lasts, as 10m"
        );
        assert_eq!(Scenario::from_yaml(text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn an_empty_scenario_says_what_is_missing() {
        for (text, message) in [
            ("{}", "line 1: `providers` is missing, add at least one"),
            ("providers: {}", "line 1: providers: has no model, add at least one"),
            ("providers: []", "line 1: providers: expected a map, found a list"),
            ("providers: {a: 1}", "line 1: providers.a: expected a map, found 1"),
        ] {
            assert_eq!(Scenario::from_yaml(text).unwrap_err().to_string(), message);
        }
        assert!(Scenario::from_yaml("").is_err());
    }
}
