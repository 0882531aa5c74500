"""What is green builds: docker's refusals, Kaniko's silent faults, secrets and start commands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conformance.context import Context
from conformance.dockerfile import parse
from conformance_service import CI_DOCKERFILE, DOCKERFILE, service, write
from conformance_tool import TEMPLATE, run

from conformance import dockerfile_checks

GUIDELINE = TEMPLATE / "specs/guidelines/containerization.md"
RELEASE = "gcr.io/distroless/static-debian13:nonroot"


def found(text: str, path: str = dockerfile_checks.SERVICE, root: str = "/nowhere") -> list[str]:
    """The findings of one Dockerfile, each as id, line and message."""
    checks = dockerfile_checks.DockerfileChecks(path, parse(text), Context(root))
    return [f"{item.check} {item.line} {item.message}" for item in checks.run()]


def changed(old: str, new: str) -> str:
    assert old in DOCKERFILE
    return DOCKERFILE.replace(old, new, 1)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


# Quiet


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Defaults that stand on each other, as the builders put them together.
        (f"ARG RELEASE_IMAGE={RELEASE}",
         "ARG DEBIAN=v13\nARG MIRROR\n"
         "ARG RELEASE_IMAGE=${MIRROR:-${HUB:-${OTHER:-"
         "gcr.io/distroless/static-debian${DEBIAN#v}:nonroot}}}"),
        (f"ARG RELEASE_IMAGE={RELEASE}",
         "ARG D=13\nARG RELEASE_IMAGE=gcr.io/distroless/static-debian${D}:nonroot"),
        (f"ARG RELEASE_IMAGE={RELEASE}",
         f'ARG D=13\nARG RELEASE_IMAGE="{RELEASE.replace("13", "${D:+$D}")}"'),
        ("USER 65532:65532", "ARG APP_UID=65532\nUSER ${APP_UID}"),
        ("USER 65532:65532", "ENV APP_UID=65532\nUSER ${APP_UID}:$APP_UID"),
        # What tells of a secret, and is none.
        ("WORKDIR /src", "ARG OIDC_USE_ID_TOKEN=true\nWORKDIR /src"),
        ("WORKDIR /src", "ARG TOKEN_CHECK=off AUTH_TOKEN=no\nENV CREDENTIALS=~/x.json"),
        ("COPY . .", "COPY keys/id_rsa.pub .env.example .env.sample /x/"),
        ("RUN go mod", "RUN --mount=type=cache,target=/c TOKEN=`cat /c/t` && go mod"),
        ("RUN go mod", "RUN PASSWORD=$(cat /run/x) && curl -u \"$USER:$PASSWORD\" x && go mod"),
        ("RUN go mod", "RUN chown -R 1000:1000 /x && docker run -u 1000:1000 x && go mod"),
        # A start without a shell, whatever is started before.
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["/app/bash"]'),
    ],
)  # fmt: skip
def test_what_is_right_has_no_finding(old: str, new: str) -> None:
    text = changed(old, new)
    if "bash" in new:
        text = text.replace('CMD ["/app/payments"]', 'CMD ["/app/bash"]')
    assert found(text) == []


def test_windows_line_ends_have_no_finding() -> None:
    assert found(DOCKERFILE.replace("\n", "\r\n")) == []


# Reported


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # Docker stops.
        ("COPY --from=builder /out", "COPY --from=builder --owner=0:0 /out", "DKF-001"),
        ("COPY . .", "COPY /out/x", "DKF-001"),
        ("USER 65532", "ENV FOO\nUSER 65532", "DKF-001"),
        ("EXPOSE 8080", "EXPOSE eight", "DKF-001"),
        ("COPY . .", "COPY --from=builder . .", "DKF-001"),
        # A download, however it is written.
        ("COPY . .", "ARG JAR=https://example.com/a.jar\nADD ${JAR} /a.jar", "DKF-006"),
        ("COPY . .", "ENV HOST=example.com\nADD https://$HOST/a.jar /a.jar", "DKF-006"),
        ("COPY . .", 'ADD "https://example.com/a.jar" /a.jar', "DKF-006"),
        ("COPY . .", "ONBUILD ADD https://example.com/a.tgz /a", "DKF-006"),
        # A secret on a command line, and one in a variable.
        ("RUN go mod", "RUN curl -u ci:hunter2hunter2 https://x.example.com && go mod", "DKF-013"),
        ("RUN go mod", "RUN curl -fsSLu ci:hunter2 https://x.example.com && go mod", "DKF-013"),
        ("RUN go mod", "RUN curl -H 'Authorization: Bearer abcd' https://x && go mod", "DKF-013"),
        ("RUN go mod", "RUN wget --password hunter2 https://x && go mod", "DKF-013"),
        ("RUN go mod", "RUN docker login -u ci -p hunter2 x && go mod", "DKF-013"),
        ("RUN go mod", "RUN mysql -phunter2 x && go mod", "DKF-013"),
        ("RUN go mod", "RUN sshpass -p hunter2 ssh x && go mod", "DKF-013"),
        ("RUN go mod", "RUN echo root:hunter2 | chpasswd && go mod", "DKF-013"),
        ("RUN go mod", "RUN echo hunter2 | docker login --password-stdin x && go mod", "DKF-013"),
        ("USER 65532", "ENV PGPASSWORD=hunter2hunter2\nUSER 65532", "DKF-013"),
        ("USER 65532", "ENV MYSQL_PWD=hunter2 SSHPASS=x1\nUSER 65532", "DKF-013"),
        ("USER 65532", "ENV DBPASSWORD=hunter2\nUSER 65532", "DKF-013"),
        ("COPY . .", "COPY keys/id_ecdsa .env.production /x/", "DKF-013"),
        # A shell, in exec form, behind other programs too.
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["/bin/sh","-c","exec x"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["bash","-ec","exec x"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["/usr/bin/bash","/app/run.sh"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["/sbin/tini","--","/bin/sh","x"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["env","A=b","sh","-c","x"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["/usr/bin/env","-S","sh -c x"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["timeout","9","/bin/sh"]', "DKF-004"),
        ('ENTRYPOINT ["/app/payments"]', 'ENTRYPOINT ["busybox","ash"]', "DKF-004"),
        ('CMD ["/app/payments", "health', 'CMD ["sh", "-c", "/app/payments health', "DKF-004"),
        # A base that nobody can know.
        ("FROM ${BUILDER_IMAGE}", "FROM ${BUILDER_IMAGE}-${TARGETARCH}", "DKF-008"),
        ("FROM ${BUILDER_IMAGE}", "FROM ${TOOLS}", "DKF-008"),
        ("FROM ${BUILDER_IMAGE}", "FROM Docker.io/Library/golang:1", "DKF-008"),
        (f"RELEASE_IMAGE={RELEASE}", "RELEASE_IMAGE", "DKF-008"),
        # Labels that are not what they say.
        ('created=""', 'created="2026-03-20"', "DKF-015"),
        ('source=""', 'source="payments"', "DKF-015"),
        ('version="${VERSION}"', 'version="latest"', "DKF-015"),
        ('base.digest=""', 'base.digest="1234"', "DKF-015"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_where_it_stands(old: str, new: str, expected: str) -> None:
    text = changed(old, new)
    of_the_twin = "DKF-012"  # what the release starts is not what debug starts
    of_the_base = {"DKF-009", "DKF-010"}
    findings = [item for item in found(text) if not item.startswith(of_the_twin)]
    ids = {item.split()[0] for item in findings}
    assert expected in ids, findings
    assert ids <= {expected, *(of_the_base if expected == "DKF-008" else ())}, findings
    lines = {int(item.split()[1]) for item in findings if item.startswith(expected)}
    first = line_of(text, new)
    after = first + new.count("\n") + (5 if "LABEL" in text.splitlines()[first - 1] else 1)
    if "BUILDER_IMAGE" not in old and "RELEASE_IMAGE" not in old and expected != "DKF-015":
        assert lines <= set(range(first, after + 1)), findings


def test_a_release_that_starts_nothing() -> None:
    text = changed('ENTRYPOINT ["/app/payments"]\n', "")
    text = text.replace('CMD ["/app/payments"]', "CMD []")
    assert found(text) == [
        "DKF-004 12 the release stage has neither ENTRYPOINT nor CMD",
        f"DKF-012 {line_of(text, 'CMD []')} the debug stage has no CMD to start the service",
    ]


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("gcr.io/distroless/static:nonroot", "which the platform does not offer"),
        ("gcr.io/distroless/static-debian12:nonroot", "which the platform does not offer"),
        ("docker.io/library/static-debian13:nonroot", "which the platform does not offer"),
        ("gcr.io/distroless/cc-debian13:debug-nonroot", "is a debug image: it has a shell"),
        ("gcr.io/distroless/cc-debian13:nonroot", ""),
        ("gcr.io/distroless/base-debian13:latest-amd64", ""),
        ("mirror.example.com/gcr/distroless/static-debian13:nonroot", ""),
        ("mirror.example.com:5000/gcr.io/distroless/static-debian13@sha256:" + "0" * 64, ""),
    ],
)  # fmt: skip
def test_the_release_stands_on_what_the_platform_offers(base: str, message: str) -> None:
    findings = found(changed(RELEASE, base))
    assert len(findings) == bool(message)
    assert not message or (findings[0].startswith("DKF-010 12") and message in findings[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ONBUILD COPY <<end /t\n#!/bin/sh\necho hi\nend", ["DKF-007 9 COPY has a heredoc"]),
        ("ONBUILD COPY --link a b", ["DKF-007 9 COPY --link has no effect in Kaniko"]),
        ("ONBUILD COPY a", ["DKF-001 9 ONBUILD COPY wants what to copy and where to"]),
        ("ONBUILD ENV DB_PASSWORD=hunter2", ["DKF-013 9 ENV DB_PASSWORD carries a secret"]),
        (
            "ONBUILD COPY --from=golang a b",
            ["DKF-008 9 golang does not", "DKF-008 9 golang has no"],
        ),
        ("ONBUILD RUN curl -k https://x", ["DKF-017 9 curl -k switches"]),
    ],
)
def test_an_instruction_behind_onbuild_is_read_as_if_it_stood_alone(
    name: str, words: list[str]
) -> None:
    findings = found(changed("COPY . .", name))
    assert [item[: len(word)] for item, word in zip(findings, words, strict=True)] == words


def test_what_dockerignore_leaves_out_cannot_be_copied(tmp_path: Path) -> None:
    root = service(tmp_path / "payments")
    write(root, ".dockerignore", "*\n!go.mod\n!cmd\ncmd/**/*.md\n")
    write(root, "cmd/payments/main.go", "package main\n")
    write(root, "cmd/README.md", "x\n")
    copies = "COPY go.mod cmd ./\nCOPY cmd/payments ./\nCOPY ./go.sum ./\nCOPY cmd/README.md x*/ ./"
    write(root, "image/Dockerfile", changed("COPY go.mod go.sum ./", copies))
    answer = run("repo", root)
    assert [line.partition(": ")[2] for line in answer.found] == [
        "COPY ./go.sum: .dockerignore leaves it out, so it is not there for a build",
        "COPY cmd/README.md: .dockerignore leaves it out, so it is not there for a build",
    ]
    assert "fix: add a line !./go.sum to .dockerignore" in answer.out


# Kaniko


KANIKO = {
    "`# syntax=docker/dockerfile:1`": "# syntax=docker/dockerfile:1\n",
    "`FROM --platform=linux/arm64 …`": "FROM --platform=linux/arm64 ${BUILDER_IMAGE} AS x",
    "`COPY --parents`": "COPY --parents a b",
    "`COPY --exclude`": "COPY --exclude=a b c",
    "`COPY --link`": "COPY --link a b",
    "`ADD --checksum`": "ADD --checksum=sha256:0 a b",
    "`ADD --keep-git-dir`": "ADD --keep-git-dir a b",
    "`ADD --link`": "ADD --link a b",
    "`ADD --exclude`": "ADD --exclude=a b c",
    "`ADD --unpack`": "ADD --unpack a.tgz b",
    "`RUN --network`": "RUN --network=none a",
    "`RUN --security`": "RUN --security=insecure a",
    "`RUN --device`": "RUN --device=vendor.com/gpu a",
    "`RUN --mount=from=builder`": "RUN --mount=from=docker.io/library/busybox:1,target=/x a",
    "`RUN --mount=type=tmpfs`": "RUN --mount=type=tmpfs,target=/x a",
    "`RUN --mount=type=ssh`": "RUN --mount=type=ssh a",
    "`RUN --mount=type=secret`, in `image/Dockerfile`": "RUN --mount=type=secret,id=x a",
    "`HEALTHCHECK --start-interval=1s`": 'HEALTHCHECK --start-interval=1s CMD ["a"]',
    "`MAINTAINER`": "MAINTAINER Ada",
    "`RUN <<EOF`": "RUN <<EOF\na\nEOF",
    "`COPY <<EOF`": "COPY <<EOF /a\nb\nEOF",
    "`ADD <<EOF`": "ADD <<EOF /a\nb\nEOF",
    "`COPY` or `ADD` after `USER`": "USER 1\nADD a b\nUSER 0",
    "`COPY` or `ADD` below a `VOLUME` that is declared before": "VOLUME /a\nCOPY b /a/b",
    "`EXPOSE 8000-8010`": "EXPOSE 8000-8010",
    "`EXPOSE 8080/sctp`": "EXPOSE 8080/sctp",
    '`ARG A="x"y`': 'ARG A="x"y',
    "`ARG A='$B'` before the first `FROM`": "ARG A='$B'",
    "`image/Dockerfile.dockerignore`": "",
}


def constructs() -> list[str]:
    """The first column of the guideline's table, what stands beside a comma apart."""
    section = GUIDELINE.read_text(encoding="utf-8").partition("### BLD-06")[2].partition("\n###")[0]
    rows = [
        line.split(" | ")[0].strip("| ") for line in section.splitlines() if line.startswith("| `")
    ]
    return [part for row in rows for part in re.split(r", (?=`(?!image))", row)]


def test_the_guideline_lists_what_kaniko_gets_wrong() -> None:
    assert constructs() == list(KANIKO)


@pytest.mark.parametrize("construct", KANIKO)
def test_what_kaniko_gets_wrong_is_found(tmp_path: Path, construct: str) -> None:
    text = KANIKO[construct]
    if text.startswith(("# syntax", "ARG")):
        text = f"{text}\n{DOCKERFILE}"
    elif text.startswith("FROM"):
        text = changed(
            "FROM ${BUILDER_IMAGE} AS builder", f"{text}\nFROM ${{BUILDER_IMAGE}} AS builder"
        )
    elif text:
        text = changed("WORKDIR /src", f"WORKDIR /src\n{text}")
    else:
        root = service(tmp_path / "payments")
        write(root, "image/Dockerfile.dockerignore", "*\n")
        assert [line[:7] for line in run("repo", root).found] == ["DKF-007"]
        return
    assert [item.split()[0] for item in found(text)] == ["DKF-007"], found(text)


def test_every_message_about_kaniko_has_its_row() -> None:
    """A construct that the check learns and the guideline does not know is not tested above."""
    said = {re.sub(r"\d+", "", item) for text in _every_construct() for item in found(text)}
    source = (TEMPLATE / "ci/conformance/kaniko.py").read_text(encoding="utf-8")
    options = re.search(r"_OPTIONS = \{(.*?)\n\}", source, re.DOTALL)
    assert options
    for keyword, names in re.findall(r'"([A-Z]+)": \(([^)]*)\)', options.group(1)):
        for name in re.findall(r'"([a-z-]+)"', names):
            assert any(f"{keyword} --{name} " in item for item in said), (keyword, name)


def _every_construct() -> list[str]:
    inside = [
        text for text in KANIKO.values() if text and not text.startswith(("#", "ARG", "FROM"))
    ]
    return [changed("WORKDIR /src", f"WORKDIR /src\n{text}") for text in inside]


def test_the_ci_image_may_mount_a_secret() -> None:
    text = CI_DOCKERFILE + "RUN --mount=type=secret,id=index a\n"
    assert found(text, dockerfile_checks.CI_IMAGE) == []
    text += "RUN --mount=type=tmpfs,target=/x a\n"
    assert [item[:7] for item in found(text, dockerfile_checks.CI_IMAGE)] == ["DKF-007"]


# Verification


@pytest.mark.parametrize(
    "command",
    [
        "curl -k https://x",
        "curl -fsSLko /x https://x",
        "curl --insecure https://x",
        "wget -q --no-check-certificate https://x",
        "pip install --trusted-host pypi.example.com x",
        "uv pip install --allow-insecure-host x y",
        "apt-get install -y --allow-unauthenticated x",
        "apt-get -o Acquire::https::Verify-Peer=false update",
        "echo 'deb [trusted=yes] https://x stable main' >/etc/apt/sources.list.d/x.list",
        "apk add --allow-untrusted x.apk",
        "dnf install -y --nogpgcheck x",
        "npm config set strict-ssl false",
        "npm ci --strict-ssl=false",
        "git -c http.sslVerify=false clone https://x",
        "git config --global http.sslVerify false",
        "GIT_SSL_NO_VERIFY=1 git clone https://x",
        "export NODE_TLS_REJECT_UNAUTHORIZED=0 && npm ci",
        "GOFLAGS=-insecure go mod download",
        "mvn -Dmaven.wagon.http.ssl.insecure=true package",
        "skopeo copy --tls-verify=false a b",
        'sh -c "curl -k https://x"',
    ],
)
def test_a_check_that_is_switched_off(command: str) -> None:
    findings = found(changed("RUN go mod", f"RUN {command} && go mod"))
    assert [item[:9] for item in findings] == ["DKF-017 8"], findings


@pytest.mark.parametrize(
    "command",
    [
        "curl -fsSL -o k https://x",
        "curl -ok https://x",
        "curl -H k: https://x",
        "tar -k -xf x",
        "echo curl -k",
        "git config http.sslVerify true",
        "GONOSUMDB=example.com go mod download",
        "npm ci --strict-ssl=true",
        "NODE_TLS_REJECT_UNAUTHORIZED=1 npm ci",
    ],
)
def test_a_check_that_stays_on(command: str) -> None:
    assert found(changed("RUN go mod", f"RUN {command} && go mod")) == []


# The link at the root


def test_the_remedy_of_the_link_loses_no_file(tmp_path: Path) -> None:
    """Done as it is written, in every state of the repository, with what was there kept."""
    for number, (own, service_file) in enumerate([(True, True), (True, False), (False, True)]):
        root = service(tmp_path / f"payments-{number}")
        (root / "Dockerfile").unlink()
        if own:
            write(root, "Dockerfile", "FROM scratch AS mine\n")
        if not service_file:
            shutil.rmtree(root / "image")
        report = run("repo", root, "--format", "json").report["findings"]
        (fix,) = [item["fix"] for item in report if item["check"] == "DKF-016"]
        command = fix.partition("run: ")[2]
        subprocess.run(["sh", "-euc", command], cwd=root, check=True)
        kept = [
            path for path in (root / "image/Dockerfile", root / "Dockerfile.old") if path.exists()
        ]
        if own:
            assert any("AS mine" in path.read_text() for path in kept), (fix, kept)
        assert (root / "Dockerfile").resolve() == (root / "image/Dockerfile").resolve()
        assert (root / "Dockerfile").is_file()
        assert "DKF-016" not in run("repo", root, "--format", "json").ids
