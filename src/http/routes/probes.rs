//! `GET /v1/probes…`: the last probes, one by one.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::health::{name, unknown_target};
use crate::answers::probes;
use crate::domain::target::Target;
use crate::http::Context;
use crate::http::errors::json;

pub(super) async fn latest(State(context): State<Context>) -> Response {
    let runs = context.probe_log.latest(probes::LATEST_MAX);
    json(StatusCode::OK, probes::latest(&runs))
}

pub(super) async fn of_target(
    State(context): State<Context>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let name = match name(path) {
        Ok(name) => name,
        Err(error) => return error.into_response(),
    };
    let published = context.published.load();
    let known = |target: &Target| published.snapshot.target(target).is_some();
    match meant(&context, &name).into_iter().flatten().find(known) {
        Some(target) => {
            let runs = context.probe_log.of(&target);
            json(StatusCode::OK, probes::of_target(&target, &runs))
        }
        None => unknown_target(&published, &name).into_response(),
    }
}

/// The targets that a name may mean: as it is written, or as the configuration reads it.
pub(super) fn meant(context: &Context, name: &str) -> [Option<Target>; 2] {
    let read = name.split_once('/').and_then(|(provider, model)| {
        context.names.load().resolve(Some(provider), None, model).ok()
    });
    [Target::parse(name).ok(), read]
}
