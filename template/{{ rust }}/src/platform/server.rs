//! Serves until a signal arrives, then drains.

use std::{
    io, process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use axum::{Router, serve::ListenerExt};
use tokio::{
    net::TcpListener,
    select,
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tracing::{debug, error, info};

static DRAINING: AtomicBool = AtomicBool::new(false);

pub(super) fn is_draining() -> bool {
    DRAINING.load(Ordering::Relaxed)
}

/// After SIGTERM or SIGINT the service is not ready, takes new requests for
/// `drain_delay` and finishes those in flight. What is left `shutdown_timeout`
/// after the signal ends with the process.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    drain_delay: Duration,
    shutdown_timeout: Duration,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let drain = async move {
        let signal = select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        DRAINING.store(true, Ordering::Relaxed);
        info!(signal, "draining");
        // A thread, because a handler that blocks would hold up a task.
        thread::spawn(move || {
            thread::sleep(shutdown_timeout);
            error!("shutdown deadline exceeded");
            process::exit(1);
        });
        sleep(drain_delay).await;
    };
    info!(address = %listener.local_addr()?, "listening");
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot send without delay");
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(drain)
        .await?;
    #[cfg(feature = "otel")]
    super::otel::stop();
    info!("stopped");
    Ok(())
}
