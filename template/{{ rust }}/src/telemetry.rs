//! What every request gets: an id, a log line, metrics and an answer.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header::CONNECTION},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, debug, error, error_span, info};

use crate::{
    health::Health,
    metrics::{self, InFlight},
    problem::Fault,
    request_id::{self, request_id},
};

/// The route of a request whose path is none of the service's.
const UNMATCHED: &str = "unmatched";

/// Wraps a request from its headers to its answer.
pub async fn observe(State(health): State<Health>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let in_flight = InFlight::begin();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    // At the highest level, so that no LOG_LEVEL takes the id from a line.
    let span = error_span!("request", request_id = id);

    let mut response = next.run(request).instrument(span.clone()).await;

    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(request_id::HEADER, id);
    }
    if health.is_draining() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    drop(in_flight);
    let elapsed = start.elapsed();
    metrics::observe(&method, route, response.status(), elapsed);
    span.in_scope(|| log(&method, &path, route, &response, elapsed));
    response
}

/// Keeps probes and scrapes out of the log, and an unready probe out of the
/// errors.
fn log(method: &Method, path: &str, route: &str, response: &Response, elapsed: Duration) {
    let status = response.status();
    macro_rules! log {
        ($level:ident $(, $error:ident)?) => {
            $level!(
                method = method.as_str(),
                path,
                status = status.as_u16(),
                duration_ms = milliseconds(elapsed),
                $($error,)?
                "request"
            )
        };
    }
    match route {
        "/livez" | "/readyz" => log!(debug),
        _ if status.is_server_error() => {
            let error = reason(response);
            log!(error, error);
        }
        "/metrics" => log!(debug),
        _ => log!(info),
    }
}

fn reason(response: &Response) -> &str {
    match response.extensions().get::<Fault>() {
        Some(Fault(reason)) => reason,
        None => response.status().canonical_reason().unwrap_or_default(),
    }
}

/// To the microsecond.
fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e3
}
