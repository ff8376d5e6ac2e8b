//! Signatures against those of AWS's own Python library, and credentials that change.

use std::path::PathBuf;

use aws_credential_types::provider::ProvideCredentials;

use super::*;
use crate::domain::target::Target;
use crate::ground::catalog::{Auth, Dialect};
use crate::ground::config::ProbesConfig;
use crate::intake::probe::{Credential, ProbeSpec};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "T0P5ECRETtoken";

/// 2026-04-24T14:03:11Z.
const NOW: Timestamp = Timestamp::from_secs(1_777_039_391);

fn request() -> reqwest::Request {
    let url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/\
               us.anthropic.claude-haiku-4-5-v1%3A0/converse-stream";
    let url = reqwest::Url::parse(url).unwrap();
    let mut request = reqwest::Request::new(reqwest::Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert("user-agent", HeaderValue::from_static("not signed"));
    *request.body_mut() = Some(r#"{"a":1}"#.into());
    request
}

/// The signatures are what `tests/sdk/sigv4.py` (botocore 1.44.8) printed for this request.
#[test]
fn a_signature_is_the_one_of_awss_own_library_and_does_not_show() {
    for (token, headers, expected) in [
        (
            None,
            "content-type;host;x-amz-date",
            "7158db271654b30039afad1909e04d5d8079031f5bb3020e1244737307463c90",
        ),
        (
            Some(TOKEN),
            "content-type;host;x-amz-date;x-amz-security-token",
            "4d1500d07c8ce5d3ed13071eb4036712c616fb56121f42441740f7e86a7eb21a",
        ),
    ] {
        let token = token.map(str::to_owned);
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, token.clone(), None, "test");
        let held = Held { credentials, read_at: NOW, refused: false };
        let signer = Signer::new("us-east-1".to_owned(), Env::from_slice(&[]));
        let signature = signer.signature(held, NOW);
        let mut request = request();
        signature.apply(&mut request).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(
            header("authorization"),
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260424/us-east-1/bedrock/aws4_request, \
                 SignedHeaders={headers}, Signature={expected}"
            )
        );
        assert_eq!(header("x-amz-date"), "20260424T140311Z");
        assert_eq!(signature.secret().expose(), token.as_deref().unwrap_or(SECRET));
        let shown = format!("{request:?} {signer:?}");
        for secret in [SECRET, TOKEN, expected] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn the_region_is_configured_or_in_the_host_or_in_the_environment() {
    let custom = "https://llm.example.com/bedrock";
    for (configured, base_url, env, expected) in [
        (Some("eu-west-1"), "https://bedrock-runtime.us-east-1.amazonaws.com", None, "eu-west-1"),
        (None, "https://bedrock-runtime.us-east-1.amazonaws.com", Some("x"), "us-east-1"),
        (None, "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", None, "us-gov-west-1"),
        (None, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn", None, "cn-north-1"),
        (None, "https://vpce-1.bedrock-runtime.ap-south-1.vpce.amazonaws.com", None, "ap-south-1"),
        (None, custom, Some("sa-east-1"), "sa-east-1"),
        (None, custom, Some(""), "eu-north-1"),
    ] {
        let second = ("AWS_DEFAULT_REGION", "eu-north-1");
        let variables: Vec<_> = env.map(|region| ("AWS_REGION", region)).into_iter().collect();
        let env = Env::from_slice(&[&variables[..], &[second]].concat());
        assert_eq!(region(configured, base_url, &env).unwrap(), expected, "{base_url}");
    }
    assert_eq!(region(None, custom, &Env::from_slice(&[])), Err(SpecError::Region));
}

/// A profile whose program prints a file, and that file.
struct Profile {
    config: PathBuf,
    printed: PathBuf,
}

impl Profile {
    fn new(name: &str, line: &str) -> Self {
        let at = std::env::temp_dir().join(format!("brownout-aws-{name}-{}", std::process::id()));
        let profile = Self { config: at.with_extension("ini"), printed: at.with_extension("json") };
        let line = line.replace("FILE", profile.printed.to_str().unwrap());
        let text = format!("[profile team]\nregion = eu-west-1\ncredential_process = {line}\n");
        std::fs::write(&profile.config, text).unwrap();
        profile
    }

    fn print(&self, id: &str, end: Option<Timestamp>) {
        let end = end.map(|end| format!(",\"Expiration\":\"{}\"", rfc3339(end)));
        let text = format!(
            "{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{SECRET}\"{}}}",
            end.unwrap_or_default()
        );
        std::fs::write(&self.printed, text).unwrap();
    }

    fn signer(&self) -> Signer {
        let config = self.config.to_str().unwrap();
        let variables = [
            ("AWS_PROFILE", "team"),
            ("AWS_CONFIG_FILE", config),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
        ];
        Signer::new("us-east-1".to_owned(), Env::from_slice(&variables))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        for path in [&self.config, &self.printed] {
            // It may never have been written.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn rfc3339(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at.secs())).to_string()
}

/// The id that a request would be signed with now.
async fn id(signer: &Signer, clock: &Clock) -> Result<String, String> {
    let client = crate::intake::probe::client().unwrap();
    let signature = signer.current(&client, clock).await.map_err(|error| error.to_string())?;
    let credentials = signature.credentials.provide_credentials().await.unwrap();
    Ok(credentials.access_key_id().to_owned())
}

#[tokio::test]
async fn credentials_are_read_again_before_their_end_and_when_refused() {
    let profile = Profile::new("ends", "cat \"FILE\"");
    let (signer, clock) = (profile.signer(), Clock::manual(NOW));
    let end = NOW.plus(EARLY * 2);
    profile.print("FIRST", Some(end));
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("FIRST"));
    profile.print("SECOND", Some(end.plus(EARLY)));
    clock.advance(EARLY - Duration::from_secs(1));
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("FIRST"), "fresh for another second");
    clock.advance(Duration::from_secs(1));
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("SECOND"), "before the end");
    profile.print("THIRD", Some(end.plus(EARLY)));
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("SECOND"));
    signer.refused();
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("THIRD"), "after a refusal");
    std::fs::remove_file(&profile.printed).unwrap();
    signer.refused();
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("THIRD"), "the old ones stay in use");
    clock.advance(EARLY * 3);
    let error = id(&signer, &clock).await.unwrap_err();
    assert!(error.contains("credential_process of the AWS profile"), "they have ended: {error}");
    profile.print("FOURTH", None);
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("FOURTH"));
    profile.print("FIFTH", None);
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("FOURTH"));
    clock.advance(FRESH_FOR);
    assert_eq!(id(&signer, &clock).await.as_deref(), Ok("FIFTH"), "without an end, now and then");
}

#[tokio::test]
async fn the_profiles_program_runs_without_a_shell_and_its_output_is_never_repeated() {
    for (name, line, expected) in [
        ("shell", "echo $(cat FILE)", "it printed no JSON"),
        ("quote", "cat \"FILE", "open quote"),
        ("fails", "false hunter2", "secret command \"false\" failed"),
        ("words", "printf hunter2", "it printed no JSON"),
        ("version", "printf {\\\"Version\\\":2}", "it printed no JSON with Version 1"),
    ] {
        let profile = Profile::new(name, line);
        profile.print("ID", None);
        let error = id(&profile.signer(), &Clock::manual(NOW)).await.unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains("hunter2") && !error.contains(SECRET), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_probe_without_credentials_is_misconfigured_and_costs_nothing() {
    let profile = Profile::new("none", "false");
    let mut provider = ProviderConfig::new(Dialect::Bedrock, "http://127.0.0.1:1");
    provider.request.auth = Some(Auth::SigV4);
    provider.request.region = Some("eu-west-1".to_owned());
    let target = Target::parse("bedrock/m").unwrap();
    let mut spec = ProbeSpec::new(target, &provider, &ProbesConfig::default(), None).unwrap();
    assert_eq!(signer(&provider).unwrap().0.region, "eu-west-1");
    assert!(spec.credential.is_some(), "it is signed");
    spec.credential = Some(Credential::of_signer(profile.signer()));
    let client = crate::intake::probe::client().unwrap();
    let report = crate::intake::probe::probe(&client, &spec, &Clock::manual(NOW)).await;
    assert_eq!(report.class, crate::domain::outcome::Class::Auth);
    let complaint = report.misconfigured.as_deref().unwrap();
    assert!(complaint.contains("credential_process"), "{complaint}");
    assert!(report.charge_usd(&spec) == 0.0, "nothing was sent");
}
