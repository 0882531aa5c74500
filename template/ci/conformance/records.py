"""Decision records and the guideline: form, numbers, chains, links, traceability."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Optional

from . import markdown
from .model import Check, Finding
from .registry import ADRS, CHECKS, HOUSE

FOLDER = "specs/ADRs"
SERVICE_FOLDER = "specs/ADRs/service"
GUIDELINE = "specs/guidelines/containerization.md"
HOUSE_GUIDELINE = "specs/guidelines/house.md"
HOUSE_SERIES = 101  # the template's own records end before it
TEMPLATE = re.compile(r"SVC-0000-|(?:README|template)\.md$", re.IGNORECASE)

STATUSES = ("Proposed", "Accepted", "Rejected", "Deprecated", "Superseded")
FIELDS = ("Date", "Status", "Deciders", "Supersedes", "Superseded by")
SECTIONS = {
    "ADR": (
        "Context and Problem Statement",
        "Decision Drivers",
        "Considered Options",
        "Decision Outcome",
        "Positive Consequences",
        "Negative Consequences / Risks",
        "Pros and Cons of the Options",
        "Confirmation",
        "Links",
    ),
    "SVC": ("Context and Problem Statement", "Decision Outcome"),
}

CHECK_ID = re.compile(r"(?<![\w-])(?!ADR-|SVC-|CVE-)[A-Z]{3,8}-\d{3}(?![\w-])")
_RECORD_ID = re.compile(r"\b(ADR-\d{3}|SVC-\d{4})\b")
_PART = re.compile(r"\b(?:ADR-\d{3}|SVC-\d{4}),? in part\b")
_FILE_NAME = {
    "ADR": re.compile(r"ADR-(\d{3})-[a-z0-9]+(?:-[a-z0-9]+)*\.md"),
    "SVC": re.compile(r"SVC-(\d{4})-[a-z0-9]+(?:-[a-z0-9]+)*\.md"),
}
_NOTHING = frozenset({"", "-", "—", "–", "none", "n/a", "tbd", "?", "todo"})  # noqa: RUF001
_RULE = re.compile(r"([A-Z]{3,8}-\d{2})\b\s*(.*)")
_CHECK_LINE = re.compile(r"[\s>*_-]*Checks?:[*_]*\s*(.*)$")


@dataclass
class Record:
    """One decision record, as far as it could be read."""

    path: str
    kind: str
    id: str
    document: markdown.Document
    fields: dict[str, tuple[str, int]]

    def value(self, name: str) -> str:
        text = markdown.plain(self.fields.get(name.lower(), ("", 0))[0])
        return "" if text.lower() in _NOTHING else text

    def line(self, name: str) -> int | None:
        return self.fields[name.lower()][1] if name.lower() in self.fields else None

    def names(self, name: str) -> list[str]:
        return list(dict.fromkeys(_RECORD_ID.findall(self.value(name))))


def parse_date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        return None


def read_text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Records:
    """Every record of the repository."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.records: list[Record] = []
        self.strangers: list[tuple[str, str]] = []
        self._load(FOLDER, "ADR")
        self._load(SERVICE_FOLDER, "SVC")

    def _load(self, folder: str, kind: str) -> None:
        try:
            names = sorted(os.listdir(os.path.join(self.root, folder)))
        except OSError:
            return
        for name in names:
            path = f"{folder}/{name}"
            if TEMPLATE.match(name) or not os.path.isfile(os.path.join(self.root, path)):
                continue
            match = _FILE_NAME[kind].fullmatch(name)
            if match is None:
                self.strangers.append((path, kind))
                continue
            document = markdown.Document.parse(read_text(os.path.join(self.root, path)))
            self.records.append(Record(path, kind, f"{kind}-{match.group(1)}", document, document.fields()))

    def find(self, record_id: str) -> Record | None:
        return next((record for record in self.records if record.id == record_id), None)

    def run(self, missing: Set[str] = frozenset()) -> Iterator[Finding]:
        """Check every record; `missing` files are reported elsewhere, so what lacks them is not."""
        yield from self._names()
        yield from self._numbers({name[len(FOLDER) + 1 :][:7] for name in missing if name.startswith(FOLDER)})
        for record in self.records:
            yield from self._fields(record)
            yield from self._sections(record)
            yield from self._chain(record)
            yield from self._confirmation(record)

    @staticmethod
    def _finding(check: str, path: str, message: str, line: int | None = None, fix: str = "") -> Finding:
        return Finding(check, path, message, fix or CHECKS[check].fix, line)

    # REC-001, REC-002

    def _names(self) -> Iterator[Finding]:
        for path, kind in self.strangers:
            shape = f"{kind}-{'N' * (3 if kind == 'ADR' else 4)}-<kebab-title>.md"
            yield self._finding("REC-001", path, f"the name does not have the form {shape}")
        for record in self.records:
            heading = record.document.headings[0] if record.document.headings else None
            if heading is None or heading.level != 1:
                yield self._finding("REC-001", record.path, f"no heading `# {record.id}: …` at the top", 1)
            elif not heading.text.startswith(record.id + ":"):
                message = f'the heading is "{heading.text}", the file name says {record.id}'
                yield self._finding("REC-001", record.path, message, heading.line)

    def _numbers(self, missing: Set[str]) -> Iterator[Finding]:
        for kind, width, first in (("ADR", 3, 1), ("ADR", 3, HOUSE_SERIES), ("SVC", 4, 1)):
            expected = first
            seen: dict[int, str] = {}
            for record in (item for item in self.records if item.kind == kind):
                number = int(record.id[4:])
                if kind == "ADR" and (number >= HOUSE_SERIES) != (first == HOUSE_SERIES):
                    continue
                gap = [f"{kind}-{left_out:0{width}}" for left_out in range(expected, number)]
                gap = [name for name in gap if name not in missing]
                if number in seen:
                    yield self._finding("REC-002", record.path, f"{record.id} is also the number of {seen[number]}")
                elif gap:
                    names = gap[0] if len(gap) == 1 else f"{gap[0]} to {gap[-1]}"
                    yield self._finding("REC-002", record.path, f"there is no {names} before {record.id}")
                seen[number] = record.path
                expected = max(expected, number + 1)

    # REC-003, REC-004, REC-005

    def _fields(self, record: Record) -> Iterator[Finding]:
        missing = [name for name in FIELDS if name.lower() not in record.fields]
        if missing:
            yield self._finding("REC-003", record.path, f"the table lacks {', '.join(missing)}", 1)
        if "date" in record.fields and parse_date(record.value("Date")) is None:
            message = f'Date is "{record.value("Date")}", expected YYYY-MM-DD'
            yield self._finding("REC-003", record.path, message, record.line("Date"))
        status = record.value("Status")
        if "status" in record.fields and status not in STATUSES:
            yield self._finding("REC-004", record.path, f'Status is "{status}"', record.line("Status"))

    def _sections(self, record: Record) -> Iterator[Finding]:
        present = {markdown.plain(heading.text).lower() for heading in record.document.headings}
        missing = [title for title in SECTIONS[record.kind] if title.lower() not in present]
        if missing:
            yield self._finding("REC-005", record.path, f"no section {', '.join(missing)}", 1)

    # REC-007

    def _chain(self, record: Record) -> Iterator[Finding]:
        for mine, theirs in (("Supersedes", "Superseded by"), ("Superseded by", "Supersedes")):
            names = record.names(mine)
            if record.value(mine) and not names:
                message = f'{mine} is "{record.value(mine)}", expected record ids or a dash'
                yield self._finding("REC-007", record.path, message, record.line(mine))
            for name in names:
                other = self.find(name)
                if other is None or other is record:
                    reason = "does not exist" if other is None else "is the record itself"
                    yield self._finding(
                        "REC-007", record.path, f"{mine} names {name}, which {reason}", record.line(mine)
                    )
                elif record.id not in other.names(theirs):
                    message = f"{mine} names {name}, but {theirs} there does not name {record.id}"
                    yield self._finding("REC-007", record.path, message, record.line(mine))
        if "status" in record.fields and "superseded by" in record.fields:
            # A record of which only a part is superseded holds.
            whole = _RECORD_ID.findall(_PART.sub("", record.value("Superseded by")))
            superseded, status = bool(whole), record.value("Status")
            if superseded != (status == "Superseded") and status in STATUSES:
                message = f"Status is {status}, Superseded by is {record.value('Superseded by') or 'empty'}"
                yield self._finding("REC-007", record.path, message, record.line("Status"))

    # REC-008

    def _confirmation(self, record: Record) -> Iterator[Finding]:
        section = record.document.section("Confirmation")
        if section is None:
            return  # REC-005 says so where it is wanted
        start, lines = section
        known = False
        for number, line in enumerate(lines, start + 1):
            for name in CHECK_ID.findall(line):
                known = known or name in CHECKS
                if name not in CHECKS:
                    yield self._finding("REC-008", record.path, f"Confirmation names {name}, which is no check", number)
        if record.kind == "ADR" and record.value("Status") == "Accepted" and not known:
            yield self._finding("REC-008", record.path, "Confirmation names no check", start)


# REC-006

PageReader = Callable[[str], Optional[markdown.Document]]


def broken_links(root: str, missing: Set[str] = frozenset()) -> Iterator[Finding]:
    """Find links that lead nowhere, but for those to `missing` files, which are reported elsewhere."""
    cache: dict[str, markdown.Document | None] = {}

    def page(path: str) -> markdown.Document | None:
        if path not in cache:
            full = os.path.join(root, path)
            cache[path] = markdown.Document.parse(read_text(full)) if os.path.isfile(full) else None
        return cache[path]

    pages = ["README.md"] if os.path.isfile(os.path.join(root, "README.md")) else []
    for folder, directories, names in os.walk(os.path.join(root, "specs")):
        directories.sort()
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        pages += [f"{relative}/{name}" for name in sorted(names) if name.endswith(".md")]
    for path in pages:
        document = page(path)
        for link in document.links() if document else []:
            reason = _why_broken(root, path, link.target, page, missing)
            if reason:
                yield Finding("REC-006", path, f"the link {link.target} {reason}", CHECKS["REC-006"].fix, link.line)


def _why_broken(root: str, path: str, target: str, page: PageReader, missing: Set[str]) -> str:
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", target) or not target:
        return ""
    place, _, anchor = target.partition("#")
    name = markdown.unescape(place.partition("?")[0])
    base = "" if name.startswith("/") else os.path.dirname(path)
    wanted = os.path.normpath(os.path.join(base, name.lstrip("/"))).replace(os.sep, "/") if name else path
    if wanted.startswith("../"):
        return "leads out of the repository"
    if not os.path.exists(os.path.join(root, wanted)):
        return "" if wanted in missing else "leads nowhere"
    if anchor and wanted.endswith(".md"):
        document = page(wanted)
        if document is not None and markdown.unescape(anchor).lower() not in document.anchors():
            return f"names a heading that is not in {wanted}"
    return ""


# REC-009


def guidelines(root: str, missing: Set[str]) -> Iterator[Finding]:
    """The platform's guideline with its checks, and the house's with those of the house, where it has any."""
    theirs = [check for check in CHECKS.values() if check.id in HOUSE]
    ours = [check for check in CHECKS.values() if check.id not in HOUSE]
    pages = [(GUIDELINE, ours)]
    if theirs or os.path.isfile(os.path.join(root, HOUSE_GUIDELINE)):
        pages.append((HOUSE_GUIDELINE, theirs))
    for page, checks in pages:
        if page not in missing:
            yield from _guideline(root, page, checks)


def _guideline(root: str, page: str, checks: list[Check]) -> Iterator[Finding]:
    """Every rule names its checks or a review, and every check has its rules."""

    def finding(message: str, line: int | None = None) -> Finding:
        return Finding("REC-009", page, message, CHECKS["REC-009"].fix, line)

    full = os.path.join(root, page)
    if not os.path.isfile(full):
        yield finding("the guideline is missing")
        return
    named: dict[str, set[str]] = {}
    rules: dict[str, int] = {}
    for rule, line, _, text in read_rules(read_text(full)):
        if rule in rules:
            yield finding(f"{rule} stands here and in line {rules[rule]}", line)
        rules[rule] = line
        if text is None:
            yield finding(f"{rule} does not say how it is checked", line)
            continue
        ids = CHECK_ID.findall(text)
        if not ids and not re.search(r"\breview\b", text, re.IGNORECASE):
            yield finding(f"{rule} names neither a check nor a review", line)
        for check in ids:
            named.setdefault(check, set()).add(rule)
            if check not in CHECKS:
                yield finding(f"{rule} names {check}, which is no check", line)
    for check in checks:
        missing = sorted(set(check.rules) ^ named.get(check.id, set()))
        if missing or not check.rules:
            yield finding(f"{check.id} and the rules {', '.join(missing) or '(none)'} do not name each other")


def guideline_rules(root: str) -> dict[str, tuple[str, str]]:
    """Map each rule to its title and its place."""
    found: dict[str, tuple[str, str]] = {}
    for page in (GUIDELINE, HOUSE_GUIDELINE):
        full = os.path.join(root, page)
        for rule, line, title, _ in read_rules(read_text(full)) if os.path.isfile(full) else ():
            found.setdefault(rule, (title, f"{page}:{line}"))
    return found


def read_rules(text: str) -> Iterator[tuple[str, int, str, str | None]]:
    """Yield id, line, title and the check line of every rule of a guideline."""
    document = markdown.Document.parse(text)
    for position, heading in enumerate(document.headings):
        match = _RULE.fullmatch(markdown.plain(heading.text))
        if match is None or heading.level < 2:
            continue
        following = document.headings[position + 1 : position + 2]
        end = following[0].line - 1 if following else len(document.lines)
        lines = document.lines[heading.line : end]
        found: str | None = None
        for offset, line in enumerate(lines):
            stated = _CHECK_LINE.match(line)
            if stated:
                rest = " ".join(lines[offset + 1 :]).partition("\n\n")[0]
                found = stated.group(1) + " " + rest
                break
        yield match.group(1), heading.line, match.group(2), found


def known_adr(name: str, records: Records) -> bool:
    return name in ADRS or records.find(name) is not None
