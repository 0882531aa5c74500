"""The few types that every module shares."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import BinaryIO


class Unusable(Exception):
    """The input cannot be checked at all: one clear line, exit code 2."""


@dataclass(frozen=True)
class Check:
    """A check and everything that `list` and `explain` say about it."""

    id: str
    title: str
    summary: str
    adr: str
    rules: tuple[str, ...]
    rationale: str
    fix: str
    needs_yaml: bool = False


@dataclass(frozen=True)
class Finding:
    """One violation: where, what, and how to fix it."""

    check: str
    path: str
    message: str
    fix: str
    line: int | None = None
    deviation: str | None = None
    names: tuple[str, ...] = ()  # of the flaw, of which a deviation has to name one


@dataclass
class Result:
    """What a run found, and which checks it ran."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)  # files that are part of the subject, elsewhere
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def open_findings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.deviation is None]


def open_regular(path: str) -> BinaryIO:
    """Open a file to read bytes; raise OSError for what is none, such as a pipe that would block."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "it is not a file")
    return open(path, "rb")


def printable(text: str) -> str:
    """Keep a name from an image on one line and free of terminal control codes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
