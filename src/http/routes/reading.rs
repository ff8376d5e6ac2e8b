//! From a request's body to what an intake makes of it, within the limits.

use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;

use crate::http::body::Received;
use crate::http::errors::ApiError;
use crate::http::{Context, body};

/// Receives a body, decodes it and hands it to `take`.
pub(super) async fn read<T: Send + 'static>(
    context: &Context,
    headers: &HeaderMap,
    body: Body,
    take: impl FnOnce(&Context, &[u8]) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    decode(context, receive(context, headers, body).await?, take).await
}

/// Receives a body within its limits.
pub(super) async fn receive(
    context: &Context,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, ApiError> {
    body::receive(headers, body, context.access.load().body_max, &context.limits).await
}

/// Decodes a body and hands it to `take`. What takes long leaves the async threads.
pub(super) async fn decode<T: Send + 'static>(
    context: &Context,
    received: Received,
    take: impl FnOnce(&Context, &[u8]) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let decoded_max = context.access.load().decoded_max;
    let limits = Arc::clone(&context.limits);
    let quick = received.is_quick();
    let context = context.clone();
    let read = move || {
        let bytes = received.decode(decoded_max)?;
        context.stats.count_ingest_bytes(received.wire_bytes() as u64, bytes.len() as u64);
        take(&context, &bytes)
    };
    if quick {
        return read();
    }
    let turn = limits.reader().await;
    let reading = tokio::task::spawn_blocking(move || {
        let taken = read();
        drop(turn);
        taken
    });
    reading.await.unwrap_or_else(|_| Err(super::internal("the batch could not be read")))
}
