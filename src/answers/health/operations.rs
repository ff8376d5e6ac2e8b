//! What the health document says beside attempts: operations, and who told of the target.

use serde::Serialize;

use crate::domain::outcome::Signal;
use crate::store::snapshot::{Heard, OperationWindow, OperationsView};

use super::document::{Count, Number, Precision, stamp};

/// Calls with their retries inside, over the windows.
#[derive(Serialize)]
pub(super) struct OperationsDocument {
    #[serde(rename = "5m")]
    five_minutes: WindowDocument,
    #[serde(rename = "1h")]
    one_hour: WindowDocument,
    #[serde(rename = "24h")]
    one_day: WindowDocument,
}

#[derive(Serialize)]
struct WindowDocument {
    operations: Count,
    ok: Count,
    overloaded: Count,
    rate_limited: Count,
    unavailable: Count,
    overload_ratio: Option<Number>,
    attempts_unclassified: Count,
}

/// One kind of source that told of the target, and what it can see.
#[derive(Serialize)]
pub(super) struct CoverageDocument {
    layer: &'static str,
    basis: &'static str,
    retries: &'static str,
    stream_failures: bool,
    can_clear: bool,
    last_seen_at: Option<String>,
}

impl OperationsDocument {
    pub(super) fn new(view: &OperationsView, precision: Precision) -> Self {
        Self {
            five_minutes: WindowDocument::new(&view.five_minutes, precision),
            one_hour: WindowDocument::new(&view.one_hour, precision),
            one_day: WindowDocument::new(&view.one_day, precision),
        }
    }
}

impl WindowDocument {
    fn new(window: &OperationWindow, precision: Precision) -> Self {
        let (tally, count) = (&window.operations, |value| Count(value, precision));
        Self {
            operations: count(tally.attempts),
            ok: count(tally.ok),
            overloaded: count(tally.overloaded),
            rate_limited: count(tally.rate_limited),
            unavailable: count(tally.unavailable),
            overload_ratio: tally.ratio(Signal::Overload).map(|ratio| Number(ratio, precision)),
            attempts_unclassified: count(window.unclassified),
        }
    }
}

impl CoverageDocument {
    pub(super) fn new(heard: &Heard, precision: Precision) -> Self {
        Self {
            layer: heard.layer.as_str(),
            basis: heard.basis.as_str(),
            retries: heard.layer.retries(heard.basis).as_str(),
            stream_failures: heard.layer.sees_stream_failures(),
            can_clear: heard.layer.can_clear(heard.basis),
            last_seen_at: stamp(heard.last_at, precision),
        }
    }
}
