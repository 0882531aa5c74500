//! What every request gets: an id, a span, a log line and a place in the metrics.

use std::time::Instant;

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{self, HeaderMap, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use tracing::Span;

use super::{problem, server, telemetry};

const MAX_BODY_BYTES: usize = 1024 * 1024;
const REQUEST_ID: &str = "x-request-id";

/// Adds probes, metrics and `openapi` to the service's routes, and what every
/// request gets to all of them.
pub fn router(routes: Router, openapi: &'static str) -> Router {
    let spans = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_request(())
        .on_response(())
        .on_failure(());
    let panics = CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    routes
        .route("/livez", get("ok\n"))
        .route("/readyz", get(server::ready))
        .route("/metrics", get(telemetry::metrics))
        .route(
            "/openapi.json",
            get(([(CONTENT_TYPE, "application/json")], openapi)),
        )
        .layer(
            ServiceBuilder::new()
                .map_request(check_id)
                .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                .layer(PropagateRequestIdLayer::x_request_id())
                .layer(spans)
                .layer(middleware::from_fn(observe))
                .layer(middleware::map_response(problem::describe))
                .layer(panics)
                .layer(DefaultBodyLimit::max(MAX_BODY_BYTES)),
        )
}

/// Drops an id that is not 1 to 128 of `A-Z a-z 0-9 . _ -`, so that a new one
/// takes its place.
fn check_id(mut request: Request) -> Request {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if let Some(id) = request.headers().get(REQUEST_ID)
        && !((1..=128).contains(&id.len()) && id.as_bytes().iter().all(allowed))
    {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// The span of a request. It is at the highest level, so that no `LOG_LEVEL`
/// takes the id from a line.
fn span<B>(request: &http::Request<B>) -> Span {
    let headers = request.headers();
    let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    #[cfg(feature = "otel")]
    if let Some(span) = super::otel::span(request, request_id) {
        return span;
    }
    tracing::error_span!("request", request_id, trace_id = trace_id(headers))
}

/// The trace that a W3C `traceparent` names.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let known = parent.starts_with("00-")
        && parent.split('-').map(str::len).eq([2, 32, 16, 2])
        && parent
            .bytes()
            .all(|byte| matches!(byte, b'-' | b'0'..=b'9' | b'a'..=b'f'));
    let id = parent.get(3..35)?;
    (known && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

/// Measures a request and logs it.
async fn observe(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();

    let response = next.run(request).await;

    let elapsed = start.elapsed();
    let status = response.status();
    #[cfg(feature = "otel")]
    super::otel::answer(&Span::current(), status);
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    telemetry::measure(method.as_str(), route, status.as_str(), elapsed);
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
