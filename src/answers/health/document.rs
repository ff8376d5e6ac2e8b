//! The wire types of the health documents: DESIGN section 4.2 to the letter.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::outcome::{Signal, Source};
use crate::domain::state::{SignalState, TargetState};
use crate::domain::tally::Tally;
use crate::domain::time::{Timestamp, millis_of};
use crate::store::snapshot::{LatencyView, SignalView, Snapshot, TargetView, Windows};

use super::STALE_AFTER_S;
use super::operations::{CoverageDocument, OperationsDocument};
use super::probes::{ProbeDocument, ProbesDocument};
use super::status_page::{self, StatusPageDocument};

/// How a document is written: for readers, or for its `ETag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// Time stamps and six significant digits.
    Full,
    /// No time stamps, no costs and three significant digits.
    Fingerprint,
}

/// The envelope.
#[derive(Serialize)]
pub(super) struct HealthDocument<'a> {
    version: &'static str,
    generated_at: String,
    stale_after_s: u64,
    probes: ProbesDocument<'a>,
    providers: Vec<ProviderDocument<'a>>,
    targets: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct ProviderDocument<'a> {
    provider: &'a str,
    state: &'static str,
    targets: usize,
    overloaded_targets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_page: Option<StatusPageDocument<'a>>,
}

/// One target.
#[derive(Serialize)]
pub(super) struct TargetDocument<'a> {
    provider: &'a str,
    model: &'a str,
    state: &'static str,
    reason: &'static str,
    since: Option<String>,
    as_of: Option<String>,
    stale: bool,
    signals: SignalsDocument,
    windows: WindowsDocument,
    latency: LatencyDocument,
    sources: SourcesDocument,
    operations: Option<OperationsDocument>,
    coverage: Vec<CoverageDocument>,
    last_outcome_at: Option<String>,
    probe: Option<ProbeDocument<'a>>,
}

#[derive(Serialize)]
struct SignalsDocument {
    overload: SignalDocument,
    outage: SignalDocument,
    rate_limit: SignalDocument,
}

#[derive(Serialize)]
struct SignalDocument {
    state: &'static str,
    basis: &'static str,
    estimate: Number,
    low: Number,
    high: Number,
    p_healthy: Number,
    p_degraded: Number,
    p_overloaded: Number,
    confidence: &'static str,
}

#[derive(Serialize)]
struct WindowsDocument {
    #[serde(rename = "5m")]
    five_minutes: TallyDocument,
    #[serde(rename = "1h")]
    one_hour: TallyDocument,
    #[serde(rename = "24h")]
    one_day: TallyDocument,
}

#[derive(Serialize)]
struct TallyDocument {
    attempts: Count,
    ok: Count,
    overloaded: Count,
    rate_limited: Count,
    unavailable: Count,
    overload_ratio: Option<Number>,
}

#[derive(Serialize)]
struct LatencyDocument {
    p50_ms: Option<Count>,
    p95_ms: Option<Count>,
    ttft_p50_ms: Option<Count>,
}

#[derive(Serialize)]
struct SourcesDocument {
    client: Count,
    probe: Count,
}

/// A ratio, a probability or a sum of money at the document's precision.
pub(super) struct Number(pub(super) f64, pub(super) Precision);

/// A count or whole milliseconds at the document's precision.
pub(super) struct Count(pub(super) u64, pub(super) Precision);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = match self.1 {
            Precision::Full => 6,
            Precision::Fingerprint => 3,
        };
        serializer.serialize_f64(significant(self.0, digits))
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Precision::Full => serializer.serialize_u64(self.0),
            Precision::Fingerprint => serializer.serialize_f64(significant(self.0 as f64, 3)),
        }
    }
}

impl<'a> HealthDocument<'a> {
    /// The envelope around targets that are serialised already.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        targets: &'a [TargetView],
        documents: impl Iterator<Item = &'a RawValue>,
    ) -> Self {
        let by_provider = targets.chunk_by(|a, b| a.target.provider == b.target.provider);
        let pages = status_page::documents(snapshot, targets, Precision::Full);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            generated_at: snapshot.at.to_string(),
            stale_after_s: STALE_AFTER_S,
            probes: ProbesDocument::new(&snapshot.budget, Precision::Full),
            providers: by_provider.zip(pages).map(ProviderDocument::new).collect(),
            targets: documents.collect(),
        }
    }
}

impl<'a> ProviderDocument<'a> {
    /// A provider is as bad as its worst target; `model="other"` never drives a state.
    fn new((targets, page): (&'a [TargetView], Option<StatusPageDocument<'a>>)) -> Self {
        let states = || targets.iter().filter(|v| !v.target.is_other()).map(|view| view.state);
        Self {
            provider: targets[0].target.provider.as_str(),
            state: states().max().unwrap_or(TargetState::Unknown).as_str(),
            targets: targets.len(),
            overloaded_targets: states().filter(|s| *s == TargetState::Overloaded).count(),
            status_page: page,
        }
    }
}

impl<'a> TargetDocument<'a> {
    pub(super) fn new(view: &'a TargetView, snapshot: &Snapshot, precision: Precision) -> Self {
        let signal = |signal: Signal| SignalDocument::new(&view.signals[signal.index()], precision);
        let attempts = |source: Source| Count(view.recent_by_source[source.index()], precision);
        Self {
            provider: view.target.provider.as_str(),
            model: view.target.model.as_str(),
            state: view.state.as_str(),
            reason: view.reason.as_str(),
            since: stamp(view.since, precision),
            as_of: stamp(snapshot.at, precision),
            stale: view.stale,
            signals: SignalsDocument {
                overload: signal(Signal::Overload),
                outage: signal(Signal::Outage),
                rate_limit: signal(Signal::RateLimit),
            },
            windows: WindowsDocument::new(&view.windows, precision),
            latency: LatencyDocument::new(&view.latency, precision),
            sources: SourcesDocument {
                client: attempts(Source::Client),
                probe: attempts(Source::Probe),
            },
            operations: view.operations.as_ref().map(|o| OperationsDocument::new(o, precision)),
            coverage: view.coverage.iter().map(|h| CoverageDocument::new(h, precision)).collect(),
            last_outcome_at: view.last_outcome_at.and_then(|at| stamp(at, precision)),
            probe: view.probe.as_ref().map(|probe| ProbeDocument::new(probe, precision)),
        }
    }
}

impl SignalDocument {
    fn new(view: &SignalView, precision: Precision) -> Self {
        let number = |value| Number(value, precision);
        let state: SignalState = view.state;
        Self {
            state: state.as_str(),
            basis: view.basis.as_str(),
            estimate: number(view.estimate),
            low: number(view.low),
            high: number(view.high),
            p_healthy: number(view.p_healthy),
            p_degraded: number(view.p_degraded),
            p_overloaded: number(view.p_overloaded),
            confidence: view.confidence,
        }
    }
}

impl WindowsDocument {
    fn new(windows: &Windows, precision: Precision) -> Self {
        Self {
            five_minutes: TallyDocument::new(&windows.five_minutes, precision),
            one_hour: TallyDocument::new(&windows.one_hour, precision),
            one_day: TallyDocument::new(&windows.one_day, precision),
        }
    }
}

impl TallyDocument {
    fn new(tally: &Tally, precision: Precision) -> Self {
        let count = |value| Count(value, precision);
        Self {
            attempts: count(tally.attempts),
            ok: count(tally.ok),
            overloaded: count(tally.overloaded),
            rate_limited: count(tally.rate_limited),
            unavailable: count(tally.unavailable),
            overload_ratio: tally.ratio(Signal::Overload).map(|ratio| Number(ratio, precision)),
        }
    }
}

impl LatencyDocument {
    fn new(view: &LatencyView, precision: Precision) -> Self {
        let millis = |duration: Option<Duration>| duration.map(|d| Count(millis_of(d), precision));
        Self {
            p50_ms: millis(view.p50),
            p95_ms: millis(view.p95),
            ttft_p50_ms: millis(view.ttft_p50),
        }
    }
}

/// A time of ours, which moves on by itself; the page's own times are substance.
pub(super) fn stamp(at: Timestamp, precision: Precision) -> Option<String> {
    match precision {
        Precision::Full => Some(at.to_string()),
        Precision::Fingerprint => None,
    }
}

/// A number at so many significant decimal digits.
fn significant(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(digits - 1 - value.abs().log10().floor() as i32);
    if scale.is_finite() { (value * scale).round() / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        for (value, digits, rounded) in [
            (0.089_319_4, 3, 0.0893),
            (0.089_319_4, 6, 0.089_319_4),
            (1_234.0, 3, 1_230.0),
            (0.0, 3, 0.0),
            (1e-320, 3, 0.0),
            (0.999_9, 3, 1.0),
        ] {
            assert_eq!(significant(value, digits), rounded, "{value}");
        }
    }
}
