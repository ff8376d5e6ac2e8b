//! One target: what it is now, what it was when, who saw it, how fast it answers.

use super::{Options, words};
use crate::answers::metrics::names::{self, Metric};
use crate::domain::outcome::Signal;
use crate::mixin::grafana::{Dashboard, Heading, Layout};
use crate::mixin::promql::{Series, Window};
use crate::mixin::recorded::{self, Level};

mod now;
mod signals;
mod hours;
mod sources;
mod speed;

const HEADING: Heading = Heading {
    uid: "brownout-target",
    title: "Target",
    description: "One model of one provider: its three signals, what clients and probes saw, \
                  when it sheds load and how fast it answers. \
                  Ratios need the recording rules of brownout's alerts folder.",
    from: "now-24h",
    refresh: "1m",
};

/// What a panel of recorded ratios says without any.
const NO_RATIO: &str = "No ratio: no traffic, or the recording rules of alerts/ are not loaded";

pub(super) fn dashboard(options: &Options) -> Dashboard {
    let of = Of(options);
    let [rate_limit, outage] = [Signal::RateLimit, Signal::Outage];
    let panels = Layout::default()
        .line(
            4,
            [
                (4, now::state(of)),
                (4, now::since(of)),
                (3, now::changes(of)),
                (9, now::estimates(of)),
                (4, now::last(of)),
            ],
        )
        .line(9, [(12, signals::overload(of)), (12, signals::probabilities(of))])
        .line(
            8,
            [
                (8, signals::states(of)),
                (8, signals::lines(of, outage)),
                (8, signals::lines(of, rate_limit)),
            ],
        )
        .headline("When")
        .line(8, [(12, hours::errors(of)), (12, hours::of_day(of))])
        .headline("Who saw what")
        .line(
            8,
            [
                (8, sources::clients_and_probes(of)),
                (8, sources::reasons(of)),
                (8, sources::statuses(of)),
            ],
        )
        .line(8, [(8, sources::retries(of)), (8, sources::probes(of)), (8, sources::quota(of))])
        .headline("How fast")
        .line(8, [(12, speed::first_token(of)), (12, speed::duration(of))])
        .line(8, [(12, speed::quantiles(of)), (12, speed::last_probe(of))]);
    let states = of.one(names::TARGET_STATE);
    // Alerts about the whole provider have no model. By names and not by a pattern: Grafana does
    // not escape what is special in patterns where only one value can be chosen.
    let alerts =
        ["$model", ""].map(|model| options.firing().is("provider", "$provider").is("model", model));
    let marks = vec![
        Options::marked(&alerts).only_on(&panels, &["Overload"]),
        words::state_changes(&states).only_on(&panels, &["Overload"]),
    ];
    Dashboard::new(HEADING, options.variables_of_one_target(), marks, panels)
}

/// The series of the one target.
#[derive(Clone, Copy)]
struct Of<'a>(&'a Options);

impl Of<'_> {
    fn one(self, row: Metric) -> Series {
        self.0.of_one_target(Series::of(row))
    }

    fn buckets(self, row: Metric) -> Series {
        self.0.of_one_target(Series::buckets(row))
    }

    fn ratio(self, signal: Signal, window: Window) -> Series {
        let ratio = self.0.of_one_target(recorded::ratio(Level::Model, window));
        ratio.is("signal", signal.as_str())
    }
}
