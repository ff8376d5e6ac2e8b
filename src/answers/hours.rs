//! Per-hour rows.
