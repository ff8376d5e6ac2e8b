//! Why one record is refused, named by its field.

use std::fmt;

use super::{RejectReason, Rejection};

/// Why a record is refused, before its index is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: RejectReason,
    pub(super) error: String,
}

impl Refusal {
    pub(super) fn new(reason: RejectReason, error: String) -> Self {
        Self { reason, error }
    }

    pub(super) fn field(field: &str, expected: impl fmt::Display) -> Self {
        Self::new(RejectReason::InvalidField, format!("{field}: expected {expected}"))
    }

    /// The refusal of the record at this index.
    pub(super) fn at(self, index: usize) -> Rejection {
        Rejection { index, error: self.error, reason: self.reason }
    }
}
