//! Serves until a signal arrives, then drains.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use axum::{Router, http::StatusCode, serve::ListenerExt};
use tokio::{
    net::TcpListener,
    select,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tracing::{error, info};

const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(2);

static DRAINING: AtomicBool = AtomicBool::new(false);
static STOPPING: LazyLock<watch::Sender<bool>> = LazyLock::new(watch::Sender::default);

/// After SIGTERM or SIGINT the service is not ready, takes new requests for
/// `drain_delay` and finishes those in flight. What is left `shutdown_timeout`
/// after the signal is cut off.
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
        // A thread, because a handler that blocks could hold up a task.
        thread::spawn(move || {
            thread::sleep(shutdown_timeout);
            error!("shutdown deadline exceeded");
            process::exit(1);
        });
        sleep(drain_delay).await;
        STOPPING.send_replace(true);
    };
    info!(address = %listener.local_addr()?, "listening");
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    axum::serve(listener, router)
        .with_graceful_shutdown(drain)
        .await?;
    #[cfg(feature = "otel")]
    super::otel::stop();
    info!("stopped");
    Ok(())
}

/// Waits until the drain delay is over, for what streams to end:
/// `lines.take_until(platform::stopping())`.
pub async fn stopping() {
    STOPPING
        .subscribe()
        .wait_for(|stopping| *stopping)
        .await
        .ok();
}

/// Answers `/readyz`.
pub(super) async fn ready() -> (StatusCode, &'static str) {
    if DRAINING.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

/// Asks the service in the same container for `/livez`. An unspecified address
/// (`0.0.0.0`, `::`) can be connected to: it is the loopback one.
pub fn healthcheck(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, HEALTHCHECK_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
    let request = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut answer)?;
    if &answer != b"HTTP/1.1 200" {
        return Err(io::Error::other("the answer is not 200"));
    }
    Ok(())
}
