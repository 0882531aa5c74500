//! The service's settings, from the environment.

use std::{net::SocketAddr, time::Duration};

use tracing_subscriber::filter::LevelFilter;

use crate::platform::Environment;

/// The settings of one process.
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
        let host = env.get("HOST", Some("0.0.0.0"), "an IP address", |value| {
            value.parse().ok()
        });
        let port = env.number("PORT", 8080, 1..=u16::MAX);
        let log_level = env.get(
            "LOG_LEVEL",
            Some("info"),
            "debug, info, warn or error",
            |value| {
                let known = ["debug", "info", "warn", "error"].contains(&value);
                value.parse().ok().filter(|_| known)
            },
        );
        let drain_delay = env.number("DRAIN_DELAY_SECONDS", 5, 0..=20);
        let longer = drain_delay.map_or(1, |delay| delay + 1);
        let shutdown_timeout = env.number("SHUTDOWN_TIMEOUT_SECONDS", 25, longer..=29);
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
        let lookup = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Environment::load_from(&lookup, Config::read)
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
        let errors = read(&[("PORT", "hunter2"), ("LOG_LEVEL", "loud")])
            .err()
            .unwrap();

        assert_eq!(
            errors,
            "PORT: want a number from 1 to 65535\nLOG_LEVEL: want debug, info, warn or error"
        );
    }

    #[test]
    fn the_shutdown_outlasts_the_drain() {
        let variables = [
            ("DRAIN_DELAY_SECONDS", "9"),
            ("SHUTDOWN_TIMEOUT_SECONDS", "9"),
        ];

        let errors = read(&variables).err().unwrap();

        assert_eq!(
            errors,
            "SHUTDOWN_TIMEOUT_SECONDS: want a number from 10 to 29"
        );
    }
}
