//! What clients saw and what probes saw, what they were answered, what remains of the quota.

use serde_json::json;

use super::Of;
use crate::answers::metrics::names;
use crate::domain::outcome::{Attempt, Class, Source};
use crate::mixin::dashboards::words;
use crate::mixin::grafana::{Colour, Override, Panel, Query, Unit, by_threshold};
use crate::mixin::promql::Window;

/// Long enough for a probe a minute to say something.
const SEEN: Window = Window::minutes(30);

pub(super) fn clients_and_probes(of: Of<'_>) -> Panel {
    let first = Attempt::First.as_str();
    let errors = || of.one(names::REQUEST_ERRORS).is("attempt", first);
    let overloaded = Class::Overloaded.as_str();
    let k = errors().is("reason", overloaded).over(SEEN);
    let others = errors().is_not("reason", overloaded).over(SEEN);
    let all = of.one(names::REQUESTS).is("attempt", first).over(SEEN);
    let expr = format!(
        "sum by (source) (increase({k}))\n/ (\n  (\n      sum by (source) (increase({all}))\n    \
         - sum by (source) (increase({others}))\n  ) > 0\n)"
    );
    Panel::time_series(
        "Clients and probes",
        "The overload ratio over half an hour as clients report it and as the daemon's own probes \
         see it. Where both agree the provider is the cause; where only clients see it, look at \
         what they send and with which key. One probe in thirty is 3 %.",
        Unit::Ratio,
    )
    .query(Query::range(expr, "{{source}}"))
    .except([
        Override::of(Source::Client.as_str()).coloured(Colour::Blue),
        Override::of(Source::Probe.as_str()).coloured(Colour::Yellow),
    ])
    .silent("No attempts")
}

pub(super) fn reasons(of: Of<'_>) -> Panel {
    let rate = of.one(names::REQUEST_ERRORS).over("$__rate_interval");
    Panel::time_series(
        "Errors by reason",
        "Attempts per second that did not end ok, by what they ended as, retries included.",
        Unit::RequestsPerSecond,
    )
    .query(Query::range(format!("sum by (reason) (rate({rate})) > 0"), "{{reason}}"))
    .stacked_bars()
    .except(words::reasons_coloured())
    .silent("No errors")
}

pub(super) fn statuses(of: Of<'_>) -> Panel {
    let rate = of.one(names::HTTP_RESPONSES).over("$__rate_interval");
    Panel::time_series(
        "Responses by status",
        "Attempts per second by raw HTTP status; none where no response came, other past the \
         bound on statuses. A 200 may still be an error: some providers shed load inside a stream.",
        Unit::RequestsPerSecond,
    )
    .query(Query::range(format!("sum by (code) (rate({rate})) > 0"), "{{code}}"))
    .stacked_bars()
    .except(words::statuses_coloured())
    .silent("No attempts with a status")
}

pub(super) fn retries(of: Of<'_>) -> Panel {
    let requests = || of.one(names::REQUESTS);
    let retries = requests().is("attempt", Attempt::Retry.as_str()).over("$__rate_interval");
    let all = requests().over("$__rate_interval");
    Panel::time_series(
        "Retries",
        "Share of all attempts that were retries. Retries are left out of ratios and states; \
         many of them load a provider that sheds load already.",
        Unit::Ratio,
    )
    .query(Query::range(format!("sum (rate({retries})) / (sum (rate({all})) > 0)"), "retries"))
    .except([Override::of("retries").coloured(Colour::Blue)])
    .drawn("fillOpacity", 15)
    .silent("No attempts")
}

pub(super) fn probes(of: Of<'_>) -> Panel {
    let success = of.one(names::PROBE_SUCCESS);
    let misconfigured = of.one(names::PROBE_MISCONFIGURED);
    Panel::state_timeline(
        "Last probe: result",
        "Whether the last probe ended ok. Misconfigured: its answers mean that its key, payment or \
         request is wrong, which says nothing of the provider. Nothing is probed unless the \
         configuration asks for it.",
    )
    .query(Query::range(
        format!("clamp_max(min ({success}) + 2 * max ({misconfigured}), 2)"),
        "result",
    ))
    .words(&[
        (0, "failed", Colour::Vermilion),
        (1, "ok", Colour::Green),
        (2, "misconfigured", Colour::Wine),
    ])
    .silent("This target is not probed")
}

pub(super) fn quota(of: Of<'_>) -> Panel {
    let remaining = of.one(names::QUOTA_REMAINING).over("$__rate_interval");
    let limit = of.one(names::QUOTA_LIMIT);
    let headroom = format!("min_over_time({remaining}) / ({limit} > 0)");
    Panel::time_series(
        "Quota headroom",
        "What remains of your account's limits with this provider, by the rate-limit headers that \
         probes saw: 429 begins where this reaches 0. The lowest within each step.",
        Unit::Ratio,
    )
    .query(Query::range(format!("min by (account, kind) ({headroom})"), "{{account}} {{kind}}"))
    .field("max", 1)
    .thresholds(&by_threshold(Colour::Green, &[]))
    .option("tooltip", json!({"mode": "multi", "sort": "asc"}))
    .silent("No limits seen: this provider sends none, or it is not probed")
}
