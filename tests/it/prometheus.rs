//! A real Prometheus scrapes the daemon and evaluates the shipped rules.
