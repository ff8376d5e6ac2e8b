//! What everything above the domain stands on: clock, configuration, catalogue, telemetry.

pub mod clock;
pub mod causes;
pub mod aws_region;
pub mod secret;
pub mod catalog;
pub mod config;
pub mod names;
pub mod telemetry;
pub mod self_stats;
