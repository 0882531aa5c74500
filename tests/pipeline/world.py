"""A place for pipelines: a registry, the jobs' images and gitlab-ci-local."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from standin import Builder

from lab import Lab, install
from lab.registry import Registry
from lab.system import LabError, run

HERE = Path(__file__).resolve().parent
USER, PASSWORD = "pipeline", "cOrrect-h0rse/battery+staple"
PIPELINE = HERE.parent.parent / "template" / "{{ gitlab }}" / "ci" / "gitlab" / "pipeline.yml"
RELEASE_BASE = "gcr.io/distroless/static-debian13:nonroot"
BASES = (RELEASE_BASE, "gcr.io/distroless/static-debian13:debug-nonroot")
CI_BASE = "docker.io/library/python:3.13-slim-trixie"
BUILDER = next(
    base["builder"]
    for base in json.loads((HERE.parent.parent / "partials" / "house.json").read_text())["bases"]
    if base["language"] == "go"
)
# Tells which world an image belongs to.
LABEL = "copier-service.world"
MIRRORED = ("docker.io", "gcr.io", "ghcr.io")


def without_host(image: str) -> str:
    return image.split("@")[0].split("/", 1)[1]


def edit_platform_file(path: Path, lock: Path, edit: Callable[[bytes], bytes]) -> None:
    """Edit a platform's file, and write its sum in the lock anew."""
    before = path.read_bytes()
    after = edit(before)
    assert before != after
    path.write_bytes(after)
    old, new = (hashlib.sha256(data).hexdigest() for data in (before, after))
    lock.write_text(lock.read_text().replace(old, new))


def pin_cosign(directory: Path, digest: str) -> None:
    """Have the jobs take the stand-in for cosign's image: what a mirror has under its name."""
    scripts = directory / "ci" / "pipeline"
    edit_platform_file(
        scripts / "cosign.sh", scripts / "platform.lock",
        lambda text: re.sub(rb"(?m)(?<=^cosign_image=)(.*)@sha256:\w+$",
                            rb"\1@" + digest.encode(), text),
    )  # fmt: skip


def pin_kaniko(directory: Path, digest: str) -> None:
    """Have the platform's file pin the stand-in for Kaniko."""
    gitlab = directory / "ci" / "gitlab"
    edit_platform_file(
        gitlab / "pipeline.yml", gitlab / "platform.lock",
        lambda text: re.sub(rb"(osscontainertools/kaniko\S*)@sha256:\w+",
                            rb"\1@" + digest.encode(), text),
    )  # fmt: skip


def trust_bases(directory: Path, public: Path) -> None:
    """Have the service's table say that the stand-ins for distroless and Kaniko are signed by
    this key."""
    (directory / "ci" / "bases.pub").write_text(public.read_text())
    names = rb"gcr.io/distroless/[a-z0-9-]+|ghcr.io/osscontainertools/kaniko"
    name = rb'(?m)(^repository = "(?:' + names + rb')"\n)'
    signer = name + rb"identity = .*\nissuer = .*\nkey = .*$"
    by_key = rb'\1identity = ""\nissuer = ""\nkey = "ci/bases.pub"'
    house = directory / "ci" / "house"
    edit_platform_file(
        house / "house.toml", house / "platform.lock", lambda text: re.sub(signer, by_key, text)
    )


def unsigned(directory: Path) -> None:
    """Have the service release unsigned, as one may that was made before releases were signed:
    without a file of keys, and on any day."""
    shutil.rmtree(directory / "ci" / "signing")
    scripts = directory / "ci" / "pipeline"
    edit_platform_file(
        scripts / "attest.sh", scripts / "platform.lock",
        lambda text: re.sub(rb"(?m)^unsigned_until=.*", b"unsigned_until=99991231", text),
    )  # fmt: skip


def tar_of(files: dict[str, bytes]) -> bytes:
    """A layer of programs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def gitlab_ci_local() -> Path:
    """The program, installed as package-lock.json says, once."""
    packages = install.npm_packages("gitlab-ci-local", HERE)
    return packages / "gitlab-ci-local" / "dist" / "index.js"


class World:
    """One registry for everything, and what makes podman and crane use it."""

    def __init__(self, lab: Lab, registry: Registry, directory: Path) -> None:
        install.packages(["buildah", "busybox", "rsync"])
        self.lab, self.registry, self.directory = lab, registry, directory
        self.address = registry.address
        self.crane_program = install.crane()
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (directory / "config.json").write_text(
            json.dumps({"auths": {self.address: {"auth": auth}}})
        )
        (directory / "registries.conf").write_text(
            "".join(
                f'[[registry]]\nprefix = "{host}"\nlocation = "{self.address}/mirror"\n'
                "insecure = true\n"
                for host in MIRRORED
            )
            + f'[[registry]]\nlocation = "{self.address}"\ninsecure = true\n'
        )
        self.env = {
            **lab.env,
            "CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"),
            "REGISTRY_AUTH_FILE": str(directory / "config.json"),
            "DOCKER_CONFIG": str(directory),
        }
        self.standin: Builder | None = None
        self.volumes: list[str] = []
        self.executor = os.environ.get("KANIKO_EXECUTOR", "")
        if not self.executor:
            requests = directory / "requests"
            requests.mkdir()
            self.standin = Builder(requests, self.env)
            self.volumes.append(f"{requests}:/standin")

    def close(self) -> None:
        if self.standin:
            self.standin.close()

        def images(*arguments: str) -> list[str]:
            listing = ["podman", "images", "--no-trunc", *arguments]
            for _ in range(10):  # it fails where another world removes an image meanwhile
                with contextlib.suppress(LabError):
                    return run(listing, what="podman images", env=self.env).splitlines()
            return []

        # Another world may run beside this one, with the same programs under the same names.
        mine = images("--quiet", f"--filter=label={LABEL}={self.address}")
        for line in images("--format={{.Repository}} {{.ID}}"):
            name, image = line.split()
            if name.startswith(f"{self.address}/"):
                mine.append(image)
        for image in dict.fromkeys(mine):
            with contextlib.suppress(LabError):  # it has gone with another
                run(["podman", "rmi", "--force", image], what="podman rmi", env=self.env)

    def crane(self, *arguments: str) -> str:
        return run(
            [self.crane_program, *arguments], what=f"crane {arguments[0]}", env=self.env
        ).strip()

    def tags(self, repository: str) -> dict[str, str]:
        """Each tag of a repository but those that carry proofs, and its digest."""
        try:
            names = self.crane("ls", f"{self.address}/{repository}").split()
        except LabError as error:
            if "NAME_UNKNOWN" in str(error):
                return {}
            raise
        kept = [name for name in names if not name.startswith("sha256-")]
        return {name: self.crane("digest", f"{self.address}/{repository}:{name}") for name in kept}

    def manifests(self, repository: str) -> set[str]:
        """Every image of a repository that is in the registry, tagged or not."""
        storage = self.registry.config.parent / "storage"
        found = storage.glob(
            f"docker/registry/v2/repositories/{repository}/_manifests/revisions/*/*"
        )
        return {path.name for path in found}

    def kill(self, repository: str, which: Callable[[dict[str, Any]], bool]) -> bool:
        """Kill the containers of a service that run now and whose configuration is meant."""
        killed = False
        for container in self.podman("ps", "--quiet", "--no-trunc").split():
            with contextlib.suppress(LabError):  # somebody else's, which has ended
                text = self.podman("inspect", "--format={{json .Config}}", container)
                config = json.loads(text)
                mine = f"IMAGE_REPOSITORY={self.address}/{repository}" in config["Env"]
                if mine and which(config):
                    self.podman("kill", container)
                    killed = True
        return killed

    def podman(self, *arguments: str) -> str:
        return run(["podman", *arguments], what=f"podman {arguments[0]}", env=self.env)

    def drop_volumes(self) -> None:
        """Remove what gitlab-ci-local leaves of its jobs: two volumes each, and podman has 2048."""
        with contextlib.suppress(LabError):  # another world does the same
            # One that was made just now may be a job's that has no container yet.
            self.podman("volume", "prune", "--force", "--filter=until=5m")

    def image(self, reference: str) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.crane("config", f"{self.address}/{reference}"))
        return config

    def layers(self, reference: str) -> list[str]:
        manifest = json.loads(self.crane("manifest", f"{self.address}/{reference}"))
        return [layer["digest"] for layer in manifest["layers"]]

    def contents(self, reference: str) -> list[str]:
        """The layers as they are unpacked; a builder may compress a base's anew."""
        return list(self.image(reference)["rootfs"]["diff_ids"])

    # The images of the jobs

    @cached_property
    def tools(self) -> dict[str, str]:
        """The images that the pipeline pins, as the mirror has them: stand-ins, by digest."""
        pinned = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
        names = {
            job: pinned[job]["image"]["name"].split("@")[0]
            for job in (".in-crane", ".in-kaniko", ".in-syft", ".in-grype")
        }
        crane = _Root()
        crane.program(self.crane_program, "/ko-app/crane")
        crane.busybox("/busybox")
        kaniko = _Root()
        kaniko.busybox("/bin")
        kaniko.program(Path("/usr/bin/git"), "/usr/bin/git")
        kaniko.program(
            Path(self.executor) if self.executor else HERE / "executor.sh", "/kaniko/executor"
        )
        syft = _Root()
        syft.program(install.syft(), "/syft")
        syft.busybox("/busybox")
        # A stand-in that answers with recorded scans.
        grype = _Root()
        grype.program(HERE / "grype.sh", "/grype")
        grype.busybox("/busybox")
        for path in (HERE / "scans").iterdir():
            grype.program(path, f"/scans/{path.name}")
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        made = {
            ".in-crane": self._push(names[".in-crane"], crane, PATH=f"{system}:/ko-app:/busybox"),
            # As the -alpine image has them: they clear the file system before a build.
            ".in-kaniko": self._push(
                names[".in-kaniko"], kaniko, PATH=system, DOCKER_CONFIG="/kaniko/.docker/",
                KANIKO_PRESERVE_CONTEXT="1", KANIKO_PRE_CLEANUP="1", KANIKO_CLEANUP="1",
            ),
            ".in-syft": self._push(names[".in-syft"], syft, PATH=f"{system}:/busybox"),
            ".in-grype": self._push(names[".in-grype"], grype, PATH=f"{system}:/busybox"),
        }  # fmt: skip
        self.sign(names[".in-kaniko"])
        return made

    @cached_property
    def cosign(self) -> str:
        """The digest of the stand-in for cosign's image."""
        root = _Root()
        root.program(install.cosign(), "/ko-app/cosign")
        return self._push("ghcr.io/sigstore/cosign/cosign", root).partition("@")[2]

    def key_pair(self, name: str) -> tuple[Path, Path]:
        """A private and a public key, whose password is its name."""
        private, public = (self.directory / f"{name}.{kind}" for kind in ("key", "pub"))
        if not private.exists():
            prefix = f"--output-key-prefix={self.directory / name}"
            env = {**self.env, "COSIGN_PASSWORD": name}
            run([install.cosign(), "generate-key-pair", prefix], what="generate-key-pair", env=env)
        return private, public

    def sign(self, name: str) -> None:
        """Sign a base, or Kaniko, as those who publish it do."""
        digest = self.crane("digest", f"{self.address}/mirror/{without_host(name)}")
        image = f"{self.address}/mirror/{without_host(name).partition(':')[0]}@{digest}"
        flags = ["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"]
        flags += ["--yes", f"--key={self.key_pair('bases')[0]}"]
        env = {**self.env, "COSIGN_PASSWORD": "bases"}
        run([install.cosign(), "sign", *flags, image], what="cosign sign", env=env)

    def proof(self, image: str, key: str) -> list[dict[str, Any]]:
        """The SBOM and the provenance of an image, as whoever has the public key verifies them."""
        found = []
        for kind in ("spdxjson", "slsaprovenance1"):
            verify = [
                install.cosign(), "verify-attestation", f"--type={kind}",
                f"--key={self.key_pair(key)[1]}", "--insecure-ignore-tlog=true",
                f"{self.address}/{image}",
            ]  # fmt: skip
            lines = run(verify, what="cosign verify-attestation", env=self.env).splitlines()
            [envelope] = [json.loads(line) for line in lines if line.startswith("{")]
            statement = json.loads(base64.b64decode(envelope["payload"]))
            found.append(statement["predicate"])
        return found

    @cached_property
    def updates(self) -> tuple[str, list[Path]]:
        """An image with git, Python and Copier, and where its container has them from: they are
        this machine's own."""
        root = _Root()
        for name in ("bin", "lib", "lib64"):
            root.link(f"usr/{name}", name)
        copier = self.directory / "copier"
        script = f"{sys.executable} -W ignore {HERE.parent / 'quick_copier.py'}"
        copier.write_text(f'#!/bin/sh\nexec {script} "$@"\n')
        copier.chmod(0o755)
        root.program(copier, "/opt/bin/copier")
        _, _, digest = self._push(
            "docker.io/acme/template-update", root, PATH="/opt/bin:/usr/bin"
        ).partition("@")
        places = {Path("/usr"), Path("/etc/alternatives"), HERE.parent.parent}
        places |= {Path(sys.prefix), Path(sys.base_prefix)}
        return f"{self.address}/mirror/acme/template-update@{digest}", sorted(places)

    @cached_property
    def helper(self) -> str:
        """What gitlab-ci-local copies files with."""
        root = _Root()
        root.busybox("/bin")
        for name in ("bash", "rsync"):
            root.program(Path(f"/usr/bin/{name}"), f"/usr/bin/{name}")
        return self._push("docker.io/helper/helper:1", root, PATH="/usr/bin:/bin")

    def bases(self, *more: str) -> None:
        """The images that the service's Dockerfiles name: the release's from the lab, the CI
        image's with nothing but a shell, make and this Python, so that a build is quick."""
        names = tuple(dict.fromkeys((*BASES, *more)))
        self.lab.bases_for(names)
        for name in names:
            source = name if self.lab.real else f"{self.lab.registry.address}/{without_host(name)}"
            self.crane("copy", source, f"{self.address}/mirror/{without_host(name)}")
            self.sign(name)
        root = _Root()
        root.busybox("/bin")
        root.program(Path("/usr/bin/make"), "/usr/bin/make")
        root.python()
        # A fork's build has no CI image, and takes the builder that its Dockerfile names.
        for name in (CI_BASE, BUILDER):
            self._push(name, root, PATH="/usr/local/bin:/usr/bin:/bin")

    def _push(self, name: str, root: _Root, **env: str) -> str:
        layer = self.directory / "layer.tar"
        layer.write_bytes(root.tar())
        target = f"{self.address}/mirror/{without_host(name)}"
        self.crane(
            "append", "--platform=linux/amd64", f"--new_layer={layer}", f"--new_tag={target}"
        )
        flags = [f"--env={key}={value}" for key, value in env.items()]
        flags.append(f"--label={LABEL}={self.address}")
        self.crane("mutate", "--set-platform=linux/amd64", *flags, f"--tag={target}", target)
        layer.unlink()
        return f"{name}@{self.crane('digest', target)}"

    def patch_base(self, name: str, path: str, text: str) -> None:
        """Publish another image under a base's tag, with one more file."""
        layer = self.directory / "patch.tar"
        with tarfile.open(layer, "w") as tar:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(text), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
        target = f"{self.address}/mirror/{without_host(name)}"
        self.crane(
            "append", "--platform=linux/amd64", f"--base={target}",
            f"--new_layer={layer}", f"--new_tag={target}",
        )  # fmt: skip
        self.sign(name)


class _Root:
    """A root file system of this machine's programs."""

    def __init__(self) -> None:
        self._files: dict[str, Path | str | None] = {"tmp": None, "root": None}
        for path in ("etc/passwd", "etc/group"):
            self._files[path] = Path("/", path)

    def program(self, source: Path, target: str) -> None:
        """A program and the libraries that it needs."""
        self._files[target.lstrip("/")] = source.resolve()
        linked = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(?:=> |^\s+)(/\S+)", linked, re.MULTILINE):
            self._files[library.lstrip("/")] = Path(library).resolve()

    def link(self, target: str, path: str) -> None:
        self._files[path] = target

    def busybox(self, directory: str) -> None:
        busybox = shutil.which("busybox")
        assert busybox
        self.program(Path(busybox), f"{directory}/busybox")
        for name in run([busybox, "--list"], what="busybox --list").split():
            self._files.setdefault(f"{directory}/{name}".lstrip("/"), "busybox")

    def python(self) -> None:
        """The interpreter that runs the tests, at its own place, and PyYAML."""
        prefix = Path(sys.base_prefix).resolve()
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        library = Path(os.__file__).resolve().parent
        binary = prefix / "bin" / version
        self.program(binary, str(binary))
        self._files["usr/bin/python3"] = str(binary)
        self._tree(library, {"test", "site-packages", "dist-packages", "idlelib", "__pycache__"})
        self._tree(Path(yaml.__file__).parent, {"__pycache__"}, library / "yaml")

    def _tree(self, source: Path, without: set[str], target: Path | None = None) -> None:
        for folder, directories, names in os.walk(source):
            directories[:] = [
                name
                for name in directories
                if name not in without and not name.startswith("config-")
            ]
            for name in names:
                path = Path(folder, name)
                place = str((target or source) / path.relative_to(source))
                if "dynload" in folder:
                    self.program(path, place)
                elif not name.endswith((".so", ".a")):
                    self._files[place.lstrip("/")] = path

    def tar(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, source in sorted(self._files.items()):
                info = tarfile.TarInfo(name)
                if source is None:
                    info.type, info.mode = tarfile.DIRTYPE, 0o1777
                    tar.addfile(info)
                elif isinstance(source, str):
                    info.type, info.linkname = tarfile.SYMTYPE, source
                    tar.addfile(info)
                else:
                    data = source.read_bytes()
                    executable = source.stat().st_mode & stat.S_IXUSR or name.endswith(
                        ("executor", "grype")
                    )
                    info.size, info.mode = len(data), 0o755 if executable else 0o644
                    tar.addfile(info, io.BytesIO(data))
        return buffer.getvalue()


@dataclass
class Run:
    """A pipeline that has ended."""

    code: int
    log: str
    build: str

    def ran(self, job: str) -> bool:
        return re.search(rf"^{re.escape(job)} +finished in .*", self.log, re.MULTILINE) is not None

    def errors(self) -> list[str]:
        """The lines that say what is wrong, once each: the log ends with a repetition."""
        found = re.findall(r"^[\w-]+ +> (error: .*)", self.log, re.MULTILINE)
        return list(dict.fromkeys(found))

    def failed(self) -> list[str]:
        return re.findall(r"^([\w-]+) +finished in [\d.]+ \w+ +FAIL", self.log, re.MULTILINE)


class Project:
    """A service's repository, and how to run its pipeline."""

    def __init__(self, world: World, directory: Path, repository: str) -> None:
        self.world, self.directory, self.repository = world, directory, repository
        self.logs, self.keys = "", dict[str, str]()

    def git(self, *arguments: str) -> str:
        return run(["git", "-C", self.directory, *arguments], what="git").strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    @property
    def settings(self) -> dict[str, str]:
        """The variables that a person sets for the project on GitLab."""
        address = self.world.address
        return {
            "REGISTRY_USER": USER,
            "REGISTRY_PASSWORD": PASSWORD,
            "REGISTRY_MAP": ";".join(f"{host}={address}/mirror" for host in MIRRORED),
            **self.keys,
        }

    def sign_with(self, name: str) -> Path:
        """Commit a public key beside those that are there, and sign with the private one."""
        private, public = self.world.key_pair(name)
        listed = self.directory / "ci" / "signing" / "cosign.pub"
        listed.parent.mkdir(exist_ok=True)
        with listed.open("a") as file:
            file.write(public.read_text())
        self.commit(f"Trust the key {name}")
        self.keys = {"COSIGN_PRIVATE_KEY": private.read_text(), "COSIGN_PASSWORD": name}
        return public

    def command(
        self, *, tag: str = "", schedule: bool = False, jobs: tuple[str, ...] = (), **variables: str
    ) -> list[str]:
        world = self.world
        given = {
            **self.settings,
            **({"CI_COMMIT_TAG": tag, "CI_COMMIT_REF_NAME": tag} if tag else {}),
            **({"CI_PIPELINE_SOURCE": "schedule"} if schedule else {}),
            **variables,
        }
        return [
            str(install.node() / "bin" / "node"), str(gitlab_ci_local()), *jobs,
            "--container-executable=podman", "--network=host", f"--helper-image={world.helper}",
            "--pull-policy=if-not-present", "--no-color", "--concurrency=2",
            "--no-artifacts-to-source",
            *(f"--volume={volume}" for volume in world.volumes),
            *(["--unset-variable=CI_COMMIT_BRANCH"] if tag else []),
            *(part for item in given.items() for part in ("--variable", "=".join(item))),
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.world.env}

    def run(self, **how: Any) -> Run:
        """Run a pipeline to its end."""
        return self._run(self.command(**how), self.environment())

    def make_ci(self, home: Path) -> Run:
        """Run the pipeline as a person does on a laptop: `make ci`, the variables in a file."""
        (home / ".gitlab-ci-local").mkdir(parents=True)
        (home / ".gitlab-ci-local" / "variables.yml").write_text(
            json.dumps({"global": self.settings})
        )
        program = home / "bin" / "gitlab-ci-local"
        program.parent.mkdir()
        node = install.node() / "bin" / "node"
        program.write_text(f'#!/bin/sh\nexec {node} {gitlab_ci_local()} "$@"\n')
        program.chmod(0o755)
        # What the lab adds is not a person's to give: it has no images but its own.
        lab = {
            "HOME": str(home),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "ENGINE": "podman",
            "GCL_HELPER_IMAGE": self.world.helper,
            "GCL_PULL_POLICY": "if-not-present",
            "GCL_COLOR": "false",
            "GCL_CONCURRENCY": "2",
            **({"GCL_VOLUME": " ".join(self.world.volumes)} if self.world.volumes else {}),
        }
        repository = f"IMAGE_REPOSITORY={self.world.address}/{self.repository}"
        return self._run(
            ["make", "--no-print-directory", "ci", repository], self.environment() | lab
        )

    def _run(self, command: list[str], env: dict[str, str]) -> Run:
        done = subprocess.run(
            command, cwd=self.directory, env=env, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self.ended(done.returncode, done.stdout)

    def kill(self, job: str) -> None:
        """Kill the container of a job of this project that runs now."""
        self.world.kill(self.repository, lambda config: f"CI_JOB_NAME={job}" in config["Env"])

    def ended(self, code: int, log: str) -> Run:
        self.logs += log
        self.world.drop_volumes()
        values = self.directory / ".gitlab-ci-local" / "artifacts" / "resolve"
        found = [path.read_text() for path in values.rglob("resolve.env")]
        build = re.search(r"^BUILD=(\d+)$", found[0], re.MULTILINE) if found else None
        return Run(code, log, build[1] if build else "")

    def tags(self) -> dict[str, str]:
        return self.world.tags(self.repository)

    def manifests(self) -> set[str]:
        return self.world.manifests(self.repository)

    def release(self, version: str) -> None:
        """Run the pipeline of a version's tag: both pairs are there, and nothing else has moved."""
        before = self.tags()
        run = self.run(tag=f"v{version}")
        assert run.code == 0, run.log
        after = self.tags()
        build = f"{version}-b{run.build}"
        added = {version, f"{version}-debug", build, f"{build}-debug"}
        assert after.keys() - before.keys() == added
        assert {name: after[name] for name in before} == before
        assert after[version] == after[build]
        assert after[f"{version}-debug"] == after[f"{build}-debug"]


@contextlib.contextmanager
def world(lab: Lab, directory: Path, *, password: bool = True) -> Iterator[World]:
    with lab.empty_registry(auth=(USER, PASSWORD) if password else None) as registry:
        made = World(lab, registry, directory)
        try:
            yield made
        finally:
            made.close()
