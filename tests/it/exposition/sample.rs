//! Snapshots to expose: a small one that a person can read, and one with everything in it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use brownout::answers::metrics::{Exporter, Format, Options};
use brownout::domain::layer::Basis;
use brownout::domain::outcome::{Attempt, Class, Signal, Source};
use brownout::domain::state::{Reason, SignalState, TargetState};
use brownout::domain::status_page::{Indicator, PageReading};
use brownout::domain::target::Target;
use brownout::domain::time::Timestamp;
use brownout::ground::self_stats::SelfStats;
use brownout::store::journal::Phases;
use brownout::store::snapshot::{
    BudgetView, Code, Counters, Evident, LatencyView, OperationsView, ProbeView,
    ProviderBudgetView, QuotaKey, QuotaView, SignalView, Snapshot, StatusPageView, TargetView,
    Windows,
};

/// The time of all samples: 2026-04-24T14:03:11Z.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_777_039_391);

/// An exporter whose snapshot a test changes as it goes.
pub(super) struct Bench {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub stats: SelfStats,
    exporter: Exporter,
}

impl Bench {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self::with(snapshot, Options::default())
    }

    pub(super) fn with(snapshot: Snapshot, options: Options) -> Self {
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let stats = SelfStats::new();
        let exporter = Exporter::new(Arc::clone(&snapshot), stats.clone(), options);
        Self { snapshot, stats, exporter }
    }

    pub(super) fn scrape(&self, format: Format, now: Timestamp) -> String {
        String::from_utf8(self.exporter.render(format, now)).unwrap()
    }

    pub(super) fn text(&self) -> String {
        self.scrape(Format::Text004, NOW)
    }

    /// Publishes another snapshot.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }
}

/// A target without any evidence.
pub(super) fn quiet(name: &str, configured: bool) -> TargetView {
    let unknown = SignalView {
        state: SignalState::Unknown,
        basis: Basis::Attempt,
        estimate: 0.001,
        low: 0.0001,
        high: 0.01,
        p_healthy: 0.75,
        p_degraded: 0.125,
        p_overloaded: 0.125,
        confidence: "none",
    };
    TargetView {
        target: Target::parse(name).unwrap(),
        configured,
        first_seen: NOW,
        state: TargetState::Unknown,
        reason: Reason::NoEvidence,
        since: NOW,
        stale: false,
        transitions: 0,
        signals: [unknown; Signal::COUNT],
        windows: Windows::default(),
        recent_by_source: [0; Source::COUNT],
        evident: Evident::default(),
        latency: LatencyView::default(),
        last_outcome_at: None,
        counters: Counters::default(),
        hours: Vec::new(),
        probe: None,
        operations: None,
        coverage: Vec::new(),
    }
}

/// Counts attempts of a client as the store would.
pub(super) fn count(view: &mut TargetView, class: Class, attempt: Attempt, code: Code, n: u64) {
    let counters = &mut view.counters.by_source[Source::Client.index()];
    counters.by_class[attempt.index()][class.index()] += n;
    match counters.by_code.iter_mut().find(|(known, _)| *known == code) {
        Some((_, sum)) => *sum += n,
        None => counters.by_code.push((code, n)),
    }
    let hour = &mut view.counters.hour_of_day[NOW.hour().of_day()];
    if attempt == Attempt::First {
        hour.requests += if class == Class::Ok || class.signal().is_some() { n } else { 0 };
        if let Some(signal) = class.signal() {
            hour.errors[signal.index()] += n;
        }
    }
    view.last_outcome_at = Some(NOW);
}

/// A target in the middle of a brownout.
pub(super) fn browning(name: &str, configured: bool) -> TargetView {
    let mut view = quiet(name, configured);
    view.state = TargetState::Overloaded;
    view.reason = Reason::Overload;
    view.transitions = 3;
    view.signals[Signal::Overload.index()] = SignalView {
        state: SignalState::Overloaded,
        basis: Basis::Attempt,
        estimate: 0.089,
        low: 0.05,
        high: 0.14,
        p_healthy: 0.03125,
        p_degraded: 0.0078125,
        p_overloaded: 0.9609375,
        confidence: "high",
    };
    count(&mut view, Class::Ok, Attempt::First, Code::Status(200), 541);
    count(&mut view, Class::Overloaded, Attempt::First, Code::Status(529), 57);
    count(&mut view, Class::Overloaded, Attempt::Retry, Code::Status(529), 40);
    count(&mut view, Class::Network, Attempt::First, Code::None, 2);
    count(&mut view, Class::InvalidRequest, Attempt::First, Code::Status(422), 7);
    let mut operations = OperationsView::default();
    operations.counters.by_class[Class::Ok.index()] = 310;
    operations.counters.by_class[Class::Overloaded.index()] = 4;
    operations.counters.unclassified = 23;
    view.operations = Some(operations);
    view.counters.duration.observe(Duration::from_millis(1_500), 500);
    view.counters.duration.observe(Duration::from_secs(700), 41);
    view.counters.time_to_first_token.observe(Duration::from_millis(250), 541);
    view
}

fn probe() -> ProbeView {
    ProbeView {
        success: Some(true),
        phases: Phases {
            connect: None,
            ttfb: Some(Duration::from_millis(250)),
            ttft: Some(Duration::from_millis(500)),
            total: Some(Duration::from_millis(750)),
        },
        last_run: Some(NOW.minus(Duration::from_millis(20_500))),
        next_run: Some(NOW.plus(Duration::from_secs(40))),
        cost_usd: 0.0125,
        misconfigured: None,
        skipped: [("clients_report", 4), ("made_up_later", 1)].into(),
        left_out: None,
    }
}

/// Two configured targets, one of them probed, and a rate limit: short enough to be read.
pub(super) fn small() -> Snapshot {
    let mut quiet = quiet("openai/gpt-5.5", true);
    quiet.probe = Some(ProbeView::default());
    let mut browning = browning("anthropic/claude-opus-4-7", true);
    browning.probe = Some(probe());
    let key = QuotaKey {
        provider: browning.target.provider.clone(),
        account: String::new(),
        kind: "requests",
    };
    let quota = QuotaView { limit: Some(4_000.0), remaining: Some(3_999.0), at: NOW };
    let page = StatusPageView {
        url: "https://status.example.com".to_owned(),
        reading: Some(Arc::new(PageReading::new(Indicator::None, "Operational", Vec::new()))),
        as_of: Some(NOW.minus(Duration::from_secs(30))),
        failing: false,
    };
    let provider = browning.target.provider.clone();
    Snapshot {
        at: NOW,
        status_pages: [(provider, page)].into(),
        targets: vec![browning, quiet],
        quotas: [(key, quota)].into(),
        budget: BudgetView { usd_per_day: Some(0.5), spent_usd: 0.125, ..BudgetView::default() },
        clock_steps_back: 1,
        ..Snapshot::default()
    }
}

/// Everything that can be exported, and names that are hard to write.
pub(super) fn rich() -> Snapshot {
    let mut snapshot = small();
    let hard = "strange\\provider\"x\"/models/größe-{\"a\"=\\n}\u{1f525}";
    snapshot.targets.push(browning(hard, true));
    let mut overflow = quiet("zeta/other", false);
    count(&mut overflow, Class::Ok, Attempt::First, Code::Other, 9);
    overflow.signals[0].estimate = f64::NAN;
    snapshot.targets.push(overflow);
    for number in 0..40 {
        snapshot.targets.push(browning(&format!("many/model-{number}"), number % 2 == 0));
    }
    snapshot.targets.sort_by(|one, other| one.target.cmp(&other.target));
    snapshot.egress = true;
    snapshot.budget.providers.push(ProviderBudgetView {
        provider: snapshot.targets[0].target.provider.clone(),
        usd_per_day: 0.25,
        spent_usd: 0.25,
        exhausted: true,
    });
    snapshot.dropped_target_cap = 9;
    snapshot.dropped_code_cap = 2;
    snapshot
}
