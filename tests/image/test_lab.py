"""The lab's stand-ins are what they stand in for, and its builders agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Image, Lab, LabError, Missing, bases, external_images, install, oci, runtime
from lab.builders import BuildKit, kaniko_executor
from lab.system import run
from rendering import ROOT

DOCKERFILE = """\
ARG BUILDER_IMAGE=docker.io/library/golang:1.26-trixie
ARG RELEASE_IMAGE=gcr.io/distroless/static-debian13:nonroot
ARG DEBUG_FROM=release

FROM ${BUILDER_IMAGE} AS builder
WORKDIR /src
COPY go.mod main.go ./
RUN GOPROXY=off CGO_ENABLED=0 go build -trimpath -o /app/hello .

FROM ${RELEASE_IMAGE} AS release
COPY --from=builder /app /app
HEALTHCHECK CMD ["/app/hello", "healthcheck"]
STOPSIGNAL SIGTERM
USER 65532:65532
ENTRYPOINT ["/app/hello"]

FROM ${DEBUG_FROM} AS debug
COPY --from=gcr.io/distroless/static-debian13:debug-nonroot /busybox /busybox
ENTRYPOINT []
CMD ["/app/hello"]

FROM release
"""

MAIN = """\
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Println(os.Args[1])
		os.Exit(3)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	http.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	go func() {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+os.Getenv("PORT"), nil))
		os.Exit(1)
	}()
	fmt.Println(`{"msg":"listening"}`)
	<-stop
	fmt.Fprintln(os.Stderr, "bye")
}
"""


def test_every_image_of_the_table_has_a_stand_in() -> None:
    table = yaml.safe_load((ROOT / "bases.yml").read_text(encoding="utf-8"))
    images = {base.get(key) for base in table["bases"] for key in ("release", "jre")}
    images |= {*table["builders"].values(), table["debug"]}
    assert images - {None, "scratch"} <= set(bases.names())


def test_no_two_layers_share_a_key() -> None:
    """A layer is kept under its key, so whoever builds first would decide for both."""
    makers: dict[str, set[object]] = {}
    for part in bases.parts():
        makers.setdefault(part.key, set()).add(getattr(part.fill, "__code__", part.fill))
    assert {key: made for key, made in makers.items() if len(made) > 1} == {}


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    context = tmp_path_factory.mktemp("hello")
    (context / "image").mkdir()
    (context / "image/Dockerfile").write_text(DOCKERFILE)
    (context / "go.mod").write_text("module example.com/hello\n\ngo 1.26.0\n")
    (context / "main.go").write_text(MAIN)
    return context


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DISTROLESS = "gcr.io/distroless/{}-debian13:{}"
PROGRAMS = {
    "python3": {"/usr/bin/python3.13"},
    "nodejs24": {"/nodejs/bin/node"},
}


@pytest.mark.parametrize(
    ("tag", "user", "home", "shell"),
    [
        ("latest", "0", "/", False),
        ("nonroot", "65532", "/home/nonroot", False),
        ("debug", "0", "/", True),
        ("debug-nonroot", "65532", "/home/nonroot", True),
    ],
)
def test_distroless_static(lab: Lab, tag: str, user: str, home: str, shell: bool) -> None:
    image = lab.pull(DISTROLESS.format("static", tag))
    assert image.config["User"] == user
    assert image.config["WorkingDir"] == home
    assert image.env == {
        "PATH": f"{PATH}:/busybox" if shell else PATH,
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }
    assert image.config.get("Entrypoint") == (["/busybox/sh"] if shell else None)
    assert not image.config.get("Cmd")
    # base-files brings a script; there is nothing to run it with.
    assert [
        path for path, info in sorted(image.files.items()) if info.isreg() and info.mode & 0o111
    ] == [*(["/busybox/busybox"] if shell else []), "/etc/update-motd.d/10-uname"]


@pytest.mark.parametrize(
    ("family", "env", "entrypoint", "present"),
    [
        ("base-nossl", {}, None, {"/usr/lib/x86_64-linux-gnu/libc.so.6"}),
        (
            "cc",
            {},
            None,
            {
                "/usr/lib/x86_64-linux-gnu/libc.so.6",
                "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
                "/usr/lib/x86_64-linux-gnu/libssl.so.3",
                "/var/lib/dpkg/status.d/libstdc++6",
            },
        ),
        (
            "java-base",
            {"LANG": "C.UTF-8"},
            None,
            {"/etc/ssl/certs/java/cacerts", "/usr/lib/locale/C.utf8/LC_CTYPE"},
        ),
        (
            "python3",
            {"LANG": "C.UTF-8"},
            ["/usr/bin/python3.13"],
            {"/usr/bin/python3", "/usr/bin/python", "/etc/ld.so.cache"},
        ),
        ("nodejs24", {}, ["/nodejs/bin/node"], {"/nodejs/LICENSE"}),
    ],
)
def test_distroless_languages(
    lab: Lab, family: str, env: dict[str, str], entrypoint: list[str] | None, present: set[str]
) -> None:
    image = lab.pull(DISTROLESS.format(family, "nonroot"))
    assert image.config["User"] == "65532"
    assert image.config["WorkingDir"] == "/home/nonroot"
    assert image.config.get("Entrypoint") == entrypoint
    certificates = {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    assert image.env == {"PATH": PATH, **certificates, **env}
    assert present | PROGRAMS.get(family, set()) <= set(image.files)
    assert not SHELLS & set(image.files)
    assert "/usr/lib/jvm" not in image.files
    debug = lab.config(DISTROLESS.format(family, "debug-nonroot"))
    assert debug["Entrypoint"] == (entrypoint or ["/busybox/sh"])


SHELLS = {f"{directory}/{name}" for directory in ("/bin", "/usr/bin") for name in ("sh", "bash")}


def test_the_interpreters_run(lab: Lab) -> None:
    code = (
        "import ctypes.util, ssl, sqlite3, sys;"
        "print(sys.version_info[:2], sys.flags.utf8_mode, ctypes.util.find_library('ssl'),"
        " len(ssl.create_default_context().get_ca_certs()) > 100)"
    )
    python = lab.call(lab.pull(DISTROLESS.format("python3", "nonroot")), ["-c", code])
    assert (python.exit_code, python.stdout) == (0, "(3, 13) 0 libssl.so.3 True\n"), python.stderr
    node = lab.call(lab.pull(DISTROLESS.format("nodejs24", "nonroot")), ["--version"])
    assert node.stdout.startswith("v24."), node.stderr


def test_distroless_files(lab: Lab) -> None:
    image = lab.pull(DISTROLESS.format("static", "nonroot"))
    assert image.read("/etc/passwd").decode() == (
        "root:x:0:0:root:/root:/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
        "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
    )
    assert "\nnonroot:x:65532:\n" in image.read("/etc/group").decode()
    assert 'PRETTY_NAME="Distroless"' in image.read("/usr/lib/os-release").decode()
    assert image.files["/etc/os-release"].issym()
    assert image.files["/tmp"].mode == 0o1777
    home = image.files["/home/nonroot"]
    assert (home.uid, home.gid, home.mode) == (65532, 65532, 0o700)
    assert image.files["/bin"].linkname == "usr/bin"
    for path in (
        "/etc/mime.types",
        "/etc/nsswitch.conf",
        "/etc/services",
        "/usr/share/zoneinfo/Europe/Berlin",
        "/usr/share/doc/ca-certificates/copyright",
        "/var/lib/dpkg/status.d/tzdata",
    ):
        assert path in image.files, path
    assert "/var/lib/dpkg/status" not in image.files


def test_a_release_base_trusts_only_public_authorities(lab: Lab) -> None:
    image = lab.pull(DISTROLESS.format("static", "nonroot"))
    bundle = image.read("/etc/ssl/certs/ca-certificates.crt")
    assert 100 < bundle.count(b"BEGIN CERTIFICATE") < 200


def test_busybox_is_one_program_with_absolute_links(lab: Lab) -> None:
    image = lab.pull(DISTROLESS.format("static", "debug-nonroot"))
    below = {p: i for p, i in image.files.items() if p.startswith("/busybox/")}
    assert below.pop("/busybox/busybox").isreg()
    assert len(below) > 100
    assert {info.linkname for info in below.values()} == {"/busybox/busybox"}
    answer = lab.call(image, ["-c", "id -u"], user=None)
    assert (answer.exit_code, answer.stdout) == (0, "65532\n")


BUILDERS: dict[str, tuple[dict[str, str], dict[str, Any], str, str]] = {
    "golang:1.26-trixie": (
        {"GOPATH": "/go", "GOTOOLCHAIN": "local", "PATH": f"/go/bin:/usr/local/go/bin:{PATH}"},
        {"Cmd": ["bash"], "WorkingDir": "/go"},
        "pwd; go version; gcc --version; git --version; stat -c %a /go/src",
        r"(?s)/go\ngo version go1\.26\.\d+ linux/.*gcc .*git version.*\n1777\n",
    ),
    "rust:1.95-trixie": (
        {
            "CARGO_HOME": "/usr/local/cargo",
            "RUSTUP_HOME": "/usr/local/rustup",
            "PATH": f"/usr/local/cargo/bin:{PATH}",
        },
        {"Cmd": ["bash"]},
        "rustc --version; cargo --version; rustup component add clippy rustfmt; gcc --version",
        r"(?s)rustc 1\.95\.\d+ .*cargo 1\.95\.\d+ .*gcc ",
    ),
    "eclipse-temurin:25-jdk": (
        {
            "JAVA_HOME": "/opt/java/openjdk",
            "LANG": "en_US.UTF-8",
            "PATH": f"/opt/java/openjdk/bin:{PATH}",
        },
        {"Cmd": ["jshell"], "Entrypoint": ["/__cacert_entrypoint.sh"]},
        "java -version 2>&1; keytool -list -cacerts -storepass changeit 2>&1;"
        " jlink --add-modules java.base --output /tmp/jre; /tmp/jre/bin/java --list-modules",
        r'(?s)openjdk version "25\..*contains 1\d\d entries.*java\.base@25',
    ),
    "python:3.13-slim-trixie": (
        {"PATH": f"/usr/local/bin:{PATH}"},
        {"Cmd": ["python3"]},
        "command -v python3; python --version; pip --version;"
        " python3 -c 'import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, zlib';"
        " ls /usr/bin/python* 2>&1 || true",
        r"(?s)/usr/local/bin/python3\nPython 3\.13\.\d+\npip .* from "
        r"/usr/local/lib/python3\.13/site-packages/pip .*No such file",
    ),
    "node:24-trixie-slim": (
        {"PATH": PATH},
        {"Cmd": ["node"], "Entrypoint": ["docker-entrypoint.sh"]},
        "node --version; npm --version; command -v npx; command -v corepack; id -u node",
        r"v24\.\d+\.\d+\n\d+\.\d+\.\d+\n/usr/local/bin/npx\n/usr/local/bin/corepack\n1000\n",
    ),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_builder_images(lab: Lab, name: str, tmp_path: Path) -> None:
    env, config, script, expected = BUILDERS[name]
    actual = lab.config(name)
    assert not actual.get("User")
    assert env.items() <= dict(line.split("=", 1) for line in actual["Env"]).items()
    for key in ("Cmd", "Entrypoint", "WorkingDir"):
        assert (actual.get(key) or None) == config.get(key), key
    (tmp_path / "Dockerfile").write_text(
        f"FROM docker.io/library/{name} AS base\n"
        f"RUN set -eu; ({script}) > /said\n"
        "FROM scratch\nCOPY --from=base /said /said\n"
    )
    said = lab.build(tmp_path, no_network=True).read("/said").decode()
    assert re.match(expected, said), said


def test_every_builder_gives_the_same_image(lab: Lab, builder: str, hello: Path) -> None:
    release = lab.build(hello, "release", builder=builder)
    debug = lab.build(hello, "debug", builder=builder)
    assert len(debug.layers) == len(release.layers) + 1
    if builder != "kaniko":
        # Kaniko keeps no stages from one run to the next, and times differ.
        assert debug.layers[:-1] == release.layers
        assert lab.build(hello, builder=builder).layers == release.layers
    for image in (release, debug):
        assert image.config["User"] == "65532:65532"
        assert image.config["StopSignal"] == "SIGTERM"
        assert image.config["Healthcheck"]["Test"] == ["CMD", "/app/hello", "healthcheck"]
    assert release.config["Entrypoint"] == ["/app/hello"]
    with lab.run(release) as service:
        service.signal("TERM")
        assert service.wait() == 0
        assert service.logs == [{"msg": "listening"}]
        assert service.stderr == "bye\n"
    assert lab.call(release, ["x"]).exit_code == 3
    assert lab.call(release, entrypoint="/busybox/sh").exit_code == 127
    assert lab.call(debug, ["/busybox/sh", "-c", "echo shell"]).stdout == "shell\n"
    with lab.run(debug) as service:
        assert "/app/hello" in service.exec("/busybox/ps").stdout


def test_a_hardened_container_can_write_nothing(lab: Lab, hello: Path) -> None:
    debug = lab.build(hello, "debug")
    script = "touch /tmp/x || touch /app/x || touch /x; cat /proc/self/status"
    answer = lab.call(debug, ["/busybox/sh", "-c", script])
    assert answer.stderr.count("Read-only file system") == 3
    status = dict(line.split(":\t", 1) for line in answer.stdout.splitlines())
    assert status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == ["12345"] * 4


def test_without_a_network_a_build_cannot_download(lab: Lab, hello: Path) -> None:
    dockerfile = hello / "offline.Dockerfile"
    dockerfile.write_text(
        "FROM docker.io/library/golang:1.26-trixie\n"
        "RUN go mod download github.com/google/uuid@v1.6.0\n"
    )
    for builder in ("buildkit", "buildah"):
        with pytest.raises(LabError, match="go mod download"):
            lab.build(hello, builder=builder, dockerfile="offline.Dockerfile", no_network=True)


def test_the_network_can_be_taken_from_one_step(lab: Lab, hello: Path) -> None:
    assert lab.build(hello, "release", no_network="go build").config["User"] == "65532:65532"
    dockerfile = hello / "mixed.Dockerfile"
    dockerfile.write_text(
        "FROM docker.io/library/golang:1.26-trixie\n"
        "RUN go mod download github.com/google/uuid@v1.6.0\n"
        "RUN true && \\\n  go mod download rsc.io/quote@v1.5.2\n"
    )
    with pytest.raises(LabError, match=r"rsc\.io/quote"):
        lab.build(hello, dockerfile="mixed.Dockerfile", no_network="quote")
    with pytest.raises(LabError, match="no RUN of the Dockerfile matches 'mvn'"):
        lab.build(hello, dockerfile="mixed.Dockerfile", no_network="mvn")


def test_two_cold_builds_can_be_compared(lab: Lab, tmp_path: Path) -> None:
    def step(command: str) -> None:
        base = "gcr.io/distroless/static-debian13:debug-nonroot"
        shell = 'SHELL ["/busybox/sh", "-c"]'
        (tmp_path / "Dockerfile").write_text(f"FROM {base}\n{shell}\nRUN {command}\n")

    def build(no_cache: bool) -> str:
        return lab.build(tmp_path, no_cache=no_cache, reproducible=True).digest

    step("echo hello > /tmp/hello")
    assert build(no_cache=True) == build(no_cache=True)
    step("cat /proc/sys/kernel/random/uuid > /tmp/id")
    assert build(no_cache=True) != build(no_cache=True)
    assert build(no_cache=False) == build(no_cache=False)


def test_a_cold_daemon_ends_with_the_process_that_started_it(lab: Lab, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from lab.builders import BuildKit\n"
        "root, runtime = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "daemon = BuildKit(root, runtime, None)\n"
        "daemon._place(root, runtime, shared=False)\n"
        "daemon.start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with tempfile.TemporaryDirectory(dir=lab.runtime) as short:
        runtime = Path(short)
        tests = str(Path(__file__).parents[1])
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path), short],
            env={**os.environ, "PYTHONPATH": tests},
            check=False,
        )
        assert (runtime / "buildkitd.state").exists()
        while BuildKit.running(runtime):
            time.sleep(0.05)


def test_a_failed_build_shows_the_end_of_its_output(lab: Lab, hello: Path) -> None:
    (hello / "broken.Dockerfile").write_text(
        "FROM docker.io/library/golang:1.26-trixie\nRUN seq 1 1000; echo this is why >&2; exit 7\n"
    )
    for builder in ("buildkit", "buildah"):
        with pytest.raises(LabError, match="this is why") as caught:
            lab.build(hello, builder=builder, dockerfile="broken.Dockerfile")
        assert len(str(caught.value).splitlines()) < 60


def test_a_service_that_ends_early_is_told_with_its_output(lab: Lab, hello: Path) -> None:
    release = lab.build(hello, "release")
    with (
        pytest.raises(LabError, match="ended with exit code 3 before /livez answered:\ngone"),
        lab.run(release, ["gone"]),
    ):
        pass


def test_a_container_and_its_port_are_gone_afterwards(lab: Lab, hello: Path) -> None:
    release = lab.build(hello, "release")
    with lab.run(release) as service:
        name, url = service.name, service.url
    with pytest.raises(LabError, match=r"(?i)no such container|no container"):
        run([lab.engine, "container", "inspect", name], what="inspect", env=lab.env)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_an_empty_registry_asks_for_its_password(lab: Lab) -> None:
    with lab.empty_registry(auth=("team", "secret")) as registry:
        command = ["skopeo", "list-tags", "--tls-verify=false", f"docker://{registry.address}/a/b"]
        with pytest.raises(LabError, match=r"unauthorized|authentication required"):
            run(command, what="list-tags")
        with pytest.raises(LabError, match="404"):
            run([*command, "--creds=team:secret"], what="list-tags")


def test_external_images() -> None:
    assert external_images(DOCKERFILE, {}) == [
        "docker.io/library/golang:1.26-trixie",
        "gcr.io/distroless/static-debian13:nonroot",
        "gcr.io/distroless/static-debian13:debug-nonroot",
    ]
    assert external_images(
        DOCKERFILE, {"RELEASE_IMAGE": "scratch", "DEBUG_FROM": "r/x@sha256:1"}
    ) == [
        "docker.io/library/golang:1.26-trixie",
        "r/x@sha256:1",
        "gcr.io/distroless/static-debian13:debug-nonroot",
    ]


def test_an_unknown_base_is_named_with_the_known_ones(lab: Lab) -> None:
    with pytest.raises(
        LabError, match=r"no stand-in for docker\.io/library/cobol:latest; there are:.*golang"
    ):
        bases.ensure("cobol", lab.registry)


def test_a_jdk_of_debian_runs_here(lab: Lab, tmp_path: Path) -> None:
    """Where there is no Temurin: it starts processes, and is started by the name of its home."""
    root = install.jdk_with_libc(install.debian_jdk(25))
    (tmp_path / "Home.java").write_text(
        "void main() throws Exception {\n"
        '    var java = System.getProperty("java.home") + "/bin/java";\n'
        '    new ProcessBuilder(java, "--version").inheritIO().start().waitFor();\n'
        "}\n"
    )
    said = run([root / "bin/java", tmp_path / "Home.java"], what="java")
    assert re.match(r"openjdk 25\.", said), said


def test_kaniko_needs_an_executor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lab: Lab
) -> None:
    def unreachable(name: str) -> Image:
        raise LabError(f"{name}: connection refused")

    def official(name: str) -> Image:
        with oci.Tree() as tree:
            tree.file("/kaniko/executor", b"the program", 0o755)
            layer = tree.write(tmp_path / "blobs")
        index = oci.write_image(tmp_path / "blobs", [(layer, "test")], {}, {}, "amd64")
        repository, tag = name.removeprefix("ghcr.io/").split(":")
        with lab.empty_registry() as registry:
            oci.push(tmp_path / "blobs", index, registry.address, repository, tag)
            archive = tmp_path / "kaniko.tar"
            source = f"docker://{registry.address}/{repository}:{tag}"
            copy = ["skopeo", "copy", "--src-tls-verify=false", source, f"oci-archive:{archive}"]
            run(copy, what="skopeo copy")
        return Image(archive, load=lambda _: "")

    monkeypatch.setenv("COPIER_SERVICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KANIKO_EXECUTOR", "/nowhere")
    with pytest.raises(Missing, match="is not a program"):
        kaniko_executor(official)
    monkeypatch.delenv("KANIKO_EXECUTOR")
    with pytest.raises(Missing, match=r"KANIKO_EXECUTOR is not set .* cannot be pulled"):
        kaniko_executor(unreachable)
    executor = kaniko_executor(official)
    assert executor.read_bytes() == b"the program"
    assert os.access(executor, os.X_OK)
    # The second time nothing is pulled.
    assert kaniko_executor(unreachable) == executor


def test_the_runtime_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("podman", "docker"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.delenv("LAB_RUNTIME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runtime.choose() == "podman"
    monkeypatch.setenv("LAB_RUNTIME", "docker")
    assert runtime.choose() == "docker"
    monkeypatch.setenv("LAB_RUNTIME", "auto")
    (tmp_path / "podman").unlink()
    assert runtime.choose() == "docker"
    # A client without a daemon runs nothing.
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert runtime.choose() == "podman"
    monkeypatch.setenv("LAB_RUNTIME", "docker")
    with pytest.raises(Missing, match="no docker daemon answers"):
        runtime.choose()
    monkeypatch.setenv("LAB_RUNTIME", "rkt")
    with pytest.raises(LabError, match="got 'rkt', want one of auto, podman, docker"):
        runtime.choose()
