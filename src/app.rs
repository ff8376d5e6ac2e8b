//! Builds and supervises everything, and shuts it down.
