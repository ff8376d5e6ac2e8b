//! Prometheus exposition of a snapshot.
