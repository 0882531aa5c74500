"""One object that a test needs: it builds images and runs them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from . import bases, builders, install, registry, runtime
from .company import Company
from .oci import Image
from .registry import Registry
from .runtime import Container, Finished, Port
from .system import LabError, cache_dir, lock, run, runtime_dir, say

BASES = ("auto", "real", "standin")
PROBE = "docker://gcr.io/distroless/static-debian13:nonroot"


class Lab:
    """Builds images on the bases that their Dockerfiles name, and runs them.

    All processes of a machine share one registry and one BuildKit daemon; the
    last one to leave stops them. Use it as a context manager, or call `close`.
    """

    def __init__(self) -> None:
        self.cache = cache_dir()
        self.runtime = runtime_dir(self.cache)
        self._users = (self.runtime / "users.lock").open("a")
        fcntl.flock(self._users, fcntl.LOCK_SH)
        self.work = Path(tempfile.mkdtemp(prefix="lab-", dir=self._scratch()))
        self._known: set[str] = set()

    def _scratch(self) -> Path:
        path = self.cache / "work"
        path.mkdir(exist_ok=True)
        return path

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the lab; the last one stops the daemons, unless `up` keeps them."""
        if self._users.closed:
            return
        shutil.rmtree(self.work, ignore_errors=True)
        fcntl.flock(self._users, fcntl.LOCK_UN)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._kept.exists():
                self._stop()
        self._users.close()

    @property
    def _kept(self) -> Path:
        return self.runtime / "kept"

    def _stop(self) -> None:
        """Stop the daemons, and clear away what killed processes left behind."""
        builders.BuildKit.stop(self.runtime)
        for cold in self.runtime.glob("cold-*"):
            builders.BuildKit.stop(cold)
            shutil.rmtree(cold, ignore_errors=True)
        registry.stop_shared(self.runtime)
        shutil.rmtree(self._scratch(), ignore_errors=True)
        if "env" in self.__dict__:
            runtime.clear(self.env, self.engine)

    def keep(self) -> None:
        """Leave the daemons running after `close`."""
        self._kept.touch()

    def down(self) -> None:
        """Stop the daemons at the next `close` of the last user."""
        self._kept.unlink(missing_ok=True)

    # Bases

    @cached_property
    def real(self) -> bool:
        """Whether the public registries serve the bases; LAB_BASES=real|standin decides by hand."""
        chosen = os.environ.get("LAB_BASES", "auto")
        if chosen not in BASES:
            raise LabError(f"LAB_BASES: got {chosen!r}, want one of {', '.join(BASES)}")
        if chosen != "auto":
            return chosen == "real"
        install.packages(["skopeo", "/etc/containers/policy.json"])
        probe = ["skopeo", "--command-timeout=20s", "inspect", "--raw", PROBE]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    @cached_property
    def registry(self) -> Registry:
        """The registry that holds the stand-ins."""
        return registry.shared(self.cache, self.runtime)

    @property
    def _mirror(self) -> str | None:
        return None if self.real else self.registry.address

    def bases_for(self, names: Iterable[str]) -> None:
        """Have these base images at hand: as stand-ins, unless the real ones are reachable."""
        for name in names:
            if not self.real and name not in self._known:
                bases.ensure(name, self.registry)
                self._known.add(name)

    @contextlib.contextmanager
    def empty_registry(self, auth: tuple[str, str] | None = None) -> Iterator[Registry]:
        """A registry of its own, empty, with basic authentication if `auth` is given."""
        with registry.ephemeral(self.work / f"registry-{secrets.token_hex(4)}", auth) as fresh:
            yield fresh

    # Images

    @cached_property
    def engine(self) -> str:
        """The container engine that runs images: podman or docker."""
        return runtime.choose()

    @cached_property
    def env(self) -> dict[str, str]:
        """The variables that make the container engine, buildah and skopeo work in the lab."""
        podman = ["podman", "runc", "conmon"] if self.engine == "podman" else []
        install.packages([*podman, "skopeo", "/etc/containers/policy.json"])
        return runtime.configure(self.cache, self.runtime, self._mirror)

    @cached_property
    def _buildkit(self) -> builders.BuildKit:
        return builders.BuildKit(self.cache, self.runtime, self._mirror)

    @contextlib.contextmanager
    def cold(self, company: Company | None = None) -> Iterator[None]:
        """Inside the block BuildKit has seen nothing but what is built there.

        With a `company` it is inside that network, and reaches nothing else.
        """
        shared = self._buildkit
        with shared.cold(self.work, company) as fresh:
            fresh.start()
            self.__dict__["_buildkit"] = fresh
            try:
                yield
            finally:
                self.__dict__["_buildkit"] = shared

    @cached_property
    def kaniko(self) -> builders.Kaniko:
        """Kaniko's executor; raises Missing, with the reason, where there is none."""
        return builders.Kaniko(self._mirror, builders.kaniko_executor(self.pull))

    def build(
        self,
        context: str | os.PathLike[str],
        target: str | None = None,
        build_args: Mapping[str, str] | None = None,
        *,
        builder: str = "buildkit",
        dockerfile: str | None = None,
        no_network: bool | str = False,
        no_cache: bool = False,
        reproducible: bool = False,
        packed: bool = True,
        images: Mapping[str, Image] | None = None,
        cache_repository: str | None = None,
        secret_files: Mapping[str, Path] | None = None,
    ) -> Image:
        """Build a target of a service's Dockerfile.

        `builder` is buildkit, buildah or kaniko. With `no_network` no RUN has a
        network; a regular expression takes it only from the RUNs that match, and
        from one at least. `no_cache` starts cold. `reproducible` asks the builder
        for the same digest from the same source. `dockerfile` is relative to the
        context; image/Dockerfile and Dockerfile are found without it. BuildKit alone
        leaves new layers uncompressed if not `packed`, and takes `images` for a FROM
        that has the name of one, and `secret_files` for the RUNs that mount one. Kaniko alone has a
        `cache_repository`.
        """
        where = Path(context).resolve()
        build = builders.Build(
            where,
            dockerfile or builders.find_dockerfile(where),
            target,
            build_args or {},
            no_network,
            no_cache,
            reproducible,
            packed,
            {name: image.oci_archive for name, image in (images or {}).items()},
            cache_repository,
            secret_files or {},
        )
        if builder != "buildkit" and (images or secret_files or not packed):
            raise LabError(
                f"{builder} takes no images and no secrets, and compresses always; use BuildKit"
            )
        if builder != "kaniko" and cache_repository:
            raise LabError(f"{builder} has no cache in a registry; use Kaniko")
        text = (where / build.dockerfile).read_text()
        known = set(bases.names())
        self.bases_for(
            name
            for name in builders.external_images(text, build.args)
            if bases.canonical(name) in known
        )
        archive = self.work / f"{secrets.token_hex(6)}.tar"
        if builder == "buildah":
            ref = builders.Buildah(self.env).build(build, archive)
            # podman finds it where buildah keeps it.
            return Image(archive, load=self._load if self.engine != "podman" else lambda _: ref)
        if builder == "buildkit":
            self._buildkit.build(build, archive)
        elif builder == "kaniko":
            self.kaniko.build(build, archive)
        else:
            raise LabError(f"builder: got {builder!r}, want one of buildkit, buildah, kaniko")
        return Image(archive, load=self._load)

    @property
    def said(self) -> str:
        """All that BuildKit has said of its builds, also of those that failed."""
        return "".join(self._buildkit.log)

    def pull(self, name: str) -> Image:
        """An image of a registry, such as a base."""
        self.bases_for([name] if bases.canonical(name) in bases.names() else [])
        archive = self.work / f"{secrets.token_hex(6)}.tar"
        # skopeo takes the storage's settings from the environment, but not the registries'.
        settings = f"--registries-conf={self.env['CONTAINERS_REGISTRIES_CONF']}"
        source, target = f"docker://{bases.canonical(name)}", f"oci-archive:{archive}"
        run(["skopeo", settings, "copy", source, target], what=f"skopeo copy of {name}")
        return Image(archive, load=self._load)

    def config(self, name: str) -> dict[str, Any]:
        """The configuration of an image of a registry, without its layers."""
        self.bases_for([name] if bases.canonical(name) in bases.names() else [])
        settings = f"--registries-conf={self.env['CONTAINERS_REGISTRIES_CONF']}"
        source = f"docker://{bases.canonical(name)}"
        text = run(
            ["skopeo", settings, "inspect", "--config", source], what=f"skopeo inspect of {name}"
        )
        return dict(json.loads(text).get("config") or {})

    def _load(self, image: Image) -> str:
        """Bring an image into the engine's storage."""
        name = f"localhost/lab/image:{image.digest.removeprefix('sha256:')[:16]}"
        what = f"loading an image into {self.engine}'s storage"
        with lock(self.runtime / "load.lock"):
            there = subprocess.run(
                [self.engine, "image", "inspect", name],
                env={**os.environ, **self.env},
                capture_output=True,
                check=False,
            )
            if there.returncode == 0:
                return name
            copy = ["skopeo", "copy", f"oci-archive:{image.oci_archive}"]
            if self.engine == "podman":
                run([*copy, f"containers-storage:{name}"], what=what, env=self.env)
            else:
                # Not every docker reads an OCI archive.
                archive = self.work / f"{secrets.token_hex(6)}.tar"
                run([*copy, f"docker-archive:{archive}:{name}"], what=what, env=self.env)
                run(["docker", "load", f"--input={archive}"], what=what, env=self.env)
                archive.unlink()
        return name

    # Containers

    @contextlib.contextmanager
    def run(
        self,
        image: Image | str,
        args: Sequence[str] = (),
        env: Mapping[str, str | None] | None = None,
        *,
        ready: str | None = "/livez",
        read_only: bool = True,
        user: str | None = "12345:12345",
        hardened: bool = True,
        mounts: Sequence[str] = (),
        entrypoint: str | None = None,
        options: Sequence[str] = (),
    ) -> Iterator[Container]:
        """Run an image for the length of a `with` block, on the machine's network.

        Hardened is: read-only root, a user that the image does not know, no
        capabilities, no-new-privileges. PORT is a free port, unless `env` sets
        it; a variable that is None there is not set at all. `ready` is the path
        that must answer before the block begins; None does not wait. `mounts`
        are volumes as the engine takes them, `options` further flags.
        """
        port = Port(self.runtime / "ports")
        name = f"lab-{secrets.token_hex(6)}"
        command = runtime.command(
            self.engine,
            image if isinstance(image, str) else image.ref,
            name,
            args,
            {"PORT": str(port.number), **(env or {})},
            user=user,
            read_only=read_only,
            hardened=hardened,
            mounts=mounts,
            entrypoint=entrypoint,
            options=options,
        )
        container = Container(self.engine, self.env, command, name, self.work, port)
        try:
            if ready is not None:
                container.wait_ready(ready)
            yield container
        finally:
            container.remove()

    def call(
        self,
        image: Image | str,
        args: Sequence[str] = (),
        env: Mapping[str, str | None] | None = None,
        **how: object,
    ) -> Finished:
        """Run an image to its end: its exit code, stdout and stderr. Options as for `run`."""
        with self.run(image, args, env, ready=None, **how) as container:  # type: ignore[arg-type]
            code = container.wait()
            return Finished(code, container.stdout, container.stderr)

    # For people

    def up(self) -> None:
        """Start everything that is slow the first time."""
        say(f"cache: {self.cache}")
        if self.real:
            say("bases: the real ones")
        else:
            say(f"registry: {self.registry.address}")
        self._buildkit.start()
        say(f"BuildKit: unix://{self._buildkit.socket}")
        _ = self.env
