//! The example endpoint: copy its shape, then delete it.

use axum::{Json, Router, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};

pub fn router() -> Router {
    Router::new().route("/v1/greetings", post(create))
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct NewGreeting {
    #[cfg_attr(test, schema(min_length = 1, max_length = 100))]
    name: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Greeting {
    message: String,
}

/// Greet somebody by name.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/greetings",
    request_body = NewGreeting,
    responses(
        (status = OK, description = "A greeting", body = Greeting),
        (status = UNPROCESSABLE_ENTITY, description = "The name is empty or too long"),
    ),
))]
async fn create(
    Json(NewGreeting { name }): Json<NewGreeting>,
) -> Result<Json<Greeting>, (StatusCode, &'static str)> {
    if !(1..=100).contains(&name.chars().count()) {
        let detail = "name has 1 to 100 characters";
        return Err((StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(Json(Greeting {
        message: format!("Hello, {name}!"),
    }))
}
