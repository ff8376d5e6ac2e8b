//! The built-in catalogue of providers: base URL, dialect, hosts, prices.
