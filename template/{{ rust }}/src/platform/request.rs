//! What every request gets: an id, a span, a log line and a place in the metrics.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use tracing::Span;

/// Drops an id that is not 1 to 128 of `A-Z a-z 0-9 . _ -`, so that a new one
/// takes its place.
pub(super) fn check_id(mut request: Request) -> Request {
    let valid = |id: &[u8]| {
        (1..=128).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
    };
    if request.headers().get(ID).is_some_and(|id| !valid(id.as_bytes())) {
        request.headers_mut().remove(ID);
    }
    request
}

const ID: &str = "x-request-id";

/// The span of a request. It is at the highest level, so that no `LOG_LEVEL`
/// takes the id from a line.
pub(super) fn span<B>(request: &axum::http::Request<B>) -> Span {
    let headers = request.headers();
    let request_id = headers.get(ID).and_then(|id| id.to_str().ok());
    #[cfg(feature = "otel")]
    if let Some(span) = super::otel::span(request, request_id) {
        return span;
    }
    tracing::error_span!("request", request_id, trace_id = trace_id(headers))
}

/// The trace that a W3C `traceparent` names.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parts: Vec<_> = headers.get("traceparent")?.to_str().ok()?.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length
            && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, length| hex(part, length) && part.bytes().any(|byte| byte != b'0');
    match parts[..] {
        ["00", trace, parent, flags] if id(trace, 32) && id(parent, 16) && hex(flags, 2) => {
            Some(trace)
        }
        _ => None,
    }
}

/// Logs and measures a request, within its span.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();

    let response = next.run(request).await;

    let elapsed = start.elapsed();
    let status = response.status();
    #[cfg(feature = "otel")]
    super::otel::answer(&Span::current(), status);
    metrics::histogram!(
        super::telemetry::DURATION,
        "http_request_method" => match method.as_str() {
            known @ ("CONNECT" | "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT"
                | "TRACE") => known.to_owned(),
            _ => "_OTHER".to_owned(),
        },
        "http_route" => route.map_or_else(String::new, |route| route.as_str().to_owned()),
        "http_response_status_code" => status.as_str().to_owned(),
    )
    .record(elapsed);
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                method = method.as_str(),
                path,
                status = status.as_u16(),
                duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3,
                "request"
            )
        };
    }
    match path.as_str() {
        "/livez" | "/readyz" | "/metrics" => log!(debug),
        _ if status.is_server_error() => log!(error),
        _ => log!(info),
    }
    response
}
