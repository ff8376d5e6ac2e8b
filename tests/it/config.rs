//! Good and bad configurations.
