//! What probes will cost, reckoned before the first one leaves.
//!
//! No key is read and no connection opened, so the bill can be had on any machine. It says what
//! probes cost if nothing interferes: while clients report, fewer are made, and a budget stops
//! them when it is reached.

use std::collections::BTreeMap;

use crate::domain::target::{Provider, Target};
use crate::domain::time::Timestamp;
use crate::ground::config::{BudgetConfig, Config, ProbesConfig, Schedule};
use crate::intake::probe::ProbeSpec;

use super::pace::SPENT_SLOWER;
use super::plan::Refusal;

/// Days of a month on the bill.
pub const DAYS_OF_MONTH: f64 = 30.0;

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;
/// Seconds of an hour.
const HOUR_S: f64 = 3_600.0;

/// What all probes of a configuration will cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    /// One for each probed target, in the order of the configuration.
    pub lines: Vec<BillLine>,
    /// Targets that are not probed though they are configured, and why.
    pub not_probed: Vec<(Target, String)>,
    /// What bounds it.
    pub budget: BudgetConfig,
}

/// What the probes of one target will cost, in US dollars.
#[derive(Clone, Debug, PartialEq)]
pub struct BillLine {
    /// Which one.
    pub target: Target,
    /// What is known of its price.
    pub price: PriceBasis,
    /// Tokens of answer that a probe is reckoned with.
    pub output_tokens: u64,
    /// How many probes are made a day.
    pub probes_per_day: f64,
    /// How many are made on a day on which it is troubled from morning to night.
    pub probes_per_day_troubled: f64,
    /// What one of them costs.
    pub usd_per_probe: f64,
    /// What it may cost at most, which is set aside for it.
    pub usd_per_probe_max: f64,
}

/// What is known of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceBasis {
    /// It is built in or configured.
    Known,
    /// It is not known, and that of the dearest models is assumed.
    Assumed,
    /// Nothing is billed.
    Free,
}

/// The sum of some lines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// If nothing interferes.
    pub usd_per_day: f64,
    /// If all targets are troubled all day.
    pub usd_per_day_troubled: f64,
}

impl Bill {
    /// The bill of a configuration.
    pub fn new(config: &Config, now: Timestamp) -> Self {
        let (mut specs, mut not_probed) = (Vec::new(), Vec::new());
        for target in config.probe_targets() {
            let provider = config.providers.get(&target.provider).ok_or(Refusal::Unconfigured);
            let spec = provider.and_then(|provider| {
                Ok(ProbeSpec::new(target.clone(), provider, &config.probes, None)?)
            });
            match spec {
                Ok(spec) => specs.push(spec),
                Err(refusal) => not_probed.push((target, refusal.to_string())),
            }
        }
        if config.probes.schedule.is_some() && config.probes.only.is_empty() {
            let keyless = config.targets().filter(|target| {
                let provider = config.providers.get(&target.provider);
                provider.is_some_and(|provider| !provider.may_be_probed())
            });
            let why = "the provider has no api_key, and not api_key: none either";
            not_probed.extend(keyless.map(|target| (target, why.to_owned())));
        }
        Self { not_probed, ..Self::of(&specs, &config.probes, now) }
    }

    /// The bill of probes that are about to be made.
    pub fn of(specs: &[ProbeSpec], probes: &ProbesConfig, now: Timestamp) -> Self {
        let probes_per_day = match &probes.schedule {
            None => 0.0,
            Some(Schedule::Every(every)) => DAY_S / every.as_secs_f64(),
            Some(Schedule::Cron(cron)) => cron.fires_per_day(now),
        };
        let line = |spec: &ProbeSpec| BillLine {
            target: spec.target.clone(),
            price: PriceBasis::of(spec),
            output_tokens: spec.output_tokens(),
            probes_per_day,
            probes_per_day_troubled: probes_per_day.max(troubled_per_day(probes)),
            usd_per_probe: spec.cost_usual_usd(),
            usd_per_probe_max: spec.cost_bound_usd(),
        };
        Self {
            lines: specs.iter().map(line).collect(),
            not_probed: Vec::new(),
            budget: probes.budget.clone(),
        }
    }

    /// What all probes cost.
    pub fn total(&self) -> Sum {
        Sum::of(&self.lines)
    }

    /// What the probes of each provider cost.
    pub fn by_provider(&self) -> BTreeMap<Provider, Sum> {
        let mut sums: BTreeMap<Provider, Vec<&BillLine>> = BTreeMap::new();
        for line in &self.lines {
            sums.entry(line.target.provider.clone()).or_default().push(line);
        }
        sums.into_iter().map(|(provider, lines)| (provider, Sum::of(lines))).collect()
    }

    /// The most a day can cost: all targets troubled, up to the budget.
    pub fn usd_per_day_max(&self) -> f64 {
        self.spent_usd(1.0, |sum| sum.usd_per_day_troubled)
    }

    /// What a usual day costs, up to the budget.
    pub fn usd_per_day_within_budget(&self) -> f64 {
        self.spent_usd(1.0, |sum| sum.usd_per_day)
    }

    /// For which share of a usual day the budget of the whole lasts; `None` if for all of it.
    pub fn lasts(&self) -> Option<f64> {
        let whole = self.budget.usd_per_day?;
        let unbounded = BudgetConfig { usd_per_day: None, ..self.budget.clone() };
        let free = Self { budget: unbounded, ..self.clone() };
        let spent_usd = |share| free.spent_usd(share, |sum| sum.usd_per_day);
        if spent_usd(1.0) <= whole {
            return None;
        }
        // Spending only rises over the day, so halving finds the moment, to a part of a second.
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..20 {
            let middle = f64::midpoint(low, high);
            *if spent_usd(middle) <= whole { &mut low } else { &mut high } = middle;
        }
        Some(low)
    }

    /// The same of a provider's own budget.
    pub fn provider_lasts(&self, provider: &Provider) -> Option<f64> {
        let limit = self.budget.per_provider.get(provider)?;
        let lines = self.lines.iter().filter(|line| line.target.provider == *provider);
        let usd_per_day = Sum::of(lines).usd_per_day;
        (usd_per_day > *limit).then(|| limit / usd_per_day)
    }

    /// The limit that one probe of this line may exceed on its own, so that it is never made.
    pub fn never_fits(&self, line: &BillLine) -> Option<f64> {
        let of_provider = self.budget.per_provider.get(&line.target.provider).copied();
        let limit = of_provider.or(self.budget.usd_per_day)?;
        (line.usd_per_probe_max > limit).then_some(limit)
    }

    /// What is spent once `share` of the day has passed.
    fn spent_usd(&self, share: f64, per_day: impl Fn(&Sum) -> f64) -> f64 {
        let of_provider = |(provider, sum): (&Provider, &Sum)| {
            let limit = self.budget.per_provider.get(provider).copied().unwrap_or(f64::INFINITY);
            (share * per_day(sum)).min(limit)
        };
        let spent: f64 = self.by_provider().iter().map(of_provider).sum();
        spent.min(self.budget.usd_per_day.unwrap_or(f64::INFINITY))
    }
}

/// How often a target is probed on a day on which it is troubled throughout.
fn troubled_per_day(probes: &ProbesConfig) -> f64 {
    let Some(adaptive) = probes.adaptive else { return 0.0 };
    let (every_s, most) = (adaptive.every.as_secs_f64(), adaptive.per_hour as f64);
    // Each hour the fast ones until their share is spent, then the slow ones.
    let fast = most.min(HOUR_S / every_s);
    let slow = (HOUR_S - fast * every_s) / (every_s * f64::from(SPENT_SLOWER));
    (fast + slow) * DAY_S / HOUR_S
}

impl BillLine {
    /// On a usual day.
    pub fn usd_per_day(&self) -> f64 {
        self.usd_per_probe * self.probes_per_day
    }

    /// On a day of trouble.
    pub fn usd_per_day_troubled(&self) -> f64 {
        self.usd_per_probe * self.probes_per_day_troubled
    }
}

impl PriceBasis {
    fn of(spec: &ProbeSpec) -> Self {
        match spec.price {
            None => Self::Assumed,
            Some(price) if price.input_usd_per_mtok + price.output_usd_per_mtok > 0.0 => {
                Self::Known
            }
            Some(_) => Self::Free,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Assumed => "assumed",
            Self::Free => "free",
        }
    }
}

impl Sum {
    fn of<'a>(lines: impl IntoIterator<Item = &'a BillLine>) -> Self {
        lines.into_iter().fold(Self::default(), |sum, line| Self {
            usd_per_day: sum.usd_per_day + line.usd_per_day(),
            usd_per_day_troubled: sum.usd_per_day_troubled + line.usd_per_day_troubled(),
        })
    }

    /// For a month of usual days.
    pub fn usd_per_month(&self) -> f64 {
        self.usd_per_day * DAYS_OF_MONTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_777_039_391);

    fn bill(yaml: &str) -> Bill {
        Bill::new(&Config::parse(yaml, "brownout.yaml").unwrap(), NOW)
    }

    /// Ten tokens in; one out, sixteen for OpenAI. From the price file of LiteLLM 1.109.1.
    #[test]
    fn the_costs_of_one_probe_are_those_that_were_measured() {
        for (target, usd_per_probe, usd_per_month) in [
            ("anthropic/claude-haiku-4-5", 1.5e-5, 0.65),
            ("anthropic/claude-haiku-5-5", 1.5e-6, 0.065),
            ("anthropic/claude-sonnet-4-6", 4.5e-5, 1.94),
            ("anthropic/claude-opus-4-7", 7.5e-5, 3.24),
            ("openai/gpt-5-nano", 6.9e-6, 0.298),
            ("openai/gpt-6-luna", 9e-6, 0.389),
            ("openai/gpt-5.5", 5.3e-4, 22.9),
            ("deepseek/deepseek-v4-flash", 4.2e-6, 0.181),
            ("deepseek/deepseek-v4-pro", 1.7e-5, 0.74),
            ("mistral/mistral-small", 2.1e-6, 0.091),
        ] {
            let mut config = Config::default();
            config.add_probe(Target::parse(target).unwrap()).unwrap();
            let bill = Bill::new(&config, NOW);
            let found = bill.lines[0].usd_per_probe;
            assert!((found / usd_per_probe - 1.0).abs() < 0.02, "{target}: {found}");
            let found = bill.total().usd_per_month();
            assert!((found / usd_per_month - 1.0).abs() < 0.02, "{target}: {found}");
            assert!(bill.lines[0].usd_per_probe_max > bill.lines[0].usd_per_probe);
        }
    }

    #[test]
    fn the_bill_needs_no_key_and_names_what_is_not_probed() {
        let bill = bill(
            "
providers:
  anthropic: {api_key: {command: [/no/such/program]}, models: [claude-opus-4-7]}
  openai: {models: [gpt-5.5]}
  vllm: {base_url: \"http://127.0.0.1:8000/v1\", api_key: none, models: [m]}
  corp: {dialect: openai, base_url: \"https://llm.example/v1\", api_key: {env: NO}, models: [m]}
probes: {every: 5m}
",
        );
        let lines: Vec<_> = bill.lines.iter().map(|l| (l.target.to_string(), l.price)).collect();
        let expected = [
            ("anthropic/claude-opus-4-7".to_owned(), PriceBasis::Known),
            ("corp/m".to_owned(), PriceBasis::Assumed),
            ("vllm/m".to_owned(), PriceBasis::Free),
        ];
        assert_eq!(lines, expected);
        assert!((bill.lines[0].probes_per_day - 288.0).abs() < 1e-9);
        assert_eq!(bill.not_probed[0].0.to_string(), "openai/gpt-5.5");
        assert_eq!(bill.by_provider().len(), 3);
        assert_eq!(bill.lines[2].usd_per_day_troubled(), 0.0);
    }

    /// 8.64 dollars a day each: a cent a probe, every 100 s.
    const DEAR: &str = "
providers:
  a: &p
    dialect: openai
    base_url: http://127.0.0.1:1/v1
    api_key: none
    models: [m]
    prices: {m: {input_usd_per_mtok: 1000, output_usd_per_mtok: 0}}
  b: *p
probes: {every: 100s, budget: BUDGET}
";

    #[test]
    fn the_budget_lasts_for_a_share_of_the_day() {
        for (budget, whole, of_a, within, most) in [
            ("none", None, None, 17.28, 105.6),
            ("{usd_per_day: 20}", None, None, 17.28, 20.0),
            ("{usd_per_day: 8.64}", Some(0.5), None, 8.64, 8.64),
            // `a` stops at a quarter of the day; then `b` alone spends, up to three quarters.
            ("{usd_per_day: 8.64, per_provider: {a: 2.16}}", Some(0.75), Some(0.25), 8.64, 8.64),
            ("{usd_per_day: 20, per_provider: {a: 2.16}}", None, Some(0.25), 10.8, 20.0),
        ] {
            let bill = bill(&DEAR.replace("BUDGET", budget));
            let near = |found: Option<f64>, expected: Option<f64>| {
                let difference = found.unwrap_or(9.0) - expected.unwrap_or(9.0);
                assert!(difference.abs() < 1e-5, "{budget}: {found:?} {expected:?}");
            };
            near(bill.lasts(), whole);
            near(bill.provider_lasts(&Provider::new("a").unwrap()), of_a);
            near(Some(bill.usd_per_day_within_budget()), Some(within));
            near(Some(bill.usd_per_day_max()), Some(most));
        }
    }

    #[test]
    fn a_day_of_trouble_has_fast_probes_up_to_their_share_and_slow_ones_beside() {
        for (adaptive, probes_per_day) in [
            ("off", 864.0),
            ("on", 24.0 * (120.0 + 100.0)),
            ("{per_hour: 0}", 24.0 * 120.0),
            ("{every: 10s, per_hour: 3600}", 24.0 * 360.0),
            ("{every: 10m, per_hour: 0}", 864.0),
        ] {
            let yaml = DEAR.replace("BUDGET", &format!("none, adaptive: {adaptive}"));
            let found = bill(&yaml).lines[0].probes_per_day_troubled;
            assert!((found - probes_per_day).abs() < 1e-6, "{adaptive}: {found}");
        }
    }

    #[test]
    fn a_probe_that_may_cost_more_than_the_budget_never_fits() {
        // Up to 64 tokens of input are set aside for, 6.4 cents.
        for (budget, limit) in [
            ("none", None),
            ("{usd_per_day: 0.065}", None),
            ("{usd_per_day: 0.063}", Some(0.063)),
            ("{usd_per_day: 1, per_provider: {a: 0.05}}", Some(0.05)),
        ] {
            let bill = bill(&DEAR.replace("BUDGET", budget));
            assert_eq!(bill.never_fits(&bill.lines[0]), limit, "{budget}");
        }
    }

    #[test]
    fn nothing_is_billed_unless_probes_are_asked_for() {
        let bill = bill(DEAR.split("probes:").next().unwrap());
        assert_eq!((bill.lines.len(), bill.not_probed.len()), (0, 0));
        assert_eq!(bill.total(), Sum::default());
    }
}
