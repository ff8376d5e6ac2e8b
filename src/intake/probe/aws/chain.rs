//! Where AWS credentials come from: the AWS SDK's own chain, over our HTTP client.
//!
//! In this order, the first that has any: variables of the environment; the profile (`AWS_PROFILE`)
//! in the shared files, roles and `credential_process` included; a web identity token; the
//! container's endpoint; the machine's. Each lookup asks anew, because whoever looks wants to
//! know what has changed. Single sign-on is not in it: its crates cost more than they give to a
//! daemon, and `credential_process` leads there.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError as Lookup;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::os_shim_internal::Env;

use super::super::redact;
use super::process::{self, Role};
use crate::ground::causes::with_causes;
use crate::ground::secret::SecretError;

/// How long looking may take, as for a secret's command.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one request may take where the chain does not say.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes read of one answer: credentials are a few KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// Nobody has any.
    #[error(
        "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a \
         profile in AWS_PROFILE, or give the machine a role"
    )]
    None,
    /// Somebody should have some, and says why not.
    #[error("AWS credentials cannot be read: {0}")]
    Lookup(String),
    /// Looking took too long.
    #[error("AWS credentials were not found within 10 s: is the source of the role reachable?")]
    TimedOut,
    /// The profile asks for what we do not do.
    #[error(
        "the AWS profile asks for single sign-on, which is reached through a profile with \
         credential_process = aws configure export-credentials --profile NAME --format process"
    )]
    SingleSignOn,
    /// The profile's program failed.
    #[error("credential_process of the AWS profile: {0}")]
    Process(#[from] SecretError),
    /// The profile's program printed something else.
    #[error("credential_process of the AWS profile: {0}")]
    Printed(&'static str),
}

/// Looks for credentials.
///
/// `env` says which profile is in use, and so whether there is a program to run. Everything after
/// that goes by the environment of this process, for the chain of the SDK takes no other: a test
/// with an `env` of its own must not get beyond the program.
///
/// # Errors
/// [`CredentialsError`] with a remedy; it holds nothing of what was found.
pub(super) async fn find(
    client: &reqwest::Client,
    region: &str,
    env: &Env,
) -> Result<Credentials, CredentialsError> {
    let looking = async {
        let region = Region::new(region.to_owned());
        if let Some(way) = process::way(env).await? {
            let mut credentials = process::run(way.argv).await?;
            for role in way.roles {
                credentials = assume(client, &region, credentials, role).await?;
            }
            return Ok(credentials);
        }
        let config = ProviderConfig::without_region()
            .with_region(Some(region.clone()))
            .with_http_client(Http(client.clone()));
        let chain = DefaultCredentialsChain::builder().configure(config).region(region);
        let chain = chain.build().await;
        chain.provide_credentials().await.map_err(explained)
    };
    let found = tokio::time::timeout(LOOKUP_TIMEOUT, looking).await;
    found.unwrap_or(Err(CredentialsError::TimedOut))
}

/// Takes on a role, with the credentials of one who may.
async fn assume(
    client: &reqwest::Client,
    region: &Region,
    credentials: Credentials,
    role: Role,
) -> Result<Credentials, CredentialsError> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .http_client(Http(client.clone()))
        .credentials_provider(credentials)
        .load()
        .await;
    let mut provider = AssumeRoleProvider::builder(role.arn).configure(&config);
    if let Some(id) = role.external_id {
        provider = provider.external_id(id);
    }
    // The SDK makes one up where the profile has none.
    if let Some(name) = role.session_name {
        provider = provider.session_name(name);
    }
    provider.build().await.provide_credentials().await.map_err(explained)
}

/// The chain's complaint, with its causes; they may quote files and answers.
fn explained(error: Lookup) -> CredentialsError {
    if matches!(error, Lookup::CredentialsNotLoaded(_)) {
        return CredentialsError::None;
    }
    CredentialsError::Lookup(redact::redact(&with_causes(&error), None, ""))
}

/// The HTTP client of all probes, as the chain wants it.
#[derive(Clone, Debug)]
struct Http(reqwest::Client);

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limits = [settings.connect_timeout(), settings.read_timeout()];
        let timeout = match limits {
            [None, None] => REQUEST_TIMEOUT,
            limits => limits.into_iter().flatten().sum(),
        };
        SharedHttpConnector::new(Connector { client: self.0.clone(), timeout })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    client: reqwest::Client,
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            let exchange = exchange(&connector.client, request);
            match tokio::time::timeout(connector.timeout, exchange).await {
                Ok(answer) => answer,
                Err(error) => Err(ConnectorError::timeout(error.into())),
            }
        })
    }
}

async fn exchange(
    client: &reqwest::Client,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let user = |error| ConnectorError::user(error);
    let (parts, body) = request.try_into_http1x().map_err(|error| user(error.into()))?.into_parts();
    let body = body.bytes().unwrap_or_default().to_vec();
    let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
        .map_err(|error| user(error.into()))?;
    let mut response =
        client.execute(request).await.map_err(|error| ConnectorError::io(error.into()))?;
    let mut answer = http::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        answer = answer.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| ConnectorError::io(error.into()))?
    {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ConnectorError::other("the answer is too long".into(), None));
        }
        body.extend_from_slice(&chunk);
    }
    let answer = answer.body(SdkBody::from(body)).map_err(|error| user(error.into()))?;
    HttpResponse::try_from(answer).map_err(|error| user(error.into()))
}
