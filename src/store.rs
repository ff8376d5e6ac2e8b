//! The waist of the hourglass: one book of counts, one door in, one door out.
//!
//! `record` takes outcomes in, the one-second `tick` advances every detector, `snapshot` gives an
//! immutable view out. Metrics, health JSON and hour rows all read the same snapshot, so they
//! cannot disagree. Nothing that reads writes.

pub mod snapshot;
