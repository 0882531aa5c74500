"""Stand-ins for the public base images, under the names of the real ones.

Each family is a module with a function `catalogue()` that maps names to recipes.
A recipe is data: the layers, each with what makes it, and the image's
configuration. It is built when somebody needs it, and once: the hash of the
recipe is remembered beside the digest that came out.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .. import debian, oci
from ..registry import Registry
from ..system import LabError, Missing, cache_dir, lock, say, sha256, write_atomically

# What `make house` writes of bases.yml.
TABLE = Path(__file__).resolve().parents[3] / "partials" / "house.json"
# Part of every key: change it when the way of writing layers changes.
FORMAT = "1"
MACHINE_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Part:
    """One layer: a key that tells its content, a line for people, and its maker.

    `deb` names the Debian package that the layer is, so that all packages of an
    image are fetched together and an equal package is packed only once.
    """

    key: str
    title: str
    fill: Callable[[oci.Tree], None] = field(repr=False)
    level: int = 6
    deb: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A stand-in: `config` is the configuration of the real image."""

    parts: tuple[Part, ...]
    config: dict[str, Any]
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        parts = [[part.key, part.level] for part in self.parts]
        return sha256(json.dumps([FORMAT, parts, self.config, self.annotations], sort_keys=True))


def image(language: str, key: str, name: str = "distroless") -> str:
    """An image of the template's table of bases: what a stand-in stands in for."""
    bases = json.loads(TABLE.read_text(encoding="utf-8"))["bases"]
    return str(next(b[key] for b in bases if (b["language"], b["name"]) == (language, name)))


def package(name: str) -> Part:
    """One Debian package as one layer, as distroless has it."""

    def fill(tree: oci.Tree) -> None:
        deb = debian.download([name])[name]
        tree.tar(tree.hold(debian.opened(deb)))
        debian.status(tree, name, deb)

    return Part(f"deb {name} 2", f"Debian package {name}", fill, deb=name)


def files(title: str, fill: Callable[[oci.Tree], None], version: str = "1") -> Part:
    """A layer made in Python; raise `version` when what it makes changes."""
    return Part(f"files {title} {version}", title, fill)


def system(packages: Iterable[str] = (), hooks: Iterable[str] = ()) -> Part:
    """A Debian root for a builder, which trusts what this machine trusts.

    `hooks` are shell commands that run inside the root once it is there.
    """
    wanted, commands = sorted(packages), list(hooks)

    def fill(tree: oci.Tree) -> None:
        tree.tar(tree.hold(debian.root_tar(wanted, commands)))
        if MACHINE_CERTIFICATES.exists():
            tree.file(str(MACHINE_CERTIFICATES), MACHINE_CERTIFICATES)

    certificates = MACHINE_CERTIFICATES.read_bytes() if MACHINE_CERTIFICATES.exists() else b""
    key = f"system {debian.SUITE} {wanted} {commands} {sha256(certificates)}"
    return Part(key, f"Debian {debian.SUITE}: {' '.join(wanted)}", fill, level=1)


def copied(title: str, key: str, fill: Callable[[oci.Tree], None]) -> Part:
    """A toolchain of this machine."""
    return Part(f"copy {title} {key}", title, fill, level=1)


@cache
def _catalogue() -> dict[str, Callable[[], Recipe]]:
    from . import debian_slim, distroless, golang, java, node, python, rust, vendor

    found: dict[str, Callable[[], Recipe]] = {}
    for family in (distroless, golang, rust, java, python, node, debian_slim, vendor):
        found.update(family.catalogue())
    return found


def names() -> list[str]:
    """Every image that the lab can stand in for."""
    return sorted(_catalogue())


def parts() -> list[Part]:
    """Every layer that the lab can make of what this machine has."""
    found: list[Part] = []
    for recipe in _catalogue().values():
        with contextlib.suppress(Missing):
            found += recipe().parts
    return found


def canonical(name: str) -> str:
    """`golang:1.26` as `docker.io/library/golang:1.26`."""
    name = name.split("@")[0]
    host, _, rest = name.partition("/")
    if not rest or not ("." in host or ":" in host or host == "localhost"):
        name = f"docker.io/{name}" if rest else f"docker.io/library/{name}"
    return name if ":" in name.rsplit("/", 1)[1] else f"{name}:latest"


def location(name: str) -> tuple[str, str]:
    """The repository and tag in the lab's registry, which leaves the host away."""
    repository, tag = canonical(name).split("/", 1)[1].rsplit(":", 1)
    return repository, tag


def _layer(part: Part, blobs: Path) -> oci.Layer:
    key = part.key
    if part.deb:
        key += " " + debian.download([part.deb])[part.deb].name
    known = cache_dir() / "bases" / "layers" / f"{sha256(f'{FORMAT} {key} {part.level}')}.json"
    with lock(known.with_suffix(".lock")):
        if known.exists():
            layer = oci.Layer(**json.loads(known.read_text()))
            if (blobs / layer.digest.removeprefix("sha256:")).exists():
                return layer
        with oci.Tree() as tree:
            part.fill(tree)
            layer = tree.write(blobs, part.level)
        write_atomically(known, json.dumps(asdict(layer)))
        return layer


def layer_of(part: Part) -> Path:
    """The blob of a part, for a part that takes something out of it."""
    blobs = cache_dir() / "bases" / "blobs"
    return blobs / _layer(part, blobs).digest.removeprefix("sha256:")


def ensure(name: str, registry: Registry, refresh: bool = False) -> str:
    """Have the stand-in in the registry; return the digest of its index."""
    name = canonical(name)
    if name not in _catalogue():
        raise LabError(f"no stand-in for {name}; there are: {', '.join(names())}")
    repository, tag = location(name)
    home = cache_dir() / "bases"
    blobs, stamp = home / "blobs", home / "images" / f"{sha256(name)[:16]}.json"
    with lock(stamp.with_suffix(".lock")):
        recipe = _catalogue()[name]()
        known = json.loads(stamp.read_text()) if stamp.exists() else {}
        current = not refresh and known.get("key") == recipe.key
        if current and all(registry.has(repository, name) for name in (known["digest"], tag)):
            return str(known["digest"])
        started = time.monotonic()
        debs = [part.deb for part in recipe.parts if part.deb]
        if debs:
            debian.download(debs)
        if any(part.level == 1 for part in recipe.parts):
            say(f"building the stand-in for {name}")
        layers = [(_layer(part, blobs), part.title) for part in recipe.parts]
        digest = oci.write_image(
            blobs, layers, recipe.config, recipe.annotations, debian.architecture()
        )
        oci.push(blobs, digest, registry.address, repository, tag)
        value = {"name": name, "key": recipe.key, "digest": digest}
        write_atomically(stamp, json.dumps(value))
        say(f"stand-in for {name} is ready ({time.monotonic() - started:.0f} s)")
        return digest
