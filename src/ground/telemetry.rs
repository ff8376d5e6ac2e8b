//! Structured logs, logfmt or JSON.
