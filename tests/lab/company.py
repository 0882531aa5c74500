"""A company's network on this machine: what is in it reaches a proxy, and nothing else.

It is a network namespace with a loopback interface. Its one open port is the proxy, which
runs outside and knows three hosts: a mirror of base images, and a mirror of Debian and an index
of packages that ask for a password. They have TLS of an authority that is made here, and
pass on what the public registries have.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path

from .proxy import Proxy
from .system import run

MIRROR, DEBIAN, PACKAGES = "mirror.acme.test", "debian.acme.test", "packages.acme.test"
PORT = 3128
USER = "builder"
INDEXES = {
    "apt": f"https://{DEBIAN}",
    "go": f"https://{PACKAGES}/go",
    "rust": f"https://{PACKAGES}/rust",
    "java": f"https://{PACKAGES}/java",
    "python": f"https://{PACKAGES}/python/simple",
    "node": f"https://{PACKAGES}/node",
}
UPSTREAM = {
    "/go/": "https://proxy.golang.org/",
    "/rust/": "https://index.crates.io/",
    "/java/": "https://repo.maven.apache.org/maven2/",
    "/python/simple/": "https://pypi.org/simple/",
    "/python/files/": "https://files.pythonhosted.org/",
    "/node/": "https://registry.npmjs.org/",
}
ASKED = ("Accept", "Range", "If-None-Match", "If-Modified-Since")
ANSWERED = ("Content-Type", "Content-Range", "ETag", "Last-Modified", "Docker-Content-Digest")
# Inside the namespace: loopback comes up, and the port opens; the socket is handed out.
INSIDE = f"""
import fcntl, socket, struct, sys
with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
with socket.socket(fileno=int(sys.argv[1])) as out:
    port = socket.create_server(("127.0.0.1", {PORT}), backlog=128)
    socket.send_fds(out, [b"."], [port.fileno()])
sys.stdin.read()
"""


@dataclass
class Company:
    """What a test knows of the network, and what was asked in it."""

    directory: Path
    registry: str
    pid: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(12))
    asked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    mirror = f"{MIRROR}/hub"
    proxy = f"http://127.0.0.1:{PORT}"

    @property
    def enter(self) -> list[str]:
        """What a command begins with that runs inside."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net"]

    @property
    def authority(self) -> Path:
        return self.directory / "authority.pem"

    @property
    def basic(self) -> str:
        return base64.b64encode(f"{USER}:{self.password}".encode()).decode()

    def netrc(self, *hosts: str) -> Path:
        """A file with the password for these hosts."""
        path = self.directory / f"netrc-{len(hosts)}"
        lines = [f"machine {host} login {USER} password {self.password}\n" for host in hosts]
        path.write_text("".join(lines))
        path.chmod(0o600)
        return path

    def upstream(self, host: str, path: str) -> str:
        if host == MIRROR:
            return f"http://{self.registry}/v2/{path.removeprefix('/v2/').removeprefix('hub/')}"
        if host == DEBIAN:
            return os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org").rstrip("/") + path
        if path.startswith("/rust/dl/"):
            crate, version = path.removeprefix("/rust/dl/").split("/")
            return f"https://static.crates.io/crates/{crate}/{crate}-{version}.crate"
        for beginning, address in UPSTREAM.items():
            if path.startswith(beginning):
                return address + path.removeprefix(beginning)
        return ""


class _Proxy(Proxy):
    company: Company

    def do_CONNECT(self) -> None:
        host = self.path.removesuffix(":443")
        if host in (MIRROR, DEBIAN, PACKAGES):
            super().do_CONNECT()
        else:
            self.close_connection = True
            self.company.refused.append(host)
            self.answer(403, b"this network knows no such host\n")

    def do_GET(self) -> None:
        if not self.host:  # plain HTTP to anywhere
            self.company.refused.append(self.path)
            return self.answer(403, b"this network knows no such host\n")
        self.company.asked.append(f"{self.host}{self.path}")
        given = self.headers.get("Authorization")
        if self.host != MIRROR and given != f"Basic {self.company.basic}":
            return self.answer(401, b"a password, please\n", WWW_Authenticate='Basic realm="acme"')
        if self.path == "/rust/config.json":
            address = f"https://{PACKAGES}/rust/dl/{{crate}}/{{version}}"
            return self.answer(200, json.dumps({"dl": address, "auth-required": True}).encode())
        return self._pass_on(self.company.upstream(self.host, self.path))

    do_HEAD = do_GET

    def _pass_on(self, address: str) -> None:
        headers = {name: value for name in ASKED if (value := self.headers.get(name))}
        request = urllib.request.Request(address, headers=headers, method=self.command)
        try:
            answer = urllib.request.urlopen(request, timeout=120) if address else None
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            return self.answer(502, f"{error}\n".encode())
        if answer is None:
            return self.answer(404)
        with answer:
            kept = {name: value for name in ANSWERED if (value := answer.headers.get(name))}
            length = answer.headers.get("Content-Length")
            if self.path.startswith("/python/simple/") or length is None:
                text = answer.read().replace(
                    b"https://files.pythonhosted.org/", f"https://{PACKAGES}/python/files/".encode()
                )
                return self.answer(answer.status, text, **kept)
            self.send_response(answer.status)
            for name, value in {"Content-Length": length, **kept}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                shutil.copyfileobj(answer, self.wfile, 1 << 18)
        return None


def certificates(directory: Path) -> Path:
    """An authority, and in one file the certificate for the three hosts and its key."""

    def openssl(*words: str) -> None:
        run(["openssl", *words], what="openssl", cwd=directory)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-days", "2", "-subj", "/CN=Acme authority",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", "authority.key", "-out", "authority.pem")  # fmt: skip
    openssl("req", *new, "-subj", "/CN=acme.test", "-keyout", "host.key", "-out", "host.csr")
    names = ",".join(f"DNS:{name}" for name in (MIRROR, DEBIAN, PACKAGES))
    (directory / "host.cnf").write_text(
        f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
    )
    openssl("x509", "-req", "-in", "host.csr", "-days", "1", "-extfile", "host.cnf",
            "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
            "-out", "host.pem")  # fmt: skip
    both = directory / "both.pem"
    both.write_text((directory / "host.pem").read_text() + (directory / "host.key").read_text())
    return both


@contextlib.contextmanager
def company(directory: Path, registry: str) -> Iterator[Company]:
    """The network; `registry` (host:port) has the images that its mirror passes on."""
    made = Company(directory, registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates(directory))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        inside = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", INSIDE, str(theirs.fileno())],
            stdin=subprocess.PIPE, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        _, (port, *_), _, _ = socket.recv_fds(ours, 1, 1)
    made.pid = inside.pid
    handler = type("Proxy", (_Proxy,), {"company": made, "context": context})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        inside.communicate()
