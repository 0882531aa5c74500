//! The service's settings, from the environment.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tracing_subscriber::filter::LevelFilter;

use crate::platform::Environment;

/// The settings of one process.
#[derive(Debug)]
pub struct Config {
    /// What the service listens on.
    pub address: SocketAddr,
    pub log_level: LevelFilter,
    pub drain_delay: Duration,
    pub shutdown_timeout: Duration,
}

impl Config {
    /// Reads every variable before it gives up, so that all that are wrong are named.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let host = env.get("HOST", "0.0.0.0", "an IP address", |value| {
            value.parse::<IpAddr>().ok()
        });
        let port = env.get("PORT", "8080", "an integer from 1 to 65535", |value| {
            value.parse().ok().filter(|&port| port > 0)
        });
        let log_level = env.get(
            "LOG_LEVEL",
            "info",
            "one of debug, info, warn, error",
            |value| match value {
                "debug" => Some(LevelFilter::DEBUG),
                "info" => Some(LevelFilter::INFO),
                "warn" => Some(LevelFilter::WARN),
                "error" => Some(LevelFilter::ERROR),
                _ => None,
            },
        );
        let drain_delay = env.get(
            "DRAIN_DELAY_SECONDS",
            "5",
            "an integer from 0 to 20",
            |value| {
                value
                    .parse()
                    .ok()
                    .filter(|seconds| (0..=20).contains(seconds))
            },
        );
        let shutdown_timeout = env.get(
            "SHUTDOWN_TIMEOUT_SECONDS",
            "25",
            "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
            |value| {
                let seconds = value.parse().ok();
                seconds.filter(|seconds| (1..=29).contains(seconds) && Some(*seconds) > drain_delay)
            },
        );
        Some(Self {
            address: SocketAddr::new(host?, port?),
            log_level: log_level?,
            drain_delay: Duration::from_secs(drain_delay?),
            shutdown_timeout: Duration::from_secs(shutdown_timeout?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        Environment::load_from(variables.iter().copied(), Config::read)
    }

    #[test]
    fn every_variable_has_a_default() {
        let config = read(&[]).unwrap();

        assert_eq!(config.address, "0.0.0.0:8080".parse().unwrap());
        assert_eq!(config.log_level, LevelFilter::INFO);
        assert_eq!(config.drain_delay, Duration::from_secs(5));
        assert_eq!(config.shutdown_timeout, Duration::from_secs(25));
    }

    #[test]
    fn every_wrong_variable_is_named() {
        let errors = read(&[("PORT", "hunter2"), ("LOG_LEVEL", "loud")]).unwrap_err();

        assert_eq!(
            errors,
            "PORT: want an integer from 1 to 65535\n\
             LOG_LEVEL: want one of debug, info, warn, error"
        );
    }

    #[test]
    fn the_shutdown_outlasts_the_drain() {
        let errors = read(&[
            ("DRAIN_DELAY_SECONDS", "9"),
            ("SHUTDOWN_TIMEOUT_SECONDS", "9"),
        ]);

        assert!(
            errors
                .unwrap_err()
                .starts_with("SHUTDOWN_TIMEOUT_SECONDS: want ")
        );
    }
}
