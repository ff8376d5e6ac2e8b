//! `credential_process` of an AWS profile: a program that prints credentials.
//!
//! The AWS SDK's crate would hand the line to a shell. Here it is split into words, as the AWS
//! command line does, and run like every other command that prints a secret. A profile may lead
//! to it by way of roles (`role_arn` and `source_profile`), which are then taken on in turn.

use std::time::{Duration, UNIX_EPOCH};

use aws_config::profile::{self, Profile, ProfileSet};
use aws_credential_types::Credentials;
use aws_types::os_shim_internal::{Env, Fs};
use serde_json::Value;

use super::chain::CredentialsError;
use crate::domain::time::Timestamp;
use crate::ground::secret::SecretSource;

/// Keys of a profile that lead to other credentials, which the chain knows how to get.
const OTHER_WAYS: [&str; 3] = ["aws_access_key_id", "credential_source", "web_identity_token_file"];

/// Keys of a profile that ask for single sign-on, which the chain does not know.
const SINGLE_SIGN_ON: [&str; 2] = ["sso_session", "sso_start_url"];

/// A way to credentials that begins with a program.
#[derive(Debug, PartialEq)]
pub(super) struct Way {
    /// The program and its arguments.
    pub(super) argv: Vec<String>,
    /// The roles to take on with what it prints, in this order.
    pub(super) roles: Vec<Role>,
}

/// A role as a profile describes it.
#[derive(Debug, PartialEq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
}

/// The way of the profile in use, if it begins with a program.
///
/// # Errors
/// [`CredentialsError::Printed`] when the line is no list of words,
/// [`CredentialsError::SingleSignOn`] when the profile asks for that.
pub(super) async fn way(env: &Env) -> Result<Option<Way>, CredentialsError> {
    if env.get("AWS_ACCESS_KEY_ID").is_ok_and(|id| !id.is_empty()) {
        return Ok(None);
    }
    // Files that cannot be read are the chain's to complain of.
    let files = Default::default();
    let Ok(profiles) = profile::load(&Fs::real(), env, &files, None).await else { return Ok(None) };
    let Some((profile, roles)) = source(&profiles) else { return Ok(None) };
    let has = |key: &&str| profile.get(key).is_some();
    if OTHER_WAYS.iter().any(has) {
        return Ok(None);
    }
    if SINGLE_SIGN_ON.iter().any(has) {
        return Err(CredentialsError::SingleSignOn);
    }
    let Some(line) = profile.get("credential_process") else { return Ok(None) };
    let words = shlex::split(line).filter(|words| !words.is_empty());
    let argv = words.ok_or(CredentialsError::Printed("the line has an open quote or no word"))?;
    Ok(Some(Way { argv, roles }))
}

/// The profile that the one in use leads to, and the roles on the way back.
fn source(profiles: &ProfileSet) -> Option<(&Profile, Vec<Role>)> {
    let (mut name, mut roles, mut visited) = (profiles.selected_profile(), Vec::new(), Vec::new());
    let profile = loop {
        let profile = profiles.get_profile(name)?;
        // A circle is the chain's to complain of.
        if visited.contains(&name) {
            return None;
        }
        visited.push(name);
        // Where a role is reached by a token, or a source has keys, that is the end.
        let is_end = profile.get("web_identity_token_file").is_some()
            || (visited.len() > 1 && profile.get("aws_access_key_id").is_some());
        let Some(arn) = profile.get("role_arn").filter(|_| !is_end) else { break profile };
        let text = |key: &str| profile.get(key).map(str::to_owned);
        roles.push(Role {
            arn: arn.to_owned(),
            external_id: text("external_id"),
            session_name: text("role_session_name"),
        });
        match profile.get("source_profile")? {
            source if source == name => break profile,
            source => name = source,
        }
    };
    roles.reverse();
    Some((profile, roles))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The profile `team` and what follows from it.
    async fn found(text: &str) -> Result<Option<Way>, String> {
        let id = std::process::id();
        let file = std::env::temp_dir().join(format!("brownout-aws-way-{id}.ini"));
        std::fs::write(&file, text).unwrap();
        let env = Env::from_slice(&[
            ("AWS_PROFILE", "team"),
            ("AWS_CONFIG_FILE", file.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
        ]);
        let way = way(&env).await.map_err(|error| error.to_string());
        std::fs::remove_file(&file).unwrap();
        way
    }

    #[tokio::test]
    async fn a_profile_leads_to_its_program_by_way_of_roles() {
        let role = "[profile team]\nrole_arn = one\nexternal_id = e\nsource_profile =";
        let middle = "[profile mid]\nrole_arn = two\nrole_session_name = s\nsource_profile = base";
        let base = "[profile base]\ncredential_process = print 'a b'";
        for (text, expected) in [
            ("[profile team]\ncredential_process = print 'a b'".to_owned(), Some(vec![])),
            (format!("{role} base\n{base}"), Some(vec!["one"])),
            (format!("{role} mid\n{middle}\n{base}"), Some(vec!["two", "one"])),
            (format!("{role} team\ncredential_process = print 'a b'"), Some(vec!["one"])),
            // What the chain gets, or complains of.
            (format!("{role} base\n{base}\naws_access_key_id = A"), None),
            (format!("{role} mid\n{middle}\n[profile base]\nregion = x"), None),
            (format!("{role} nobody"), None),
            (format!("{role} mid\n[profile mid]\nrole_arn = two\nsource_profile = team"), None),
            ("[profile team]\nrole_arn = one\ncredential_source = Environment".to_owned(), None),
            (
                "[profile team]\nrole_arn = one\nweb_identity_token_file = f\n\
                 credential_process = x"
                    .to_owned(),
                None,
            ),
        ] {
            let way = found(&text).await.unwrap();
            let roles = way.as_ref().map(|way| way.roles.iter().map(|it| it.arn.as_str()));
            assert_eq!(roles.map(Iterator::collect), expected, "{text}");
            assert!(way.is_none_or(|way| way.argv == ["print", "a b"]), "{text}");
        }
        for key in SINGLE_SIGN_ON {
            for text in
                [format!("{role} base\n{base}\n{key} = u"), format!("[profile team]\n{key} = u")]
            {
                let error = found(&text).await.unwrap_err();
                assert!(error.contains("aws configure export-credentials"), "{text}: {error}");
            }
        }
        let way = found(&format!("{role} mid\n{middle}\n{base}")).await.unwrap().unwrap();
        let [second, first] = &way.roles[..] else { panic!("{way:?}") };
        assert_eq!((&second.external_id, second.session_name.as_deref()), (&None, Some("s")));
        assert_eq!((first.external_id.as_deref(), &first.session_name), (Some("e"), &None));
    }
}
