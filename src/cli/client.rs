//! The HTTP client of the subcommands that talk to a running daemon.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

/// A daemon on the same machine answers in milliseconds; one that does not is in trouble.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where the daemon is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DaemonArgs {
    /// Base URL of the daemon
    #[arg(long, env = "BROWNOUT_URL", default_value = "http://127.0.0.1:10529")]
    pub(super) url: String,
}

/// A client of one daemon.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client of the daemon at `args.url`, with a bearer token if the daemon wants one.
    pub(super) fn new(args: &DaemonArgs, token: Option<String>) -> anyhow::Result<Self> {
        let http = crate::intake::probe::client()?;
        Ok(Self { http, base: args.url.trim_end_matches('/').to_owned(), token })
    }

    /// GETs JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.http.get(format!("{}{path}", self.base)).timeout(TIMEOUT).send().await;
        let body = self.body(response).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("{}{path} did not answer as brownout does", self.base))
    }

    /// POSTs JSON and gives the answer's body.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let mut request = self
            .http
            .post(format!("{}{path}", self.base))
            .timeout(TIMEOUT)
            .header("content-type", "application/x-ndjson")
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.body(request.send().await).await
    }

    async fn body(&self, response: reqwest::Result<reqwest::Response>) -> anyhow::Result<Vec<u8>> {
        let response = response.with_context(|| {
            format!("no brownout answers at {} (is it running? see --url)", self.base)
        })?;
        let status = response.status();
        let body = response.bytes().await.context("the answer broke off")?;
        if !status.is_success() {
            bail!("{} answered {status}: {}", self.base, error_message(&body));
        }
        Ok(body.to_vec())
    }
}

/// The message and remedy of an error answer.
fn error_message(body: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let part = |name: &str| {
        let error = parsed.as_ref()?.get("error")?;
        error.get(name)?.as_str().map(str::to_owned)
    };
    match (part("message"), part("remedy")) {
        (Some(message), Some(remedy)) => format!("{message} ({remedy})"),
        (Some(message), None) => message,
        (None, _) => "no further explanation".to_owned(),
    }
}
