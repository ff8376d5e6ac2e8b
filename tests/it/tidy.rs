//! The floors, enforced.
