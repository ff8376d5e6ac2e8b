//! The routes without a socket: for a program that asks its own daemon.

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Request, StatusCode};
use tower::ServiceExt;

use super::{Context, router};

/// Largest answer taken: far more than a scrape of the largest book.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A way to ask the routes directly.
#[derive(Clone, Debug)]
pub struct InProcess(Router);

impl InProcess {
    /// The routes that work with these handles.
    pub fn new(context: Context) -> Self {
        Self(router(context))
    }

    /// The answer to a request: its status and its whole body. A body that cannot be read, or is
    /// too large, is empty.
    pub async fn ask(&self, request: Request<Bytes>) -> (StatusCode, Bytes) {
        let response = match self.0.clone().oneshot(request.map(Body::from)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        (status, to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default())
    }
}
