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

use super::node::{Node, Placed, Problem};
use super::weather::Weather;
use crate::domain::target::{Model, Provider, Target};
use crate::domain::time::{SECOND_MS, Timestamp, millis_of};

/// Largest scenario file read, in bytes; a thousand models fit easily.
pub const SCENARIO_BYTES_MAX: usize = 1024 * 1024;

/// Most models in one scenario.
const TARGETS_MAX: usize = 1_000;

/// Most phases of one model.
const PHASES_MAX: usize = 1_000;

/// Most traffic of one model, requests per second: beyond it the simulated clients are the load.
const REQUESTS_PER_SECOND_MAX: f64 = 10_000.0;

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

/// Walks the tree and collects problems; what it returns is used only if there are none.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    /// The value, or a note of the problem.
    pub(super) fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn entries<'a>(&mut self, placed: &'a Placed) -> &'a [(String, Placed)] {
        self.take(placed.entries()).unwrap_or_default()
    }

    fn scenario(&mut self, root: &Placed) -> Scenario {
        let mut scenario = Scenario::default();
        let mut providers = None;
        for (key, value) in self.entries(root) {
            match key.as_str() {
                "exact" => match value.node {
                    Node::Bool(exact) => scenario.exact = exact,
                    Node::Null | Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => {
                        self.problems.push(value.problem("expected true or false"));
                    }
                },
                "providers" => providers = Some(value),
                _ => self.problems.push(value.problem("unknown key, expected exact or providers")),
            }
        }
        let Some(providers) = providers else {
            if self.problems.is_empty() {
                self.problems.push(root.problem("`providers` is missing, add at least one"));
            }
            return scenario;
        };
        for (provider, models) in self.entries(providers) {
            for (model, settings) in self.entries(models) {
                if let Some(target) = self.target(provider, model, settings) {
                    let plan = self.plan(settings);
                    scenario.plans.insert(target, plan);
                }
            }
        }
        if scenario.plans.len() > TARGETS_MAX {
            let message = format!("has more than {TARGETS_MAX} models");
            self.problems.push(providers.problem(message));
        }
        if scenario.plans.is_empty() && self.problems.is_empty() {
            self.problems.push(providers.problem("has no model, add at least one"));
        }
        scenario
    }

    fn target(&mut self, provider: &str, model: &str, at: &Placed) -> Option<Target> {
        let named = |what: &str, error| at.problem(format!("the {what}'s name {error}"));
        let provider = Provider::new(provider).map_err(|error| named("provider", error));
        let model = Model::new(model).map_err(|error| named("model", error));
        let (provider, model) = (self.take(provider), self.take(model));
        Some(Target::new(provider?, model?))
    }

    fn plan(&mut self, placed: &Placed) -> Plan {
        let mut plan = Plan::constant(Weather::default(), 0.0);
        let mut settings = Vec::new();
        let mut phases = None;
        // A model without settings has fair weather.
        let entries = if placed.node == Node::Null { &[] } else { self.entries(placed) };
        for (key, value) in entries {
            match key.as_str() {
                "requests_per_second" => plan.requests_per_second = self.traffic(value),
                "phases" => phases = Some(value),
                _ => settings.push((key.as_str(), value)),
            }
        }
        plan.weather =
            self.weather(&plan.weather, &settings, placed, &["requests_per_second", "phases"]);
        if let Some(phases) = phases {
            plan.phases = self.phases(phases, &plan.weather);
        }
        plan
    }

    fn phases(&mut self, placed: &Placed, base: &Weather) -> Vec<Phase> {
        let Node::List(items) = &placed.node else {
            let message = format!("expected a list of phases, found {}", placed.node.name());
            self.problems.push(placed.problem(message));
            return Vec::new();
        };
        if items.is_empty() || items.len() > PHASES_MAX {
            self.problems.push(placed.problem(format!("expected 1 to {PHASES_MAX} phases")));
        }
        items.iter().take(PHASES_MAX).map(|item| self.phase(item, base)).collect()
    }

    fn phase(&mut self, placed: &Placed, base: &Weather) -> Phase {
        let mut lasts = None;
        let mut settings = Vec::new();
        let known = self.problems.len();
        for (key, value) in self.entries(placed) {
            if key == "for" {
                lasts = Some(self.take(duration(value)).unwrap_or_default());
            } else {
                settings.push((key.as_str(), value));
            }
        }
        if lasts.is_none() && self.problems.len() == known {
            self.problems.push(placed.problem("`for` is missing, say how long it lasts, as 10m"));
        }
        let weather = self.weather(base, &settings, placed, &["for"]);
        Phase { lasts: lasts.unwrap_or_default(), weather }
    }

    fn traffic(&mut self, placed: &Placed) -> f64 {
        let number = self.take(placed.number()).unwrap_or_default();
        if !(0.0..=REQUESTS_PER_SECOND_MAX).contains(&number) {
            let message = format!("is {number}, expected 0 to {REQUESTS_PER_SECOND_MAX}");
            self.problems.push(placed.problem(message));
        }
        number
    }

    /// `base` with settings changed. `also` names the keys that are allowed here but are no
    /// settings of the weather.
    pub(super) fn weather(
        &mut self,
        base: &Weather,
        settings: &[(&str, &Placed)],
        at: &Placed,
        also: &[&str],
    ) -> Weather {
        let mut read = Vec::new();
        for (name, value) in settings {
            if Weather::NAMES.contains(name) {
                let Some(number) = self.take(value.number()) else { continue };
                // One by one, so that each problem has its own line.
                match Weather::default().changed(&[(*name, number)]) {
                    Ok(_) => read.push((*name, number)),
                    Err(errors) => self.problems.push(value.problem(errors[0].to_string())),
                }
            } else {
                let expected = [also, &Weather::NAMES[..]].concat().join(", ");
                let message = format!("unknown key, expected one of {expected}");
                self.problems.push(value.problem(message));
            }
        }
        base.changed(&read).unwrap_or_else(|errors| {
            self.problems.extend(errors.iter().map(|error| at.problem(error.to_string())));
            base.clone()
        })
    }
}

/// A duration of at least one second, as people write them.
fn duration(placed: &Placed) -> Result<Duration, Problem> {
    let parsed = match &placed.node {
        Node::Text(text) => humantime::parse_duration(text).ok(),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Map(_) => None,
    };
    let longest = Duration::from_secs(366 * 86_400);
    parsed.filter(|lasts| (Duration::from_millis(SECOND_MS)..=longest).contains(lasts)).ok_or_else(
        || {
            let found = placed.node.name();
            placed.problem(format!("is {found}, expected a duration of 1s to a year, as 10m"))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::weather::Kind;
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
line 6: providers.anthropic.claude-opus-4-7.overloaded: overloaded is 1.4, expected a ratio from 0 to 1
line 7: providers.anthropic.claude-opus-4-7.unavailable: expected a number or a percentage, found \"lots\"
line 8: providers.anthropic.claude-opus-4-7.requests_per_second: is -1, expected 0 to 10000
line 9: providers.anthropic.claude-haiku-4-5.sunny: unknown key, expected one of requests_per_second, phases, {names}
line 9: providers.anthropic.claude-haiku-4-5: the ratios sum to 1.1000, lower some until the sum is at most 1
line 11: providers.open/ai.gpt-5.5: the provider's name holds white space or a control character
line 14: providers.deepseek.deepseek-v4-pro.phases[0].for: is 10, expected a duration of 1s to a year, as 10m
line 14: providers.deepseek.deepseek-v4-pro.phases[1]: `for` is missing, say how long it lasts, as 10m"
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
