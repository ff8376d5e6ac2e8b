//! One model, one name.
