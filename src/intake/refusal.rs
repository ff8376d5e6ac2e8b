//! Why one record is refused, named by its field.

use std::fmt;

use serde_json::error::Category;

/// Why one record was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Position in the batch, from 0; for NDJSON the line, blank ones not counted.
    pub index: usize,
    /// What is wrong, naming the field.
    pub error: String,
    /// The same, as a label.
    pub reason: RejectReason,
}

/// The closed set of reasons a record is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// Not a JSON object.
    Malformed,
    /// A required field is missing.
    MissingField,
    /// A field has the wrong type or an impossible value.
    InvalidField,
    /// `ts` lies more than 24 hours back.
    TooOld,
    /// `ts` lies more than 60 seconds ahead.
    TooNew,
    /// The record is larger than the limit.
    TooLarge,
}

impl RejectReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Malformed,
        Self::MissingField,
        Self::InvalidField,
        Self::TooOld,
        Self::TooNew,
        Self::TooLarge,
    ];

    /// The value of the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::MissingField => "missing_field",
            Self::InvalidField => "invalid_field",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::TooLarge => "too_large",
        }
    }
}

/// Why a record is refused, before its index is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, as a label.
    pub reason: RejectReason,
    /// What is wrong, naming the field.
    pub error: String,
}

impl Refusal {
    pub(super) fn new(reason: RejectReason, error: String) -> Self {
        Self { reason, error }
    }

    pub(super) fn field(field: &str, expected: impl fmt::Display) -> Self {
        Self::new(RejectReason::InvalidField, format!("{field}: expected {expected}"))
    }

    /// The refusal of what is not `expected`. The reader's own message may quote the record.
    pub(super) fn not_json(error: &serde_json::Error, expected: &str) -> Self {
        let what = match error.classify() {
            Category::Data => format!("not {expected}"),
            Category::Eof => "it ends too early".to_owned(),
            Category::Syntax | Category::Io => "not JSON".to_owned(),
        };
        let (line, column) = (error.line(), error.column());
        let text = format!("malformed record: {what} (line {line}, column {column})");
        Self::new(RejectReason::Malformed, text)
    }

    /// The refusal of the record at this index.
    pub(super) fn at(self, index: usize) -> Rejection {
        Rejection { index, error: self.error, reason: self.reason }
    }
}
