//! Providers played on loopback, for the demo and the tests.
