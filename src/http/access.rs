//! Who may write: bearer tokens for reports and reloads, and the limits on their bodies.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::ground::config::IngestConfig;
use crate::ground::secret::{Secret, SecretError};

/// Tokens and limits, as configured. Without tokens everyone who reaches the listener may write.
pub struct Access {
    tokens: Vec<(String, Secret)>,
    /// Bytes of a body on the wire.
    pub body_max: usize,
    /// Bytes of a body after decompression.
    pub decoded_max: usize,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the configured tokens.
    ///
    /// # Errors
    /// The first token that cannot be read: a daemon that silently lets everyone in, or no one,
    /// is worse than one that does not start.
    pub fn new(config: &IngestConfig) -> Result<Self, SecretError> {
        let tokens = config
            .tokens
            .iter()
            .map(|token| Ok((token.name.clone(), token.secret.read()?)))
            .collect::<Result<_, SecretError>>()?;
        Ok(Self { tokens, body_max: config.max_body, decoded_max: config.max_decoded })
    }

    /// Whether the request carries one of the tokens, or none is configured. Every token is
    /// compared, in constant time, so the time taken tells nothing about any of them.
    pub fn permits(&self, headers: &HeaderMap) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
            })
            .unwrap_or("");
        self.tokens.iter().fold(false, |permitted, (_, token)| {
            let same: bool = token.expose().as_bytes().ct_eq(given.as_bytes()).into();
            permitted | same
        })
    }
}
