//! What every service on the platform does alike. `make update` replaces this
//! folder, which is why it refers to nothing of the crate outside itself.

#![allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
#![cfg_attr(rustfmt, rustfmt_skip)]

mod environment;
mod http;
#[cfg(feature = "otel")]
mod otel;
mod problem;
mod server;
mod telemetry;

pub use self::{
    environment::Environment,
    http::{propagate, router},
    problem::Problem,
    server::{healthcheck, serve, stopping},
    telemetry::init,
};
