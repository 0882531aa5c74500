//! Listens, and drains before it stops.

use std::{collections::HashMap, convert::Infallible, io, process::ExitCode, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime, select,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::{self, JoinError, JoinSet},
    time::{Instant, interval, sleep, sleep_until},
};
use tracing::{debug, error, info, warn};

use crate::{
    config::Config,
    connection::{self, Clock},
    health::Health,
    logging, metrics, routes,
};

/// How often recorded durations are put into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How long to wait when there are no file descriptors for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until a signal arrives, and until the requests in flight are answered.
pub fn run(config: &Config) -> ExitCode {
    logging::init(config.log_level);
    let runtime = match runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Start(error).report(),
    };
    let served = runtime.block_on(serve(config));
    // Dropping the runtime would wait for what has just been cut off.
    runtime.shutdown_background();
    match served {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(failure) => failure.report(),
    }
}

/// Why the service did not stop cleanly.
enum Failure {
    Start(io::Error),
    Listen(io::Error),
    Deadline { timeout: Duration, requests: usize },
    Interrupted,
}

impl Failure {
    fn report(self) -> ExitCode {
        match self {
            Self::Start(error) => error!(error = %error, "cannot start"),
            Self::Listen(error) => error!(error = %error, "cannot listen"),
            Self::Deadline { timeout, requests } => error!(
                error = format!("requests cut off after {timeout:?}: {requests}"),
                "shutdown deadline exceeded"
            ),
            Self::Interrupted => {}
        }
        ExitCode::FAILURE
    }
}

async fn serve(config: &Config) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(Failure::Start)?;
    let recorded = metrics::init();
    let health = Health::default();
    let router = routes::router(health.clone(), recorded.clone());
    let listener = TcpListener::bind(config.address)
        .await
        .map_err(Failure::Listen)?;
    info!(address = %config.address, "listening");

    tokio::spawn(async move {
        let mut interval = interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            recorded.run_upkeep();
        }
    });

    let mut clients = Clients::new(router);
    let signal = select! {
        never = clients.accept(&listener) => match never {},
        signal = signals.next() => signal,
    };
    let deadline = Instant::now() + config.shutdown_timeout;
    health.drain();
    info!(signal, "draining");
    select! {
        never = clients.accept(&listener) => match never {},
        () = sleep(config.drain_delay) => {}
        _ = signals.next() => return Err(Failure::Interrupted),
    }

    drop(listener);
    select! {
        () = clients.finish() => Ok(()),
        () = sleep_until(deadline) => match clients.requests() {
            0 => Ok(()),
            requests => Err(Failure::Deadline {
                timeout: config.shutdown_timeout,
                requests,
            }),
        },
        _ = signals.next() => Err(Failure::Interrupted),
    }
}

/// The signals that end the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The connections that are open.
struct Clients {
    router: Router,
    connections: JoinSet<()>,
    clocks: HashMap<task::Id, Clock>,
    closing: watch::Sender<bool>,
}

impl Clients {
    fn new(router: Router) -> Self {
        Self {
            router,
            connections: JoinSet::new(),
            clocks: HashMap::new(),
            closing: watch::Sender::new(false),
        }
    }

    async fn accept(&mut self, listener: &TcpListener) -> Infallible {
        loop {
            let accepted = select! {
                accepted = listener.accept() => accepted,
                Some(ended) = self.connections.join_next_with_id() => {
                    self.forget(ended);
                    continue;
                }
            };
            match accepted {
                Ok((stream, _)) => self.serve(stream),
                // The client has left already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    warn!(error = %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&mut self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(error = %error, "cannot send without delay");
        }
        let clock = Clock::start();
        let closing = self.closing.subscribe();
        let serve = connection::serve(stream, self.router.clone(), clock.clone(), closing);
        let id = self.connections.spawn(serve).id();
        self.clocks.insert(id, clock);
    }

    fn forget(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.clocks.remove(&id);
    }

    /// Closes the idle connections, and waits for the requests on the others.
    async fn finish(&mut self) {
        self.closing.send_replace(true);
        while let Some(ended) = self.connections.join_next_with_id().await {
            self.forget(ended);
        }
    }

    /// How many requests are in flight: those whose headers have arrived.
    fn requests(&self) -> usize {
        self.clocks
            .values()
            .filter(|clock| !clock.is_reading_headers())
            .count()
    }
}
