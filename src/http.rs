//! Sockets, routes, limits.
