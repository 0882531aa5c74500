//! The payments service.

pub mod config;
pub mod greetings;
pub mod platform;
pub mod routes;

use std::error::Error;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;

use crate::config::Config;

/// The name in logs, metrics and messages.
pub const SERVICE: &str = "payments";

/// What was built: `VERSION` in the environment of the compiler.
pub const VERSION: &str = match option_env!("VERSION") {
    Some(version) => version,
    None => "dev",
};

/// Serves until a signal arrives, and until the requests in flight are answered.
pub async fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    platform::init(SERVICE, VERSION, config.log_level, PrometheusBuilder::new());
    let listener = TcpListener::bind(config.address).await?;
    platform::serve(
        listener,
        routes::router(),
        config.drain_delay,
        config.shutdown_timeout,
    )
    .await?;
    Ok(())
}
