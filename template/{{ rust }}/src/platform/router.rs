//! The service's routes, with what the platform puts around them.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::IntoResponse,
    routing::get,
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};

use super::{problem, request, server, telemetry};

const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Adds probes, metrics and `openapi` to the service's routes, and to every
/// request what `docs/service-contract.md` promises.
pub fn router(routes: Router, openapi: &'static str) -> Router {
    routes
        .route("/livez", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(telemetry::metrics))
        .route("/openapi.json", get(([(CONTENT_TYPE, "application/json")], openapi)))
        .layer(
            ServiceBuilder::new()
                .map_request(request::check_id)
                .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                .layer(PropagateRequestIdLayer::x_request_id())
                .layer(
                    TraceLayer::new_for_http()
                        .make_span_with(request::span)
                        .on_request(())
                        .on_response(())
                        .on_failure(()),
                )
                .layer(middleware::from_fn(request::observe))
                .layer(middleware::map_response(problem::describe))
                .layer(CatchPanicLayer::custom(|_| {
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }))
                .layer(DefaultBodyLimit::max(MAX_BODY_BYTES)),
        )
}

async fn ready() -> (StatusCode, &'static str) {
    if server::is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
