//! The JSON bodies of the API.

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::problem::Problem;

/// The largest body that is read.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A JSON object, in a request or an answer.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The media type of the body must be application/json.",
            ));
        }
        // A client that announces a larger body hears so before it sends it.
        if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
            return Err(too_large());
        }
        let body =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                    _ => Problem::bad_request("The body could not be read to its end."),
                })?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body must not be larger than 1 MiB.",
    )
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde_json skips over what it ignores without looking at its encoding.
    let body = str::from_utf8(body)
        .map_err(|_| Problem::bad_request("The body must be valid JSON: it is not UTF-8."))?;
    // serde would read an array as the members of a struct, in their order.
    if !body.trim_ascii_start().starts_with('{') {
        return Err(Problem::bad_request("The body must be a JSON object."));
    }
    serde_json::from_str(body).map_err(|error| {
        Problem::bad_request(match error.classify() {
            Category::Data => format!("The body has a wrong member: {error}."),
            _ => format!("The body must be valid JSON: {error}."),
        })
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        x: u8,
    }

    fn detail(body: &[u8]) -> String {
        parse::<Point>(body).unwrap_err().detail().to_owned()
    }

    #[test]
    fn other_members_are_ignored() {
        let deep = format!("{{\"x\":1,\"y\":{}{}}}", "[".repeat(999), "]".repeat(999));

        for body in [r#" {"x":1}"#, r#"{"y":[null],"x":1}"#, &deep] {
            assert_eq!(parse::<Point>(body.as_bytes()).unwrap(), Point { x: 1 });
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            detail(b"{}"),
            "The body has a wrong member: missing field `x` at line 1 column 2.",
        );
        assert_eq!(detail(b"[1]"), "The body must be a JSON object.");
        assert_eq!(detail(b""), "The body must be a JSON object.");
        for body in [&b"{"[..], br#"{"x":1} {}"#, b"{\"x\":1,\"y\":\"\xff\"}"] {
            let detail = detail(body);
            assert!(
                detail.starts_with("The body must be valid JSON: "),
                "{detail}"
            );
        }
    }

    #[test]
    fn the_media_type_may_have_parameters() {
        for (value, want) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            ("application/jsonp", false),
            ("text/plain; application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is_json(&headers), want, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
