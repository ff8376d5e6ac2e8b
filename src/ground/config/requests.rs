//! What a provider's section says about the requests of its probes: how the key is sent, headers,
//! fields of the body.

use std::collections::BTreeMap;

use crate::domain::model_name;

use super::super::aws_region::is_region;
use super::super::catalog::{Auth, Dialect};
use super::problem::{Problems, quoted};
use super::reader::{Field, Section};
use super::{JsonMap, ProviderConfig, RequestConfig};

/// Most headers of one provider.
const HEADERS_MAX: usize = 32;
/// Longest value of a header, in bytes.
const HEADER_BYTES_MAX: usize = 1024;
/// Most models with a body of their own.
const MODEL_BODIES_MAX: usize = 500;

/// Fields of a probe's request that an override would make a different question.
pub const BODY_RESERVED: [&str; 5] = ["model", "stream", "messages", "input", "contents"];

/// Headers that a probe sets itself, and those of the connection. So are all of AWS's own, of
/// which a signature is made.
const HEADERS_RESERVED: [&str; 8] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
];

/// Words in the names of headers that carry secrets, which never stand in this file.
const SECRET_WORDS: [&str; 5] = ["auth", "key", "token", "secret", "cookie"];

/// Reads the keys that shape requests; `provider` is what is known so far.
pub(super) fn request(
    section: &Section<'_>,
    provider: &ProviderConfig,
    problems: &mut Problems,
) -> RequestConfig {
    let mut request = RequestConfig::default();
    if let Some(field) = section.get("auth") {
        request.auth = auth(&field, provider, problems);
    }
    if let Some(field) = section.get("api_version") {
        request.api_version = api_version(&field, problems);
    }
    if let Some(field) = section.get("region") {
        request.region = region(&field, provider, problems);
        // Whoever names a region and no key means the credentials of the environment.
        if request.region.is_some() && provider.api_key.is_none() && !provider.keyless {
            request.auth.get_or_insert(Auth::SigV4);
        }
    }
    if let Some(field) = section.get("headers") {
        request.headers = headers(&field, problems);
    }
    if let Some(field) = section.get("body") {
        request.body = body(&field, problems);
    }
    if let Some(field) = section.get("model_body") {
        for (key, field) in field.entries(MODEL_BODIES_MAX, problems).unwrap_or_default() {
            let body = body(&field, problems);
            match model_name::model(&key.name) {
                Ok(model) => drop(request.model_body.insert(model, body)),
                Err(error) => {
                    let message = format!("the model's name {error}");
                    problems.push(&field.path, Some(key.place), message);
                }
            }
        }
    }
    request
}

fn auth(field: &Field<'_>, provider: &ProviderConfig, problems: &mut Problems) -> Option<Auth> {
    let choices = Auth::ALL.map(|auth| (auth.as_str(), auth));
    let auth = field.choice("way to send the key", &choices, problems)?;
    if auth == Auth::SigV4 && (provider.api_key.is_some() || provider.keyless) {
        field.wrong(problems, "signs with the credentials of the AWS environment, remove api_key");
    }
    Some(auth)
}

fn api_version(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text("a version like 2024-10-21", problems)?;
    let is_version = text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if !is_version {
        field.wrong(problems, format!("{} is no version like 2024-10-21", quoted(text)));
    }
    Some(text.to_owned())
}

fn region(field: &Field<'_>, provider: &ProviderConfig, problems: &mut Problems) -> Option<String> {
    let text = field.text("a region like us-east-1", problems)?;
    if provider.dialect != Dialect::Bedrock {
        field.wrong(problems, "is for the dialect bedrock, remove it; labels are under regions");
        return None;
    }
    if !is_region(text) {
        field.wrong(problems, format!("{} is no region like us-east-1", quoted(text)));
        return None;
    }
    Some(text.to_owned())
}

fn headers(field: &Field<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (key, field) in field.entries(HEADERS_MAX, problems).unwrap_or_default() {
        let name = key.name.to_ascii_lowercase();
        let mut wrong = |message: String| problems.push(&field.path, Some(key.place), message);
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            wrong(format!("{} is no name of a header", quoted(&key.name)));
        } else if HEADERS_RESERVED.contains(&name.as_str()) || name.starts_with("x-amz-") {
            wrong("is set by the probe itself, remove it".to_owned());
        } else if SECRET_WORDS.iter().any(|word| name.contains(word)) {
            wrong("looks like a secret, which never stands in this file: use api_key".to_owned());
        } else if let Some(text) = field.text("a header's value", problems) {
            if text.len() > HEADER_BYTES_MAX || http::HeaderValue::from_str(text).is_err() {
                field.wrong(problems, "is not 1 to 1024 visible characters of ASCII");
            }
            headers.insert(name, text.to_owned());
        }
    }
    headers
}

fn body(field: &Field<'_>, problems: &mut Problems) -> JsonMap {
    let serde_json::Value::Object(map) = field.json() else {
        field.wrong(problems, "must be a mapping: {field: value}");
        return JsonMap::new();
    };
    for key in BODY_RESERVED.into_iter().filter(|key| map.contains_key(*key)) {
        field.wrong(problems, format!("overrides {key}, which the probe sets, remove it"));
    }
    map
}
