//! The classifier against the recorded cases.
