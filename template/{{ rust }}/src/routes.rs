//! The paths of the service.

use std::any::Any;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    greeting,
    health::{self, Health},
    json::MAX_BODY_BYTES,
    metrics,
    problem::{self, Problem},
    telemetry,
};

pub fn router(health: Health, recorded: PrometheusHandle) -> Router {
    let routes = Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready).with_state(health.clone()))
        .route("/metrics", get(metrics::expose).with_state(recorded))
        .route("/v1/greetings", post(greeting::create));
    with_shared_layers(routes, health)
}

/// Adds what every answer has, that to a missing path included.
fn with_shared_layers(routes: Router, health: Health) -> Router {
    routes
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(|payload: Box<dyn Any + Send>| {
            problem::from_panic(&*payload)
        }))
        .layer(middleware::from_fn_with_state(health, telemetry::observe))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::{
        body::Body,
        http::{Request, StatusCode, header::CONTENT_TYPE},
        response::Response,
    };
    use tower::ServiceExt;

    use super::*;
    use crate::json::Json;

    async fn get_from(router: Router, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        String::from_utf8(bytes.unwrap().into()).unwrap()
    }

    #[tokio::test]
    async fn a_fault_is_a_500_that_says_nothing_of_it() {
        async fn panics() {
            panic!("secret");
        }
        // JSON has only strings as keys.
        let unserializable = async || Json(HashMap::from([((1, 2), "a pair")]));
        let routes = Router::new()
            .route("/panics", get(panics))
            .route("/unserializable", get(unserializable));
        let router = with_shared_layers(routes, Health::default());

        for path in ["/panics", "/unserializable"] {
            let response = get_from(router.clone(), path).await;

            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert!(response.headers().contains_key("x-request-id"));
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text(response).await).unwrap(),
                serde_json::json!({
                    "title": "Internal Server Error",
                    "status": 500,
                    "detail": "The service could not answer this request.",
                }),
            );
        }
    }
}
