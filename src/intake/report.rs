//! Native outcome reports.
