//! `GET /probe?target=PROVIDER/MODEL`: one probe on demand, in the manner of the blackbox exporter.
//!
//! Only names of the configuration, never an address: who may ask must not be able to send our
//! key, or anything else, anywhere. A question costs money, so one that a page of somebody else
//! made a browser ask is refused.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;

use super::probes::meant;
use crate::answers::probes;
use crate::domain::target::{NAME_BYTES_MAX, Target};
use crate::ground::clock::Stopwatch;
use crate::http::Context;
use crate::http::errors::ApiError;
use crate::intake::schedule::{Found, Shortage, Unanswered};

/// The header by which Prometheus tells when it gives a scrape up, in seconds.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// How much earlier to answer, for the way back: what the blackbox exporter takes off.
const SCRAPE_OFFSET: Duration = Duration::from_millis(500);

const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    target: Option<String>,
    #[serde(default)]
    debug: bool,
}

pub(super) async fn probe(
    State(context): State<Context>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match answer(&context, &uri, &headers).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// HEAD would cost what GET does and show nothing for it.
pub(super) async fn only_get() -> Response {
    let mut response = super::wrong_method().await.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    response
}

async fn answer(context: &Context, uri: &Uri, headers: &HeaderMap) -> Result<Response, ApiError> {
    let watch = Stopwatch::start();
    super::permit(context, headers)?;
    refuse_foreign_pages(headers)?;
    let patience = patience(headers)?;
    let query = Query::<Parameters>::try_from_uri(uri);
    let Query(Parameters { target, debug }) = query.map_err(|error| {
        let remedy = "the parameters are target=PROVIDER/MODEL and debug=true";
        ApiError::bad_request("bad_query", error.body_text(), remedy)
    })?;
    let name = target.unwrap_or_default();
    let found = ask(context, &name, patience).await?;
    let (explained, metrics) = match found {
        Found::Answered(answered) => {
            let run = answered.report.run(answered.on_demand);
            let metrics = probes::exposition(&run, watch.elapsed());
            (debug.then(|| answered.explain()), metrics)
        }
        Found::Unfinished(waited) => {
            let said = || {
                let remedy = "ask with a longer scrape timeout, or look at /v1/probes later";
                format!(
                    "{name}: not finished after {waited:.1?}; it goes on and counts.\n  {remedy}\n"
                )
            };
            (debug.then(said), probes::unfinished(watch.elapsed()))
        }
    };
    let (kind, body) = match explained {
        None => (METRICS_TYPE, metrics),
        Some(text) => {
            let title = "Metrics that would have been returned:";
            (TEXT_TYPE, format!("{text}\n\n{title}\n{metrics}"))
        }
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, NO_STORE)];
    Ok((headers, body).into_response())
}

/// Asks for the target that the name means.
async fn ask(context: &Context, name: &str, patience: Option<Duration>) -> Result<Found, ApiError> {
    let form = "write target=PROVIDER/MODEL, a name of the configuration";
    if name.is_empty() {
        let message = "the parameter target is missing".to_owned();
        return Err(ApiError::bad_request("missing_target", message, form));
    }
    if name.contains("://") {
        let message = "target is an address, which is never probed".to_owned();
        return Err(ApiError::bad_request("bad_target", message, form));
    }
    let mut why = None;
    for target in meant(context, name).into_iter().flatten() {
        match context.on_demand.ask(&target, patience).await {
            Ok(found) => return Ok(found),
            // Perhaps it is known by another name.
            Err(Unanswered::Unknown) => why = why.or(Some((target, Unanswered::Unknown))),
            Err(error) => {
                why = Some((target, error));
                break;
            }
        }
    }
    let Some((target, why)) = why else {
        let name: String = name.chars().take(NAME_BYTES_MAX).collect();
        let message = format!("target {name:?} is no PROVIDER/MODEL");
        return Err(ApiError::bad_request("bad_target", message, form));
    };
    Err(unanswered(&target, why))
}

fn unanswered(target: &Target, why: Unanswered) -> ApiError {
    let message = format!("{target} cannot be probed: {why}");
    let error = |status, code, remedy: &str| ApiError::new(status, code, message.clone(), remedy);
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    match why {
        Unanswered::Unknown => {
            let remedy = format!("add the model under providers.{}.models", target.provider);
            error(StatusCode::NOT_FOUND, "unknown_target", &remedy)
        }
        Unanswered::NoKey => {
            let remedy = format!("add providers.{}.api_key", target.provider);
            error(StatusCode::NOT_FOUND, "probe_without_key", &remedy)
        }
        Unanswered::TooSoon(wait) => {
            let remedy = "ask again after the time in Retry-After, or read /v1/probes";
            error(StatusCode::TOO_MANY_REQUESTS, "probe_too_soon", remedy).retry_after(wait)
        }
        Unanswered::Busy => error(unavailable, "probe_busy", "ask again in a second"),
        Unanswered::Budget(shortage, wait) => {
            let remedy = match shortage {
                Shortage::SetAside => "ask again when the probes in flight have ended",
                Shortage::Spent => "raise probes.budget, or wait for the next day (UTC)",
                Shortage::NeverFits => "raise probes.budget, see brownout plan for what it takes",
            };
            error(unavailable, "probe_budget", remedy).retry_after(wait)
        }
        Unanswered::Refused(_) => {
            error(unavailable, "probe_refused", "mend the provider's configuration")
        }
        Unanswered::GivenUp => error(unavailable, "probe_given_up", "ask again in a second"),
    }
}

/// How long Prometheus waits, less the way back; `None` if nobody says.
fn patience(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(SCRAPE_TIMEOUT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let given = seconds.filter(|seconds| *seconds > 0.0);
    let given = given.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let Some(given) = given else {
        let message = format!("the header {SCRAPE_TIMEOUT} holds no time");
        let remedy = "send seconds, for example 10, or leave it out";
        return Err(ApiError::bad_request("bad_timeout", message, remedy));
    };
    // Of a time shorter than the way back, what there is.
    Ok(Some(given.checked_sub(SCRAPE_OFFSET).filter(|left| !left.is_zero()).unwrap_or(given)))
}

/// Refuses what another site's page made a browser ask, by an image for example.
///
/// Browsers say who made them ask wherever they trust the connection (HTTPS or loopback). Where
/// they do not say it, a browser cannot be told from such a page and is refused as a whole.
fn refuse_foreign_pages(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let own = match text("sec-fetch-site") {
        Some(site) => matches!(site, "none" | "same-origin"),
        None => !text("user-agent").is_some_and(|agent| agent.contains("Mozilla/")),
    };
    // Fetched ahead of a click that may never come.
    let ahead = ["sec-purpose", "purpose", "x-moz"]
        .into_iter()
        .any(|name| text(name).is_some_and(|purpose| purpose.contains("prefetch")));
    if own && !ahead {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign_page",
        "a web page must not make a browser spend money on probes",
        "use curl or Prometheus, or type the address into a browser on the same machine",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_who_means_it_may_ask() {
        let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101");
        for (given, may) in [
            (&[][..], true),
            (&[("user-agent", "Prometheus/3.4.0")], true),
            (&[("user-agent", "curl/8.5.0")], true),
            (&[browser], false),
            (&[browser, ("sec-fetch-site", "none")], true),
            (&[browser, ("sec-fetch-site", "same-origin")], true),
            (&[browser, ("sec-fetch-site", "same-site")], false),
            (&[browser, ("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[browser, ("sec-fetch-site", "none"), ("sec-purpose", "prefetch")], false),
        ] {
            assert_eq!(refuse_foreign_pages(&headers(given)).is_ok(), may, "{given:?}");
        }
    }

    #[test]
    fn who_asks_in_vain_hears_when_to_ask_again() {
        let second = Duration::from_secs(1);
        let target = Target::parse("a/m").unwrap();
        for (why, status, after) in [
            (Unanswered::TooSoon(second * 7 / 2), 429, Some("4")),
            (Unanswered::Busy, 503, Some("1")),
            (Unanswered::Budget(Shortage::SetAside, Some(second * 5)), 503, Some("5")),
            (Unanswered::Budget(Shortage::Spent, Some(second * 9_000)), 503, Some("9000")),
            (Unanswered::Budget(Shortage::NeverFits, None), 503, None),
        ] {
            let response = unanswered(&target, why.clone()).into_response();
            let found = response.headers().get(header::RETRY_AFTER);
            let found = found.map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), found), (status, after), "{why:?}");
        }
    }

    #[test]
    fn the_answer_comes_before_the_scrape_is_given_up() {
        let millis = |millis| Some(Some(Duration::from_millis(millis)));
        for (value, expected) in [
            ("10", millis(9_500)),
            ("0.75", millis(250)),
            ("0.5", millis(500)),
            ("0.1", millis(100)),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("soon", None),
        ] {
            let found = patience(&headers(&[(SCRAPE_TIMEOUT, value)]));
            assert_eq!(found.ok(), expected, "{value}");
        }
        assert_eq!(patience(&HeaderMap::new()).ok(), Some(None));
    }
}
