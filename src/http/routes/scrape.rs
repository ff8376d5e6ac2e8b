//! `GET /metrics`: format and compression by negotiation.

use std::io::Write;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

use crate::answers::metrics::Format;
use crate::http::Context;

pub(super) async fn metrics(State(context): State<Context>, headers: HeaderMap) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(text(header::ACCEPT));
    let gzip = accepts_gzip(text(header::ACCEPT_ENCODING));
    let (exporter, now) = (context.exporter, context.clock.now());
    let turn = context.limits.renderer().await;
    let rendered = tokio::task::spawn_blocking(move || {
        let plain = exporter.render(format, now);
        let bytes = if gzip { compress(&plain).unwrap_or(plain) } else { plain };
        drop(turn);
        bytes
    });
    let Ok(bytes) = rendered.await else {
        return super::internal("the exposition could not be written").into_response();
    };
    // The gzip magic cannot begin an exposition, which is text.
    let gzipped = bytes.starts_with(&[0x1f, 0x8b]);
    let mut response = Body::from(bytes).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    answer.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzipped {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.is_some_and(|value| {
        value.split(',').any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = parameters
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q == 0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        for (accept, expected) in [
            (None, false),
            (Some("gzip"), true),
            (Some("deflate, GZIP;q=0.5"), true),
            (Some("gzip;q=0"), false),
            (Some("br"), false),
        ] {
            assert_eq!(accepts_gzip(accept), expected, "{accept:?}");
        }
    }
}
