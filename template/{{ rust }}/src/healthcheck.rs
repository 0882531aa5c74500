//! Asks the service that runs in the same container whether it is live.

use std::{
    error::Error,
    fmt,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(2);
const STATUS_LINE: &str = "HTTP/1.1 200";

/// Why the service is not well.
#[derive(Debug)]
pub struct Unhealthy {
    url: String,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Io(io::Error),
    Answer(String),
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "healthcheck: {}: ", self.url)?;
        match &self.reason {
            Reason::Io(error) if is_timeout(error) => write!(f, "no answer within {TIMEOUT:?}"),
            Reason::Io(error) => write!(f, "{error}"),
            Reason::Answer(answer) => write!(f, "got {answer:?}, want {STATUS_LINE:?}"),
        }
    }
}

impl Error for Unhealthy {}

/// Asks `/livez` of the service that listens on `address`.
pub fn check(address: SocketAddr) -> Result<(), Unhealthy> {
    let address = loopback(address);
    let reason = match status_line(address) {
        Ok(line) if line == STATUS_LINE => return Ok(()),
        Ok(line) => Reason::Answer(line),
        Err(error) => Reason::Io(error),
    };
    Err(Unhealthy {
        url: format!("http://{address}/livez"),
        reason,
    })
}

/// The start of the answer, up to its status.
fn status_line(address: SocketAddr) -> io::Result<String> {
    let deadline = Instant::now() + TIMEOUT;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_write_timeout(Some(remaining(deadline)?))?;
    write!(
        stream,
        "GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;

    let mut line = Vec::new();
    let mut buffer = [0; STATUS_LINE.len()];
    while line.len() < STATUS_LINE.len() {
        stream.set_read_timeout(Some(remaining(deadline)?))?;
        let wanted = STATUS_LINE.len() - line.len();
        match stream.read(&mut buffer[..wanted]) {
            Ok(0) => break,
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(remaining)
}

/// A blocking socket reports its timeout as `WouldBlock`.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// An unspecified address can be listened on, not called.
fn loopback(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Checks a server that reads a request, answers `parts` and hangs up.
    fn check_against(parts: &'static [&'static str]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request: Vec<_> = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            for part in parts {
                stream.write_all(part.as_bytes()).unwrap();
            }
            request
        });

        let result = check(address).map_err(|error| error.to_string());

        assert_eq!(server.join().unwrap()[0], "GET /livez HTTP/1.1");
        result.map_err(|error| error.replace(&address.to_string(), "ADDRESS"))
    }

    #[test]
    fn a_200_is_well() {
        assert_eq!(check_against(&["HTTP/1.1 200 OK\r\n\r\n"]), Ok(()));
        assert_eq!(check_against(&["HTTP/", "1.1 2", "00 OK\r\n"]), Ok(()));
    }

    #[test]
    fn any_other_answer_is_not() {
        let error = check_against(&["HTTP/1.1 503 Service Unavailable\r\n\r\n"]).unwrap_err();

        assert_eq!(
            error,
            r#"healthcheck: http://ADDRESS/livez: got "HTTP/1.1 503", want "HTTP/1.1 200""#,
        );
        assert!(check_against(&["SSH-2.0\n200"]).is_err());
        assert!(check_against(&[]).is_err());
    }

    #[test]
    fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);

        let error = check(address).unwrap_err().to_string();

        let prefix = format!("healthcheck: http://{address}/livez: Connection refused");
        assert!(error.starts_with(&prefix), "{error}");
    }

    #[test]
    fn silence_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();

        let error = check(address).unwrap_err().to_string();

        assert!(error.ends_with("no answer within 2s"), "{error}");
    }

    #[test]
    fn an_unspecified_address_is_called_on_loopback() {
        for (listened_on, called) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(loopback(listened_on.parse().unwrap()).to_string(), called);
        }
    }
}
