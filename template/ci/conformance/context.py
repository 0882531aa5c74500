"""What of a repository a build gets to see: .dockerignore, as the builders read it."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .model import open_regular

IGNORE = ".dockerignore"
_GLOB = frozenset("*?[\\")


@dataclass(frozen=True)
class _Pattern:
    text: str
    keeps: bool
    parts: tuple[re.Pattern[str] | None, ...]  # None stands for any number of directories

    def fits(self, path: str) -> bool:
        """Tell whether the pattern names the path or a directory above it."""
        reached = {0}
        for part in path.split("/"):
            reached = self._passed(reached)
            if len(self.parts) in reached:
                return True
            reached = {after for at in reached for after in self._after(at, part)}
        return len(self.parts) in reached

    def _after(self, at: int, part: str) -> Iterator[int]:
        expression = self.parts[at]
        if expression is None:
            yield at
        if (expression is None and at == len(self.parts) - 1) or (expression and expression.fullmatch(part)):
            yield at + 1

    def _passed(self, reached: set[int]) -> set[int]:
        """Add what comes behind the directories that may be none; the last of a pattern stands for something."""
        found = set(reached)
        for at in range(min(found, default=0), len(self.parts) - 1):
            if at in found and self.parts[at] is None:
                found.add(at + 1)
        return found


class Context:
    """The files that a build from the root of the repository may copy."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._patterns: list[_Pattern] = []
        try:
            with open_regular(os.path.join(root, IGNORE)) as file:
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return
        for line in text.removeprefix("\ufeff").splitlines():
            self._read(line)

    def _read(self, line: str) -> None:
        if line.startswith("#") or not line.strip():
            return
        pattern = line.strip()
        keeps = pattern.startswith("!")
        pattern = pattern[keeps:].strip()
        if not pattern:
            return
        pattern = posixpath.normpath(pattern).lstrip("/")
        parts = tuple(None if part == "**" else _expression(part) for part in pattern.split("/"))
        self._patterns.append(_Pattern(pattern, keeps, parts))

    def leaves_out(self, source: str) -> bool:
        """Tell whether a path is surely not there for COPY: nor, of a directory, anything below it."""
        path = posixpath.normpath(source.lstrip("/"))
        if path == "." or path.startswith("..") or _GLOB & set(source):
            return False
        left_out = False
        for pattern in self._patterns:
            if pattern.fits(path):
                left_out = not pattern.keeps
            elif pattern.keeps and self._may_be_below(pattern.text, path):
                left_out = False
        return left_out

    def _may_be_below(self, pattern: str, path: str) -> bool:
        if os.path.isfile(os.path.join(self.root, path)):
            return False
        return pattern.startswith(path + "/") or bool(_GLOB & set(pattern))


def _expression(part: str) -> re.Pattern[str]:
    """A part of a path as Go's filepath.Match has it; fnmatch's expressions go over a text once."""
    return re.compile(fnmatch.translate(part.replace("[^", "[!")), re.DOTALL)
