//! Below the first screen: what errors there are, what fires, whether whole providers suffer.

use serde_json::json;

use super::NO_RATIO;
use crate::answers::metrics::names;
use crate::domain::outcome::Signal;
use crate::domain::target::OTHER;
use crate::mixin::dashboards::{Options, words};
use crate::mixin::grafana::{Override, Panel, Query, Unit};
use crate::mixin::promql::Window;
use crate::mixin::recorded::{self, Level};

pub(super) fn errors_by_reason(options: &Options) -> Panel {
    let rate = options.chosen(names::REQUEST_ERRORS).over("$__rate_interval");
    Panel::time_series(
        "Errors by reason",
        "Attempts per second that did not end ok, by what they ended as, retries included. \
         Overloaded is 529 and its likes, rate_limited and quota_exhausted are 429 on your \
         account; unavailable, server_error, timeout and network are an outage; the rest is about \
         what was sent.",
        Unit::RequestsPerSecond,
    )
    .query(Query::range(format!("sum by (reason) (rate({rate})) > 0"), "{{reason}}"))
    .stacked_bars()
    .except(words::reasons_coloured())
    .silent("No errors")
}

pub(super) fn firing_alerts(options: &Options) -> Panel {
    let firing = options.firing();
    Panel::table(
        "Firing alerts",
        "Alerts of brownout's rules that fire now. Alerts without a provider are about brownout \
         itself, those without a model about the whole provider. What each means and what to do \
         is in its runbook, see the link at the top.",
    )
    .query(Query::rows(format!("max by (severity, alertname, provider, model) ({firing})")))
    .columns(&[
        ("severity", "Severity"),
        ("alertname", "Alert"),
        ("provider", "Provider"),
        ("model", "Model"),
        ("Value", ""),
    ])
    .except([
        Override::of("Severity")
            .set("custom.width", 80)
            .set("mappings", words::severities())
            .set("custom.cellOptions", json!({"type": "color-text"})),
        Override::of("Alert").set("custom.width", 250),
        Override::of("Provider").set("custom.width", 100).set("noValue", "–"),
        Override::of("Model").set("noValue", "–"),
    ])
    .option("sortBy", json!([{"displayName": "Severity", "desc": false}]))
    .silent("No alert fires")
}

pub(super) fn provider_ratio(options: &Options) -> Panel {
    let ratio = options.by_variables(recorded::ratio(Level::Provider, Window::minutes(5)));
    let ratio = ratio.is("signal", Signal::Overload.as_str());
    Panel::time_series(
        "Overload ratio by provider",
        "The overload ratio over five minutes, the attempts of all models of a provider added \
         up: high when not one model but the provider is short of capacity, and another provider \
         is the way out.",
        Unit::Ratio,
    )
    .query(Query::range(format!("max by (provider) ({ratio})"), "{{provider}}"))
    .thresholds(&options.colours(Signal::Overload))
    .dashed()
    .drawn("axisSoftMax", options.axis(Signal::Overload))
    .silent(NO_RATIO)
}

pub(super) fn first_token(options: &Options) -> Panel {
    let buckets = options.chosen_buckets(names::TIME_TO_FIRST_TOKEN).is_not("model", OTHER);
    let rate = buckets.over("$__rate_interval");
    let sum = format!("sum by (provider, model, le) (rate({rate}))");
    Panel::time_series(
        "Time to first token, 95th percentile",
        "From sending to the first content, of attempts that ended ok: one in twenty took \
         longer. Slower answers often announce an overload.",
        Unit::Seconds,
    )
    .query(Query::range(format!("histogram_quantile(0.95, {sum}) > 0"), "{{provider}}/{{model}}"))
    .silent("No attempt ended ok with a time to first token")
}
