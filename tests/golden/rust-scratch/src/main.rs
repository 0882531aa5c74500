//! The command line: serve, version and healthcheck.

use std::{env, process::ExitCode};

use payments_app::{
    SERVICE, VERSION,
    config::Config,
    platform::{self, Environment},
};

const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
    let command: fn(&Config) -> ExitCode = match arguments[..] {
        [] => serve,
        [Some("healthcheck")] => healthcheck,
        [Some("version")] => {
            println!("{SERVICE} {VERSION}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: {SERVICE} [version | healthcheck]");
            return ExitCode::from(USAGE);
        }
    };
    match Environment::load(Config::read) {
        Ok(config) => command(&config),
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::from(USAGE)
        }
    }
}

#[tokio::main]
async fn serve(config: &Config) -> ExitCode {
    match payments_app::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

fn healthcheck(config: &Config) -> ExitCode {
    match platform::healthcheck(config.address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("healthcheck: {error}");
            ExitCode::FAILURE
        }
    }
}
