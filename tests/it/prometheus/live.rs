//! The daemon, the simulated providers and Debian's Prometheus, all real, on loopback.

use std::process::{Command, Stdio};

use brownout::domain::outcome::Class;
use brownout::ground::clock::Clock;
use brownout::simulator::serve;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::dashboard::{self, Query, items};
use super::rules;
use super::server::{Prometheus, Series};
use super::traffic::{self, Sent};
use crate::daemon::{self, Running, eventually};

/// Most series that a panel may draw of these five targets: more is a lost aggregation.
const SERIES_MAX: usize = 60;

/// Alerts that this traffic must raise, and for whom: name, label and its value.
const EXPECTED_ALERTS: [(&str, &str, &str); 6] = [
    ("BrownoutModelOverloadSurge", "model", "claude-opus-4-7"),
    ("BrownoutModelOverloadCritical", "model", "claude-opus-4-7"),
    ("BrownoutModelOverloadWarning", "model", "claude-opus-4-7"),
    ("BrownoutQuotaRateLimited", "model", "gpt-5.5"),
    ("BrownoutModelOutage", "provider", "deepseek"),
    ("BrownoutProviderOutage", "provider", "deepseek"),
];

/// The alert that one overloaded model must not raise, however soon it would fire.
const NOT_EXPECTED: &str = "BrownoutProviderOverloadCritical";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_judges_and_draws_what_the_simulator_sent() {
    let fleet = traffic::fleet();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let daemon = daemon::start(&traffic::config(&simulator)).await;
    let serving = serve(fleet.clone(), listener, stop.clone());
    let checks = async {
        let _stop = stop.clone().drop_guard();
        let address = daemon.url();
        let mut hurried = EXPECTED_ALERTS.map(|(alert, ..)| alert).to_vec();
        hurried.push(NOT_EXPECTED);
        let prometheus = Prometheus::start(address.trim_start_matches("http://"), &hurried).await;
        configured_targets_are_scraped_at_zero(&prometheus).await;
        let enough = CancellationToken::new();
        let (sent, ()) = tokio::join!(traffic::run(&fleet, &daemon, &enough), async {
            alerts_fire_for_those_in_trouble(&prometheus).await;
            every_rule_is_healthy(&prometheus).await;
            every_dashboard_query_is_answered(&prometheus).await;
            enough.cancel();
        });
        counters_are_what_was_sent(&prometheus, &sent).await;
        metrics_are_clean(&daemon).await;
    };
    let (served, ()) = tokio::join!(serving, checks);
    served.unwrap();
}

/// Before any report, or the first increase would be lost.
async fn configured_targets_are_scraped_at_zero(prometheus: &Prometheus) {
    prometheus.until("up{job=\"brownout\"} == 1").await;
    let errors = "brownout_request_errors_total{source=\"client\",attempt=\"first\"}";
    prometheus.until(errors).await;
    // Over a range, for the latest scrape of a busy machine may have failed.
    let all = format!("max_over_time({errors}[{}])", prometheus.lifetime());
    let series = prometheus.query(&all, None).await;
    assert_eq!(series.len(), 5 * 11, "five targets, eleven reasons");
    assert!(series.iter().all(|series| series.values == [0.0]));
}

async fn alerts_fire_for_those_in_trouble(prometheus: &Prometheus) {
    for (alert, label, value) in EXPECTED_ALERTS {
        let whose = format!("{label}=\"{value}\"");
        let firing = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",{whose}}}");
        prometheus.until(&firing).await;
    }
    // One overloaded model is not the provider's trouble, and nobody else is in any. Alerts about
    // the daemon itself are left out: they are about the machine that this test runs on.
    let others = "ALERTS{alertstate=\"firing\",scope!=\"exporter\"}";
    for Series { labels, .. } in prometheus.query(others, None).await {
        let expected = EXPECTED_ALERTS
            .iter()
            .any(|(alert, label, value)| labels["alertname"] == *alert && labels[*label] == *value);
        assert!(expected, "{labels}");
    }
}

async fn every_rule_is_healthy(prometheus: &Prometheus) {
    let look = async || {
        let answer = prometheus.api("rules", &[]).await;
        let groups = items(&answer["groups"]).iter();
        groups.flat_map(|group| items(&group["rules"]).to_vec()).collect::<Vec<_>>()
    };
    let loaded = eventually("every rule was evaluated", look, |rules| {
        rules.iter().all(|rule| rule["health"] != "unknown")
    })
    .await;
    assert_eq!(loaded.len(), rules::all().len());
    for rule in loaded {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

/// That each has something to draw is for `panels`, which asks about a whole day.
async fn every_dashboard_query_is_answered(prometheus: &Prometheus) {
    for dashboard in dashboard::all() {
        let queries = dashboard.queries().into_iter().chain(dashboard.variable_queries());
        for Query { of, expr } in queries {
            let expr = expanded(&expr);
            let now = Clock::System.now().millis() as f64 / 1000.0;
            let series = prometheus.last_minute(&expr, now).await;
            assert!(series.len() <= SERIES_MAX, "{of} draws {} series", series.len());
            let values = series.iter().flat_map(|series| &series.values);
            for value in values {
                assert!(value.is_finite(), "{of} draws {value}: {expr}");
            }
        }
    }
}

/// As Grafana fills in its variables when everything is selected.
fn expanded(expr: &str) -> String {
    let mut expr = expr.replace("$__rate_interval", "20s").replace("$__range", "3600s");
    for variable in ["job", "instance", "provider", "model"] {
        expr = expr.replace(&format!("${variable}"), ".+");
    }
    // What a regular expression captured, `$1`, is no variable.
    let left = expr.match_indices('$').any(|(at, _)| !expr[at + 1..].starts_with('1'));
    assert!(!left, "a variable is left in {expr}");
    expr
}

async fn counters_are_what_was_sent(prometheus: &Prometheus, sent: &Sent) {
    assert!(sent.keys().any(|(_, class)| *class == Class::Overloaded));
    for ((target, class), count) in sent {
        let (provider, model) = (target.provider.as_str(), target.model.as_str());
        let of = format!("provider=\"{provider}\",model=\"{model}\",source=\"client\"");
        if *class == Class::Ok {
            let all: u64 = sent.iter().filter(|((of, _), _)| of == target).map(|(_, n)| n).sum();
            let series = format!("brownout_requests_total{{{of},attempt=\"first\"}}");
            increase_is(prometheus, &series, all).await;
        } else {
            let reason = class.as_str();
            let labels = format!("{of},attempt=\"first\",reason=\"{reason}\"");
            let series = format!("brownout_request_errors_total{{{labels}}}");
            increase_is(prometheus, &series, *count).await;
        }
    }
}

/// The counter rose by exactly `count`, and `increase` says so as well as it can.
///
/// `increase` extrapolates to the window's ends, over at most 1.1 average intervals each. Not
/// to the start here, because the counter's first sample is 0 and it takes no counter below
/// that. So with n samples it may say too much by one part in (n - 1) / 1.1, never too little.
async fn increase_is(prometheus: &Prometheus, series: &str, count: u64) {
    let count = count as f64;
    prometheus.until(&format!("{series} == {count}")).await;
    // All of the test, however long it took; scrapes that failed meanwhile leave no sample.
    let range = format!("{series}[{}]", prometheus.lifetime());
    let at = Some(Clock::System.now().millis() as f64 / 1000.0);
    let over_time =
        async |function: &str| prometheus.value(&format!("{function}({range})"), at).await.unwrap();
    assert_eq!(over_time("last_over_time").await, count, "{series}");
    assert_eq!(over_time("min_over_time").await, 0.0, "{series} was not scraped at 0");
    let samples = over_time("count_over_time").await;
    let increase = over_time("increase").await;
    let most = count * (1.0 + 1.1 / (samples - 1.0));
    assert!(
        (count - 1e-6..=most + 1e-6).contains(&increase),
        "{series}: increase {increase} of {count} in {samples} samples"
    );
}

/// The exposition is what Prometheus 3 and promtool insist on. That every name in rules and
/// dashboards is exported is for `names`: some metrics exist only where they are configured.
async fn metrics_are_clean(daemon: &Running) {
    let request = daemon.request(reqwest::Method::GET, "/metrics");
    let plain = daemon.send(request.header("accept", "text/plain;version=0.0.4")).await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let request = daemon.request(reqwest::Method::GET, "/metrics");
    // What Prometheus 2.42 sends.
    let accept = "application/openmetrics-text;version=1.0.0,\
                  application/openmetrics-text;version=0.0.1;q=0.75,\
                  text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let open = daemon.send(request.header("accept", accept)).await;
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), expected);
    assert!(open.body.ends_with("# EOF\n"));
    promtool_accepts(plain.body).await;
}

async fn promtool_accepts(text: String) {
    let output = tokio::task::spawn_blocking(move || {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = folder.join(format!("metrics-{}.txt", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let output = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::from(std::fs::File::open(&file).unwrap()))
            .output()
            .unwrap();
        std::fs::remove_file(file).unwrap();
        output
    });
    let output = output.await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "", "promtool check metrics");
    assert!(output.status.success());
}
