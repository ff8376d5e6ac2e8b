//! Synthetic probes: one real inference request, read to its terminal event.
