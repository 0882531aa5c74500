"""A service of 0.2.0 whose pipeline has what that release's pages told teams to set stays green."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from history import BEFORE, History, update

from rendering import commit_all

KANIKO = "ghcr.io/osscontainertools/kaniko"
CRANE = "gcr.io/go-containerregistry/crane/debug"
FOLLOWED = """
variables:
  IMAGE_REPOSITORY: registry.example.com/platform/payments
  REGISTRY_MAP: docker.io=mirror.example.com/hub;gcr.io=mirror.example.com/gcr
  CACHE_REPOSITORY: registry.example.com/platform/payments/cache
  CI_IMAGE_REPOSITORY: registry.example.com/platform/payments/ci
  KANIKO_FLAGS: --registry-certificate registry.example.com=$CORPORATE_CA
  CI_IMAGE_FLAGS: --build-arg HTTPS_PROXY=http://proxy.example.com:3128
  SSL_CERT_FILE: $CORPORATE_CA

default:
  tags: [linux]
  retry: 1

.in-kaniko:
  image:
    name: mirror.example.com/ghcr/osscontainertools/kaniko@kaniko@

.in-crane:
  image:
    name: mirror.example.com/gcr/go-containerregistry/crane/debug@crane@
    entrypoint: [""]

build:
  tags: [large]
  timeout: 2h

test:
  services:
    - postgres:18
  variables:
    POSTGRES_DB: payments
  cache:
    paths: [.cache/]

smoke-test:
  extends: .in-ci-image
  stage: check
  script:
    - make smoke-test

deploy-to-staging:
  stage: deploy
  image: registry.example.com/tools/deploy:3
  rules:
    - if: $CI_COMMIT_TAG
  script:
    - deploy payments
"""


def test_a_pipeline_that_followed_the_docs(history: History, tmp_path: Path) -> None:
    history.need("v0.2.0")
    service = history.service(tmp_path / "service", "v0.2.0")
    jobs = (service / "ci/gitlab/pipeline.yml").read_text(encoding="utf-8")
    text = FOLLOWED
    for image, name in ((KANIKO, "kaniko"), (CRANE, "crane")):
        pin = re.search(rf"{re.escape(image)}(:\S+@sha256:\w+)", jobs)
        assert pin, image
        text = text.replace(f"@{name}@", pin[1])
    pipeline = service / ".gitlab-ci.yml"
    before, _, after = pipeline.read_text(encoding="utf-8").partition("\nvariables:\n")
    pipeline.write_text(before + text + after.partition("\n")[2], encoding="utf-8")
    commit_all(service, "Follow the docs")
    for release in ("v0.2.0", BEFORE):
        if release != "v0.2.0":
            assert update(service, VERSION=release).returncode == 0
            commit_all(service, "Update")
        done = subprocess.run(
            [sys.executable, "-B", "ci/conformance", "repo"],
            cwd=service, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (release, done.stdout)
