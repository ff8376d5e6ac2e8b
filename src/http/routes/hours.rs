//! `GET /v1/hours`.

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;

use crate::answers::hours;
use crate::domain::target::{OTHER, Provider};
use crate::domain::time::Timestamp;
use crate::http::Context;
use crate::http::errors::{ApiError, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursParameters {
    provider: Option<String>,
    model: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

pub(super) async fn hours_rows(State(context): State<Context>, request: Request) -> Response {
    let query = Query::<HoursParameters>::try_from_uri(request.uri())
        .map_err(|error| {
            ApiError::bad_request(
                "bad_query",
                error.body_text(),
                "the parameters are provider, model, from and to",
            )
        })
        .and_then(|Query(parameters)| hours_query(&context, parameters));
    match query {
        Ok(query) => {
            let published = context.published.load();
            let body = hours::document(&published.snapshot, &query);
            json(StatusCode::OK, body)
        }
        Err(error) => error.into_response(),
    }
}

fn hours_query(context: &Context, parameters: HoursParameters) -> Result<hours::Query, ApiError> {
    let bad = |parameter: &str, what: &str| {
        let message = format!("{parameter}: {what}");
        ApiError::bad_request("bad_query", message, "see GET /v1/hours in docs/health.md")
    };
    let time = |parameter: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => parse_time(&text)
            .map(Some)
            .ok_or_else(|| bad(parameter, "expected RFC 3339 or seconds since 1970")),
    };
    let names = context.names.load();
    let provider = parameters
        .provider
        .map(|name| names.provider(&name).ok_or_else(|| bad("provider", "not a provider's name")));
    let provider = provider.transpose()?;
    // Of nobody in particular, a name means what it means with all providers that know it.
    let whose = provider.as_ref().map_or(OTHER, Provider::as_str);
    let model = parameters.model.map(|name| {
        let target = names.resolve(Some(whose), None, &name);
        target.map(|target| target.model).map_err(|error| bad("model", &error.to_string()))
    });
    let model = model.transpose()?;
    let (from, to) = (time("from", parameters.from)?, time("to", parameters.to)?);
    Ok(hours::Query { provider, model, from, to })
}

fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Timestamp::from_secs(seconds));
    }
    Timestamp::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let expected = Some(Timestamp::from_secs(1_777_039_391));
        assert_eq!(parse_time("1777039391"), expected);
        assert_eq!(parse_time("2026-04-24T16:03:11+02:00"), expected);
        assert_eq!(parse_time("yesterday"), None);
    }
}
