//! `brownout` measures when LLM providers shed load, and tells everyone who needs to know.
//!
//! # The tour
//! An hourglass: two ways in (reports, probes), one store, two ways out (scrapes, health JSON).
//! Floors from the bottom up; a module imports downward only (`tests/it/tidy.rs` enforces it):
//!
//! 1. [`domain`]: values and pure functions. Start at `outcome`, then `classify`, then `detect`.
//! 2. [`ground`]: clock, configuration, catalogue of known providers, telemetry.
//! 3. [`store`]: the book of counts and the detectors' second-by-second tick.
//! 4. [`intake`] (bytes and probes to outcomes) and [`answers`] (snapshot to bytes), side by side.
//! 5. [`http`]: sockets, routes, limits.
//! 6. [`mixin`]: the alert rules and dashboards, printed from the table of metrics.
//! 7. [`simulator`]: providers played on loopback, for the demo and the tests.
//! 8. [`app`] builds and supervises everything; [`cli`] has one file per subcommand.

pub mod domain;
pub mod ground;
pub mod store;
pub mod intake;
pub mod answers;
pub mod http;
pub mod mixin;
pub mod simulator;
pub mod app;
pub mod cli;
