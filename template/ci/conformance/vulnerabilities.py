"""What to do about each flaw that the scanner found: rebuild, wait, or bump a package.

A scan is Grype's JSON. What the base or the builder brought is theirs to mend: a rebuild
does it once today's have no such flaw. A package that the lock file names is the team's.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .deviations import Deviations
from .model import Finding, Result, Unusable, open_regular, printable
from .registry import CHECKS

BUMP, REBUILD, WAIT = "bump", "a rebuild fixes this", "no fix yet"
FAILING = ("critical", "high")
IGNORE_FILES = (".grype.yaml", ".grype.yml", ".grype/config.yaml", ".grype/config.yml")

# Where a package of the team's is named, by the type in its package URL, and how.
_LOCKS = {
    "cargo": (("Cargo.lock",), '^name = "{}"$'),
    "golang": (("go.mod", "go.sum"), r"^\s*(?:require )?{} v"),
    "maven": ((), ""),
    "npm": (("package-lock.json",), '"node_modules/(?:.*/node_modules/)?{}"'),
    "pypi": (("uv.lock",), '^name = "{}"$'),
}


@dataclass(frozen=True)
class Flaw:
    """One flaw in one package."""

    names: tuple[str, ...]
    severity: str
    package: str
    version: str
    kind: str
    fixes: tuple[str, ...]

    @property
    def of_a_language(self) -> bool:
        return self.kind in _LOCKS and not (self.kind == "golang" and self.package == "stdlib")


@dataclass(frozen=True)
class Scan:
    """What the scanner says, and how old what it knows is."""

    path: str
    built: datetime.datetime
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True)
class Verdict:
    """What to do about a flaw, and where the package is named."""

    flaw: Flaw
    what: str
    path: str = ""
    line: int | None = None

    @property
    def fails(self) -> bool:
        return self.what == BUMP and self.flaw.severity in FAILING

    def finding(self) -> Finding:
        flaw = self.flaw
        message = f"{flaw.names[0]} ({flaw.severity}) in {flaw.package} {flaw.version}"
        fix = f"bump {flaw.package} to {' or '.join(flaw.fixes)}"
        return Finding("VUL-001", self.path, message, fix, self.line, names=flaw.names)


def read(path: str) -> Scan:
    """Read a scan; stop at one that names no database."""

    def unusable(reason: str) -> Unusable:
        return Unusable(f"{printable(path)}: {reason}; want what `grype --output json` writes")

    try:
        with open_regular(path) as file:
            document = json.load(file)
        known = document["descriptor"]["db"]
        built = (known.get("status") or known).get("built")
        matches = [_flaw(item) for item in document["matches"]]
    except OSError as error:
        raise Unusable(f"{printable(path)}: cannot read it: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise unusable("it is no scan") from None
    when = _time(built)
    if when is None:
        raise unusable("the scanner had no database of flaws")
    return Scan(path, when, tuple(dict.fromkeys(matches)))


def read_fresh(paths: Sequence[str], now: datetime.datetime, greatest: datetime.timedelta) -> list[Scan]:
    """Read scans; stop where what the scanner knew is older than that."""
    scans = [read(path) for path in paths]
    for scan in scans:
        if now - scan.built > greatest:
            hours = int(greatest.total_seconds() // 3600)
            raise Unusable(
                f"the database of flaws is stale: it was built at {scan.built:%Y-%m-%dT%H:%MZ}, more than {hours} "
                "hours ago; see that VULNERABILITY_DB_URL names one that is kept up to date"
            )
    return scans


def _time(text: Any) -> datetime.datetime | None:
    match = re.match(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:\d{2})$", str(text))
    if match is None or match.group(1).startswith("0001"):
        return None
    zone = match.group(2).replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(match.group(1) + zone).astimezone(datetime.timezone.utc)


def _flaw(item: Any) -> Flaw:
    about, artifact = item["vulnerability"], item["artifact"]
    names = [about["id"], *(other["id"] for other in item.get("relatedVulnerabilities") or [])]
    # People know a flaw by its CVE; records name that.
    names.sort(key=lambda name: not name.startswith("CVE-"))
    fix = about.get("fix") or {}
    suggested = [detail.get("fix", {}).get("suggestedVersion") for detail in item.get("matchDetails") or []]
    fixes = [version for version in suggested if version] or (fix.get("versions") or [])
    kind = re.match(r"pkg:([a-z]+)/", str(artifact.get("purl") or ""))
    return Flaw(
        tuple(dict.fromkeys(map(printable, names))),
        printable(str(about.get("severity") or "unknown").lower()),
        printable(artifact["name"]),
        printable(artifact["version"]),
        kind.group(1) if kind else printable(str(artifact.get("type") or "")),
        tuple(dict.fromkeys(map(printable, fixes))) if fix.get("state") in (None, "fixed") else (),
    )


def judge(scan: Scan, source: str, today: Sequence[Scan]) -> Iterator[Verdict]:
    """Say what to do about each flaw. `source` has the lock file of what was built.

    `today` has scans of today's bases and builders. Without any the image was built on them:
    what they brought has no fix that a rebuild would bring.
    """
    named = _Locks(source)
    remaining = {(flaw.package, name) for each in today for flaw in each.flaws for name in flaw.names}
    for flaw in scan.flaws:
        place = named.find(flaw) if flaw.of_a_language else None
        if place is not None:
            yield Verdict(flaw, BUMP if flaw.fixes else WAIT, *place)
        elif not today or not flaw.fixes or any((flaw.package, name) in remaining for name in flaw.names):
            yield Verdict(flaw, WAIT)
        else:
            yield Verdict(flaw, REBUILD)


class _Locks:
    """Where the team names its packages."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._texts: dict[str, str | None] = {}

    def _text(self, path: str) -> str | None:
        if path not in self._texts:
            try:
                with open_regular(os.path.join(self._source, path)) as file:
                    self._texts[path] = file.read().decode("utf-8", "replace")
            except OSError:
                self._texts[path] = None
        return self._texts[path]

    def find(self, flaw: Flaw) -> tuple[str, int | None] | None:
        """Return file and line of a package; None where the lock file does not know it."""
        paths, pattern = _LOCKS[flaw.kind]
        name = re.escape(flaw.package)
        if flaw.kind == "pypi":
            name = re.sub(r"(?:\\?[-_.])+", "[-_.]+", name)
        there = [path for path in paths if self._text(path) is not None]
        for path in there:
            text = self._text(path) or ""
            match = re.search(pattern.format(name), text, re.MULTILINE | re.IGNORECASE)
            if match:
                return path, text.count("\n", 0, match.start()) + 1
        if there:
            return None
        return ("pom.xml" if flaw.kind == "maven" else "image/Dockerfile"), None


def result(target: str, verdicts: Sequence[Verdict], deviations: Deviations) -> Result:
    """Return what fails and no record silences, what is wrong with those records, and the rest as notes."""
    findings = [*deviations.apply([item.finding() for item in verdicts if item.fails]), *deviations.of_flaws()]
    return Result(target, findings, ["DEV-004", "VUL-001"], notes=_notes(verdicts))


def _notes(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a line for each package with flaws that do not fail: the verdict, and what they are."""
    lines: dict[str, list[str]] = {}
    for verdict in verdicts:
        if not verdict.fails:
            flaw = verdict.flaw
            what = f"bump it to {' or '.join(flaw.fixes)}" if verdict.what == BUMP else verdict.what
            lines.setdefault(f"{flaw.package} {flaw.version}: {what}", []).append(f"{flaw.names[0]} ({flaw.severity})")
    return [f"{line}: {', '.join(items)}" for line, items in sorted(lines.items())]


def ignore_files(root: str) -> Iterator[Finding]:
    """VUL-002: what the scanner would leave out without a word."""
    for path in IGNORE_FILES:
        if os.path.lexists(os.path.join(root, path)):
            message = "the scanner's own settings can hide flaws, without an approver and for ever"
            yield Finding("VUL-002", path, message, CHECKS["VUL-002"].fix)
