"""The lab's stand-ins are what they stand in for, and its builders agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Image, Lab, LabError, external_images

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


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    context = tmp_path_factory.mktemp("hello")
    (context / "image").mkdir()
    (context / "image/Dockerfile").write_text(DOCKERFILE)
    (context / "go.mod").write_text("module example.com/hello\n\ngo 1.26.0\n")
    (context / "main.go").write_text(MAIN)
    return context


def static(lab: Lab, tag: str) -> Image:
    return lab.pull(f"gcr.io/distroless/static-debian13:{tag}")


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
    image = static(lab, tag)
    assert image.config["User"] == user
    assert image.config["WorkingDir"] == home
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert image.env == {
        "PATH": f"{path}:/busybox" if shell else path,
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }
    assert image.config.get("Entrypoint") == (["/busybox/sh"] if shell else None)
    assert not image.config.get("Cmd")
    assert ("/busybox/sh" in image.files) is shell
    assert not {"/bin/sh", "/usr/bin/sh", "/usr/bin/dpkg", "/usr/bin/apt"} & set(image.files)
    # base-files brings a script; there is nothing to run it with.
    assert [path for path, info in image.files.items() if info.isreg() and info.mode & 0o111] == [
        "/etc/update-motd.d/10-uname",
        *(["/busybox/busybox"] if shell else []),
    ]


def test_distroless_files(lab: Lab) -> None:
    image = static(lab, "nonroot")
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
    if lab.real:
        pytest.skip("the real bases are in use")
    bundle = static(lab, "nonroot").read("/etc/ssl/certs/ca-certificates.crt")
    count = bundle.count(b"BEGIN CERTIFICATE")
    assert 100 < count < 200
    machine = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    builder = lab.pull("docker.io/library/golang:1.26-trixie")
    assert builder.read("/etc/ssl/certs/ca-certificates.crt") == machine


def test_busybox_is_one_program_with_absolute_links(lab: Lab) -> None:
    image = static(lab, "debug-nonroot")
    below = {p: i for p, i in image.files.items() if p.startswith("/busybox/")}
    assert below.pop("/busybox/busybox").isreg()
    assert len(below) > 100
    assert {info.linkname for info in below.values()} == {"/busybox/busybox"}
    answer = lab.call(image, ["-c", "id -u"], user=None)
    assert (answer.exit_code, answer.stdout) == (0, "65532\n")


def test_golang(lab: Lab) -> None:
    image = lab.pull("docker.io/library/golang:1.26-trixie")
    assert image.env["GOPATH"] == "/go"
    assert image.env["GOTOOLCHAIN"] == "local"
    assert image.env["PATH"].startswith("/go/bin:/usr/local/go/bin:")
    assert image.config["WorkingDir"] == "/go"
    assert image.files["/go/src"].mode == 0o1777
    version = lab.call(image, ["go", "version"], hardened=False, user=None).stdout
    assert version.startswith(f"go version go{image.env['GOLANG_VERSION']} linux/")
    assert image.env["GOLANG_VERSION"].startswith("1.26.")


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


def test_two_cold_builds_can_be_compared(lab: Lab, hello: Path) -> None:
    cold = [lab.build(hello, "release", no_cache=True, reproducible=True) for _ in range(2)]
    assert cold[0].digest == cold[1].digest


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


def test_an_empty_registry_asks_for_its_password(lab: Lab) -> None:
    from lab.system import run

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
    if lab.real:
        pytest.skip("the real bases are in use")
    with pytest.raises(
        LabError, match=r"no stand-in for docker\.io/library/cobol:latest; there are:.*golang"
    ):
        lab.bases_for(["cobol"])


def test_kaniko_needs_an_executor(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab import Missing
    from lab.builders import Kaniko

    monkeypatch.delenv("KANIKO_EXECUTOR", raising=False)
    with pytest.raises(Missing, match="KANIKO_EXECUTOR is not set"):
        Kaniko(None)
    monkeypatch.setenv("KANIKO_EXECUTOR", "/nowhere")
    with pytest.raises(Missing, match="is not a program"):
        Kaniko(None)
