"""A small clean service: the template's own records and tool, and a Dockerfile and pipeline."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from conformance_tool import TEMPLATE, TOOL

KANIKO = "ghcr.io/osscontainertools/kaniko:v1.28.3-bootstrap@sha256:" + "b" * 64

DOCKERFILE = """\
ARG BUILDER_IMAGE=docker.io/library/golang:1.26-trixie
ARG RELEASE_IMAGE=gcr.io/distroless/static-debian13:nonroot
ARG DEBUG_FROM=release

FROM ${BUILDER_IMAGE} AS builder
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN GOPROXY=off go build -o /out/payments ./cmd/payments

FROM ${RELEASE_IMAGE} AS release
COPY --from=builder /out/payments /app/payments
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s CMD ["/app/payments", "healthcheck"]
ENTRYPOINT ["/app/payments"]
ARG VERSION=dev
ARG REVISION=
LABEL org.opencontainers.image.title="payments" \\
      org.opencontainers.image.version="${VERSION}" \\
      org.opencontainers.image.revision="${REVISION}" \\
      org.opencontainers.image.created="" \\
      org.opencontainers.image.source="" \\
      org.opencontainers.image.base.name="" \\
      org.opencontainers.image.base.digest=""

FROM ${DEBUG_FROM} AS debug
COPY --from=gcr.io/distroless/static-debian13:debug-nonroot --chown=0:0 /busybox /busybox
ENV PATH=${PATH}:/busybox
ENTRYPOINT []
CMD ["/app/payments"]

FROM release
"""

CI_DOCKERFILE = """\
FROM docker.io/library/golang:1.26-trixie
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-yaml
"""

GITLAB_CI = """\
include:
  - local: /ci/gitlab/image.yml

lint:
  image: $CI_IMAGE
  script:
    - make lint
"""

PROMOTE = """\
#!/bin/sh
crane tag "$IMAGE@$DIGEST" "$VERSION"
"""

GITLAB_JOBS = f"""\
variables:
  KANIKO_IMAGE: {KANIKO}

.rules: &rules
  - if: $CI_PIPELINE_SOURCE == "schedule"
  - if: $CI_COMMIT_TAG

verify:
  image: $CI_IMAGE
  rules: *rules
  script:
    - python3 ci/conformance repo --strict

build:
  image:
    name: $KANIKO_IMAGE
    entrypoint: [""]
  rules:
    - !reference [.rules]
  script:
    - >-
      /kaniko/executor --target release --no-push --tar-path image.tar
      --destination "$IMAGE:$VERSION"

verify-image:
  image: $CI_IMAGE
  script:
    - python3 ci/conformance image image.tar --strict

debug:
  image: $KANIKO_IMAGE
  script:
    - |
      /kaniko/executor --target debug --build-arg "DEBUG_FROM=$IMAGE@$DIGEST" \\
        --destination "$IMAGE:$VERSION-debug"
"""


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    write(root, path, text.replace(old, new, 1))


def lock(root: Path) -> None:
    """Write the locks of the platform files that are there."""
    folders = ["ci/house", "ci/pipeline", "ci/gitlab"]
    places = ["ci/conformance", *folders, "specs/guidelines", "specs/ADRs", "specs/README.md"]
    paths: list[Path] = []
    for place in places:
        base = root / place
        paths += [base] if base.is_file() else [item for item in base.rglob("*") if item.is_file()]
    lines: dict[str, str] = {"ci/platform.lock": ""}
    for path in sorted(path.relative_to(root) for path in paths):
        if not {"service", "__pycache__", "platform.lock"} & set(path.parts):
            digest = hashlib.sha256((root / path).read_bytes()).hexdigest()
            folder = path.parent.as_posix()
            name = f"{folder}/platform.lock" if folder in folders else "ci/platform.lock"
            lines[name] = lines.get(name, "") + f"{digest}  {path.as_posix()}\n"
    for name, text in lines.items():
        write(root, name, text)


def service(root: Path) -> Path:
    """Make a clean service with a pipeline, in a git repository."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(TEMPLATE / "specs", root / "specs")
    shutil.copytree(TEMPLATE / "ci/house", root / "ci/house")
    shutil.copytree(TOOL, root / "ci/conformance", ignore=shutil.ignore_patterns("__pycache__"))
    write(root, "image/Dockerfile", DOCKERFILE)
    (root / "Dockerfile").symlink_to("image/Dockerfile")
    write(root, "ci/image/Dockerfile", CI_DOCKERFILE)
    write(root, ".gitlab-ci.yml", GITLAB_CI)
    write(root, "ci/gitlab/image.yml", GITLAB_JOBS)
    write(root, "ci/pipeline/promote.sh", PROMOTE)
    write(root, "go.mod", "module example.com/payments\n")
    write(root, "README.md", "# payments\n\nSee [the records](specs/README.md).\n")
    lock(root)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return root


RECORD = """\
# {id}: {title}

| Field | Value |
| --- | --- |
| Date | 2026-03-20 |
| Status | {status} |
| Deciders | Team payments |
| Supersedes | {supersedes} |
| Superseded by | {superseded_by} |
{rows}
## Context and Problem Statement

Something.

## Decision Outcome

Chosen option: the first.
"""


def record(
    root: Path,
    number: int,
    *,
    title: str = "A decision",
    status: str = "Accepted",
    supersedes: str = "—",
    superseded_by: str = "—",
    **rows: str,
) -> str:
    """Write a service record; keyword arguments become rows (deviates_from=…)."""
    path = f"specs/ADRs/service/SVC-{number:04}-a-decision.md"
    table = "".join(
        f"| {name.replace('_', ' ').capitalize()} | {value} |\n" for name, value in rows.items()
    )
    text = RECORD.format(
        id=f"SVC-{number:04}",
        title=title,
        status=status,
        supersedes=supersedes,
        superseded_by=superseded_by,
        rows=table,
    )
    write(root, path, text)
    return path


def deviation(root: Path, number: int = 1, **changes: str) -> str:
    rows = {
        "deviates_from": "ADR-003: IMG-001",
        "approver": "Ada Lovelace",
        "expires": "2026-12-31",
    }
    status = changes.pop("status", "Accepted")
    rows.update(changes)
    return record(
        root, number, status=status, **{name: text for name, text in rows.items() if text}
    )
