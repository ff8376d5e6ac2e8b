//! The health documents.
