"""An empty base has what a service and its libraries expect: CA files, names, time zones, /tmp.

The release image is run with a small static program in place of the service. It looks up a name,
calls a TLS server with a private CA, loads a time zone, looks up the user and writes to /tmp.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from services import IMAGES, Service

from lab import Lab, install
from rendering import COMBINATIONS, Render

STATIC = [name for name in IMAGES if COMBINATIONS[name]["language"] in ("go", "rust")]
PROBE = """\
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"time"
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\\n", what, err)
		os.Exit(1)
	}
}

func main() {
	addresses, err := net.LookupHost("localhost")
	must("lookup", err)
	fmt.Println("lookup", len(addresses) > 0)
	zone, err := time.LoadLocation("Europe/Warsaw")
	must("zone", err)
	fmt.Println("zone", time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).In(zone).Format("15:04 MST"))
	nonroot, err := user.LookupId("65532")
	must("user", err)
	fmt.Println("user", nonroot.Username)
	info, err := os.Stat("/tmp")
	must("tmp", err)
	fmt.Println("tmp", info.Mode())
	answer, err := http.Get(os.Args[1])
	must("tls", err)
	fmt.Println("tls", answer.StatusCode)
}
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("probe")
    (directory / "main.go").write_text(PROBE)
    (directory / "go.mod").write_text("module probe\n\ngo 1.26\n")
    subprocess.run(
        [install.go().binary, "build", "-o", "probe", "."], cwd=directory, check=True,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
    )  # fmt: skip
    return directory / "probe"


class Ok(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server for localhost, and the certificate of the private CA that vouches for it."""
    directory = tmp_path_factory.mktemp("tls")
    openssl = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    ca = [*openssl, "-x509", "-subj", "/CN=Private CA", "-keyout", "ca.key", "-out", "ca.pem"]
    leaf = [
        *openssl, "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
        "-keyout", "leaf.key", "-out", "leaf.pem",
    ]  # fmt: skip
    for command in (ca, leaf):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    server = HTTPServer(("127.0.0.1", 0), Ok)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "leaf.pem", directory / "leaf.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}/", directory / "ca.pem"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", STATIC)
def test_the_root_has_what_a_service_expects(
    name: str, lab: Lab, render: Render, probe: Path, tls_server: tuple[str, Path]
) -> None:
    url, ca = tls_server
    service = Service(lab, render(**COMBINATIONS[name]), COMBINATIONS[name])
    mounts = [f"{probe}:/probe:ro", f"{ca}:/private-ca.pem:ro"]
    done = lab.call(
        service.release, [url], {"SSL_CERT_FILE": "/private-ca.pem"}, entrypoint="/probe",
        mounts=mounts,
    )  # fmt: skip
    assert done.exit_code == 0, done
    assert done.stdout.splitlines() == [
        "lookup true", "zone 02:00 CEST", "user nonroot", "tmp dtrwxrwxrwx", "tls 200",
    ]  # fmt: skip

    # The image's own CA file is found and read, and does not know the private CA.
    done = lab.call(service.release, [url], entrypoint="/probe", mounts=mounts)
    assert done.exit_code == 1
    assert "tls: " in done.stderr
    assert "certificate signed by unknown authority" in done.stderr
