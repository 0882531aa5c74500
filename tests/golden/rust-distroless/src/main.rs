//! The command line: serve, version and healthcheck.

use std::{env, process::ExitCode};

use payments_app::{SERVICE, VERSION, config, healthcheck, server};

const USAGE_EXIT_CODE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
    match arguments[..] {
        [] => with_config(server::run),
        [Some("version")] => {
            println!("{SERVICE} {VERSION}");
            ExitCode::SUCCESS
        }
        [Some("healthcheck")] => with_config(|config| {
            if let Err(error) = healthcheck::check(config.address) {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }),
        _ => {
            eprintln!("usage: {SERVICE} [version | healthcheck]");
            ExitCode::from(USAGE_EXIT_CODE)
        }
    }
}

fn with_config(command: impl FnOnce(&config::Config) -> ExitCode) -> ExitCode {
    match config::Config::from_env() {
        Ok(config) => command(&config),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(USAGE_EXIT_CODE)
        }
    }
}
