//! Rules that no recorded case shows.
