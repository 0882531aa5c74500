"""A Sigstore without a log: Fulcio itself, and a stand-in for GitLab that mints its tokens."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab import install
from lab.registry import free_port
from lab.system import LabError, run

# What Fulcio makes of a token of GitLab: the identity is the file that the pipeline starts from.
MAPPING = """\
oidc-issuers:
  {issuer}:
    issuer-url: {issuer}
    client-id: sigstore
    type: ci-provider
    ci-provider: gitlab-pipeline
ci-issuer-metadata:
  gitlab-pipeline:
    subject-alternative-name-template: "https://{{{{ .ci_config_ref_uri }}}}"
    extension-templates:
      build-signer-uri: "https://{{{{ .ci_config_ref_uri }}}}"
      build-signer-digest: ci_config_sha
      build-config-uri: "https://{{{{ .ci_config_ref_uri }}}}"
      build-config-digest: ci_config_sha
      build-trigger: pipeline_source
      runner-environment: runner_environment
      source-repository-uri: "{issuer}/{{{{ .project_path }}}}"
      source-repository-digest: sha
      source-repository-identifier: project_id
      source-repository-owner-uri: "{issuer}/{{{{ .namespace_path }}}}"
      source-repository-owner-identifier: namespace_id
      run-invocation-uri: "{issuer}/{{{{ .project_path }}}}/-/jobs/{{{{ .job_id }}}}"
      source-repository-visibility-at-signing: project_visibility
"""


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class GitLab:
    """Says whom it is, over TLS, and signs what it claims of a job."""

    def __init__(self, directory: Path) -> None:
        self._key, self.certificate = directory / "gitlab.key", directory / "gitlab.pem"
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        names = ["-subj", "/CN=gitlab", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", self._key, "-out", self.certificate]
        run([*request, *names, *files], what="openssl req")
        modulus = run(["openssl", "rsa", "-in", self._key, "-noout", "-modulus"], what="openssl")
        number = bytes.fromhex(modulus.strip().partition("=")[2])
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "e": "AQAB"}
        gitlab = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys = f"{gitlab.url}/keys"
                document: dict[str, Any] = {"issuer": gitlab.url, "jwks_uri": keys}
                document["id_token_signing_alg_values_supported"] = ["RS256"]
                if self.path == "/keys":
                    document = {"keys": [{**key, "n": encoded(number)}]}
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, ref: str, kind: str = "tag", project: str = "platform/payments") -> str:
        """What a job of this project gets as SIGSTORE_ID_TOKEN."""
        folder = {"tag": "tags", "branch": "heads"}[kind]
        host = self.url.partition("//")[2]
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": "sigstore", "iat": now, "nbf": now - 5, "exp": now + 600,
            "sub": f"project_path:{project}:ref_type:{kind}:ref:{ref}",
            "namespace_id": "72", "namespace_path": project.partition("/")[0],
            "project_id": "20", "project_path": project, "project_visibility": "private",
            "user_id": "1", "user_login": "ada", "pipeline_id": "574", "job_id": "302",
            "pipeline_source": "push", "ref": ref, "ref_type": kind, "ref_protected": "true",
            "ref_path": f"refs/{folder}/{ref}", "runner_id": 1, "sha": "0" * 40,
            "runner_environment": "self-hosted", "ci_config_sha": "0" * 40,
            "ci_config_ref_uri": f"{host}/{project}//.gitlab-ci.yml@refs/{folder}/{ref}",
        }  # fmt: skip
        header = {"alg": "RS256", "typ": "JWT", "kid": "1"}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        sign = ["openssl", "dgst", "-sha256", "-sign", self._key]
        done = subprocess.run(sign, input=text.encode(), capture_output=True, check=True)
        return f"{text}.{encoded(done.stdout)}"


class Fulcio:
    """Fulcio with an authority of its own, and the files that a project gives of it."""

    def __init__(self, directory: Path, gitlab: GitLab) -> None:
        config = directory / "fulcio.yaml"
        config.write_text(MAPPING.format(issuer=gitlab.url))
        ports = [str(free_port()) for _ in range(3)]
        self.url = f"http://127.0.0.1:{ports[0]}"
        self._log = directory / "fulcio.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [install.fulcio(), "serve", "--ca=ephemeralca", "--ct-log-url=",
                 f"--config-path={config}", "--host=127.0.0.1", f"--port={ports[0]}",
                 "--grpc-host=127.0.0.1", f"--grpc-port={ports[1]}", f"--metrics-port={ports[2]}",
                 f"--legacy-unix-domain-socket=@fulcio-{ports[1]}"],
                env={**os.environ, "SSL_CERT_FILE": str(gitlab.certificate)},
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        chain = directory / "fulcio.pem"
        chain.write_text("".join(self._chain()))
        self.trusted_root = directory / "trusted-root.json"
        self.signing_config = directory / "signing-config.json"
        since = "start-time=2026-01-01T00:00:00Z"
        for verb, words, file in (
            ("trusted-root", f"certificate-chain={chain}", self.trusted_root),
            ("signing-config", f"api-version=1,{since},operator=lab", self.signing_config),
        ):
            create = [install.cosign(), verb, "create", f"--fulcio=url={self.url},{words}"]
            run([*create, f"--out={file}"], what=f"cosign {verb} create")

    def _chain(self) -> list[str]:
        while self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/api/v2/trustBundle") as answer:
                    return list(json.load(answer)["chains"][0]["certificates"])
            except OSError:
                time.sleep(0.1)
        raise LabError(f"Fulcio has ended: {self._log.read_text()[-2000:]}")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
