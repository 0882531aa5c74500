//! A client's connection, and the time that its requests may take.
//!
//! hyper has one limit for an idle connection and for the headers of a request,
//! and none for bodies and answers. So [`Timed`] watches the stream below hyper,
//! and a [`Clock`] tells it how far the request is.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{Request, Response},
};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    select,
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};
use tower::ServiceExt;
use tracing::debug;

/// The largest request line and headers that are read.
const MAX_HEADER_BYTES: usize = 16 * 1024;

const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a client that still sends may take to see the answer that refused
/// its body.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers the requests of a client, until it hangs up or `closing` turns true.
pub async fn serve(
    stream: TcpStream,
    router: Router,
    clock: Clock,
    mut closing: watch::Receiver<bool>,
) {
    let closed = async move {
        let _ = closing.wait_for(|&closing| closing).await;
    };
    let service = service_fn(|request: Request<Incoming>| {
        let clock = clock.clone();
        clock.headers_read();
        let request = request.map(|body| RequestBody::new(body, clock.clone()));
        let answer = router.clone().oneshot(request);
        async move {
            let answer: Response<_> = answer.await?;
            clock.answering();
            Ok::<_, Infallible>(answer.map(|body| AnswerBody { body, clock }))
        }
    });
    let connection = http1::Builder::new()
        // A client may close its side as soon as it has asked.
        .half_close(true)
        .header_read_timeout(None)
        .max_header_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(Timed::new(stream, clock.clone())), service);
    let mut connection = pin!(connection);

    let served = select! {
        biased;
        served = connection.as_mut() => served,
        () = closed => {
            // hyper would drop half-read headers; their answer closes the connection.
            if !clock.is_reading_headers() {
                connection.as_mut().graceful_shutdown();
            }
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(error = %error, "connection failed");
    }
}

/// How far the request on a connection is.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    stage: Stage,
    /// When the first byte of the request arrived.
    begun: Instant,
    read_by: Option<Instant>,
    write_by: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// No byte of a request has arrived.
    Idle,
    Headers,
    Body,
    /// All of the request is here.
    Answer,
    /// The request was answered, but its body was not read to the end.
    Refused,
}

impl Clock {
    /// Starts with the connection.
    pub fn start() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            stage: Stage::Idle,
            begun: now,
            read_by: Some(now + HEADERS_TIMEOUT),
            write_by: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_reading_headers(&self) -> bool {
        self.state().stage == Stage::Headers
    }

    /// Whether the client may still be sending what nobody reads.
    fn is_unread(&self) -> bool {
        matches!(
            self.state().stage,
            Stage::Headers | Stage::Body | Stage::Refused
        )
    }

    fn bytes_arrived(&self) {
        let mut state = self.state();
        // hyper hangs up unless what it had of a refused body was all of it.
        if matches!(state.stage, Stage::Idle | Stage::Refused) {
            state.stage = Stage::Headers;
            state.begun = Instant::now();
            state.read_by = Some(state.begun + HEADERS_TIMEOUT);
        }
    }

    fn headers_read(&self) {
        let mut state = self.state();
        // A request that came along with the one before it begins now.
        if state.stage != Stage::Headers {
            state.begun = Instant::now();
        }
        state.stage = Stage::Body;
        state.read_by = Some(state.begun + REQUEST_TIMEOUT);
        state.write_by = None;
    }

    fn body_read(&self) {
        let mut state = self.state();
        state.stage = Stage::Answer;
        state.read_by = None;
    }

    fn answering(&self) {
        self.state().write_by = Some(Instant::now() + ANSWER_TIMEOUT);
    }

    fn answered(&self) {
        let mut state = self.state();
        state.stage = match state.stage {
            Stage::Answer => Stage::Idle,
            _ => Stage::Refused,
        };
        state.read_by = Some(Instant::now() + IDLE_TIMEOUT);
    }
}

/// Tells the clock when the last of a request's body is read.
struct RequestBody {
    body: Incoming,
    clock: Clock,
}

impl RequestBody {
    fn new(body: Incoming, clock: Clock) -> Self {
        if body.is_end_stream() {
            clock.body_read();
        }
        Self { body, clock }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.clock.body_read();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells the clock when hyper has taken the last of an answer, and dropped it.
struct AnswerBody {
    body: axum::body::Body,
    clock: Clock,
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.clock.answered();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose reads and writes fail when the clock says that they are late.
struct Timed<S> {
    stream: S,
    clock: Clock,
    read_timer: Timer,
    write_timer: Timer,
    /// Until when to read on after the end of the answers.
    linger_until: Option<Instant>,
}

impl<S> Timed<S> {
    fn new(stream: S, clock: Clock) -> Self {
        Self {
            stream,
            clock,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            linger_until: None,
        }
    }

    fn or_late<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let deadline = self.clock.state().write_by;
        self.write_timer.poll_late(deadline, cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) else {
            let deadline = this.clock.state().read_by;
            return this.read_timer.poll_late(deadline, cx);
        };
        if buffer.filled().len() > before {
            this.clock.bytes_arrived();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.or_late(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.or_late(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.or_late(flushed, cx)
    }

    /// Closing a socket with unread bytes resets the connection, and the client
    /// loses the answer: so read on for a while.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger_until.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.clock.is_unread() {
                return Poll::Ready(Ok(()));
            }
            this.linger_until = Some(Instant::now() + LINGER_TIMEOUT);
        }
        let mut scratch = [0; 4096];
        loop {
            let mut unwanted = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(cx, &mut unwanted) {
                Poll::Ready(Ok(())) if !unwanted.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        this.read_timer
            .poll_late(this.linger_until, cx)
            .map(|_: io::Result<()>| Ok(()))
    }
}

#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// An error once the deadline is past.
    fn poll_late<T>(
        &mut self,
        deadline: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::advance,
    };

    use super::*;

    fn timed() -> (Timed<DuplexStream>, DuplexStream, Clock) {
        let (server, client) = duplex(8);
        let clock = Clock::start();
        (Timed::new(server, clock.clone()), client, clock)
    }

    /// How long a read waits until it fails.
    async fn patience(stream: &mut Timed<DuplexStream>) -> Duration {
        let start = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        start.elapsed()
    }

    /// Rounded, because a paused clock stands on milliseconds.
    fn seconds(duration: Duration) -> u64 {
        (duration + Duration::from_millis(500)).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn headers_have_five_seconds_from_their_first_byte() {
        let (mut stream, mut client, clock) = timed();
        client.write_all(b"GE").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'G');
        advance(Duration::from_secs(2)).await;
        assert_eq!(stream.read_u8().await.unwrap(), b'E');

        assert!(clock.is_reading_headers());
        assert_eq!(seconds(patience(&mut stream).await), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_has_five_seconds() {
        let (mut stream, _client, _clock) = timed();

        assert_eq!(seconds(patience(&mut stream).await), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_fifteen_seconds_from_the_first_byte_of_its_request() {
        let (mut stream, mut client, clock) = timed();
        client.write_all(b"G").await.unwrap();
        stream.read_u8().await.unwrap();
        advance(Duration::from_secs(4)).await;
        clock.headers_read();

        assert_eq!(seconds(patience(&mut stream).await), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_has_sixty_seconds() {
        let (mut stream, _client, clock) = timed();
        clock.headers_read();
        clock.body_read();
        clock.answering();
        advance(Duration::from_secs(100)).await;
        clock.answered();

        assert_eq!(seconds(patience(&mut stream).await), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn headers_after_a_body_that_nobody_read_have_five_seconds() {
        let (mut stream, mut client, clock) = timed();
        clock.headers_read();
        clock.answering();
        clock.answered();
        advance(Duration::from_secs(20)).await;
        client.write_all(b"G").await.unwrap();
        stream.read_u8().await.unwrap();

        assert_eq!(seconds(patience(&mut stream).await), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_fifteen_seconds() {
        let (mut stream, _client, clock) = timed();
        clock.headers_read();
        clock.body_read();
        clock.answering();
        let start = Instant::now();

        let error = stream.write_all(b"more than the client takes").await;

        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(seconds(start.elapsed()), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_body_is_read_for_a_second() {
        let (mut stream, mut client, clock) = timed();
        clock.headers_read();
        clock.answering();
        clock.answered();
        let start = Instant::now();

        let (shut, sent) = tokio::join!(stream.shutdown(), client.write_all(&[0; 100]));

        shut.unwrap();
        sent.unwrap();
        assert_eq!(seconds(start.elapsed()), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_finished_request_is_not_lingered_on() {
        let (mut stream, _client, clock) = timed();
        clock.headers_read();
        clock.body_read();
        clock.answering();
        clock.answered();
        let start = Instant::now();

        stream.shutdown().await.unwrap();

        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
