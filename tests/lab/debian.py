"""Debian trixie as a source of files: single packages, and whole roots.

apt gets a configuration, lists and a cache of its own, so the machine's release
and its sources do not matter.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import install
from .oci import Tree
from .system import LabError, cache_dir, lock, run, say

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FRESH_SECONDS = 24 * 3600
# What the slim images leave out as well.
SLIM = ("doc", "groff", "info", "linda", "lintian", "locale", "man")


def sources() -> list[str]:
    """The lines of sources.list; DEBIAN_MIRROR names another mirror."""
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org").rstrip("/")
    signed = f"[signed-by={KEYRING}]"
    return [
        f"deb {signed} {mirror}/debian {SUITE} main",
        f"deb {signed} {mirror}/debian {SUITE}-updates main",
        f"deb {signed} {mirror}/debian-security {SUITE}-security main",
    ]


def architecture() -> str:
    return run(["dpkg", "--print-architecture"], what="dpkg").strip()


def _apt(root: Path) -> list[str]:
    options = {
        "APT::Architecture": architecture(),
        "APT::Architectures": architecture(),
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": root / "state",
        "Dir::State::status": root / "status",
        "Dir::Cache": root / "cache",
        "Dir::Etc::sourcelist": root / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": "-",
    }
    return ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items())]


def _update(root: Path) -> None:
    """Fetch the package lists unless they are of today."""
    stamp = root / "updated"
    lines = "\n".join(
        [*sources(), *(line.replace("deb ", "deb-src ", 1) for line in sources()), ""]
    )
    if (
        stamp.exists()
        and stamp.read_text() == lines
        and time.time() - stamp.stat().st_mtime < FRESH_SECONDS
    ):
        return
    for name in ("state/lists/partial", "cache/archives/partial"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    (root / "sources.list").write_text(lines)
    say(f"fetching Debian {SUITE}'s package lists")
    run([*_apt(root), "update"], what=f"apt-get update for {SUITE}")
    stamp.write_text(lines)


_downloaded: dict[str, Path] = {}


def download(names: list[str]) -> dict[str, Path]:
    """The newest .deb of each package, fetched if it is not here yet."""
    if any(name not in _downloaded for name in names):
        _downloaded.update(_download(names))
    return {name: _downloaded[name] for name in names}


def _download(names: list[str]) -> dict[str, Path]:
    install.packages(["/usr/share/keyrings/debian-archive-keyring.gpg"])
    root = cache_dir() / "apt"
    debs = cache_dir() / "debs"
    with lock(root / "lock"):
        debs.mkdir(exist_ok=True)
        _update(root)
        uris = run(
            [*_apt(root), "download", "--print-uris", *names],
            what=f"apt-get download {' '.join(names)}",
        )
        files = {
            name.split("_")[0]: debs / name for name in re.findall(r"^'[^']+' (\S+)", uris, re.M)
        }
        missing = [name for name in names if name not in files]
        if missing:
            raise LabError(f"Debian {SUITE} has no package {', '.join(missing)}")
        wanted = [name for name in names if not files[name].exists()]
        if wanted:
            with tempfile.TemporaryDirectory(dir=debs) as work:
                run(
                    [*_apt(root), "download", *wanted],
                    what=f"apt-get download {' '.join(wanted)}",
                    cwd=Path(work),
                )
                for file in Path(work).iterdir():
                    os.replace(file, debs / file.name)
    return files


@contextmanager
def opened(deb: Path) -> Iterator[tarfile.TarFile]:
    """The files of a .deb as an open tar."""
    data = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", deb], check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        yield tar


def control(deb: Path, name: str) -> str:
    """One control file of a .deb, empty if it has none."""
    data = subprocess.run(
        ["dpkg-deb", "--ctrl-tarfile", deb], check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            if info.name.removeprefix("./") == name:
                handle = tar.extractfile(info)
                return handle.read().decode() if handle else ""
    return ""


def status(tree: Tree, name: str, deb: Path) -> None:
    """The trace that distroless leaves of a package, for vulnerability scanners."""
    for folder in ("/var", "/var/lib", "/var/lib/dpkg", "/var/lib/dpkg/status.d"):
        tree.directory(folder)  # a scanner finds nothing below one that the layer does not name
    tree.file(f"/var/lib/dpkg/status.d/{name}", control(deb, "control"))
    tree.file(f"/var/lib/dpkg/status.d/{name}.md5sums", control(deb, "md5sums"))


def certificates(deb: Path) -> str:
    """The bundle that update-ca-certificates would make of the package's certificates."""
    with opened(deb) as tar:
        names = sorted(
            info.name
            for info in tar
            if info.name.startswith("./usr/share/ca-certificates/") and info.isreg()
        )
        texts = []
        for name in names:
            handle = tar.extractfile(name)
            assert handle is not None
            texts.append(handle.read().decode().strip() + "\n")
    return "".join(texts)


def _mmdebstrap(packages: list[str], hooks: list[str], target: Path) -> None:
    install.packages(["mmdebstrap", "/usr/share/keyrings/debian-archive-keyring.gpg"])
    command = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--skip=output/dev",
        "--skip=check/empty",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in SLIM),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-include=/usr/share/locale/locale.alias",
        *([f"--include={','.join(packages)}"] if packages else []),
        *(f'--customize-hook=chroot "$1" sh -euc {shlex.quote(hook)}' for hook in hooks),
        SUITE,
        str(target),
        *sources(),
    ]
    env = {"SOURCE_DATE_EPOCH": "0", "DEBIAN_FRONTEND": "noninteractive"}
    run(command, what=f"mmdebstrap {SUITE}", env=env)


@contextmanager
def root_tar(packages: list[str], hooks: list[str]) -> Iterator[tarfile.TarFile]:
    """A minimal Debian root with these packages installed, as an open tar."""
    with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
        path = Path(work) / "root.tar"
        _mmdebstrap(packages, hooks, path)
        with tarfile.open(path) as tar:
            yield tar


@contextmanager
def root_directory(packages: list[str]) -> Iterator[Path]:
    """A minimal Debian root with these packages installed, to work in."""
    work = Path(tempfile.mkdtemp(dir=cache_dir()))
    try:
        _mmdebstrap(packages, [], work / "root")
        yield work / "root"
    finally:
        shutil.rmtree(work)


def source(package: str, into: Path) -> Path:
    """The upstream tarball of a source package."""
    root = cache_dir() / "apt"
    with lock(root / "lock"):
        _update(root)
        run(
            [*_apt(root), "source", "--download-only", "--tar-only", package],
            what=f"apt-get source {package}",
            cwd=into,
        )
    found = sorted(into.glob("*.orig.tar.*z"))
    if not found:
        raise LabError(f"Debian {SUITE} has no upstream tarball of {package}")
    return found[0]


def read(deb: Path, path: str) -> bytes:
    """One file of a .deb."""
    with opened(deb) as tar:
        for info in tar:
            if "/" + info.name.removeprefix("./") == path and info.isreg():
                handle = tar.extractfile(info)
                assert handle is not None
                return handle.read()
    raise LabError(f"{deb.name} has no file {path}")


def applets(busybox: bytes) -> list[str]:
    """The commands that a busybox program knows."""
    with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
        # It looks at its own name to know which command it is.
        program = Path(work) / "busybox"
        program.write_bytes(busybox)
        program.chmod(0o755)
        return run([program, "--list"], what="busybox --list").split()


def unpack(debs: Iterable[Path], into: Path) -> None:
    """Unpack packages over each other."""
    for deb in debs:
        run(["dpkg-deb", "-x", deb, into], what=f"unpacking {deb.name}")


def linker_cache(debs: dict[str, Path]) -> bytes:
    """The ld.so.cache of a root with these packages."""
    with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
        root = Path(work)
        # base-files first: it has the links from /lib to /usr/lib.
        unpack(sorted(debs.values(), key=lambda deb: not deb.name.startswith("base-files")), root)
        run(["/sbin/ldconfig", "-r", root, "-X"], what="ldconfig")
        return (root / "etc/ld.so.cache").read_bytes()


def version(package: str) -> str:
    """The upstream version of a package, such as 3.13.5."""
    deb = download([package])[package]
    found = re.match(r"(?:\d+(?::|%3a))?([^-]+)", deb.name.split("_")[1])
    assert found is not None
    return found[1]
