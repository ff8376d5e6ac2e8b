//! From the tree of a scenario file to a scenario, noting every problem on the way.

use std::time::Duration;

use super::super::node::{Node, Placed, Problem};
use super::super::weather::Weather;
use super::{Phase, Plan, Scenario};
use crate::domain::target::{Model, Provider, Target};
use crate::domain::time::SECOND_MS;

/// Most models in one scenario.
const TARGETS_MAX: usize = 1_000;

/// Most phases of one model.
const PHASES_MAX: usize = 1_000;

/// Most traffic of one model, requests per second: beyond it the simulated clients are the load.
const REQUESTS_PER_SECOND_MAX: f64 = 10_000.0;

/// Walks the tree and collects problems; what it returns is used only if there are none.
#[derive(Default)]
pub(in crate::simulator) struct Reader {
    pub(in crate::simulator) problems: Vec<Problem>,
}

impl Reader {
    /// The value, or a note of the problem.
    pub(in crate::simulator) fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn entries<'a>(&mut self, placed: &'a Placed) -> &'a [(String, Placed)] {
        self.take(placed.entries()).unwrap_or_default()
    }

    pub(super) fn scenario(&mut self, root: &Placed) -> Scenario {
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
    pub(in crate::simulator) fn weather(
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
