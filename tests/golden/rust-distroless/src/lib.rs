//! The HTTP API of payments, and the process around it.

pub mod config;
pub mod connection;
pub mod greeting;
pub mod health;
pub mod healthcheck;
pub mod json;
pub mod logging;
pub mod metrics;
pub mod problem;
pub mod process;
pub mod request_id;
pub mod routes;
pub mod server;
pub mod telemetry;

/// The name in logs, metrics and messages.
pub const SERVICE: &str = "payments";

/// What was built: `VERSION` in the environment of the compiler.
pub const VERSION: &str = match option_env!("VERSION") {
    Some(version) => version,
    None => "dev",
};
