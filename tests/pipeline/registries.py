"""Registries of the world on this machine: each asks for its own credentials.

A proxy answers for every host, so that crane speaks to the real names. A host has TLS, with
a certificate that the client is given, or is plain HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path

from lab.proxy import Proxy

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2,
                   "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}"},
        "layers": [],
    }
).encode()  # fmt: skip
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@dataclass
class Registries:
    """Who may read and write where: (host, beginning of the repository's name) to user:password."""

    directory: Path
    hosts: list[str]
    readers: dict[tuple[str, str], str] = field(default_factory=dict)
    writers: dict[tuple[str, str], str] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""

    @property
    def certificate(self) -> Path:
        return self.directory / "certificate.pem"

    def env(self) -> dict[str, str]:
        proxy = f"http://{self.address}"
        return {
            "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "",
            "SSL_CERT_FILE": str(self.certificate),
        }  # fmt: skip

    def allowed(self, host: str, repository: str, user: str, write: bool) -> bool:
        rules = {**self.readers, **self.writers} if not write else self.writers
        return any(
            host == rule_host and repository.startswith(prefix) and user == who
            for (rule_host, prefix), who in rules.items()
        )


class _Handler(Proxy):
    registries: Registries

    def do_GET(self) -> None:
        host = self.host or self.headers["Host"]
        path = self.path.partition("://")[2].partition("/")[2] or self.path.lstrip("/")
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        user = base64.b64decode(given).decode() if scheme == "Basic" else ""
        if path.rstrip("/") != "v2":
            repository, _, reference = path.removeprefix("v2/").partition("/manifests/")
            write = self.command in ("PUT", "POST")
            self.registries.seen.append((host, repository, user))
            if self.registries.allowed(host, repository, user, write):
                if reference == "none":
                    return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
                return self.answer(
                    201 if write else 200, MANIFEST, Docker_Content_Digest=DIGEST,
                    Content_Type="application/vnd.docker.distribution.manifest.v2+json",
                )  # fmt: skip
        elif user:
            return self.answer(200, b"{}")
        code = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        return self.answer(401, code, WWW_Authenticate='Basic realm="registry"')

    do_HEAD = do_PUT = do_POST = do_GET


@contextlib.contextmanager
def registries(directory: Path, *hosts: str) -> Iterator[Registries]:
    made = Registries(directory, list(hosts))
    key = directory / "key.pem"
    names = ",".join(f"DNS:{host.partition(':')[0]}" for host in hosts)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=registries", "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out",
         str(made.certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, key)
    handler = type("Handler", (_Handler,), {"registries": made, "context": context})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
