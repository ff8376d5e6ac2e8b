//! Metrics as Prometheus and its libraries read them.
