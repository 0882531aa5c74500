//! The error answer of the API: `application/problem+json` (RFC 9457).

use std::{any::Any, borrow::Cow, fmt};

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error that is shown to the client, but for its fault.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    fault: Option<Fault>,
}

/// What went wrong inside, in the extensions of an answer: for the log only.
#[derive(Clone, Debug)]
pub struct Fault(pub String);

impl Problem {
    /// `detail` is one sentence for the client.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
            fault: None,
        }
    }

    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this path.")
    }

    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This path does not answer this method.",
        )
    }

    /// A fault of the service. The client hears nothing of `error`.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self {
            fault: Some(Fault(error.to_string())),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The service could not answer this request.",
            )
        }
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn title(&self) -> &'static str {
        match self.status {
            // RFC 9110; the http crate keeps the older phrase.
            StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
            status => status.canonical_reason().unwrap_or_default(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "title": self.title(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (
            self.status,
            [(CONTENT_TYPE, "application/problem+json")],
            body.to_string(),
        )
            .into_response();
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not worth reading.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if let Some(fault) = self.fault {
            response.extensions_mut().insert(fault);
        }
        response
    }
}

/// The answer to a request whose handler panicked.
pub fn from_panic(payload: &(dyn Any + Send)) -> Response {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Problem::internal(format_args!("panic: {message}")).into_response()
}
