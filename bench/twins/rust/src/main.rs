//! The endpoint on axum alone.

use axum::{Json, Router, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Greeted {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    message: String,
}

async fn greet(Json(greeted): Json<Greeted>) -> Result<Json<Greeting>, StatusCode> {
    if greeted.name.is_empty() || greeted.name.chars().count() > 100 {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let message = format!("Hello, {}!", greeted.name);
    Ok(Json(Greeting { message }))
}

#[tokio::main]
async fn main() {
    let port = std::env::var("PORT").expect("PORT is not set");
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await.unwrap();
    let app = Router::new().route("/v1/greetings", post(greet));
    axum::serve(listener, app).await.unwrap();
}
