//! From the configuration to probes and their timetable.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::target::{Provider, Target};
use crate::domain::time::Timestamp;
use crate::ground::catalog::Auth;
use crate::ground::config::{Config, ProbesConfig, Schedule};
use crate::ground::secret::SecretError;
use crate::intake::probe::{Credential, ProbeSpec, SpecError};

use super::bell::Bell;
use super::cron_bell::{CronBell, Ring};

/// What to probe, and what cannot be.
#[derive(Debug, Default)]
pub struct Plan {
    /// One per target, in the order of the configuration.
    pub specs: Vec<ProbeSpec>,
    /// Targets that were asked for and cannot be probed. They must be told to the user, and
    /// shown as misconfigured probes: silence would look like health.
    pub refused: Vec<(Target, Refusal)>,
}

/// Why a target cannot be probed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The configuration does not name the provider.
    #[error("the provider is not configured, add it under providers")]
    Unconfigured,
    /// The key cannot be read.
    #[error("the API key cannot be read")]
    Key(#[source] Arc<SecretError>),
    /// Something of it cannot go into a request.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// Everything the configuration asks to be probed; call it again after a reload.
///
/// Reads the keys, once for each provider: environment, files, and commands for which it waits up
/// to 10 s each. Call it where blocking is allowed.
pub fn plan(config: &Config) -> Plan {
    let mut plan = Plan::default();
    let mut credentials = BTreeMap::new();
    for target in config.probe_targets() {
        let name = &target.provider;
        let read = credentials.entry(name.clone()).or_insert_with(|| credential(config, name));
        match read.clone().and_then(|credential| spec_with(config, &target, credential)) {
            Ok(spec) => plan.specs.push(spec),
            Err(refusal) => plan.refused.push((target, refusal)),
        }
    }
    plan
}

/// The probe of one configured target, with a credential of its own.
///
/// # Errors
/// [`Refusal`] when it cannot be probed, for a reason the user can act on.
pub fn spec(config: &Config, target: &Target) -> Result<ProbeSpec, Refusal> {
    spec_with(config, target, credential(config, &target.provider)?)
}

/// The probe of one configured target, with its provider's credential.
pub(super) fn spec_with(
    config: &Config,
    target: &Target,
    credential: Option<Credential>,
) -> Result<ProbeSpec, Refusal> {
    let provider = config.providers.get(&target.provider).ok_or(Refusal::Unconfigured)?;
    Ok(ProbeSpec::new(target.clone(), provider, &config.probes, credential)?)
}

/// What a provider's probes show, to be shared by all of them. Blocks: up to 10 s for a command.
pub(super) fn credential(
    config: &Config,
    provider: &Provider,
) -> Result<Option<Credential>, Refusal> {
    let provider = config.providers.get(provider).ok_or(Refusal::Unconfigured)?;
    if provider.auth() == Auth::SigV4 {
        return Ok(Some(Credential::signing(provider)?));
    }
    let read = provider.api_key.as_ref().map(Credential::read).transpose();
    read.map_err(|error| Refusal::Key(Arc::new(error)))
}

/// When all probes run.
#[derive(Debug)]
pub struct Timetable {
    kind: Kind,
    jitter: f64,
}

#[derive(Debug)]
enum Kind {
    Every(std::time::Duration),
    Cron(CronBell),
}

impl Timetable {
    /// The timetable of the configuration, its first cron fire after `now`; `None` when nothing
    /// is to be probed on a schedule.
    pub fn new(probes: &ProbesConfig, now: Timestamp) -> Option<Self> {
        let kind = match probes.schedule.as_ref()? {
            Schedule::Every(every) => Kind::Every(*every),
            Schedule::Cron(cron) => Kind::Cron(CronBell::new(cron.clone(), now)),
        };
        Some(Self { kind, jitter: probes.jitter })
    }

    /// The state of the cron bell, now and from now on, if there is one.
    pub fn rings(&self) -> Option<watch::Receiver<Ring>> {
        match &self.kind {
            Kind::Every(_) => None,
            Kind::Cron(cron) => Some(cron.subscribe()),
        }
    }

    /// Goes on where the cron bell of an earlier, equal timetable stopped. Do so before the loops'
    /// bells are taken.
    pub fn go_on_from(&self, ring: Ring) {
        if let Kind::Cron(cron) = &self.kind {
            cron.go_on_from(ring);
        }
    }

    /// A bell for one more loop.
    pub fn bell(&self) -> Bell {
        match &self.kind {
            Kind::Every(every) => Bell::every(*every, self.jitter),
            Kind::Cron(cron) => Bell::cron(cron, self.jitter),
        }
    }

    /// The bell that the app must run beside the loops, if the timetable needs one. Take the
    /// loops' bells first.
    pub fn into_cron_bell(self) -> Option<CronBell> {
        match self.kind {
            Kind::Every(_) => None,
            Kind::Cron(cron) => Some(cron),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
providers:
  local:
    dialect: openai
    base_url: http://127.0.0.1:8000/v1
    api_key: {env: PATH}
    models: [qwen3-8b]
  anthropic:
    api_key: {env: BROWNOUT_TEST_NO_SUCH_VARIABLE}
    models: [claude-haiku-4-5]
  gemini:
    api_key: {command: [printf, 'a\\nb']}
    models: [gemini-2.5-flash-lite]
probes: {every: 30s, jitter: 10%, timeout: 9s}
";

    #[test]
    fn a_plan_holds_what_can_be_probed_and_says_what_cannot() {
        let config = Config::parse(YAML, "brownout.yaml").unwrap();
        let plan = plan(&config);
        let found: Vec<_> = plan.specs.iter().map(|spec| spec.target.to_string()).collect();
        assert_eq!(found, ["local/qwen3-8b"]);
        assert_eq!(plan.specs[0].url, "http://127.0.0.1:8000/v1/chat/completions");
        assert_eq!(plan.specs[0].timeout.as_secs(), 9);
        let refused: Vec<_> =
            plan.refused.iter().map(|(target, refusal)| format!("{target}: {refusal}")).collect();
        assert_eq!(
            refused,
            [
                "anthropic/claude-haiku-4-5: the API key cannot be read",
                "gemini/gemini-2.5-flash-lite: api_key holds a character that no HTTP header may \
                 carry, check its source",
            ]
        );
    }

    #[test]
    fn all_models_of_a_provider_share_one_credential() {
        let runs = std::env::temp_dir().join(format!("brownout-runs-{}", std::process::id()));
        let script = format!("echo run >> {}; echo", runs.display());
        let yaml = format!(
            "
providers:
  vertex:
    dialect: openai
    base_url: http://127.0.0.1:8000/v1
    api_key: {{command: [sh, -c, '{script} key']}}
    models: [a, b, c]
  broken:
    dialect: openai
    base_url: http://127.0.0.1:8000/v1
    api_key: {{command: [sh, -c, '{script} >&2; exit 1']}}
    models: [a, b, c]
  bedrock:
    region: eu-west-1
    models: [us.anthropic.claude-haiku-4-5-v1:0, us.anthropic.claude-opus-4-7-v1:0]
probes: {{}}
"
        );
        let plan = plan(&Config::parse(&yaml, "brownout.yaml").unwrap());
        let count = std::fs::read_to_string(&runs).unwrap().lines().count();
        std::fs::remove_file(&runs).unwrap();
        assert_eq!(count, 2, "one run for each command");
        assert_eq!((plan.specs.len(), plan.refused.len()), (5, 3));
        for pair in plan.specs.windows(2) {
            let [one, two] = pair else { unreachable!("a window of two") };
            let credentials = one.credential.as_ref().zip(two.credential.as_ref());
            let (first, second) = credentials.unwrap();
            let same_provider = one.target.provider == two.target.provider;
            assert_eq!(first.is_shared_with(second), same_provider, "{pair:?}");
        }
    }

    #[test]
    fn nothing_is_probed_unless_asked() {
        let without = YAML.split("probes:").next().unwrap();
        let config = Config::parse(without, "brownout.yaml").unwrap();
        let plan = plan(&config);
        assert!(plan.specs.is_empty() && plan.refused.is_empty());
        assert!(Timetable::new(&config.probes, Timestamp::default()).is_none());
    }

    #[tokio::test]
    async fn only_a_cron_timetable_needs_a_bell_beside_the_loops() {
        for (when, has_bell) in [("every: 30s", false), ("cron: \"*/5 8-20 * * Mon-Fri\"", true)] {
            let yaml = YAML.replace("every: 30s", when);
            let config = Config::parse(&yaml, "brownout.yaml").unwrap();
            let timetable = Timetable::new(&config.probes, Timestamp::default()).unwrap();
            assert_eq!(matches!(timetable.bell(), Bell::Cron { .. }), has_bell, "{when}");
            assert_eq!(timetable.into_cron_bell().is_some(), has_bell, "{when}");
        }
    }
}
