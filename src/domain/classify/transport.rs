//! What can go wrong below HTTP, and the many names clients have for it.

use crate::domain::outcome::Class;

/// What the transport saw. A closed set, named as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// The name did not resolve.
    Dns,
    /// The connection was refused, or no route led there.
    ConnectRefused,
    /// No connection in time.
    ConnectTimeout,
    /// Handshake or certificate failure.
    Tls,
    /// The connection was cut before a status line came.
    ResetBeforeHeaders,
    /// Connected, but no answer in time.
    ReadTimeout,
    /// The stream stopped sending without ending.
    IdleTimeout,
    /// The stream ended without its terminal event.
    EofBeforeTerminal,
    /// The connection was cut inside the stream.
    ResetMidStream,
    /// The caller gave up.
    ClientAbort,
}

impl Transport {
    /// All values, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Dns,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::Tls,
        Self::ResetBeforeHeaders,
        Self::ReadTimeout,
        Self::IdleTimeout,
        Self::EofBeforeTerminal,
        Self::ResetMidStream,
        Self::ClientAbort,
    ];

    /// The name used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::ResetBeforeHeaders => "reset_before_headers",
            Self::ReadTimeout => "read_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::EofBeforeTerminal => "eof_before_terminal",
            Self::ResetMidStream => "reset_mid_stream",
            Self::ClientAbort => "client_abort",
        }
    }

    /// The value with this name, in any case, if it is one of the ten.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|value| value.as_str().eq_ignore_ascii_case(name))
    }

    /// What an attempt that ended so counts as.
    pub const fn class(self) -> Class {
        match self {
            Self::Dns
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::Tls
            | Self::ResetBeforeHeaders
            | Self::EofBeforeTerminal
            | Self::ResetMidStream => Class::Network,
            Self::ReadTimeout | Self::IdleTimeout => Class::Timeout,
            Self::ClientAbort => Class::Other,
        }
    }

    /// Whether it can still come after an answer's terminal event, when it no longer matters.
    pub(super) const fn is_after_headers(self) -> bool {
        matches!(
            self,
            Self::IdleTimeout
                | Self::EofBeforeTerminal
                | Self::ResetMidStream
                | Self::ReadTimeout
                | Self::ClientAbort
        )
    }
}

/// The names clients report beside the contract's own, lower case and without punctuation.
///
/// Sources: the short words of the native report; exception classes of httpx, requests,
/// urllib3, aiohttp, the Stainless SDKs, LiteLLM and the AI SDK; error codes of Node and undici;
/// OS error names.
const REPORTED: &[(Transport, &[&str])] = &[
    (
        Transport::ReadTimeout,
        &[
            "timeout",
            "timedout",
            "timeouterror",
            "timeoutexception",
            "timeouterr",
            "readtimeout",
            "readtimeouterror",
            "writetimeout",
            "apitimeouterror",
            "apiconnectiontimeouterror",
            "clienttimeouterror",
            "servertimeouterror",
            "sockettimeouterror",
            "requesttimeout",
            "deadlineexceeded",
            "underrheaderstimeout",
            "headerstimeouterror",
        ],
    ),
    (Transport::IdleTimeout, &["underrbodytimeout", "bodytimeouterror", "streamidletimeout"]),
    (
        Transport::ConnectTimeout,
        &[
            "connecttimeout",
            "connecttimeouterror",
            "connectiontimeout",
            "connectiontimeouterror",
            "pooltimeout",
            "etimedout",
            "underrconnecttimeout",
        ],
    ),
    (
        Transport::ConnectRefused,
        &[
            "connect",
            "connecterror",
            "connectionrefused",
            "connectionrefusederror",
            "refused",
            "newconnectionerror",
            "clientconnectorerror",
            "econnrefused",
            "ehostunreach",
            "enetunreach",
            "unsupportedprotocol",
            "proxyerror",
        ],
    ),
    (
        Transport::Dns,
        &[
            "gaierror",
            "nameresolutionerror",
            "clientconnectordnserror",
            "enotfound",
            "eaiagain",
            "dnserror",
        ],
    ),
    (
        Transport::Tls,
        &[
            "tlserror",
            "ssl",
            "sslerror",
            "sslcertverificationerror",
            "certificateerror",
            "clientconnectorsslerror",
            "clientconnectorcertificateerror",
            "certhasexpired",
            "depthzeroselfsignedcert",
            "unabletoverifyleafsignature",
        ],
    ),
    (
        Transport::ResetBeforeHeaders,
        &[
            "reset",
            "readerror",
            "writeerror",
            "closeerror",
            "networkerror",
            "transporterror",
            "remoteprotocolerror",
            "localprotocolerror",
            "protocolerror",
            "apiconnectionerror",
            "connectionerror",
            "connectionreset",
            "connectionreseterror",
            "connectionabortederror",
            "brokenpipeerror",
            "remotedisconnected",
            "serverdisconnectederror",
            "clientoserror",
            "econnreset",
            "econnaborted",
            "epipe",
            "socket",
            "socketerror",
            "underrsocket",
            "fetchfailed",
            "goaway",
        ],
    ),
    (
        Transport::ResetMidStream,
        &[
            "chunkedencodingerror",
            "incompleteread",
            "incompletereaderror",
            "clientpayloaderror",
            "streamerror",
        ],
    ),
    (Transport::EofBeforeTerminal, &["eof", "eoferror", "unexpectedeof"]),
    (
        Transport::ClientAbort,
        &[
            "canceled",
            "cancelled",
            "cancellederror",
            "cancelederror",
            "aborted",
            "aborterror",
            "apiuseraborterror",
            "useraborted",
            "clientdisconnect",
            "streamclosed",
        ],
    ),
];

/// Longest name looked at, in bytes: class names are short.
const NAME_BYTES_MAX: usize = 128;

/// Reads a client's word for a transport failure.
///
/// Takes the contract's ten, the short
/// `timeout connect reset tls canceled`, and the class names of common clients, in any case and
/// with or without their module (`httpx.ReadTimeout`).
pub fn parse_report_error(name: &str) -> Option<Transport> {
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    if let Some(transport) = Transport::parse(name) {
        return Some(transport);
    }
    let class = name.rsplit(['.', ':']).next().unwrap_or(name);
    REPORTED
        .iter()
        .find(|(_, names)| names.iter().any(|known| same_letters(class, known)))
        .map(|(transport, _)| *transport)
}

/// Whether the letters and digits of `name`, lower-cased, are exactly `key`.
pub(super) fn same_letters(name: &str, key: &str) -> bool {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
        .eq(key.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_words_are_read_in_every_spelling() {
        for transport in Transport::ALL {
            assert_eq!(Transport::parse(transport.as_str()), Some(transport));
            assert_eq!(parse_report_error(&transport.as_str().to_uppercase()), Some(transport));
        }
        for (word, transport) in [
            ("timeout", Some(Transport::ReadTimeout)),
            ("connect", Some(Transport::ConnectRefused)),
            ("reset", Some(Transport::ResetBeforeHeaders)),
            ("tls", Some(Transport::Tls)),
            ("canceled", Some(Transport::ClientAbort)),
            ("Cancelled", Some(Transport::ClientAbort)),
            ("httpx.ReadTimeout", Some(Transport::ReadTimeout)),
            ("ConnectTimeout", Some(Transport::ConnectTimeout)),
            ("ReadError", Some(Transport::ResetBeforeHeaders)),
            ("ConnectError", Some(Transport::ConnectRefused)),
            ("openai.APIConnectionError", Some(Transport::ResetBeforeHeaders)),
            ("ECONNRESET", Some(Transport::ResetBeforeHeaders)),
            ("UND_ERR_HEADERS_TIMEOUT", Some(Transport::ReadTimeout)),
            ("ENOTFOUND", Some(Transport::Dns)),
            ("overloaded_error", None),
            ("", None),
        ] {
            assert_eq!(parse_report_error(word), transport, "{word}");
        }
    }

    #[test]
    fn a_word_is_listed_once_and_normalised() {
        let words: Vec<_> = REPORTED.iter().flat_map(|(_, words)| words.iter()).collect();
        for (at, word) in words.iter().enumerate() {
            assert!(same_letters(word, word), "{word}");
            assert!(!words[..at].contains(word), "{word} twice");
        }
    }
}
