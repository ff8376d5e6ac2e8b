//! The Grid Bayes Filter.
