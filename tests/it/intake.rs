//! Reports, good and bad, through the real HTTP server.
