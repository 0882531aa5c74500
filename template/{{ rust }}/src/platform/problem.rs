//! Error answers as `application/problem+json` (RFC 9457).

use std::error::Error;

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

const MAX_DETAIL_BYTES: usize = 16 * 1024;

/// An error answer of a handler. Any error becomes one with `?`: it goes into the
/// log, and the client is told of a 500 and no more.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// `detail` is one sentence for the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }
}

impl<E: Error> From<E> for Problem {
    fn from(error: E) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, self.detail).into_response()
    }
}

/// Makes a problem of an error answer in plain text or without a body: those of
/// [`Problem`], of axum's routes and of its extractors.
pub(super) async fn describe(response: impl IntoResponse) -> Response {
    let response = response.into_response();
    let status = response.status();
    let plain = match response.headers().get(CONTENT_TYPE) {
        Some(kind) => kind.as_bytes().starts_with(b"text/plain"),
        None => true,
    };
    if !(status.is_client_error() || status.is_server_error()) || !plain {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_DETAIL_BYTES).await.unwrap_or_default();
    let title = status.canonical_reason().unwrap_or_default();
    let detail = match str::from_utf8(&text) {
        _ if status == StatusCode::INTERNAL_SERVER_ERROR => "The service failed.",
        Ok(text) if !text.is_empty() => text,
        _ => title,
    };
    let problem = json!({"title": title, "status": status.as_u16(), "detail": detail});
    let kind = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(CONTENT_TYPE, kind);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.to_string()))
}
