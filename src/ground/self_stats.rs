//! What this process did, counted directly.
