//! The service as its container runs it: the real binary, from start to exit.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_payments-app");
const SERVICE: &str = "payments";
const USAGE_EXIT_CODE: i32 = 2;

/// The binary, without the caller's settings.
fn command(environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    for variable in [
        "HOST",
        "PORT",
        "LOG_LEVEL",
        "DRAIN_DELAY_SECONDS",
        "SHUTDOWN_TIMEOUT_SECONDS",
    ] {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(environment).args(arguments).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// A running service; killed when a test fails.
struct Service {
    process: Child,
    port: String,
    log: BufReader<ChildStdout>,
}

impl Service {
    fn start(environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut process = command(environment)
            .envs([("HOST", "127.0.0.1"), ("PORT", &port)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stdout.take().unwrap());
        let mut service = Self { process, port, log };
        let listening = service.log_line();
        assert_eq!(listening["msg"], "listening");
        assert_eq!(listening["address"], service.address());
        service
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn log_line(&mut self) -> Value {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).unwrap()
    }

    fn send_signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The exit code, the messages not read yet and what is on stderr.
    fn finish(mut self) -> (Option<i32>, Vec<String>, String) {
        let mut messages = Vec::new();
        while !self.log.fill_buf().unwrap().is_empty() {
            messages.push(self.log_line()["msg"].as_str().unwrap().to_owned());
        }
        let mut stderr = String::new();
        let mut pipe = self.process.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        (self.process.wait().unwrap().code(), messages, stderr)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// Sends a request and reads until the service hangs up.
fn exchange(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const BODY: &str = r#"{"name":"Ada"}"#;

/// A request whose handler waits for its body.
fn begin_request(service: &Service) -> TcpStream {
    let mut stream = service.connect();
    let length = BODY.len();
    write!(
        stream,
        "POST /v1/greetings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut go_ahead = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_ahead).unwrap();
    stream
}

#[test]
fn version_is_one_line() {
    let (code, stdout, stderr) = run(&["version"], &[("PORT", "not read")]);

    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let version = stdout.strip_prefix(SERVICE).unwrap().trim();
    assert_eq!(stdout, format!("{SERVICE} {version}\n"));
    assert!(!version.is_empty());
}

#[test]
fn anything_else_is_a_usage_error() {
    for arguments in [&["serve"][..], &["--help"], &["version", "now"], &[""]] {
        let (code, stdout, stderr) = run(arguments, &[]);

        assert_eq!((code, stdout.as_str()), (Some(USAGE_EXIT_CODE), ""));
        assert_eq!(
            stderr,
            format!("usage: {SERVICE} [version | healthcheck]\n")
        );
    }
}

#[test]
fn a_wrong_configuration_is_one_line() {
    for arguments in [&[][..], &["healthcheck"]] {
        let (code, stdout, stderr) = run(arguments, &[("PORT", "http")]);

        assert_eq!((code, stdout.as_str()), (Some(USAGE_EXIT_CODE), ""));
        assert_eq!(
            stderr,
            "configuration error: PORT: got \"http\", want an integer from 1 to 65535\n",
        );
    }
}

#[test]
fn a_taken_port_cannot_be_listened_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();

    let (code, stdout, stderr) = run(&[], &[("HOST", "127.0.0.1"), ("PORT", &port)]);

    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    let line: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(line["msg"], "cannot listen");
    assert_eq!(line["level"], "error");
    assert!(!line["error"].as_str().unwrap().is_empty());
}

#[test]
fn healthcheck_tells_whether_the_service_answers() {
    let service = Service::start(&[]);
    let environment = [("HOST", "0.0.0.0"), ("PORT", service.port.as_str())];

    assert_eq!(
        run(&["healthcheck"], &environment),
        (Some(0), String::new(), String::new()),
    );

    let port = service.port.clone();
    drop(service);
    let (code, stdout, stderr) = run(&["healthcheck"], &[("PORT", &port)]);

    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let reason = format!("healthcheck: http://127.0.0.1:{port}/livez: ");
    assert!(stderr.starts_with(&reason), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_request_is_one_line() {
    let mut service = Service::start(&[]);

    let answer = exchange(
        service.connect(),
        "GET /nope?secret=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc\r\nConnection: close\r\n\r\n",
    );

    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    let line = service.log_line();
    for (key, value) in [
        ("level", "info"),
        ("msg", "request"),
        ("service", SERVICE),
        ("method", "GET"),
        ("path", "/nope"),
        ("request_id", "abc"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["status"], 404);
    assert!(line["duration_ms"].is_number());
    assert_eq!(line.as_object().unwrap().len(), 10);
}

#[test]
fn a_client_that_sends_too_much_hears_so() {
    const MIB: usize = 1024 * 1024;
    let service = Service::start(&[]);
    let body = " ".repeat(2 * MIB);

    let answer = exchange(
        service.connect(),
        &format!(
            "POST /v1/greetings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
    );

    let status = "HTTP/1.1 413 ";
    assert!(answer.starts_with(status), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    let mut service = Service::start(&[("DRAIN_DELAY_SECONDS", "0")]);
    let _idle = service.connect();
    let stream = begin_request(&service);

    service.send_signal(Signal::TERM);
    let draining = service.log_line();
    while TcpStream::connect(service.address()).is_ok() {}
    let answer = exchange(stream, BODY);

    assert_eq!(draining["msg"], "draining");
    assert_eq!(draining["signal"], "SIGTERM");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"message":"Hello, Ada!"}"#), "{answer}");
    let (code, messages, stderr) = service.finish();
    assert_eq!(messages, ["request", "stopped"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let service = Service::start(&[
        ("DRAIN_DELAY_SECONDS", "0"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "1"),
    ]);
    let _stream = begin_request(&service);

    service.send_signal(Signal::INT);

    let (code, messages, stderr) = service.finish();
    assert_eq!(messages, ["draining", "shutdown deadline exceeded"]);
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
}

#[test]
fn half_of_a_header_is_no_request() {
    let service = Service::start(&[
        ("DRAIN_DELAY_SECONDS", "0"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "1"),
    ]);
    let mut stream = service.connect();
    stream.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();

    service.send_signal(Signal::TERM);

    let (code, messages, stderr) = service.finish();
    assert_eq!(messages, ["draining", "stopped"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_second_signal_ends_the_service_at_once() {
    let mut service = Service::start(&[("DRAIN_DELAY_SECONDS", "20")]);
    service.send_signal(Signal::TERM);
    assert_eq!(service.log_line()["msg"], "draining");

    service.send_signal(Signal::TERM);

    let (code, messages, _) = service.finish();
    assert_eq!((code, messages), (Some(1), Vec::new()));
}
