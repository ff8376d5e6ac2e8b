//! From an overload in the simulator to a message in a webhook, and back: two replicas of the
//! daemon, Debian's Prometheus and Alertmanager, the shipped rules and routes.
//!
//! Traffic is sent in blocks of known size, so that every ratio is known whatever the time. The
//! windows of the rules are as shipped; only their waits are taken away.

mod stage;

use serde_json::Value;

use super::server::{ALERTS, impatient};
use super::{dashboard, rules, runbooks};
use stage::{Stage, is, who};

const OPUS: &str = "anthropic/claude-opus-4-7";
const GPT: &str = "openai/gpt-5.5";
const MINI: &str = "openai/gpt-5.5-mini";
const DEEPSEEK: &str = "deepseek/deepseek-v4-pro";
/// Only probed, and always throttled.
const KIMI: &str = "moonshot/kimi-k2-6";

/// The alerts without waits, act by act. What holds others back is there before them: at an
/// evaluation a second, which of two that become true together is sent first is a matter of luck,
/// and half a minute of `group_wait` cannot be waited for here.
const ACTS: [&[&str]; 3] = [
    &[
        "BrownoutProviderOutage",
        "BrownoutProviderOverloadCritical",
        "BrownoutQuotaRateLimited",
        "BrownoutProbeFailing",
    ],
    &["BrownoutModelOverloadSurge", "BrownoutModelOverloadCritical", "BrownoutModelOutage"],
    &["BrownoutModelOverloadWarning", "BrownoutDown", "BrownoutAbsent"],
];

/// A message that must never have been sent: where, which alert, for whom, and how it began or
/// ended.
const NEVER: [(&str, &str, &str, &str); 5] = [
    ("/oncall", "BrownoutModelOverloadCritical", DEEPSEEK, "firing"),
    ("/oncall", "BrownoutModelOverloadCritical", GPT, "firing"),
    ("/oncall", "BrownoutModelOutage", DEEPSEEK, "firing"),
    ("/oncall", "BrownoutProviderOutage", "deepseek", "resolved"),
    ("/oncall", "BrownoutProviderOverloadCritical", "openai", "resolved"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_arrives_as_one_message_and_leaves_as_one() {
    Stage::play(ACTS[0], async |mut stage| {
        nobody_is_told_of_a_healthy_start(&stage).await;
        two_providers_get_into_trouble(&stage).await;
        an_overload_begins_and_is_told(&stage).await;
        the_milder_and_the_narrower_are_held_back(&stage).await;
        its_end_is_told_and_the_warning_is_let_go(&stage).await;
        every_query_of_a_runbook_is_answered(&stage).await;
        broken_rules_are_refused(&stage).await;
        a_replica_that_dies_changes_nothing(&mut stage).await;
        without_any_replica_probes_are_not_told(&mut stage).await;
        for (path, alert, target, status) in NEVER {
            let sent = stage.told(path, alert, target, status);
            assert!(sent.is_empty(), "{path} was told: {sent:?}");
        }
    })
    .await;
}

fn rules_of_act(number: usize) -> String {
    impatient(ALERTS, &ACTS[..=number].concat())
}

async fn nobody_is_told_of_a_healthy_start(stage: &Stage) {
    stage.prometheus.until("count(up{job=\"brownout\"} == 1) == 2").await;
    for target in [OPUS, GPT, MINI, DEEPSEEK] {
        stage.ask(target, 300).await;
    }
    for target in [OPUS, GPT, MINI, DEEPSEEK] {
        let attempts = "provider_model_signal:brownout_attempts:increase5m";
        let seen = format!("{attempts}{{signal=\"overload\",{}}} > 299", who(target));
        stage.prometheus.until(&seen).await;
    }
    // Throttled from the start: the quota of an account and its probes, of which the mailbox and
    // the pager hear nothing.
    for alert in ["BrownoutQuotaRateLimited", "BrownoutProbeFailing"] {
        stage.alert_when(alert, KIMI, "active").await;
        stage.chat_says(alert, &["moonshot", "Runbook"]).await;
    }
    let others = "ALERTS{scope!=\"exporter\",provider!=\"moonshot\"}";
    let early: Vec<_> = stage.prometheus.query(others, None).await;
    assert!(early.is_empty(), "{}", early[0].labels);
    assert!(stage.receiver.posts("/oncall").is_empty());
}

async fn two_providers_get_into_trouble(stage: &Stage) {
    stage.weather(DEEPSEEK, &[("unavailable", 0.6), ("overloaded", 0.03)]);
    stage.ask(DEEPSEEK, 1_000).await;
    for target in [GPT, MINI] {
        stage.weather(target, &[("overloaded", 0.05)]);
        stage.ask(target, 1_000).await;
    }
    stage.told_when("/oncall", "BrownoutProviderOutage", "deepseek", "firing").await;
    stage.told_when("/oncall", "BrownoutProviderOverloadCritical", "openai", "firing").await;
}

async fn an_overload_begins_and_is_told(stage: &Stage) {
    stage.weather(OPUS, &[("overloaded", 0.04)]);
    stage.ask(OPUS, 1_000).await;
    assert_eq!(stage.prometheus.reload(&rules_of_act(1)).await, 200);
    let name = "BrownoutModelOverloadCritical";
    let alert = stage.told_when("/oncall", name, OPUS, "firing").await;
    assert_eq!(alert["labels"]["severity"], "critical", "{alert}");
    assert_eq!(alert["labels"]["job"], "brownout", "{alert}");
    assert!(alert["labels"].get("instance").is_none(), "{alert}");
    let annotation = |key: &str| dashboard::text(&alert["annotations"][key]);
    let summary = annotation("summary");
    assert!(summary.contains(OPUS) && summary.contains('%'), "{summary}");
    assert!(!annotation("description").is_empty(), "{alert}");
    let runbook = format!("docs/runbooks/{name}.md");
    assert!(annotation("runbook_url").ends_with(&runbook), "{alert}");
    assert!(rules::file(&runbook).starts_with(&format!("# {name}\n")));
    let dashboard = annotation("dashboard_url");
    let (uid, variables) = dashboard.split_once('?').unwrap();
    assert!(uid.starts_with("/d/brownout-"), "{uid}");
    let chosen = ["var-provider=anthropic", "var-model=claude-opus-4-7"];
    assert!(chosen.iter().all(|one| variables.contains(one)), "{variables}");
}

/// By what fires above them, and not because nothing is the matter.
async fn the_milder_and_the_narrower_are_held_back(stage: &Stage) {
    assert_eq!(stage.prometheus.reload(&rules_of_act(2)).await, 200);
    for (held, target, by, whose) in [
        ("BrownoutModelOverloadWarning", OPUS, "BrownoutModelOverloadCritical", OPUS),
        ("BrownoutModelOverloadCritical", DEEPSEEK, "BrownoutProviderOutage", "deepseek"),
        ("BrownoutModelOverloadWarning", DEEPSEEK, "BrownoutProviderOutage", "deepseek"),
        ("BrownoutModelOutage", DEEPSEEK, "BrownoutProviderOutage", "deepseek"),
        ("BrownoutModelOverloadCritical", GPT, "BrownoutProviderOverloadCritical", "openai"),
        ("BrownoutModelOverloadCritical", MINI, "BrownoutProviderOverloadCritical", "openai"),
        ("BrownoutModelOverloadWarning", MINI, "BrownoutProviderOverloadCritical", "openai"),
    ] {
        let alert = stage.alert_when(held, target, "suppressed").await;
        let above = stage.alert_when(by, whose, "active").await;
        let by: Vec<_> = dashboard::items(&alert["status"]["inhibitedBy"]).to_vec();
        assert!(by.contains(&above["fingerprint"]), "{alert} is not held back by {above}");
    }
    // The quota of an account is nobody's overload.
    stage.alert_when("BrownoutQuotaRateLimited", KIMI, "active").await;
    let told = stage.chat();
    let warned = |text: &&String| text.contains("BrownoutModelOverload");
    assert_eq!(told.iter().find(warned), None, "chat is told what is held back");
}

async fn its_end_is_told_and_the_warning_is_let_go(stage: &Stage) {
    stage.weather(OPUS, &[("overloaded", 0.0)]);
    // 40 of 3,300 are below 2 % and still above 0.5 %.
    stage.ask(OPUS, 2_000).await;
    let alert = "BrownoutModelOverloadCritical";
    let told = stage.told_when("/oncall", alert, OPUS, "resolved").await;
    assert!(dashboard::text(&told["endsAt"]) > dashboard::text(&told["startsAt"]), "{told}");
    stage.chat_says("BrownoutModelOverloadWarning", &["FIRING", OPUS]).await;
    let times = stage.told("/oncall", alert, OPUS, "resolved").len();
    assert_eq!(times, 1, "the end is told once");
}

/// With series or without: what is not the matter here has none.
async fn every_query_of_a_runbook_is_answered(stage: &Stage) {
    for runbooks::Query { page, expr } in runbooks::queries() {
        let series = stage.prometheus.query(&expr, None).await;
        assert!(series.len() < 40, "{page}: {expr} gives {} series", series.len());
    }
}

async fn broken_rules_are_refused(stage: &Stage) {
    let good = rules_in_force(stage).await;
    let broken = rules_of_act(2).replacen("expr:", "expr: sum(", 1);
    assert_eq!(stage.prometheus.reload(&broken).await, 500);
    assert_eq!(rules_in_force(stage).await, good);
    stage.alert_when("BrownoutProviderOutage", "deepseek", "active").await;
}

/// What Prometheus goes by: names and expressions.
async fn rules_in_force(stage: &Stage) -> Vec<[String; 2]> {
    let groups = stage.prometheus.api("rules", &[]).await;
    let groups = dashboard::items(&groups["groups"]).iter();
    let rules = groups.flat_map(|group| dashboard::items(&group["rules"]));
    rules.map(|rule| ["name", "query"].map(|key| dashboard::text(&rule[key]))).collect()
}

async fn a_replica_that_dies_changes_nothing(stage: &mut Stage) {
    let lasting = [
        ("BrownoutProviderOutage", "deepseek"),
        ("BrownoutProviderOverloadCritical", "openai"),
        ("BrownoutProbeFailing", KIMI),
    ];
    let mut before = Vec::new();
    for (alert, whose) in lasting {
        before.push(stage.alert_when(alert, whose, "active").await);
    }
    let gone = stage.stop_replica();
    stage.mail_says("BrownoutDown", &["FIRING:1", &gone]).await;
    for (alert, before) in lasting.iter().zip(before) {
        let after = stage.alert_when(alert.0, alert.1, "active").await;
        let same = ["fingerprint", "startsAt"].iter().all(|key| after[key] == before[key]);
        assert!(same, "{before} became {after}");
    }
    let absent = stage.alertmanager.alerts("BrownoutAbsent", "job", "brownout").await;
    assert!(absent.is_empty(), "one replica still answers: {absent:?}");
}

async fn without_any_replica_probes_are_not_told(stage: &mut Stage) {
    stage.stop_replica();
    stage.mail_says("BrownoutAbsent", &["FIRING:1", "brownout"]).await;
    let probe = stage.alert_when("BrownoutProbeFailing", KIMI, "suppressed").await;
    let by: Vec<Value> = stage.alertmanager.alerts("BrownoutAbsent", "job", "brownout").await;
    let held = dashboard::items(&probe["status"]["inhibitedBy"]);
    assert!(by.iter().any(|absent| held.contains(&absent["fingerprint"])), "{probe} by {by:?}");
    // What clients reported before is in the windows still, and is true still.
    stage.alert_when("BrownoutProviderOutage", "deepseek", "active").await;
    assert!(stage.receiver.posts("/oncall").iter().all(|post| !is(post, "BrownoutProbeFailing")));
}
