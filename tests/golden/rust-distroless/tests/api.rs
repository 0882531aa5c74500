//! The API, without a socket.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use payments_app::routes;

async fn greet(body: Value) -> Response {
    let request = Request::post("/v1/greetings")
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    routes::router().oneshot(request).await.unwrap()
}

async fn json(response: Response) -> Value {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_greeting_is_personal() {
    let response = greet(json!({ "name": "Ada" })).await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(json(response).await, json!({ "message": "Hello, Ada!" }));
}

#[tokio::test]
async fn a_name_has_1_to_100_characters() {
    let longest = greet(json!({ "name": "𝒜".repeat(100) })).await;
    assert_eq!(longest.status(), StatusCode::OK);

    for name in [String::new(), "a".repeat(101)] {
        let refused = greet(json!({ "name": name })).await;

        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem = json(refused).await;
        assert_eq!(problem["detail"], "name has 1 to 100 characters");
    }
}
