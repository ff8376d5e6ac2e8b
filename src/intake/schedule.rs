//! When probes run: intervals and cron expressions.
