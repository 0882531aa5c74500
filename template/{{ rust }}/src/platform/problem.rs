//! Error answers as `application/problem+json` (RFC 9457).

use std::fmt::Display;

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error answer, and what it tells the client. `?` makes a 500 of any other error.
pub struct Problem(pub StatusCode, pub String);

impl<E: Display> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// Makes a problem of an error answer in plain text, or without a body. What a 500
/// says goes into the log, and not to the client.
pub(super) async fn describe(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let status = parts.status;
    let plain = match parts.headers.get(CONTENT_TYPE) {
        _ if parts.headers.contains_key(CONTENT_ENCODING) => false,
        Some(kind) => kind.as_bytes().starts_with(b"text/plain"),
        None => true,
    };
    if !(plain && (status.is_client_error() || status.is_server_error())) {
        return Response::from_parts(parts, body);
    }
    let text = to_bytes(body, 64 * 1024).await.unwrap_or_default();
    let title = status.canonical_reason().unwrap_or_default();
    let detail = match str::from_utf8(&text).unwrap_or_default() {
        "" => title,
        error if status == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(error, "request failed");
            title
        }
        detail => detail,
    };
    let problem = json!({"title": title, "status": status.as_u16(), "detail": detail});
    let kind = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(CONTENT_TYPE, kind);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.to_string()))
}
