"""For every check, a planted violation that is reported by exactly that check."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance.registry import CHECKS
from conformance_images import (
    BASH,
    BUSYBOX,
    DASH,
    JAVA,
    NODE,
    PERL,
    PKCS12,
    PRIVATE_KEY,
    Layer,
    Spec,
    directory,
    docker_archive,
    elf,
    file,
    go_program,
    hardlink,
    java_keystore,
    opaque,
    program,
    release,
    symlink,
    twin,
    whiteout,
    zipped,
)
from conformance_service import KANIKO, deviation, edit, lock, record, service, write
from conformance_tool import repository_checks, run
from test_conformance_github import PLANTS as GITHUB
from test_conformance_manifests import PLANTED as MANIFESTS

TODAY = "2026-06-01"
ImagePlant = Callable[[Spec], object]
RepoPlant = Callable[[Path], object]


def settings(**values: object) -> ImagePlant:
    return lambda spec: spec.config.update(values)


def without_layer_item(path: str) -> ImagePlant:
    def plant(spec: Spec) -> None:
        for layer in spec.layers:
            layer[:] = [item for item in layer if item.path != path]

    return plant


def env(entry: str) -> ImagePlant:
    return lambda spec: spec.config["Env"].append(entry)


def label(name: str, value: str | None) -> ImagePlant:
    def plant(spec: Spec) -> None:
        spec.config["Labels"][name] = value
        if value is None:
            del spec.config["Labels"][name]

    return plant


def history(text: str) -> ImagePlant:
    return lambda spec: spec.history.append({"created_by": text})


def service_replaced_through_a_link(spec: Spec) -> None:
    """/busybox is the service's folder for as long as it takes to write another program."""
    tools = spec.layers.pop()
    spec.layers += [
        [symlink("busybox", "app")],
        [file("busybox/payments", elf(b"another"), 0o755)],
        [whiteout("busybox")],
        tools,
    ]


UV = b"\0UV_PYTHON_INSTALL_DIR\0An extremely fast Python package manager\0"

IMAGE: dict[str, list[ImagePlant]] = {
    "IMG-001": [
        lambda spec: spec.add(file("app/x", BUSYBOX, 0o755)),
        lambda spec: spec.add(file("app/x", BUSYBOX, 0o644)),
        lambda spec: spec.add(program("usr/bin/sh", b"anything")),
        lambda spec: spec.add(program("app/x", b"\0OPTIND\0PS4\0noglob\0%s: parameter not set\0")),
        lambda spec: spec.add(file("opt/tool.so", BUSYBOX), symlink("usr/bin/sh", "/opt/tool.so")),
        lambda spec: spec.add(file("busybox/sh", BUSYBOX, 0o755)),
        lambda spec: spec.add(program("app/helper", go_program("mvdan.cc/sh/v3/cmd/gosh"))),
        lambda spec: spec.add(file("app/tools.jar", zipped({"bin/x": elf(DASH)}))),
    ],
    "IMG-002": [
        lambda spec: spec.add(program("usr/bin/apt-get")),
        lambda spec: spec.add(program("app/x", b"\0DPKG_MAINTSCRIPT_PACKAGE\0dpkg-deb\0")),
        lambda spec: spec.add(program("sbin/apk")),
        lambda spec: spec.add(file("usr/local/bin/pip3.13", "#!/usr/bin/python3\n", 0o755)),
        lambda spec: spec.add(file("usr/lib/python3/dist-packages/pip/__init__.py")),
        lambda spec: spec.add(
            file("usr/lib/python3.13/ensurepip/_bundled/pip-25.0-py3-none-any.whl")
        ),
        lambda spec: spec.add(
            file("app/site-packages/virtualenv/seed/wheels/embed/pip-25.3-py3-none-any.whl")
        ),
        lambda spec: spec.add(program("usr/bin/mdnf", b"\0libdnf.so.2\0dnf_context_new\0")),
        lambda spec: spec.add(file("app/bin/pipenv", "#!/app/bin/python\n", 0o755)),
        lambda spec: spec.add(file("app/node_modules/.pnpm/npm@11/node_modules/npm/package.json")),
        lambda spec: spec.add(file("usr/local/lib/node_modules/npm/package.json", "{}")),
        lambda spec: spec.add(file("usr/lib/node_modules/corepack/package.json", "{}")),
        lambda spec: spec.add(
            program(
                "app/installer",
                b"\0UV_PYTHON_INSTALL_DIR\0An extremely fast Python package manager\0",
            )
        ),
    ],
    "IMG-003": [
        lambda spec: spec.add(program("usr/bin/python3.13")),
        lambda spec: spec.add(program("app/x", PERL)),
        lambda spec: spec.add(program("opt/java/bin/java", JAVA)),
        lambda spec: spec.add(program("nodejs/bin/node", NODE)),
        lambda spec: spec.add(program("usr/bin/gcc-14")),
        lambda spec: spec.add(program("usr/bin/mawk")),
        lambda spec: spec.add(program("app/cc1", b"\0GCC_EXEC_PREFIX\0no input files\0")),
        lambda spec: spec.add(
            file("opt/java/release", 'JAVA_VERSION="25"\nMODULES="java.base jdk.compiler"\n')
        ),
    ],
    "IMG-004": [
        lambda spec: spec.add(program("app/tool", mode=0o4755)),
        lambda spec: spec.add(program("app/tool", mode=0o2755)),
        lambda spec: spec.add(program("app/tool", pax={"SCHILY.xattr.security.capability": "x"})),
        lambda spec: spec.add(program("app/tool"), hardlink("app/x", "app/tool", mode=0o4755)),
    ],
    "IMG-005": [
        lambda spec: spec.add(file("app/config.json", "{}", 0o666)),
        lambda spec: spec.add(program("app/tool", mode=0o777)),
    ],
    "IMG-006": [
        settings(User=""),
        settings(User="0"),
        settings(User="0:0"),
        settings(User="root"),
        settings(User="nonroot"),
        settings(User="65532:nonroot"),
        lambda spec: setattr(spec.layers[1][1], "uid", 65532),
        lambda spec: spec.add(file("etc/payments.toml", uid=65532)),
    ],
    "IMG-007": [
        settings(Entrypoint=["/app/none"], Healthcheck=None),
        settings(Entrypoint=None, Healthcheck=None),
        settings(Entrypoint=["payments"], Healthcheck=None),
        settings(Entrypoint=["/app"], Healthcheck=None),
        settings(Healthcheck={"Test": ["CMD", "/app/health"]}),
        lambda spec: setattr(spec.layers[1][1], "mode", 0o644),
        lambda spec: setattr(spec.layers[1][1], "mode", 0o700),
        lambda spec: setattr(spec.layers[1][0], "mode", 0o750),
        lambda spec: setattr(
            spec.layers[1][1], "data", elf(interpreter="/lib/ld-musl-x86_64.so.1")
        ),
        lambda spec: setattr(spec.layers[1][1], "data", b"#!/usr/bin/none\n"),
        lambda spec: spec.layers.append([whiteout("app/payments")]),
    ],
    "IMG-008": [
        settings(Entrypoint=["/bin/sh", "-c", "/app/payments"]),
        settings(Entrypoint=None, Cmd=["/bin/sh", "-c", "/app/payments"]),
        settings(Entrypoint=["/sbin/tini", "--", "/bin/sh", "-c", "/app/payments"]),
        settings(Entrypoint=["/usr/bin/env", "PORT=1"], Cmd=["sh", "-c", "/app/payments"]),
        settings(Healthcheck={"Test": ["CMD", "timeout", "3", "/bin/sh", "/app/health.sh"]}),
        settings(Healthcheck={"Test": ["CMD-SHELL", "/app/payments healthcheck"]}),
    ],
    "IMG-009": [
        without_layer_item("etc/ssl/certs/ca-certificates.crt"),
        lambda spec: setattr(spec.layers[0][2], "data", b""),
        lambda spec: spec.config["Env"].__setitem__(1, "SSL_CERT_FILE=/etc/certs.pem"),
        lambda spec: spec.layers.append([whiteout("etc/ssl/certs/ca-certificates.crt")]),
    ],
    "IMG-010": [
        lambda spec: spec.add(file("app/tls.pem", PRIVATE_KEY)),
        lambda spec: spec.add(file("app/test/tls.pem", PRIVATE_KEY)),
        lambda spec: spec.add(file("app/keystore.p12", PKCS12)),
        lambda spec: spec.add(file("app/keystore.jks", java_keystore("key"))),
        lambda spec: spec.add(file("app/both.jks", java_keystore("certificate", "key"))),
        lambda spec: spec.add(file("app/.env", "DB=postgres://x\n")),
        lambda spec: spec.add(file("app/.env.production", "export DB=x\n")),
        lambda spec: spec.add(file("app/.git/HEAD", "ref: refs/heads/main\n")),
        lambda spec: spec.add(file("home/nonroot/.ssh/id_ed25519", "whatever")),
        lambda spec: spec.add(file("app/.npmrc", "//r.example.com/:_authToken=abcdef\n")),
        lambda spec: spec.add(file("root/.netrc", "machine x login a password b\n")),
        lambda spec: spec.add(
            file("root/.docker/config.json", '{"auths": {"r": {"auth": "YTpi"}}}')
        ),
        lambda spec: spec.add(
            file("etc/pip.conf", "[global]\nindex-url=https://a:b@pypi.example.com\n")
        ),
        lambda spec: spec.add(
            file("root/.aws/credentials", "[default]\naws_secret_access_key=x\n")
        ),
        lambda spec: spec.add(
            file("root/.kube/config", "kind: Config\nusers:\n- user:\n    token: abc\n")
        ),
        lambda spec: spec.layers.extend([[file("app/.env", "A=b\n")], [whiteout("app/.env")]]),
    ],
    "IMG-011": [
        env("DB_PASSWORD=hunter2"),
        env("API_KEY=abcdef"),
        env("INDEX=https://user:secret@pypi.example.com/"),
        env("X=ghp_" + "a" * 36),
        label("com.example.token", "abcdef"),
        history("RUN |1 NPM_TOKEN=abcdef /bin/sh -c npm ci"),
        history("ENV AWS_SECRET_ACCESS_KEY=abcdef"),
    ],
    "IMG-012": [
        label("org.opencontainers.image.source", None),
        label("org.opencontainers.image.title", ""),
        label("org.opencontainers.image.version", " "),
        label("org.opencontainers.image.created", "yesterday"),
        label("org.opencontainers.image.source", "payments"),
        label("org.opencontainers.image.base.digest", "sha256:none"),
    ],
}


TWIN: dict[str, list[ImagePlant]] = {
    "TWN-001": [
        lambda spec: setattr(spec.layers[1][1], "data", elf(b"rebuilt")),
        lambda spec: spec.layers.insert(0, []),
    ],
    "TWN-002": [
        lambda spec: spec.add(file("app/extra")),
        lambda spec: spec.layers.append(
            [whiteout("app/payments"), file("app/payments", elf(), 0o755)]
        ),
        lambda spec: spec.add(file("tmp/x")),
        lambda spec: spec.add(directory("app/", 0o711)),
        lambda spec: spec.layers.append([whiteout("etc/passwd")]),
        service_replaced_through_a_link,
        lambda spec: spec.add(
            symlink("busybox/x", "/app"), file("busybox/x/payments", elf(), 0o755)
        ),
        lambda spec: spec.add(symlink("busybox/x", "/app"), whiteout("busybox/x/none")),
        lambda spec: spec.add(symlink("busybox/x", "/tmp"), opaque("busybox/x")),
        lambda spec: spec.layers.insert(2, [symlink("busybox", "/tmp"), whiteout("busybox")]),
        lambda spec: spec.layers.insert(2, [file("busybox")]),
    ],
    "TWN-003": [
        settings(User="1000:1000"),
        settings(WorkingDir="/app"),
        env("LOG_LEVEL=debug"),
        lambda spec: spec.config["Env"].__setitem__(0, "PATH=/usr/bin:/busybox"),
        lambda spec: setattr(spec, "architecture", "arm64"),
    ],
    "TWN-004": [
        lambda spec: spec.layers.pop(),
        lambda spec: setattr(spec.layers[2][1], "mode", 0o644),
        without_layer_item("busybox/sh"),
    ],
    "TWN-005": [
        settings(Entrypoint=["/app/payments"], Cmd=None),
        settings(Cmd=["/app/payments", "version"]),
    ],
}


def docker(old: str, new: str) -> RepoPlant:
    return lambda root: edit(root, "image/Dockerfile", old, new)


def ci(old: str, new: str) -> RepoPlant:
    return lambda root: edit(root, ".gitlab-ci.yml", old, new)


def job(text: str) -> RepoPlant:
    """Add a job to the team's own pipeline file."""
    return lambda root: edit(root, ".gitlab-ci.yml", "lint:\n", text + "\nlint:\n")


def script(*lines: str) -> RepoPlant:
    body = "".join(f"    - {line}\n" for line in lines)
    return job(f"extra:\n  image: $CI_IMAGE\n  script:\n{body}")


def jobs(old: str, new: str) -> RepoPlant:
    """Change the platform's jobs as the platform would, lock included."""

    def plant(root: Path) -> None:
        edit(root, "ci/gitlab/image.yml", old, new)
        lock(root)

    return plant


def platform(path: str, old: str, new: str) -> RepoPlant:
    """Change a platform file as the platform would, lock included."""

    def plant(root: Path) -> None:
        edit(root, path, old, new)
        lock(root)

    return plant


def renamed(path: str, to: str) -> RepoPlant:
    def plant(root: Path) -> None:
        (root / path).rename(root / to)
        lock(root)

    return plant


def two_records(root: Path) -> None:
    record(root, 1)
    path = record(root, 2)
    (root / path).rename(root / "specs/ADRs/service/SVC-0001-another.md")
    edit(root, "specs/ADRs/service/SVC-0001-another.md", "SVC-0002", "SVC-0001")


def chain(**changes: str) -> RepoPlant:
    def plant(root: Path) -> None:
        record(root, 1, status=changes.get("old_status", "Superseded"), superseded_by=changes["by"])
        record(root, 2, supersedes=changes["supersedes"])

    return plant


def without_the_pipelines_files(root: Path) -> None:
    """The whole pipeline is deleted, and the answers still say that there is one."""
    write(root, ".copier-answers.yml", "language: go\nci: gitlab\n")
    (root / ".gitlab-ci.yml").unlink()
    shutil.rmtree(root / "ci/gitlab")
    shutil.rmtree(root / "ci/pipeline")


def a_pipelines_script_is_gone(root: Path) -> None:
    (root / "ci/pipeline/promote.sh").unlink()


def an_edit_that_only_git_has(root: Path) -> None:
    text = (root / "ci/pipeline/promote.sh").read_text(encoding="utf-8")
    write(root, "ci/pipeline/promote.sh", text + "# edited\n")
    subprocess.run(["git", "-C", str(root), "add", "--all"], check=True)
    write(root, "ci/pipeline/promote.sh", text)


def a_hidden_lock(root: Path) -> None:
    write(root, ".gitignore", "*.lock\n")
    subprocess.run(["git", "-C", str(root), "add", "--all"], check=True)


def unmerged(root: Path) -> None:
    blob = subprocess.run(
        ["git", "-C", str(root), "hash-object", "-w", "README.md"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()
    entries = "".join(f"100644 {blob} {stage}\tREADME.md\n" for stage in (1, 2, 3))
    subprocess.run(
        ["git", "-C", str(root), "update-index", "--index-info"],
        input=entries,
        check=True,
        text=True,
    )


ADR3 = "specs/ADRs/ADR-003-minimal-multi-stage-runtime-images.md"
GUIDELINE = "specs/guidelines/containerization.md"

REPO: dict[str, list[RepoPlant]] = {
    "DKF-001": [
        lambda root: write(root, "image/Dockerfile", ""),
        docker("WORKDIR /src", "WROKDIR /src"),
        docker("ARG BUILDER_IMAGE", "RUN true\nARG BUILDER_IMAGE"),
        lambda root: (root / "image/Dockerfile").write_bytes(b"FROM \xff\xfe\n"),
        lambda root: write(root, "image/Dockerfile", "# nothing\n"),
        docker("COPY . .", "COPY --from=builder . ."),
        docker("COPY . .", "COPY --owner=0:0 . ."),
        docker("EXPOSE 8080", "EXPOSE eight"),
        docker("WORKDIR /src", 'WORKDIR "/src'),
        lambda root: write(root, ".dockerignore", "*\n!cmd\n!*.sum\n"),
    ],
    "DKF-002": [
        docker(
            "FROM ${DEBUG_FROM} AS debug", "FROM scratch AS helper\n\nFROM ${DEBUG_FROM} AS debug"
        ),
        docker("AS builder\n", "AS builder\n\nFROM scratch AS builder\n"),
    ],
    "DKF-003": [
        docker("\nFROM release\n", ""),
        docker("\nFROM release\n", "\nFROM debug\n"),
        docker("\nFROM release\n", "\nFROM release\nEXPOSE 9090\n"),
    ],
    "DKF-004": [
        docker('ENTRYPOINT ["/app/payments"]', "ENTRYPOINT /app/payments"),
        docker('CMD ["/app/payments"]', "cmd /app/payments"),
        docker('CMD ["/app/payments", "healthcheck"]', "CMD /app/payments healthcheck"),
        docker('ENTRYPOINT ["/app/payments"]', "ENTRYPOINT ['/app/payments']"),
    ],
    "DKF-005": [
        docker("USER 65532:65532\n", ""),
        docker("USER 65532:65532", "USER nonroot"),
        docker("USER 65532:65532", "user 0"),
        docker("USER 65532:65532", "USER root"),
        docker("ENTRYPOINT []", "USER 0:0\nENTRYPOINT []"),
    ],
    "DKF-006": [
        docker("RUN go mod", "ADD https://example.com/tool.tgz /tmp/\nRUN go mod"),
        docker("RUN go mod", 'add ["git@example.com:a/b.git", "/src/"]\nRUN go mod'),
    ],
    "DKF-007": [
        docker("COPY . .", "COPY --parents . ."),
        docker("COPY . .", "COPY --exclude=*.md . ."),
        docker("COPY . .", "ADD --checksum=sha256:0 a.tgz ."),
        docker(
            "RUN go mod",
            "RUN --mount=from=docker.io/library/busybox:1.37,source=/,target=/x \\\n  go mod",
        ),
        docker("RUN go mod download", "RUN <<EOF\ngo mod download\nEOF"),
        docker("ARG BUILDER_IMAGE", "# syntax=docker/dockerfile:1\nARG BUILDER_IMAGE"),
        docker("EXPOSE 8080", "COPY a /app/a"),
        docker("RUN go mod", "RUN --mount=type=secret,id=x go mod"),
        lambda root: edit(root, "ci/image/Dockerfile", "RUN", "RUN --network=none"),
    ],
    "DKF-008": [
        docker("docker.io/library/golang:1.26-trixie", "docker.io/library/golang:latest"),
        docker("docker.io/library/golang:1.26-trixie", "docker.io/library/golang"),
        docker("docker.io/library/golang:1.26-trixie", "golang:1.26-trixie"),
        docker("static-debian13:debug-nonroot", "static-debian13"),
        lambda root: edit(root, "ci/image/Dockerfile", ":1.26-trixie", ""),
    ],
    "DKF-009": [
        docker("FROM ${BUILDER_IMAGE}", "FROM docker.io/library/golang:1.26-trixie"),
        docker("FROM ${RELEASE_IMAGE}", "FROM gcr.io/distroless/static-debian13:nonroot"),
        docker("FROM ${DEBUG_FROM}", "FROM release"),
        docker("DEBUG_FROM=release", "DEBUG_FROM=builder"),
    ],
    "DKF-010": [
        docker("gcr.io/distroless/static-debian13:nonroot", "docker.io/library/alpine:3.22"),
        docker(
            "gcr.io/distroless/static-debian13:nonroot", "gcr.io/distroless/static-debian12:nonroot"
        ),
        docker("static-debian13:nonroot", "static-debian13:debug-nonroot"),
    ],
    "DKF-011": [
        docker("EXPOSE 8080", "RUN apt-get update"),
        docker("EXPOSE 8080", 'run ["/app/payments", "migrate"]'),
    ],
    "DKF-012": [
        docker("ENV PATH=${PATH}:/busybox", "ENV PATH=${PATH}:/busybox LOG_LEVEL=debug"),
        docker("ENTRYPOINT []", "COPY --chown=0:0 tools /tools\nENTRYPOINT []"),
        docker("ENTRYPOINT []", "RUN true\nENTRYPOINT []"),
        docker("ENTRYPOINT []\n", ""),
        docker('CMD ["/app/payments"]', 'CMD ["/app/other"]'),
        docker('CMD ["/app/payments"]\n', ""),
    ],
    "DKF-013": [
        docker("WORKDIR /src", "ARG NPM_TOKEN\nWORKDIR /src"),
        docker("WORKDIR /src", "ENV DB_PASSWORD=hunter2\nWORKDIR /src"),
        docker("COPY . .", "COPY .env .\nCOPY . ."),
        docker("RUN go mod", "RUN GOFLAGS=x TOKEN=abcdef go mod"),
    ],
    "DKF-014": [
        docker('HEALTHCHECK --interval=10s CMD ["/app/payments", "healthcheck"]\n', ""),
        docker(
            'HEALTHCHECK --interval=10s CMD ["/app/payments", "healthcheck"]', "HEALTHCHECK NONE"
        ),
    ],
    "DKF-015": [docker("org.opencontainers.image.source=", "org.example.source=")],
    "DKF-016": [
        lambda root: (root / "Dockerfile").unlink(),
        lambda root: ((root / "Dockerfile").unlink(), write(root, "Dockerfile", "FROM scratch\n")),
        lambda root: (
            (root / "Dockerfile").unlink(),
            (root / "Dockerfile").symlink_to("ci/image/Dockerfile"),
        ),
    ],
    "DKF-017": [
        docker("RUN go mod", "RUN curl -fsSLk https://example.com/x -o /x && go mod"),
        docker("RUN go mod", "RUN GOSUMDB=off go mod"),
        lambda root: edit(
            root,
            "ci/image/Dockerfile",
            "apt-get install",
            "apt-get --allow-unauthenticated install",
        ),
    ],
    "PIP-001": [
        ci("lint:\n", "lint: [\n"),
        ci("image: $CI_IMAGE", "image: $CI_IMAGE\n  image: $CI_IMAGE"),
        ci("image.yml", "none.yml"),
        lambda root: (root / ".gitlab-ci.yml").unlink(),
    ],
    "PIP-002": [
        job("extra:\n  image: $CI_IMAGE\n  services:\n    - docker.io/library/docker:28-dind\n"),
        job("extra:\n  variables:\n    DOCKER_HOST: tcp://docker:2375\n  script: [make]\n"),
        script("docker build -t x ."),
        script("|\n      cd x && sudo docker \\\n        push x"),
        script("podman run --privileged x"),
        script("curl --unix-socket /var/run/docker.sock http://x"),
    ],
    "PIP-003": [
        script("apt-get update -qq && apt-get install -y jq"),
        script(
            "|\n      set -e\n      if true; then\n        sudo apk add --no-cache git\n      fi"
        ),
        script("python3 -m pip install ruff"),
        script("curl -fsSL https://example.com/install.sh | sh -s -- -b /usr/bin"),
        script("sh -c 'npm install -g x'"),
        script("VERSION=$(go install example.com/x@latest)"),
        job("extra:\n  before_script: [npx prettier]\n  script: [make]\n"),
    ],
    "PIP-004": [
        jobs(KANIKO, "gcr.io/kaniko-project/executor:v1.23.2"),
        jobs(KANIKO, "ghcr.io/osscontainertools/kaniko:v1.28.3"),
        jobs(KANIKO, "ghcr.io/osscontainertools/kaniko@sha256:" + "b" * 64),
        jobs("-bootstrap@", "-debug@"),
        job("extra:\n  image: gcr.io/kaniko-project/executor:debug\n  script: [make]\n"),
    ],
    "PIP-005": [
        ci("image: $CI_IMAGE", "image: docker.io/library/golang"),
        ci("image: $CI_IMAGE", "image: docker.io/library/golang:latest"),
        job("extra:\n  image:\n    name: registry.example.com:5000/tool\n  script: [make]\n"),
        job("variables:\n  LINT_IMAGE: docker.io/x/lint:latest\n"),
    ],
    "PIP-006": [jobs("DEBUG_FROM=", "FROM="), jobs("$VERSION-debug", "$VERSION")],
    "PIP-007": [
        jobs('$CI_PIPELINE_SOURCE == "schedule"', '$CI_PIPELINE_SOURCE != "schedule"'),
        jobs('== "schedule"', '== "schedule"\n    when: never'),
    ],
    "PIP-008": [
        job("variables:\n  DEPLOY_TOKEN: abcdef\n"),
        job("extra:\n  variables:\n    DB_PASSWORD:\n      value: hunter2\n  script: [make]\n"),
        script("crane auth login --password=hunter2 registry.example.com"),
        script("git clone https://bot:hunter2@git.example.com/x.git"),
    ],
    "PIP-009": [
        jobs("python3 ci/conformance repo --strict", "true"),
        jobs("python3 ci/conformance image image.tar --strict", "echo python3 ci/conformance"),
        ci(
            "  - local: /ci/gitlab/image.yml",
            "  - local: /ci/gitlab/image.yml\n    rules: [{if: $X}]",
        ),
        job("build:\n  before_script: [exit 0]\n"),
        job("default:\n  after_script: [exit 0]\n"),
        job("workflow:\n  rules: [{when: never}]\n"),
    ],
    "PIP-010": [
        lambda root: (root / "ci/image/Dockerfile").unlink(),
        lambda root: edit(root, "ci/image/Dockerfile", "RUN", "COPY $GOPATH/go.mod ./\nRUN"),
    ],
    "PIP-011": [job("workflow:\n  rules:\n    - when: always\n")],
    "REC-001": [
        lambda root: write(root, "specs/ADRs/service/notes.md", "# Notes\n"),
        lambda root: edit(root, record(root, 1), "# SVC-0001", "# SVC-0007"),
        lambda root: edit(root, record(root, 1), "# SVC-0001: A decision\n", "\n"),
    ],
    "REC-002": [lambda root: record(root, 2), two_records],
    "REC-003": [
        lambda root: edit(root, record(root, 1), "| Deciders | Team payments |\n", ""),
        lambda root: edit(root, record(root, 1), "2026-03-20", "20 March 2026"),
        lambda root: edit(root, record(root, 1), "2026-03-20", "2026-02-30"),
    ],
    "REC-004": [
        lambda root: record(root, 1, status="Approved"),
        lambda root: record(root, 1, status="Accepted, mostly"),
    ],
    "REC-005": [
        lambda root: edit(root, record(root, 1), "## Decision Outcome", "## Outcome"),
        platform(ADR3, "## Decision Drivers", "## Drivers"),
    ],
    "REC-006": [
        lambda root: edit(root, "README.md", "specs/README.md", "specs/INDEX.md"),
        lambda root: edit(root, "README.md", "specs/README.md", "specs/README.md#no-such-heading"),
        lambda root: edit(root, "README.md", "specs/README.md", "../other/README.md"),
        lambda root: edit(
            root, record(root, 1), "Something.", "See\n[the\nplan][plan].\n\n[plan]: plan.md"
        ),
    ],
    "REC-007": [
        chain(by="SVC-0002", supersedes="—"),
        chain(by="—", supersedes="SVC-0001", old_status="Accepted"),
        chain(by="SVC-0002", supersedes="SVC-0001", old_status="Accepted"),
        chain(by="SVC-0009", supersedes="—"),
        # In part: the old one holds, and both say so.
        chain(by="SVC-0002, in part", supersedes="SVC-0001, in part"),
        chain(by="SVC-0002, in part", supersedes="—", old_status="Accepted"),
        lambda root: record(root, 1, supersedes="the old way"),
    ],
    "REC-008": [
        platform(ADR3, "`DKF-011`", "`DKF-999`"),
        lambda root: edit(
            root,
            record(root, 1),
            "## Decision Outcome",
            "## Confirmation\n\n`IMG-000`\n\n## Decision Outcome",
        ),
    ],
    "REC-009": [
        platform(GUIDELINE, "Check: `DKF-001`", "Check: `DKF-999`"),
        platform(GUIDELINE, "Check: `DKF-001`", "Check: somebody"),
        platform(GUIDELINE, "Check: `DKF-001`\n", ""),
        platform(GUIDELINE, "### BLD-02", "### BLD-01"),
        lambda root: ((root / GUIDELINE).write_text("# Guideline\n"), lock(root)),
    ],
    "DEV-001": [
        lambda root: deviation(root, approver=""),
        lambda root: deviation(root, approver="—"),
        lambda root: deviation(root, approver="Name or handle"),
        lambda root: deviation(root, expires=""),
        lambda root: deviation(root, expires="next year"),
        lambda root: deviation(root, deviates_from="ADR-003"),
    ],
    "DEV-002": [
        lambda root: deviation(root, deviates_from="ADR-003: IMG-001, IMG-999"),
        lambda root: deviation(root, deviates_from="ADR-003, ADR-099: IMG-001"),
        lambda root: deviation(root, deviates_from="ADR-002: IMG-001"),
        lambda root: deviation(root, deviates_from="ADR-001: DEV-003"),
    ],
    "DEV-003": [
        lambda root: deviation(root, expires=TODAY),
        lambda root: deviation(root, expires="2025-01-31"),
    ],
    "PLT-001": [
        lambda root: (root / "ci/platform.lock").unlink(),
        lambda root: write(root, "ci/platform.lock", ""),
        lambda root: edit(root, "ci/platform.lock", "  ci/conformance/__init__.py", " ../x"),
        lambda root: (root / "ci/gitlab/platform.lock").unlink(),
        lambda root: write(root, "ci/gitlab/platform.lock", ""),
        lambda root: (root / "ci/pipeline/platform.lock").unlink(),
        lambda root: edit(root, "ci/gitlab/platform.lock", "  ci/gitlab/image.yml", " /x"),
        without_the_pipelines_files,
    ],
    "PLT-002": [
        lambda root: edit(root, ADR3, "Platform team", "Our team"),
        lambda root: edit(root, "ci/gitlab/image.yml", "verify-image", "look-at-image"),
        lambda root: edit(root, "ci/pipeline/promote.sh", "DIGEST", "OTHER"),
        lambda root: edit(root, "ci/conformance/cli.py", "import sys", "import sys  "),
        lambda root: (root / GUIDELINE).write_bytes(
            (root / GUIDELINE).read_bytes().replace(b"\n", b"\r\n")
        ),
    ],
    "PLT-003": [
        lambda root: (root / "ci/conformance/shell.py").unlink(),
        a_pipelines_script_is_gone,
    ],
    "PLT-004": [
        lambda root: write(
            root, "ci/gitlab/ours.yml", "ours:\n  image: $CI_IMAGE\n  script: [make]\n"
        ),
        lambda root: write(root, "specs/guidelines/ours.md", "# Ours\n"),
        lambda root: write(root, ".copier-answers.yml", "ci: none\n"),
    ],
    "PLT-005": [an_edit_that_only_git_has, a_hidden_lock],
    "UPD-001": [
        lambda root: write(
            root, "Makefile", "<<<<<<< before updating\na:\n=======\nb:\n>>>>>>> after updating\n"
        ),
        lambda root: write(
            root, "x.txt", "<<<<<<< HEAD\r\na\r\n=======\r\nb\r\n>>>>>>> theirs\r\n"
        ),
    ],
    "UPD-002": [unmerged],
    "UPD-003": [lambda root: write(root, "Makefile.rej", "@@ -1 +1 @@\n")],
}


def cases(plants: dict[str, list[Callable[..., object]]]) -> list[object]:
    return [
        pytest.param(check, plant, id=f"{check}-{number}")
        for check, group in plants.items()
        for number, plant in enumerate(group, 1)
    ]


def test_every_check_has_a_planted_violation() -> None:
    on_github = {"PIP-012", "PIP-013"}  # what only GitHub has
    assert on_github <= GITHUB.keys()
    assert sorted([*IMAGE, *TWIN, *REPO, *MANIFESTS, *on_github]) == sorted(CHECKS)


@pytest.mark.parametrize(("check", "plant"), cases(IMAGE))
def test_image(tmp_path: Path, check: str, plant: ImagePlant) -> None:
    spec = release()
    plant(spec)
    path = docker_archive(tmp_path / "image.tar", spec)
    answer = run("image", path, "--language", "go", "--format", "json", "--repo", tmp_path)
    assert answer.ids == {check}, answer.out
    assert answer.code == 1


@pytest.mark.parametrize(("check", "plant"), cases(TWIN))
def test_twin(tmp_path: Path, check: str, plant: ImagePlant) -> None:
    of, spec = release(), twin()
    plant(spec)
    paths = [
        docker_archive(tmp_path / name, item) for name, item in (("d.tar", spec), ("r.tar", of))
    ]
    answer = run(
        "image",
        paths[0],
        "--twin",
        paths[1],
        "--language",
        "go",
        "--format",
        "json",
        "--repo",
        tmp_path,
    )
    assert answer.ids == {check}, answer.out
    assert answer.code == 1


@pytest.mark.parametrize(("check", "plant"), cases(REPO))
def test_repo(tmp_path: Path, check: str, plant: RepoPlant) -> None:
    root = service(tmp_path / "payments")
    plant(root)
    answer = run("repo", root, "--today", TODAY, "--format", "json")
    assert answer.ids == {check}, answer.out
    assert answer.code == 1


def test_twin_names_what_was_changed_through_a_link(tmp_path: Path) -> None:
    spec = twin()
    service_replaced_through_a_link(spec)
    of, debug = (
        docker_archive(tmp_path / name, item)
        for name, item in (("r.tar", release()), ("d.tar", spec))
    )
    answer = run("image", debug, "--twin", of, "--language", "go", "--repo", tmp_path)
    assert [line for line in answer.found if line.startswith("TWN-002")] == [
        "TWN-002  /app/payments: changed by layer 4, outside /busybox",
        "TWN-002  /busybox: added by layer 3, a symlink",
    ]


@pytest.mark.parametrize(
    "removal",
    [
        [whiteout("opt/bash"), opaque("srv")],
        [opaque("srv"), whiteout("opt/bash")],
        [opaque("opt"), opaque("srv")],
        [whiteout("srv")],
    ],
    ids=["whiteout-opaque", "opaque-whiteout", "opaque-opaque", "folder"],
)
def test_a_hard_link_is_of_the_layer_that_made_it(tmp_path: Path, removal: Layer) -> None:
    """Whiteouts of that layer spare it, though the file it names is of a lower one."""
    spec = release().add(directory("srv/"), program("opt/bash", BASH))
    spec.layers.append([hardlink("srv/x", "opt/bash"), *removal])
    path = docker_archive(tmp_path / "image.tar", spec)
    answer = run("image", path, "--language", "go", "--repo", tmp_path)
    assert any(line.startswith("IMG-001") and "/srv/x" in line for line in answer.found), answer
    if whiteout("opt/bash") in removal or opaque("opt") in removal:
        assert "/opt/bash" not in answer.out


def test_a_hard_link_of_a_lower_layer_is_removed(tmp_path: Path) -> None:
    spec = release().add(directory("srv/"), program("opt/bash", BASH))
    spec.layers.append([hardlink("srv/x", "opt/bash"), whiteout("opt/bash")])
    spec.layers.append([opaque("srv")])
    path = docker_archive(tmp_path / "image.tar", spec)
    assert run("image", path, "--language", "go", "--repo", tmp_path).code == 0


def test_the_clean_ones_are_clean(tmp_path: Path) -> None:
    image = docker_archive(tmp_path / "image.tar", release())
    debug = docker_archive(tmp_path / "debug.tar", twin())
    assert run("image", image, "--language", "go", "--strict").code == 0
    assert run("image", debug, "--twin", image, "--language", "go", "--strict").code == 0
    answer = run("repo", service(tmp_path / "payments"), "--strict")
    assert (answer.code, answer.out) == (
        0,
        f"payments: {repository_checks()} checks, no findings\n",
    )
