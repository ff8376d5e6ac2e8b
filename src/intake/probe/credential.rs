//! What a probe shows at the door, kept fresh.
//!
//! A key of the environment never changes. One of a file or a command is read anew now and then,
//! because the tokens of clouds live for an hour or less; and once more after a provider refused
//! it. A source that fails later leaves the secret of before in use: a vault that is down for a
//! minute must not make a provider look misconfigured.
//!
//! A provider has one, whose clones are in the specifications of all its probes: a command runs
//! once for thirty models, not thirty times.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{ProbeSpec, SpecError, aws};
use crate::ground::catalog::Auth;
use crate::ground::clock::Clock;
use crate::ground::config::ProviderConfig;
use crate::ground::secret::{Secret, SecretError, SecretSource};

/// How old a secret of a file or command may grow. Google's tools hand out tokens that may have
/// five minutes left.
const FRESH_FOR: Duration = Duration::from_secs(240);

/// What is shown: a key and where it comes from, or what signs requests instead. Clones share
/// what was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Key(Key),
    Signer(aws::Signer),
}

#[derive(Clone)]
struct Key(Arc<Inner>);

struct Inner {
    source: SecretSource,
    held: Mutex<Held>,
    /// One reader at a time: a command may cost a login.
    turn: tokio::sync::Mutex<()>,
}

struct Held {
    secret: Secret,
    read_at: Instant,
    refused: bool,
}

impl Credential {
    /// Reads it for the first time. Blocks: up to 10 s for a command.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read.
    pub fn read(source: &SecretSource) -> Result<Self, SecretError> {
        let held = Held { secret: source.read()?, read_at: Instant::now(), refused: false };
        Ok(Self(Kind::Key(Key(Arc::new(Inner {
            source: source.clone(),
            held: Mutex::new(held),
            turn: tokio::sync::Mutex::default(),
        })))))
    }

    /// What signs the requests of a provider. Looks for what it signs with when that is needed.
    ///
    /// # Errors
    /// [`SpecError::Region`] when the region is not known.
    pub fn signing(provider: &ProviderConfig) -> Result<Self, SpecError> {
        aws::signer(provider).map(Kind::Signer).map(Self)
    }

    /// Checks that it can go into a header, as far as that can be told before it is needed.
    ///
    /// # Errors
    /// [`SpecError::Key`] when it cannot.
    pub(super) fn check(&self, auth: Auth) -> Result<(), SpecError> {
        match &self.0 {
            Kind::Key(key) => key_header(auth, &key.held()).map(drop),
            Kind::Signer(_) => Ok(()),
        }
    }

    /// One that signs with these credentials.
    #[cfg(test)]
    pub(super) fn of_signer(signer: aws::Signer) -> Self {
        Self(Kind::Signer(signer))
    }

    /// Whether what one reads the other need not.
    #[cfg(test)]
    pub(in crate::intake) fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Key(one), Kind::Key(two)) => Arc::ptr_eq(&one.0, &two.0),
            (Kind::Signer(one), Kind::Signer(two)) => one.is_shared_with(two),
            (Kind::Key(_), Kind::Signer(_)) | (Kind::Signer(_), Kind::Key(_)) => false,
        }
    }
}

impl Key {
    /// The secret to use now, read anew if it is due.
    async fn current(&self) -> Secret {
        if !self.is_due() {
            return self.held();
        }
        let _turn = self.0.turn.lock().await;
        // Whoever had the turn before may have read it.
        if !self.is_due() {
            return self.held();
        }
        let source = self.0.source.clone();
        match tokio::task::spawn_blocking(move || source.read()).await {
            Ok(Ok(secret)) => self.hold(secret),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an API key cannot be read again, the old one stays in use");
                self.hold(self.held());
            }
            // The runtime is shutting down.
            Err(_) => {}
        }
        self.held()
    }

    /// Notes that the provider refused it: the next probe reads it again.
    fn refused(&self) {
        self.lock().refused = true;
    }

    /// The secret as it was last read.
    fn held(&self) -> Secret {
        self.lock().secret.clone()
    }

    fn hold(&self, secret: Secret) {
        *self.lock() = Held { secret, read_at: Instant::now(), refused: false };
    }

    fn is_due(&self) -> bool {
        // A process cannot be given another environment.
        if matches!(self.0.source, SecretSource::Env(_)) {
            return false;
        }
        let held = self.lock();
        held.refused || held.read_at.elapsed() >= FRESH_FOR
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        // Whole even if a holder panicked: it is replaced in one piece.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two are the same if they come from the same place: what is there changes by itself.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.0.source).finish()
    }
}

/// What one request shows at the door.
pub(super) enum Proof {
    /// A key, sent as it is.
    Key(Secret),
    /// A signature of the request.
    Signature(Box<aws::Signature>),
}

impl Proof {
    /// The part that must never be shown.
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Key(key) => key,
            Self::Signature(signature) => signature.secret(),
        }
    }

    /// Puts it into a request that is complete but for it.
    ///
    /// # Errors
    /// [`SpecError`] when it cannot go into a header.
    pub(super) fn apply(
        &self,
        auth: Auth,
        request: &mut reqwest::Request,
    ) -> Result<(), SpecError> {
        match self {
            Self::Key(key) => {
                if let Some((name, value)) = key_header(auth, key)? {
                    request.headers_mut().insert(name, value);
                }
                Ok(())
            }
            Self::Signature(signature) => signature.apply(request),
        }
    }
}

/// What the next request of `spec` shows; `None` where nothing is asked for.
///
/// # Errors
/// [`aws::CredentialsError`] when it is to be signed and there is nothing to sign with.
pub(super) async fn proof(
    client: &Client,
    spec: &ProbeSpec,
    clock: &Clock,
) -> Result<Option<Proof>, aws::CredentialsError> {
    match spec.credential.as_ref().map(|credential| &credential.0) {
        Some(Kind::Key(key)) => Ok(Some(Proof::Key(key.current().await))),
        Some(Kind::Signer(signer)) => {
            // The lookup is a large future, and only some probes need it.
            let signature = Box::pin(signer.current(client, clock)).await?;
            Ok(Some(Proof::Signature(Box::new(signature))))
        }
        None => Ok(None),
    }
}

/// Notes that the provider refused what was shown: it is read again before the next probe.
pub(super) fn refused(spec: &ProbeSpec) {
    match spec.credential.as_ref().map(|credential| &credential.0) {
        Some(Kind::Key(key)) => key.refused(),
        Some(Kind::Signer(signer)) => signer.refused(),
        None => {}
    }
}

/// The header that carries a key, marked as secret so that no debug output shows it; `None` where
/// requests are signed instead.
pub(super) fn key_header(
    auth: Auth,
    key: &Secret,
) -> Result<Option<(HeaderName, HeaderValue)>, SpecError> {
    let key = key.expose();
    let (name, text) = match auth {
        Auth::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
        Auth::XApiKey => (HeaderName::from_static("x-api-key"), key.to_owned()),
        Auth::ApiKey => (HeaderName::from_static("api-key"), key.to_owned()),
        Auth::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), key.to_owned()),
        Auth::SigV4 => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| SpecError::Key)?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of its own, removed at the end.
    struct KeyFile(std::path::PathBuf);

    impl KeyFile {
        fn new(name: &str, key: &str) -> Self {
            let id = std::process::id();
            let file = Self(std::env::temp_dir().join(format!("brownout-{name}-{id}")));
            file.write(key);
            file
        }

        fn write(&self, key: &str) {
            std::fs::write(&self.0, key).unwrap();
        }
    }

    impl Drop for KeyFile {
        fn drop(&mut self) {
            // It may have been removed already.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_in_a_file_is_read_again_when_old_or_refused() {
        let file = KeyFile::new("rotated", "first");
        let credential = Credential::read(&SecretSource::File(file.0.clone())).unwrap();
        let Kind::Key(key) = credential.0 else { panic!("a file holds a key") };
        file.write("second");
        assert_eq!(key.current().await.expose(), "first", "it is fresh");
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(key.current().await.expose(), "second");
        file.write("third");
        key.refused();
        assert_eq!(key.current().await.expose(), "third");
        std::fs::remove_file(&file.0).unwrap();
        key.refused();
        assert_eq!(key.current().await.expose(), "third", "the old one stays in use");
    }

    #[test]
    fn a_credential_shows_its_source_and_never_the_secret() {
        let file = KeyFile::new("shown", "hunter2");
        let credential = Credential::read(&SecretSource::File(file.0.clone())).unwrap();
        let shown = format!("{credential:?}");
        assert!(shown.contains("shown") && !shown.contains("hunter2"), "{shown}");
    }
}
