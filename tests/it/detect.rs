//! The detector against its oracle and the labelled traces.
