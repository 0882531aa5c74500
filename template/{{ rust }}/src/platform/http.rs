//! What every request gets: an id, a span, a log line and a place in the metrics.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{FutureExt, StreamExt, stream};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::{problem, server, telemetry};

const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The status of a request whose client has left, as nginx has it: nobody sees it.
const CLIENT_LEFT: u16 = 499;
const REQUEST_ID: &str = "x-request-id";

/// Adds probes, metrics and `openapi` to the service's routes, and what every
/// request gets to all of them.
pub fn router(routes: Router, openapi: &'static str) -> Router {
    let openapi = ([(CONTENT_TYPE, "application/json")], openapi);
    routes
        .route("/livez", get("ok\n"))
        .route("/readyz", get(server::ready))
        .route("/metrics", get(telemetry::metrics))
        .route("/openapi.json", get(openapi))
        .layer((
            middleware::from_fn(observe),
            DefaultBodyLimit::max(MAX_BODY_BYTES),
        ))
}

/// Answers a request within a span, measures it and logs it.
async fn observe(mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(request.headers());
    let span = span(&request, &id);
    let header = HeaderValue::try_from(id).expect("an id has visible characters");
    request.headers_mut().insert(REQUEST_ID, header.clone());
    let mut exchange = Exchange {
        start,
        span: span.clone(),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        status: StatusCode::from_u16(CLIENT_LEFT).expect("a status"),
    };

    let answer = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .map(|answer| answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        .then(problem::describe)
        .instrument(span.clone())
        .await;

    exchange.status = answer.status();
    drop(exchange);
    let mut answer = answer.map(|body| within(span, body));
    answer.headers_mut().insert(REQUEST_ID, header);
    answer
}

/// A request, which is noted when it is answered or given up.
struct Exchange {
    start: Instant,
    span: Span,
    method: Method,
    path: String,
    route: Option<MatchedPath>,
    status: StatusCode,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        let status = self.status;
        #[cfg(feature = "otel")]
        super::otel::answer(&self.span, status);
        let method = self.method.as_str();
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        telemetry::measure(method, route, status.as_str(), elapsed);
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    parent: &self.span,
                    method,
                    path = self.path,
                    status = status.as_u16(),
                    duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3,
                    "request"
                )
            };
        }
        match self.path.as_str() {
            path if routine(path) => log!(debug),
            _ if status.is_server_error() => log!(error),
            _ => log!(info),
        }
    }
}

/// Whether a path is one that machines ask for all day.
pub(super) fn routine(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// The id that came with the request if it is 1 to 128 of `A-Z a-z 0-9 . _ -`, else a
/// new one.
fn request_id(headers: &HeaderMap) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match given {
        Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(allowed) => id.to_owned(),
        _ => Uuid::new_v4().to_string(),
    }
}

/// The span of a request. It is at the highest level, so that no `LOG_LEVEL`
/// takes the id from a line.
fn span(request: &Request, request_id: &str) -> Span {
    #[cfg(feature = "otel")]
    if let Some(span) = super::otel::span(request, request_id) {
        return span;
    }
    let trace_id = trace_id(request.headers());
    tracing::error_span!(target: "untraced", "request", request_id, trace_id)
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

/// A body that is made while it is sent is made within the span, too.
fn within(span: Span, body: Body) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    let mut frames = body.into_data_stream();
    let frames = stream::poll_fn(move |context| {
        span.in_scope(|| {
            let frame = frames.poll_next_unpin(context);
            frame.map_err(|error| {
                tracing::error!(%error, "answer cut short");
                error
            })
        })
    });
    Body::from_stream(frames)
}

/// Adds the `traceparent` of the current span to the headers of a request to another
/// service, where traces are on.
#[cfg_attr(not(feature = "otel"), allow(unused_variables))]
pub fn propagate(headers: &mut HeaderMap) {
    #[cfg(feature = "otel")]
    super::otel::inject(headers);
}
