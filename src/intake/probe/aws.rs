//! Requests signed for AWS: Signature Version 4, with the credentials of the usual environment.
//!
//! The signature itself is the AWS SDK's own crate's work, and so is finding the credentials
//! (`chain`). Here is what a probe adds: when credentials are looked for again, and that nothing
//! of them shows. They never stand in the configuration.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::os_shim_internal::Env;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::SpecError;
use crate::domain::time::{Timestamp, millis_of};
use crate::ground::aws_region;
use crate::ground::clock::Clock;
use crate::ground::config::ProviderConfig;
use crate::ground::secret::Secret;

mod chain;
mod process;

pub(super) use chain::CredentialsError;

/// The name of the service in signatures. Its hosts are called `bedrock-runtime`.
const SERVICE: &str = "bedrock";

/// How old credentials without an end may grow: files and programs change them unannounced.
const FRESH_FOR: Duration = Duration::from_secs(240);

/// How long before their end credentials are replaced. The longest probe takes ten minutes, but
/// a signature is looked at when the request arrives.
const EARLY: Duration = Duration::from_secs(300);

/// The region that requests to `base_url` are signed for: the configured one, else the one in
/// the host's name, else the environment's.
///
/// # Errors
/// [`SpecError::Region`] where none of them says.
fn region(configured: Option<&str>, base_url: &str, env: &Env) -> Result<String, SpecError> {
    let host = reqwest::Url::parse(base_url).ok();
    let host = host.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let of_the_host = || {
        // `bedrock-runtime.us-east-1.amazonaws.com`, or an endpoint inside a private network:
        // `vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com`.
        let mut labels = host.split('.').skip_while(|label| !label.starts_with("bedrock-runtime"));
        labels.nth(1).filter(|_| host.contains(".amazonaws.com")).map(str::to_owned)
    };
    let of_the_environment = || aws_region::of_the_environment(|name| env.get(name).ok());
    configured
        .map(str::to_owned)
        .or_else(of_the_host)
        .or_else(of_the_environment)
        .ok_or(SpecError::Region)
}

/// The signer of a provider's requests, with the credentials of this process's environment.
///
/// # Errors
/// [`SpecError::Region`] as for [`region`].
pub(super) fn signer(provider: &ProviderConfig) -> Result<Signer, SpecError> {
    let env = Env::real();
    let region = region(provider.request.region.as_deref(), &provider.base_url, &env)?;
    Ok(Signer::new(region, env))
}

/// Signs the requests of a provider. Clones share the credentials.
#[derive(Clone)]
pub(super) struct Signer(Arc<Inner>);

struct Inner {
    region: String,
    env: Env,
    held: Mutex<Option<Held>>,
    /// One reader at a time: a role may have to be asked for.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    credentials: Credentials,
    read_at: Timestamp,
    refused: bool,
}

impl Signer {
    /// Signs for a region. Looks for credentials when they are first needed.
    fn new(region: String, env: Env) -> Self {
        let (held, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { region, env, held, turn }))
    }

    /// What to sign with now, read anew if it is due.
    ///
    /// # Errors
    /// [`CredentialsError`] when there are none, or only some that have ended.
    pub(super) async fn current(
        &self,
        client: &reqwest::Client,
        clock: &Clock,
    ) -> Result<Signature, CredentialsError> {
        let now = clock.now();
        if let Some(held) = self.fresh(now) {
            return Ok(self.signature(held, now));
        }
        let _turn = self.0.turn.lock().await;
        // Whoever had the turn before may have read them.
        if let Some(held) = self.fresh(now) {
            return Ok(self.signature(held, now));
        }
        match chain::find(client, &self.0.region, &self.0.env).await {
            Ok(credentials) => {
                let held = Held { credentials, read_at: now, refused: false };
                *self.lock() = Some(held.clone());
                Ok(self.signature(held, now))
            }
            Err(error) => {
                let held = self.lock().clone();
                let Some(held) = held.filter(|held| !has_ended(&held.credentials, now)) else {
                    return Err(error);
                };
                tracing::warn!(%error, "AWS credentials cannot be read again, the old ones stay");
                Ok(self.signature(held, now))
            }
        }
    }

    /// Whether both use the same credentials, read once.
    #[cfg(test)]
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Notes that the provider refused them: the next probe reads them again.
    pub(super) fn refused(&self) {
        if let Some(held) = self.lock().as_mut() {
            held.refused = true;
        }
    }

    fn fresh(&self, now: Timestamp) -> Option<Held> {
        let is_fresh = |held: &Held| match end_of(&held.credentials) {
            Some(end) => now.plus(EARLY) < end,
            None => now.since(held.read_at) < FRESH_FOR,
        };
        self.lock().clone().filter(|held| !held.refused && is_fresh(held))
    }

    fn signature(&self, held: Held, now: Timestamp) -> Signature {
        let Held { credentials, .. } = held;
        let secret = credentials.session_token().unwrap_or(credentials.secret_access_key());
        let secret = Secret::new(secret);
        Signature { credentials, secret, region: self.0.region.clone(), now }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        // Whole even if a holder panicked: it is replaced in one piece.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two are the same if they sign for the same region: whose credentials, the environment says.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.0.region == other.0.region
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.0.region).finish()
    }
}

/// Everything a signature is made of, for one request.
pub(super) struct Signature {
    credentials: Credentials,
    secret: Secret,
    region: String,
    now: Timestamp,
}

impl Signature {
    /// The part that an answer must not be able to show: what was sent, or the key itself.
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Signs a request that is complete: its path, its host, its body, its type and all headers
    /// of AWS. The others may be changed by whoever passes it on.
    ///
    /// # Errors
    /// [`SpecError::Header`] when something of it cannot be signed.
    pub(super) fn apply(&self, request: &mut reqwest::Request) -> Result<(), SpecError> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(UNIX_EPOCH + Duration::from_millis(self.now.millis()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| SpecError::Header)?
            .into();
        let is_signed =
            |name: &HeaderName| name == CONTENT_TYPE || name.as_str().starts_with("x-amz");
        let headers = request.headers().iter().filter(|(name, _)| is_signed(name));
        let headers: Result<Vec<_>, _> = headers
            .map(|(name, value)| value.to_str().map(|value| (name.as_str(), value)))
            .collect();
        let headers = headers.map_err(|_| SpecError::Header)?;
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.url().as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body),
        );
        let signed = signable.and_then(|signable| sign(signable, &params));
        let (instructions, _) = signed.map_err(|_| SpecError::Header)?.into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            let mut value = HeaderValue::from_str(header.value()).map_err(|_| SpecError::Header)?;
            value.set_sensitive(true);
            request.headers_mut().insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

fn end_of(credentials: &Credentials) -> Option<Timestamp> {
    let since_epoch = |end: SystemTime| end.duration_since(UNIX_EPOCH).unwrap_or_default();
    credentials.expiry().map(|end| Timestamp::from_millis(millis_of(since_epoch(end))))
}

fn has_ended(credentials: &Credentials, now: Timestamp) -> bool {
    end_of(credentials).is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests;
