"""The root that a container would see: layers on top of each other, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .content import Facts, Inspector
from .model import Unusable, printable
from .oci import Image
from .tarstream import DIRECTORY, FILE, GLOBAL, HARDLINK, SYMLINK, Content, Entry, entries

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAX_DEPTH = 256
MAX_LINKS = 40


class Node:
    """A file, link or directory. Hard links are two names of one node."""

    __slots__ = ("capabilities", "children", "facts", "gid", "kind", "layer", "link", "linked", "mode", "size", "uid")

    def __init__(self, kind: str, mode: int, layer: int) -> None:
        self.kind = kind
        self.mode = mode
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.link = ""
        self.capabilities = False
        self.facts: Facts | None = None
        self.children: dict[str, Node] | None = {} if kind == DIRECTORY else None
        self.layer = layer
        self.linked: dict[str, int] | None = None  # the layers that made hard links in this directory


@dataclass(frozen=True)
class Change:
    """What one layer did to one path; links on the way to it are followed."""

    layer: int
    path: str
    what: str
    kind: str = ""  # of what is there now; empty after a deletion


@dataclass(frozen=True)
class LayerSecret:
    """A secret in a layer; deleting the file later does not take it out of the image."""

    layer: int
    path: str
    what: str


class RootFS:
    """The flattened file system of an image."""

    def __init__(self) -> None:
        self.root = Node(DIRECTORY, 0o755, -1)
        self.changes: list[Change] = []
        self.secrets: list[LayerSecret] = []

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Yield every path below the root, parents first, in order."""
        stack = [("", self.root)]
        while stack:
            path, node = stack.pop()
            if path:
                yield path, node
            if node.children:
                stack.extend((f"{path}/{name}", child) for name, child in sorted(node.children.items(), reverse=True))

    def resolve(self, path: str, follow_last: bool = True) -> Node | None:
        found = self._lookup(path, follow_last)
        return found[1] if found else None

    def real_path(self, path: str) -> str | None:
        found = self._lookup(path, True)
        return found[0] if found else None

    def trail(self, path: str) -> list[Node] | None:
        """Return every directory that is passed on the way to the path, and its node last."""
        passed: list[Node] = []
        return passed if self._lookup(path, True, passed) else None

    def _lookup(self, path: str, follow_last: bool, passed: list[Node] | None = None) -> tuple[str, Node] | None:
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        nodes, names, links = [self.root], [""], 0
        while todo:
            part = todo.pop()
            if part == "..":
                if len(nodes) > 1:
                    nodes.pop()
                    names.pop()
                continue
            if passed is not None:
                passed.append(nodes[-1])
            child = nodes[-1].children.get(part) if nodes[-1].children is not None else None
            if child is None:
                return None
            if child.kind == SYMLINK and (todo or follow_last):
                links += 1
                if links > MAX_LINKS:
                    return None
                if child.link.startswith("/"):
                    del nodes[1:], names[1:]
                todo.extend(step for step in reversed(child.link.split("/")) if step not in ("", "."))
                continue
            nodes.append(child)
            names.append(part)
        if passed is not None:
            passed.append(nodes[-1])
        return "/".join(names) or "/", nodes[-1]

    def apply(self, image: Image, inspector: Inspector, record_from: int | None = None) -> None:
        """Lay all layers of the image on top of each other, reading every file once."""
        inspector.spend = image.budget.spend_bytes
        for index, layer in enumerate(image.layers):
            stream = layer.stream(image.budget)
            record = record_from is not None and index >= record_from
            for entry, content in entries(stream):
                image.budget.spend_entry()
                self._apply_entry(entry, content, index, layer.what, inspector, record)
            stream.drain()

    def _apply_entry(
        self, entry: Entry, content: Content, index: int, what: str, inspector: Inspector, record: bool
    ) -> None:
        parts = _parts(entry.name, what)
        if entry.kind == GLOBAL:
            self._verify_global(parts, what)
            return
        if not parts:
            if entry.kind != DIRECTORY:
                raise Unusable(f"{what} has a {entry.kind} without a name")
            self._touch_directory(self.root, entry, index, [], "", record)
            return
        name = parts.pop()
        if name.startswith(WHITEOUT):
            self._apply_whiteout(parts, name, index, record)
            return
        parent = self._directory(parts, index, what)
        siblings = parent.children
        assert siblings is not None
        old = siblings.get(name)
        if entry.kind == HARDLINK:
            target = self.resolve("/".join(_parts(entry.link, what)), follow_last=False)
            if target is None or target.kind == DIRECTORY:
                shown = f"{_show([*parts, name])} names {_show([entry.link])}"
                raise Unusable(f"{what}: the hard link {shown}, which is not there")
            target.mode |= entry.mode  # engines give the file the mode of the link's header
            target.capabilities |= entry.capabilities
            siblings[name] = target
            parent.linked = parent.linked or {}
            parent.linked[name] = index
            self._note(record, index, parts, name, "changed" if old else "added", target.kind)
            return
        if entry.kind == DIRECTORY and old is not None and old.kind == DIRECTORY:
            self._touch_directory(old, entry, index, parts, name, record)
            return
        node = Node(entry.kind, entry.mode, index)
        self._touch(node, entry, index)
        if entry.kind == FILE:
            path = "/" + "/".join([*parts, name])
            facts = inspector.inspect(path, entry.size, content)
            node.facts = facts
            if facts is not None and facts.secret:
                self.secrets.append(LayerSecret(index, path, facts.secret))
        siblings[name] = node
        self._note(record, index, parts, name, "changed" if old else "added", node.kind)

    def _verify_global(self, parts: list[str], what: str) -> None:
        """Engines ignore a global header only after they have removed what has its name."""
        if not parts or parts[-1].startswith(WHITEOUT) or self.resolve("/".join(parts), follow_last=False):
            raise Unusable(f"{what} has a global header with the name of a file: {_show(parts)}")

    def _apply_whiteout(self, parts: list[str], name: str, index: int, record: bool) -> None:
        if name != OPAQUE and name.startswith(WHITEOUT * 2):
            return  # bookkeeping of a storage driver
        parent = self.resolve("/".join(parts))
        victim = "" if name == OPAQUE else name[len(WHITEOUT) :]
        self._note(record, index, parts, victim, "made opaque" if name == OPAQUE else "deleted")
        if parent is None or parent.children is None:
            return
        if name == OPAQUE:
            _purge(parent, index)
        else:
            _remove(parent, victim, index)

    def _touch_directory(self, node: Node, entry: Entry, index: int, parts: list[str], name: str, record: bool) -> None:
        if (node.mode, node.uid, node.gid) != (entry.mode, entry.uid, entry.gid):
            self._note(record, index, parts, name, "changed", DIRECTORY)
        self._touch(node, entry, index)

    @staticmethod
    def _touch(node: Node, entry: Entry, index: int) -> None:
        node.mode, node.uid, node.gid = entry.mode, entry.uid, entry.gid
        node.size, node.link, node.capabilities = entry.size, entry.link, entry.capabilities
        node.layer = index

    def _note(self, record: bool, index: int, parts: list[str], name: str, what: str, kind: str = "") -> None:
        """Note a change where it lands, which links may make another place than the tar names."""
        if record:
            folder = self.real_path("/".join(parts)) or "/" + "/".join(parts)
            path = f"{folder.rstrip('/')}/{name}".rstrip("/") or "/"
            self.changes.append(Change(index, path, what, kind))

    def _directory(self, parts: list[str], index: int, what: str) -> Node:
        """Return the directory, through links, making what is missing."""
        node = self.root
        for position, part in enumerate(parts):
            assert node.children is not None
            child = node.children.get(part)
            if child is not None and child.kind == SYMLINK:
                child = self.resolve("/".join(parts[: position + 1]))
                if child is None:
                    raise Unusable(f"{what}: {_show(parts)} goes through a link that leads nowhere")
            if child is None:
                child = node.children[part] = Node(DIRECTORY, 0o755, index)
            if child.children is None:
                raise Unusable(f"{what}: {_show(parts)} goes through something that is not a directory")
            node = child
        return node


def _purge(node: Node, index: int) -> None:
    """Remove what lower layers put into the directory; keep what this layer did."""
    assert node.children is not None
    for name in list(node.children):
        _remove(node, name, index)


def _remove(parent: Node, name: str, index: int) -> None:
    assert parent.children is not None
    child = parent.children.get(name)
    if child is None:
        return
    if child.children:
        _purge(child, index)
    layer = max(child.layer, parent.linked.get(name, -1)) if parent.linked else child.layer
    if layer < index and not child.children:
        del parent.children[name]


def _parts(name: str, what: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Unusable(f"{what} has a path that leads out of the image's root: {printable(name)}")
    if len(parts) > MAX_DEPTH:
        raise Unusable(f"{what} has a path of more than {MAX_DEPTH} levels")
    return parts


def _show(parts: list[str]) -> str:
    return printable("/" + "/".join(parts).lstrip("/"))
