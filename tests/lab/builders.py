"""The programs that build an image from a Dockerfile: BuildKit, buildah, Kaniko."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import install, registry
from .company import Company
from .oci import Image
from .system import LabError, Missing, cache_dir, lock, run, sha256, tail, write_atomically

HOSTS = ("docker.io", "gcr.io", "ghcr.io")
KEEP_BYTES = 20_000_000_000
KANIKO_IMAGE = "ghcr.io/osscontainertools/kaniko:v1.28.3"


@dataclass(frozen=True)
class Build:
    """What is to be built."""

    context: Path
    dockerfile: str
    target: str | None
    args: Mapping[str, str] = field(default_factory=dict)
    no_network: bool | str = False
    no_cache: bool = False
    reproducible: bool = False
    packed: bool = True
    images: Mapping[str, Path] = field(default_factory=dict)
    cache_repository: str | None = None
    secrets: Mapping[str, Path] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"build of {self.context.name} (target {self.target or 'none'})"


def find_dockerfile(context: Path) -> str:
    for name in ("image/Dockerfile", "Dockerfile"):
        if (context / name).is_file():
            return name
    raise LabError(f"{context}: neither image/Dockerfile nor Dockerfile")


def external_images(dockerfile: str, args: Mapping[str, str]) -> list[str]:
    """The images that a Dockerfile takes from a registry, with the build arguments applied."""
    text = re.sub(r"\\\s*\n", " ", dockerfile)
    values: dict[str, str] = {}
    stages: set[str] = set()
    images: list[str] = []

    def expand(name: str) -> str:
        def value(match: re.Match[str]) -> str:
            default = match[2] or ""
            return values.get(match[1] or match[3], "") or default

        return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)", value, name)

    for line in text.splitlines():
        words = line.split()
        instruction = words[0].upper() if words else ""
        if instruction == "ARG" and not stages:
            for word in words[1:]:
                name, _, default = word.partition("=")
                values[name] = args.get(name, expand(default.strip("\"'")))
        elif instruction == "FROM":
            rest = [word for word in words[1:] if not word.startswith("--")]
            images.append(expand(rest[0]))
            stages.add(rest[2].lower() if len(rest) > 2 else f"#{len(stages)}")
        elif instruction == "COPY":
            images += [expand(w.removeprefix("--from=")) for w in words if w.startswith("--from=")]
    wanted = dict.fromkeys(images)
    return [
        name
        for name in wanted
        if name and name != "scratch" and not name.isdigit() and name.lower() not in stages
    ]


def without_network(dockerfile: str, pattern: str) -> str:
    """The Dockerfile with the network taken from each RUN that matches the pattern."""
    lines: list[str] = []
    found = False
    for instruction in re.findall(r"(?:[^\n]*\\\n)*[^\n]*\n?", dockerfile):
        if re.match(r"RUN\s", instruction, re.I) and re.search(pattern, instruction):
            found = True
            instruction = f"RUN --network=none {instruction[4:].lstrip()}"
        lines.append(instruction)
    if not found:
        raise LabError(f"no RUN of the Dockerfile matches {pattern!r}")
    return "".join(lines)


class BuildKit:
    """The engine behind `docker build`, as a daemon that all test processes share."""

    def __init__(self, cache: Path, runtime: Path, mirror: str | None) -> None:
        self.mirror = mirror
        self.programs = install.buildkit()
        self.company: Company | None = None
        self.log: list[str] = []
        self._place(cache / "buildkit", runtime, shared=True)

    def _place(self, root: Path, runtime: Path, *, shared: bool) -> None:
        self.root, self.runtime, self.shared = root, runtime, shared
        self.socket = runtime / "buildkitd.sock"
        self.config = runtime / "buildkitd.toml"

    def _settings(self) -> str:
        lines = [
            f'root = "{self.root}"',
            "[grpc]",
            f'address = ["unix://{self.socket}"]',
            "[worker.oci]",
            "enabled = true",
            'binary = "runc"',
            'networkMode = "host"',
            "gc = true",
            f"maxUsedSpace = {KEEP_BYTES}",
            "[worker.containerd]",
            "enabled = false",
        ]
        mirror = self.company.mirror if self.company else self.mirror
        if mirror:
            for host in HOSTS:
                lines += [f'[registry."{host}"]', f'mirrors = ["{mirror}"]']
        if self.company:
            host = mirror.partition("/")[0]
            lines += [f'[registry."{host}"]', f'ca = ["{self.company.authority}"]']
        elif mirror:
            lines += [f'[registry."{mirror}"]', "http = true"]
        return "\n".join(lines) + "\n"

    def _ready(self) -> bool:
        command = [*self._client(), "debug", "workers"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _client(self) -> list[str]:
        return [str(self.programs / "buildctl"), "--addr", f"unix://{self.socket}"]

    @staticmethod
    def running(runtime: Path) -> int:
        """The daemon's process id; 0 if it does not run."""
        state = runtime / "buildkitd.state"
        pid = int(state.read_text()) if state.exists() else 0
        return pid if registry.is_ours(pid, runtime / "buildkitd.toml") else 0

    @classmethod
    def stop(cls, runtime: Path) -> None:
        with lock(runtime / "buildkitd.lock"):
            if pid := cls.running(runtime):
                registry.stop(pid, runtime / "buildkitd.toml")
            (runtime / "buildkitd.state").unlink(missing_ok=True)

    def start(self) -> None:
        """Have the daemon running with the configuration of now."""
        install.packages(["runc"])
        settings = self._settings()
        with lock(self.runtime / "buildkitd.lock"):
            pid = self.running(self.runtime)
            if pid and self.config.read_text() == settings and self._ready():
                return
            if pid:
                registry.stop(pid, self.config)
            self.config.write_text(settings)
            log = self.runtime / "buildkitd.log"
            command = [str(self.programs / "buildkitd"), "--config", str(self.config)]
            if not self.shared:
                # It ends with this process, even when that is killed.
                command = ["setpriv", "--pdeathsig=TERM", *command]
            if self.company:
                command = [
                    *self.company.enter,
                    "env",
                    f"HTTPS_PROXY={self.company.proxy}",
                    *command,
                ]
            started = registry.start(command, log, self._ready)
            if started is None:
                raise LabError(f"buildkitd does not start:\n{tail(log.read_text())}")
            write_atomically(self.runtime / "buildkitd.state", str(started))

    def build(self, build: Build, archive: Path) -> None:
        if not build.no_cache:
            # Two builds at once may both keep a result of a step that they share, and then it
            # is a matter of luck which of the two a later build takes.
            text = (build.context / build.dockerfile).read_text()
            first = sha256(next(iter(external_images(text, build.args)), ""))[:16]
            with lock(self.runtime / f"build-{first}.lock"):
                self._build(build, archive)
            return
        # In a daemon of its own, for the same reason.
        with self.cold(archive.parent) as fresh:
            fresh._build(build, archive)

    @contextlib.contextmanager
    def cold(self, work: Path, company: Company | None = None) -> Iterator[BuildKit]:
        """A daemon of its own that has seen nothing; it is gone afterwards."""
        fresh = BuildKit.__new__(BuildKit)
        fresh.mirror, fresh.programs = self.mirror, self.programs
        fresh.company, fresh.log = company, []
        with tempfile.TemporaryDirectory(dir=work) as root:
            runtime = Path(tempfile.mkdtemp(prefix="cold-", dir=self.runtime))
            fresh._place(Path(root), runtime, shared=False)
            try:
                yield fresh
            finally:
                fresh.stop(fresh.runtime)
                shutil.rmtree(fresh.runtime)

    def _build(self, build: Build, archive: Path) -> None:
        self.start()
        options = {f"build-arg:{key}": value for key, value in build.args.items()}
        options["filename"] = build.dockerfile
        if build.target:
            options["target"] = build.target
        if build.no_network is True:
            options["force-network-mode"] = "none"
        output = f"type=oci,dest={archive}"
        if build.reproducible:
            options.setdefault("build-arg:SOURCE_DATE_EPOCH", "0")
            output += ",rewrite-timestamp=true"
        if not build.packed:
            output += ",compression=uncompressed"
        with contextlib.ExitStack() as stack:
            directory = build.context
            if isinstance(build.no_network, str):
                text = (build.context / build.dockerfile).read_text()
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                options["filename"] = "Dockerfile"
                (directory / "Dockerfile").write_text(without_network(text, build.no_network))
            command = [
                *self._client(),
                "build",
                "--progress=plain",
                "--frontend=dockerfile.v0",
                f"--local=context={build.context}",
                f"--local=dockerfile={directory}",
                f"--output={output}",
                *(f"--opt={key}={value}" for key, value in options.items()),
                *(f"--secret=id={name},src={path}" for name, path in build.secrets.items()),
            ]
            for name, image in build.images.items():
                layout = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=image.parent)))
                with tarfile.open(image) as tar:
                    tar.extractall(layout, filter="data")
                digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
                command += [
                    f"--oci-layout={name}={layout}",
                    f"--opt=context:{name}=oci-layout://{name}@{digest}",
                ]
            run(command, what=f"BuildKit: {build.title}", log=self.log)


class Buildah:
    """buildah, which is also what `podman build` runs."""

    def __init__(self, env: Mapping[str, str]) -> None:
        install.packages(["buildah", "runc", "skopeo", "/etc/containers/policy.json"])
        self.env = env

    def build(self, build: Build, archive: Path) -> str:
        """Build, write the archive, return the image's name in the storage."""
        if isinstance(build.no_network, str):
            raise LabError("buildah cannot take the network from one RUN; use BuildKit")
        name = f"localhost/lab/{archive.stem.lower()}:latest"
        args = dict(build.args)
        # buildah 1.28 finds `FROM ${DEBUG_FROM}` only when the argument is passed.
        if "ARG DEBUG_FROM=release" in (build.context / build.dockerfile).read_text():
            args.setdefault("DEBUG_FROM", "release")
        command = [
            "buildah",
            "build",
            # Only this format keeps HEALTHCHECK.
            "--format=docker",
            # Otherwise a failed step leaves a mounted container.
            "--force-rm",
            "--no-cache" if build.no_cache else "--layers",
            f"--network={'none' if build.no_network else 'host'}",
            f"--file={build.context / build.dockerfile}",
            f"--tag={name}",
            *([f"--target={build.target}"] if build.target else []),
            *(["--timestamp=0"] if build.reproducible else []),
            *(f"--build-arg={key}={value}" for key, value in args.items()),
            str(build.context),
        ]
        run(command, what=f"buildah: {build.title}", env=self.env)
        with tempfile.TemporaryDirectory(dir=archive.parent) as work:
            run(
                ["buildah", "push", name, f"dir:{work}"],
                what=f"buildah push of {build.context.name}",
                env=self.env,
            )
            pack_directory(Path(work), archive)
        return name


def kaniko_executor(pull: Callable[[str], Image]) -> Path:
    """Kaniko's program: the one that KANIKO_EXECUTOR names, or that of the official image."""
    if named := os.environ.get("KANIKO_EXECUTOR"):
        if not os.access(named, os.X_OK):
            raise Missing(f"no Kaniko executor: KANIKO_EXECUTOR={named} is not a program")
        return Path(named)
    directory = cache_dir() / "tools" / KANIKO_IMAGE.rsplit("/", 1)[1].replace(":", "-")
    program = directory / "executor"
    with lock(directory.with_suffix(".lock")):
        if program.exists():
            return program
        try:
            content = pull(KANIKO_IMAGE).read("/kaniko/executor")
        except LabError:
            raise Missing(
                "no Kaniko executor: KANIKO_EXECUTOR is not set (the path of the program "
                f"/kaniko/executor of the official image), and {KANIKO_IMAGE} cannot be pulled"
            ) from None
        directory.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(0o755)
        os.replace(new, program)
    return program


class Kaniko:
    """Kaniko's executor, which expects a container of its own to run in.

    Its container is a chroot in a mount and
    process namespace: the executor unpacks base images into its root, and
    deletes what is not a mount.
    """

    def __init__(self, mirror: str | None, executor: Path) -> None:
        if os.geteuid() != 0:
            raise Missing("Kaniko needs root here, for its mount namespace")
        install.packages(["unshare"])
        self.executor, self.mirror = executor, mirror

    def flags(self) -> list[str]:
        """What makes the executor take its base images from the lab."""
        if not self.mirror:
            return []
        hosts = ("docker.io", "index.docker.io", *HOSTS[1:])
        return [
            "--registry-map=" + ";".join(f"{host}={self.mirror}" for host in hosts),
            "--skip-default-registry-fallback",
            "--insecure",
            "--insecure-pull",
            "--skip-tls-verify",
            "--skip-tls-verify-pull",
        ]

    def run(
        self,
        context: Path,
        flags: list[str],
        out: Path,
        what: str,
        env: Mapping[str, str] | None = None,
        company: Company | None = None,
    ) -> str:
        """Run the executor on a context; /kaniko/out in its root is `out`. Returns its output.

        It leaves mounts out of layers, so there is none where a Dockerfile may write.
        """
        with tempfile.TemporaryDirectory(dir=out.parent, prefix="kaniko-") as work:
            root = Path(work) / "root"
            for name in (
                "kaniko/ssl/certs",
                "kaniko/.docker",
                "kaniko/out",
                "workspace",
                "etc",
                "proc",
            ):
                (root / name).mkdir(parents=True)
            for name in ("dev", "tmp", "sys"):
                (root / name).mkdir()
            shutil.copy(self.executor, root / "kaniko/executor")
            bundle = Path("/etc/ssl/certs/ca-certificates.crt")
            if bundle.exists():
                shutil.copy(bundle, root / "kaniko/ssl/certs/ca-certificates.crt")
            (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
            (root / "etc/group").write_text("root:x:0:\n")
            for name in ("hosts", "resolv.conf"):
                shutil.copy(f"/etc/{name}", root / "etc" / name)
            command = [
                *(company.enter if company else []),
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-euc",
                CHROOT,
                "kaniko",
                str(root),
                str(context),
                str(out),
                "--force",
                "--context=dir:///workspace",
                "--cleanup=false",
                *flags,
            ]
            variables = {
                "PATH": "/usr/local/bin:/kaniko:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "USER": "root",
                "SSL_CERT_DIR": "/kaniko/ssl/certs",
                "DOCKER_CONFIG": "/kaniko/.docker",
                "container": "kaniko",
                **(env or {}),
            }
            done = subprocess.run(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            if done.returncode:
                raise LabError(f"{what} failed (exit code {done.returncode}):\n{tail(done.stdout)}")
            return done.stdout

    def build(self, build: Build, archive: Path) -> None:
        if build.no_network:
            raise LabError("Kaniko cannot take the network away from a build; use BuildKit")
        with tempfile.TemporaryDirectory(dir=archive.parent) as work:
            out = Path(work)
            flags = [
                *self.flags(),
                f"--dockerfile={build.dockerfile}",
                "--no-push",
                "--oci-layout-path=/kaniko/out/layout",
                *([f"--target={build.target}"] if build.target else []),
                *(["--reproducible"] if build.reproducible else []),
                *(
                    ["--cache=true", f"--cache-repo={build.cache_repository}"]
                    if build.cache_repository
                    else []
                ),
                *(f"--build-arg={key}={value}" for key, value in build.args.items()),
            ]
            # Otherwise the base's layers are rewritten as well.
            env = {"FF_KANIKO_REPRODUCIBLE_PRESERVE_BASE_LAYERS": "true"}
            self.run(build.context, flags, out, f"Kaniko: {build.title}", env)
            with tarfile.open(archive, "w") as tar:
                tar.add(out / "layout", arcname=".")


# $1 the root, $2 the context, $3 the place for results, then the executor's arguments.
CHROOT = """\
root=$1 context=$2 out=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$context" "$root/workspace"
mount --bind "$out" "$root/kaniko/out"
cd "$root"
exec chroot . /kaniko/executor "$@"
"""


def pack_directory(directory: Path, archive: Path) -> None:
    """Make an OCI archive of what `skopeo`'s dir transport writes, media types as they are."""
    manifest = (directory / "manifest.json").read_bytes()
    media_type = json.loads(manifest)["mediaType"]
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        layout = Path(work)
        blobs = layout / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for file in directory.iterdir():
            if re.fullmatch(r"[0-9a-f]{64}", file.name):
                os.replace(file, blobs / file.name)
        digest = sha256(manifest)
        (blobs / digest).write_bytes(manifest)
        descriptor = {
            "mediaType": media_type,
            "digest": f"sha256:{digest}",
            "size": len(manifest),
        }
        index = {"schemaVersion": 2, "manifests": [descriptor]}
        (layout / "index.json").write_text(json.dumps(index))
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        with tarfile.open(archive, "w") as tar:
            for path in sorted(layout.rglob("*")):
                tar.add(path, arcname=str(path.relative_to(layout)), recursive=False)
