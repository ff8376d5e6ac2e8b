//! The configuration: strict YAML, checked as a whole, every problem listed with line and path.
