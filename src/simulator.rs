//! Providers played on loopback, for the demo and the tests.
//!
//! A [`Scenario`] says which models there are and what weather each has: the ratios of overload,
//! throttling, outage and the rest. A [`Fleet`] plays it: every request draws a [`Fate`] and
//! enters the ledger, whether it came over HTTP ([`serve`]) or from a client in the same process.
//! The ledger is what a test compares the daemon's own counts with.
//!
//! The simulator stands for somebody else's machine, so it knows the domain's words and nothing
//! of the daemon: no classifier, no store, no configuration. It checks no key beyond its
//! presence, keeps no conversation, and never answers with anything a request held.

mod dialect;
mod draw;
mod fate;
mod fleet;
mod history;
mod kind;
mod ledger;
mod node;
mod scenario;
mod server;
mod showcase;
mod weather;

pub use dialect::Dialect;
pub use fate::Fate;
pub use fleet::{Call, Fleet, UnknownTarget};
pub use history::{Bygone, history};
pub use kind::Kind;
pub use ledger::LedgerRow;
pub use node::Problem;
pub use scenario::{Phase, Plan, SCENARIO_BYTES_MAX, Scenario, ScenarioError};
pub use server::{BODY_BYTES_MAX, serve};
pub use showcase::demo;
pub use weather::{Weather, WeatherError};
