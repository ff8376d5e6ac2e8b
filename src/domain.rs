//! Values and pure functions: what an outcome is, what it means, and when a target is in trouble.
//!
//! Nothing here does I/O, reads a clock, logs, or knows a wire format of our own; time is always a
//! parameter. That makes every rule testable with a table, and lets `replay` run the same code on
//! a trace's own clock. The one parser used here is `serde_json`'s value reader, in `classify`,
//! because provider error bodies are the *subject* of classification and not a wire type of ours.

pub mod time;
pub mod target;
pub mod model_name;
pub mod layer;
pub mod outcome;
pub mod tally;
pub mod histogram;
pub mod sketch;
pub mod bounds;
pub mod classify;
pub mod detect;
pub mod state;
pub mod status_page;
