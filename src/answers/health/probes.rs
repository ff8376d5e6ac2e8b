//! What the health documents say about probes: their money, and each target's own.
//!
//! Time stamps and sums of money are left out of the fingerprint: they move with every probe, and
//! are no news to anyone who routes by the document. So do the reasons for which probes are left
//! out, where clients report about enough. That a budget is exhausted is news.

use serde::Serialize;

use crate::store::snapshot::{BudgetView, ProbeView, ProviderBudgetView};

use super::document::{Number, Precision, stamp};

/// The reason of a probe left out that is news.
const BUDGET: &str = "budget";

/// Probes as a whole.
#[derive(Serialize)]
pub(super) struct ProbesDocument<'a> {
    budget: BudgetDocument<'a>,
}

#[derive(Serialize)]
struct BudgetDocument<'a> {
    usd_per_day: Option<Number>,
    spent_usd: Option<Number>,
    exhausted: bool,
    resets_at: Option<String>,
    providers: Vec<ProviderBudgetDocument<'a>>,
}

#[derive(Serialize)]
struct ProviderBudgetDocument<'a> {
    provider: &'a str,
    usd_per_day: Number,
    spent_usd: Option<Number>,
    exhausted: bool,
}

/// The probe of one target.
#[derive(Serialize)]
pub(super) struct ProbeDocument<'a> {
    success: Option<bool>,
    last_run_at: Option<String>,
    next_run_at: Option<String>,
    misconfigured: Option<&'a str>,
    skipped: Option<&'static str>,
    cost_usd: Option<Number>,
}

impl<'a> ProbesDocument<'a> {
    pub(super) fn new(budget: &'a BudgetView, precision: Precision) -> Self {
        let provider = |view: &'a ProviderBudgetView| ProviderBudgetDocument {
            provider: view.provider.as_str(),
            usd_per_day: Number(view.usd_per_day, precision),
            spent_usd: money(view.spent_usd, precision),
            exhausted: view.exhausted,
        };
        Self {
            budget: BudgetDocument {
                usd_per_day: budget.usd_per_day.map(|usd| Number(usd, precision)),
                spent_usd: money(budget.spent_usd, precision),
                exhausted: budget.exhausted,
                resets_at: stamp(budget.resets_at, precision),
                providers: budget.providers.iter().map(provider).collect(),
            },
        }
    }
}

impl<'a> ProbeDocument<'a> {
    pub(super) fn new(view: &'a ProbeView, precision: Precision) -> Self {
        Self {
            success: view.success,
            last_run_at: view.last_run.and_then(|at| stamp(at, precision)),
            next_run_at: view.next_run.and_then(|at| stamp(at, precision)),
            misconfigured: view.misconfigured.as_deref(),
            skipped: view.left_out.filter(|reason| is_told(reason, precision)),
            cost_usd: money(view.cost_usd, precision),
        }
    }
}

/// Whether it matters that a probe was left out.
fn is_told(reason: &str, precision: Precision) -> bool {
    match precision {
        Precision::Full => true,
        Precision::Fingerprint => reason == BUDGET,
    }
}

fn money(usd: f64, precision: Precision) -> Option<Number> {
    match precision {
        Precision::Full => Some(Number(usd, precision)),
        Precision::Fingerprint => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn only_news_changes_the_fingerprint() {
        let text = |view: &ProbeView| {
            let document = ProbeDocument::new(view, Precision::Fingerprint);
            serde_json::to_string(&document).unwrap()
        };
        let before = ProbeView { success: Some(true), ..ProbeView::default() };
        let at = Some(Timestamp::from_secs(9));
        let ran = ProbeView { last_run: at, next_run: at, cost_usd: 1.0, ..before.clone() };
        assert_eq!(text(&ran), text(&before));
        for left_out in ["clients_report", "overlap", "missed"].map(Some) {
            let skipped = ProbeView { left_out, ..before.clone() };
            assert_eq!(text(&skipped), text(&before), "{left_out:?}");
            let shown = ProbeDocument::new(&skipped, Precision::Full).skipped;
            assert_eq!(shown, left_out);
        }
        for news in [
            ProbeView { success: Some(false), ..before.clone() },
            ProbeView { misconfigured: Some("auth: no".to_owned()), ..before.clone() },
            ProbeView { left_out: Some("budget"), ..before.clone() },
        ] {
            assert_ne!(text(&news), text(&before), "{news:?}");
        }
    }
}
