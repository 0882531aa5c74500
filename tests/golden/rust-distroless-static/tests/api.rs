//! The API as a client sees it, without a socket.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use payments_app::{health::Health, metrics::recorder, routes};

const MIB: usize = 1024 * 1024;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn send_to(health: &Health, request: Request<Body>) -> Answer {
    let recorder = recorder();
    let router = routes::router(health.clone(), recorder.handle());
    let _recording = metrics::set_default_local_recorder(&recorder);
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

async fn send(request: Request<Body>) -> Answer {
    send_to(&Health::default(), request).await
}

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

fn greeting(body: impl Into<Body>) -> Request<Body> {
    Request::post("/v1/greetings")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

fn assert_problem(answer: &Answer, status: StatusCode, title: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(body["title"], title);
    assert_eq!(body["status"], status.as_u16());
    assert!(body["detail"].as_str().unwrap().ends_with('.'), "{body}");
}

#[tokio::test]
async fn probes_tell_whether_the_service_drains() {
    let health = Health::default();
    for (draining, ready) in [
        (false, (StatusCode::OK, "ok\n", "")),
        (
            true,
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n", "close"),
        ),
    ] {
        if draining {
            health.drain();
        }

        let live = send_to(&health, request(Method::GET, "/livez")).await;
        let readiness = send_to(&health, request(Method::GET, "/readyz")).await;

        assert_eq!((live.status, &live.body[..]), (StatusCode::OK, "ok\n"));
        assert_eq!(live.header("content-type"), "text/plain; charset=utf-8");
        let connection = readiness.header("connection");
        assert_eq!((readiness.status, &readiness.body[..], connection), ready);
    }
}

#[tokio::test]
async fn a_greeting_is_personal() {
    let answer = send(greeting(r#"{"name":"Ada","age":36}"#)).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), json!({ "message": "Hello, Ada!" }));
}

#[tokio::test]
async fn a_wrong_body_is_a_400() {
    let long = json!({ "name": "é".repeat(101) }).to_string();
    for body in [
        "",
        "{",
        "null",
        r#"["Ada"]"#,
        "{}",
        r#"{"name":null}"#,
        r#"{"name":1}"#,
        r#"{"name":""}"#,
        r#"{"name":"Ada"} more"#,
        &long,
    ] {
        let answer = send(greeting(body.to_owned())).await;

        assert_problem(&answer, StatusCode::BAD_REQUEST, "Bad Request");
    }
}

#[tokio::test]
async fn a_body_has_at_most_one_mebibyte() {
    let name = r#"{"name":"Ada"}"#;
    let fitting = name.to_owned() + &" ".repeat(MIB - name.len());
    let large = fitting.clone() + " ";

    let greeted = send(greeting(fitting)).await;
    let refused = send(greeting(large)).await;

    assert_eq!(greeted.status, StatusCode::OK);
    assert_problem(&refused, StatusCode::PAYLOAD_TOO_LARGE, "Content Too Large");
    assert_eq!(refused.header("connection"), "close");
}

#[tokio::test]
async fn another_media_type_is_a_415() {
    let mut request = greeting(r#"{"name":"Ada"}"#);
    request.headers_mut().remove(header::CONTENT_TYPE);

    let answer = send(request).await;

    assert_problem(
        &answer,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Unsupported Media Type",
    );
}

#[tokio::test]
async fn a_missing_path_is_a_404() {
    for path in ["/", "/nope", "/livez/", "//livez"] {
        let answer = send(request(Method::GET, path)).await;

        assert_problem(&answer, StatusCode::NOT_FOUND, "Not Found");
    }
}

#[tokio::test]
async fn another_method_is_a_405() {
    for (method, path, allow) in [
        (Method::DELETE, "/livez", "GET,HEAD"),
        (Method::POST, "/readyz", "GET,HEAD"),
        (Method::PUT, "/metrics", "GET,HEAD"),
        (Method::GET, "/v1/greetings", "POST"),
        ("PROPFIND".parse().unwrap(), "/v1/greetings", "POST"),
    ] {
        let answer = send(request(method, path)).await;

        assert_problem(
            &answer,
            StatusCode::METHOD_NOT_ALLOWED,
            "Method Not Allowed",
        );
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let mut identified = request(Method::GET, "/nope");
    let id = "abc-1.2_3".parse().unwrap();
    identified.headers_mut().insert("x-request-id", id);

    let kept = send(identified).await;
    let random = send(request(Method::GET, "/nope")).await;

    assert_eq!(kept.header("x-request-id"), "abc-1.2_3");
    assert_eq!(random.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn requests_are_counted_by_their_route() {
    let recorder = recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let router = routes::router(Health::default(), recorder.handle());
    for request in [
        greeting(r#"{"name":"Ada"}"#),
        request(Method::GET, "/v1/greetings"),
        request(Method::GET, "/nope?x=1"),
        request("PROPFIND".parse().unwrap(), "/livez"),
    ] {
        router.clone().oneshot(request).await.unwrap();
    }

    let scrape = request(Method::GET, "/metrics");
    let response = router.oneshot(scrape).await.unwrap();

    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8",
    );
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = str::from_utf8(&body).unwrap();
    for labels in [
        r#"method="POST",route="/v1/greetings",status="200""#,
        r#"method="GET",route="/v1/greetings",status="405""#,
        r#"method="GET",route="unmatched",status="404""#,
        r#"method="other",route="/livez",status="405""#,
    ] {
        let line = ["http_requests_total{", labels, "} 1\n"].concat();
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("\nhttp_requests_in_flight 1\n"), "{text}");
    assert!(text.contains("\nprocess_open_fds "), "{text}");
}
