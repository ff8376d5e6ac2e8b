//! `POST /v1/outcomes`.

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::errors::{ApiError, ErrorDocument, json};
use crate::http::{Context, body};
use crate::intake::access_log::LogError;
use crate::intake::batch::BatchError;
use crate::intake::report::Receipt;

use super::reading;

/// Longest `Idempotency-Key` looked at, in bytes.
const BATCH_KEY_BYTES_MAX: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    mapping: Option<String>,
}

#[derive(Serialize)]
struct ReceiptDocument<'a> {
    accepted: u64,
    duplicate: u64,
    #[serde(skip_serializing_if = "is_zero")]
    ignored: u64,
    rejected: Vec<RejectionDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument<'a>>,
}

#[derive(Serialize)]
struct RejectionDocument<'a> {
    index: usize,
    error: &'a str,
}

pub(super) async fn outcomes(State(context): State<Context>, request: Request) -> Response {
    let response = match take_outcomes(&context, request).await {
        Ok(receipt) => receipt_response(&receipt),
        Err(error) => error.into_response(),
    };
    context.stats.count_ingest_request(response.status().as_u16());
    response
}

async fn take_outcomes(context: &Context, request: Request) -> Result<Receipt, ApiError> {
    let (parts, body) = request.into_parts();
    super::permit(context, &parts.headers)?;
    body::require_json(&parts.headers)?;
    let Query(parameters) = Query::<Parameters>::try_from_uri(&parts.uri).map_err(|error| {
        let remedy = "the only parameter is mapping, the name of one under ingest.mappings";
        ApiError::bad_request("bad_query", error.body_text(), remedy)
    })?;
    let key = parts.headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let key = key.filter(|key| !key.is_empty() && key.len() <= BATCH_KEY_BYTES_MAX);
    let key = key.map(str::to_owned);
    let take = move |context: &Context, bytes: &[u8]| {
        read(context, bytes, parameters.mapping.as_deref(), key.as_deref())
    };
    reading::read(context, &parts.headers, body, take).await
}

fn read(
    context: &Context,
    bytes: &[u8],
    mapping: Option<&str>,
    key: Option<&str>,
) -> Result<Receipt, ApiError> {
    let now = context.clock.now();
    let receipt = match mapping {
        None => context.reports.take(bytes, key, now).map_err(unreadable),
        Some(name) => context.access_logs.take(bytes, name, key, now).map_err(unmapped),
    };
    if receipt.as_ref().is_ok_and(|receipt| receipt.new_target) {
        (context.publish)();
    }
    receipt
}

fn unmapped(error: LogError) -> ApiError {
    match error {
        LogError::Batch(error) => unreadable(error),
        LogError::UnknownMapping(_) => {
            let remedy = "name one of them, or add yours under ingest.mappings";
            ApiError::bad_request("unknown_mapping", error.to_string(), remedy)
        }
    }
}

/// The answer to a batch that cannot be read at all.
pub(super) fn unreadable(error: BatchError) -> ApiError {
    match error {
        BatchError::Empty => ApiError::bad_request(
            "empty_batch",
            error.to_string(),
            "send {\"provider\":…,\"model\":…,\"status\":…} or an array of such objects",
        ),
        BatchError::TooManyRecords => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_many_records",
            error.to_string(),
            "split the batch",
        ),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// 200 as soon as anything was counted or known; 400 when every record was refused.
fn receipt_response(receipt: &Receipt) -> Response {
    let nothing_kept = receipt.accepted + receipt.duplicate + receipt.ignored == 0;
    let refused = nothing_kept && !receipt.rejected.is_empty();
    let error = ApiError::bad_request(
        "no_record_accepted",
        receipt
            .rejected
            .first()
            .map(|first| format!("record {}: {}", first.index, first.error))
            .unwrap_or_default(),
        "mend the named fields and send the records again",
    );
    let document = ReceiptDocument {
        accepted: receipt.accepted,
        duplicate: receipt.duplicate,
        ignored: receipt.ignored,
        rejected: receipt
            .rejected
            .iter()
            .map(|r| RejectionDocument { index: r.index, error: &r.error })
            .collect(),
        error: refused.then(|| error.document()),
    };
    let status = if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    json(status, serde_json::to_vec(&document).expect("plain structs serialise"))
}
