//! (dialect, reply) to class: the only place that knows 529, error bodies and stream errors.
