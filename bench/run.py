"""What a run was asked to do, and how it tells of its progress."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from xml.etree import ElementTree

_START = time.monotonic()


@dataclass(frozen=True)
class Options:
    """How much to measure."""

    languages: list[str]
    repeats: int
    seconds: int
    again: bool
    suite: list[ElementTree.Element] = field(default_factory=list)


def say(message: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - _START), 60)
    print(f"bench {minutes:3d}:{seconds:02d}  {message}", file=sys.stderr, flush=True)
