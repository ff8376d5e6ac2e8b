//! The Grid Bayes Filter: counts per second in, state and probabilities out.
//!
//! A hidden Markov model over 49 states (failure rate × how long such a rate lasts), updated once
//! a second with (attempts, failures) by Bayes' rule. It is exact on its grid, needs no window,
//! and one state vector yields P(healthy), P(degraded), P(overloaded), the rate with its interval,
//! the chance that an overload outlasts a wait, and the chance that a retry succeeds.
//!
//! - [`Grid`]: the fixed part, one per signal, placed relative to the signal's thresholds;
//! - [`Filter`]: the moving part, one per target and signal;
//! - [`Posterior`]: what a filter believes, for readers;
//! - [`Evidence`]: whether there is enough to publish it, or the signal is `unknown`.
//!
//! The order of floating-point sums differs from the reference implementation in
//! `tests/tools/gbf_reference.py`; probabilities agree to 1e-6 and decisions exactly.
//!
//! It deliberately does not know about classes, retries or clocks: the caller decides what counts
//! (first attempts; `n` = ok + failures of the signal) and calls once per second, also for empty
//! seconds. Reading never changes a filter.

mod evidence;
mod filter;
mod grid;
mod posterior;

pub use evidence::Evidence;
pub use filter::{Decision, Filter};
pub use grid::Grid;
pub use posterior::{Confidence, Posterior};

#[cfg(test)]
mod tests;
