//! Snapshot to bytes: the ways out. Nothing here writes.

pub mod health;
pub mod hours;
pub mod metrics;
pub mod page;
pub mod probes;
