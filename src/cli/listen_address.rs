//! `--web.listen-address`, in all forms that it has in the Prometheus world.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use tokio::net::TcpListener;

const EXPECTED: &str = "expected ADDRESS:PORT, NAME:PORT or :PORT, for example 127.0.0.1:10529";

/// Where to listen: `127.0.0.1:10529`, `[::1]:10529`, `localhost:10529`, or `:10529` for all
/// interfaces. A name is resolved once, so that what is checked is what is bound.
#[derive(Clone, Debug)]
pub(super) struct ListenAddress {
    text: String,
    /// In the order they are tried; never empty.
    candidates: Vec<SocketAddr>,
}

impl ListenAddress {
    /// Whether only this machine can reach it, whichever candidate is bound.
    pub(super) fn is_loopback(&self) -> bool {
        self.candidates.iter().all(|candidate| candidate.ip().is_loopback())
    }

    /// Binds the first candidate that can be bound.
    pub(super) async fn bind(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.candidates.as_slice()).await
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("no port, {EXPECTED}"))?;
        let port: u16 = port.parse().map_err(|_| format!("port {port:?}, {EXPECTED}"))?;
        let candidates = if host.is_empty() {
            // The first takes both families where the system has them.
            vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
        } else {
            let found = text.to_socket_addrs();
            let found = found.map_err(|error| format!("{host:?}: {error}; {EXPECTED}"))?;
            let mut found: Vec<SocketAddr> = found.collect();
            // Stable: the resolver's order within a family. Prometheus takes IPv4 first, too.
            found.sort_by_key(SocketAddr::is_ipv6);
            found
        };
        if candidates.is_empty() {
            return Err(format!("{host:?} has no address, {EXPECTED}"));
        }
        Ok(Self { text: text.to_owned(), candidates })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListenAddress, String> {
        text.parse()
    }

    #[test]
    fn only_loopback_in_all_its_forms_is_loopback() {
        for (text, expected) in [
            ("127.0.0.1:10529", true),
            ("127.0.0.2:0", true),
            ("[::1]:10529", true),
            ("localhost:10529", true),
            (":10529", false),
            ("0.0.0.0:10529", false),
            ("[::]:10529", false),
            ("192.0.2.1:10529", false),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.is_loopback(), expected, "{text}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_says_what_one_looks_like() {
        for text in ["", "localhost", "10529", "localhost:", ":http", ":65536", "::1", "a b:1"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("for example 127.0.0.1:10529"), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn a_port_alone_listens_on_all_interfaces() {
        let listener = parse(":0").unwrap().bind().await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_unspecified());
        let listener = parse("localhost:0").unwrap().bind().await.unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());
    }
}
