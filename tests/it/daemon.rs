//! Starts the real daemon on port 0.
