"""The figures: one JSON file, of which a run replaces only what it measured.

A section has rows, and each row knows the hash of what it was measured on. A row whose
inputs are the same is complete: that is what makes a run resumable. Times of two machines
cannot be compared, so a section that is measured on another machine starts anew.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

SCHEMA = 1
BUSY = 0.25


def machine(bases: str) -> dict[str, Any]:
    """What figures depend on, without a name or a place."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count() or 1,
        "processor": _processor(),
        "memory_gb": round(memory / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "bases": bases,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def digest(*parts: Any) -> str:
    """A short hash of whatever JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def tree_digest(root: Path, skip: Collection[str] = (".git",)) -> str:
    """A hash of every file below a directory, but for what is in some of its entries."""
    return digest(
        [
            [path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.relative_to(root).parts[0] not in skip
        ]
    )


class Results:
    """docs/benchmark.json, written after every figure."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shared = False
        self.data: dict[str, Any] = {"schema": SCHEMA, "sections": {}}
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if known.get("schema") == SCHEMA:
                self.data = known

    @property
    def sections(self) -> dict[str, Any]:
        found: dict[str, Any] = self.data["sections"]
        return found

    def rows(self, section: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.sections.get(section, {}).get("rows", {})
        return found

    def begin(self, section: str, here: dict[str, Any], load: float) -> None:
        """Start or go on with a section on this machine; `load` is what else it was doing."""
        known = self.sections.get(section, {})
        rows = known.get("rows", {}) if known.get("machine") == here else {}
        self.sections[section] = {"machine": here, "rows": rows}
        self._shared = load > BUSY * here["cores"]

    def keep(self, section: str, names: Iterable[str]) -> None:
        """Drop the rows of what is no longer offered."""
        rows = self.rows(section)
        for name in set(rows) - set(names):
            del rows[name]

    def row(self, section: str, name: str, inputs: str, again: bool = False) -> dict[str, Any]:
        """The row to fill: the known one if its inputs are the same, an empty one otherwise."""
        rows = self.rows(section)
        if again or rows.get(name, {}).get("inputs") != inputs:
            rows[name] = {"inputs": inputs}
        return rows[name]

    def save(self, row: dict[str, Any] | None = None) -> None:
        if row is not None:
            row["shared"] = row.get("shared", False) or self._shared
            row["measured"] = datetime.datetime.now(datetime.UTC).date().isoformat()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        work = self.path.with_suffix(".new")
        # A row that was begun and not measured is not a figure.
        sections = {
            name: section
            | {"rows": {key: row for key, row in section["rows"].items() if "measured" in row}}
            for name, section in self.sections.items()
        }
        data = self.data | {"sections": sections}
        text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        work.write_text(text, encoding="utf-8")
        os.replace(work, self.path)
