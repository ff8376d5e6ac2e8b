//! `credential_process` of an AWS profile: a program that prints credentials.
//!
//! The AWS SDK's crate would hand the line to a shell. Here it is split into words, as the AWS
//! command line does, and run like every other command that prints a secret.

use std::time::{Duration, UNIX_EPOCH};

use aws_config::profile;
use aws_credential_types::Credentials;
use aws_types::os_shim_internal::{Env, Fs};
use serde_json::Value;

use super::chain::CredentialsError;
use crate::domain::time::Timestamp;
use crate::ground::secret::SecretSource;

/// Keys of a profile that lead to other credentials, which the chain knows how to get.
const OTHER_WAYS: [&str; 4] =
    ["aws_access_key_id", "role_arn", "web_identity_token_file", "sso_session"];

/// The program of the profile in use and its arguments, if it has one.
///
/// # Errors
/// [`CredentialsError::Printed`] when the line is no list of words.
pub(super) async fn command(env: &Env) -> Result<Option<Vec<String>>, CredentialsError> {
    if env.get("AWS_ACCESS_KEY_ID").is_ok_and(|id| !id.is_empty()) {
        return Ok(None);
    }
    // Files that cannot be read are the chain's to complain of.
    let files = Default::default();
    let Ok(profiles) = profile::load(&Fs::real(), env, &files, None).await else { return Ok(None) };
    let Some(profile) = profiles.get_profile(profiles.selected_profile()) else { return Ok(None) };
    if OTHER_WAYS.iter().any(|key| profile.get(key).is_some()) {
        return Ok(None);
    }
    let Some(line) = profile.get("credential_process") else { return Ok(None) };
    let words = shlex::split(line).filter(|words| !words.is_empty());
    words.map(Some).ok_or(CredentialsError::Printed("the line has an open quote or no word"))
}

/// Runs it.
///
/// # Errors
/// [`CredentialsError`] when it fails or prints something else.
pub(super) async fn run(argv: Vec<String>) -> Result<Credentials, CredentialsError> {
    let reading = tokio::task::spawn_blocking(move || SecretSource::Command(argv).read());
    // Ends early only when the runtime does.
    let printed = reading.await.map_err(|_| CredentialsError::Printed("it was given up"))??;
    credentials(printed.expose()).ok_or(CredentialsError::Printed(
        "it printed no JSON with Version 1, AccessKeyId and SecretAccessKey",
    ))
}

fn credentials(text: &str) -> Option<Credentials> {
    let printed: Value = serde_json::from_str(text).ok()?;
    let text = |key: &str| printed[key].as_str().filter(|text| !text.is_empty());
    if printed["Version"] != 1 {
        return None;
    }
    let end = match text("Expiration") {
        Some(end) => Some(UNIX_EPOCH + Duration::from_millis(Timestamp::parse(end)?.millis())),
        None => None,
    };
    Some(Credentials::new(
        text("AccessKeyId")?,
        text("SecretAccessKey")?,
        text("SessionToken").map(str::to_owned),
        end,
        "credential_process",
    ))
}
