//! Our dashboards: what each shows. How Grafana wants it written is in [`super::grafana`].
//!
//! All selectors go by the variables at the dashboard's head, `job` and `instance` always and
//! `provider` and `model` where the series have them; [`Options`] writes them.

use super::grafana::Dashboard;

mod options;
mod words;
mod overview;
mod target;
mod when_to_run;
mod operations;

pub use options::Options;
use options::numbered;

/// Every dashboard, in the order in which one reads them.
pub fn all(options: &Options) -> Vec<Dashboard> {
    let dashboards = [
        overview::dashboard(options),
        target::dashboard(options),
        when_to_run::dashboard(options),
        operations::dashboard(options),
    ];
    dashboards.map(|dashboard| dashboard.runbooks_at(&options.runbooks)).into()
}
