//! The service's settings, from the environment.

use std::{
    env,
    ffi::OsString,
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use tracing_subscriber::filter::LevelFilter;

/// The settings of one process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// What the service listens on.
    pub address: SocketAddr,
    pub log_level: LevelFilter,
    pub drain_delay: Duration,
    pub shutdown_timeout: Duration,
}

/// Which variable is wrong, what it holds and what it should hold.
#[derive(Debug, Eq, PartialEq)]
pub struct Error {
    variable: &'static str,
    got: String,
    want: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let got = serde_json::Value::from(self.got.as_str());
        write!(
            f,
            "configuration error: {}: got {got}, want {}",
            self.variable, self.want
        )
    }
}

impl std::error::Error for Error {}

impl Config {
    pub fn from_env() -> Result<Self, Error> {
        Self::load(env::var_os)
    }

    /// Stops at the first variable that is wrong.
    pub fn load(lookup: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, Error> {
        let host: IpAddr = setting(&lookup, "HOST", "0.0.0.0", "an IP address", |value| {
            value.parse().ok()
        })?;
        let port = setting(
            &lookup,
            "PORT",
            "8080",
            "an integer from 1 to 65535",
            |value| integer(value, 1..=u16::MAX),
        )?;
        let log_level = setting(
            &lookup,
            "LOG_LEVEL",
            "info",
            "one of debug, info, warn, error",
            level,
        )?;
        let drain_delay = setting(
            &lookup,
            "DRAIN_DELAY_SECONDS",
            "5",
            "an integer from 0 to 20",
            |value| seconds(value, 0..=20),
        )?;
        let shutdown_timeout = setting(
            &lookup,
            "SHUTDOWN_TIMEOUT_SECONDS",
            "25",
            "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
            |value| seconds(value, 1..=29).filter(|&timeout| timeout > drain_delay),
        )?;
        Ok(Self {
            address: SocketAddr::new(host, port),
            log_level,
            drain_delay,
            shutdown_timeout,
        })
    }
}

fn setting<T>(
    lookup: impl Fn(&'static str) -> Option<OsString>,
    variable: &'static str,
    default: &str,
    want: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Error> {
    let value = lookup(variable).unwrap_or_else(|| default.into());
    value.to_str().and_then(parse).ok_or_else(|| Error {
        variable,
        got: value.to_string_lossy().into_owned(),
        want,
    })
}

fn level(value: &str) -> Option<LevelFilter> {
    match value {
        "debug" => Some(LevelFilter::DEBUG),
        "info" => Some(LevelFilter::INFO),
        "warn" => Some(LevelFilter::WARN),
        "error" => Some(LevelFilter::ERROR),
        _ => None,
    }
}

fn seconds(value: &str, range: RangeInclusive<u16>) -> Option<Duration> {
    integer(value, range).map(|seconds| Duration::from_secs(seconds.into()))
}

/// One to five ASCII digits; `parse` alone would accept a sign.
fn integer(value: &str, range: RangeInclusive<u16>) -> Option<u16> {
    let digits = value.len() <= 5 && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits)?;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn load(environment: &[(&str, &str)]) -> Result<Config, Error> {
        Config::load(|name| {
            let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
            Some(value.into())
        })
    }

    fn error(environment: &[(&str, &str)]) -> String {
        load(environment).unwrap_err().to_string()
    }

    #[test]
    fn defaults() {
        let config = load(&[]).unwrap();

        assert_eq!(
            config,
            Config {
                address: "0.0.0.0:8080".parse().unwrap(),
                log_level: LevelFilter::INFO,
                drain_delay: Duration::from_secs(5),
                shutdown_timeout: Duration::from_secs(25),
            }
        );
    }

    #[test]
    fn every_variable_is_read() {
        let config = load(&[
            ("HOST", "::1"),
            ("PORT", "00080"),
            ("LOG_LEVEL", "error"),
            ("DRAIN_DELAY_SECONDS", "0"),
            ("SHUTDOWN_TIMEOUT_SECONDS", "1"),
        ]);

        assert_eq!(
            config.unwrap(),
            Config {
                address: "[::1]:80".parse().unwrap(),
                log_level: LevelFilter::ERROR,
                drain_delay: Duration::ZERO,
                shutdown_timeout: Duration::from_secs(1),
            }
        );
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (variable, want, values) in [
            (
                "HOST",
                "an IP address",
                &["", "localhost", "127.1", "[::1]", "fe80::1%eth0"][..],
            ),
            (
                "PORT",
                "an integer from 1 to 65535",
                &[
                    "", "0", "65536", "+80", " 80", "8_0", "http", "000080", "٨٠",
                ],
            ),
            (
                "LOG_LEVEL",
                "one of debug, info, warn, error",
                &["", "INFO", "trace", "info "],
            ),
            (
                "DRAIN_DELAY_SECONDS",
                "an integer from 0 to 20",
                &["", "-1", "21", "5s"],
            ),
            (
                "SHUTDOWN_TIMEOUT_SECONDS",
                "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
                &["", "0", "5", "30"],
            ),
        ] {
            for value in values {
                assert_eq!(
                    error(&[(variable, value)]),
                    format!("configuration error: {variable}: got \"{value}\", want {want}"),
                );
            }
        }
    }

    #[test]
    fn the_value_is_escaped_as_in_json() {
        assert_eq!(
            error(&[("PORT", "a\"b\\c\n<é>")]),
            r#"configuration error: PORT: got "a\"b\\c\n<é>", want an integer from 1 to 65535"#,
        );
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_wrong() {
        let error = Config::load(|name| (name == "HOST").then(|| OsString::from_vec(vec![0xff])));

        assert_eq!(
            error.unwrap_err().to_string(),
            "configuration error: HOST: got \"\u{fffd}\", want an IP address",
        );
    }

    #[test]
    fn the_first_wrong_variable_counts() {
        let error = error(&[("SHUTDOWN_TIMEOUT_SECONDS", "0"), ("PORT", "0")]);

        assert!(error.starts_with("configuration error: PORT:"), "{error}");
    }
}
