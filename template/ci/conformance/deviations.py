"""Deviations: service records that silence checks, in writing and for a time."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import house
from .model import Finding
from .records import CHECK_ID, Record, Records, known_adr, parse_date
from .registry import CHECKS

_ADR_ID = re.compile(r"\bADR-\d{3}\b")
_FLAW = re.compile(r"\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3}|(?:GO|RUSTSEC|PYSEC)-\d{4}-\d{4,})\b")
_OF_FLAWS = frozenset({"VUL-001"})
_PLACEHOLDERS = frozenset({"name", "name or handle", "yyyy-mm-dd", "adr-nnn: check-id, check-id"})
_OVER = ("Rejected", "Deprecated", "Superseded")


@dataclass(frozen=True)
class Deviation:
    """What one record silences, if it counts today."""

    record: Record
    checks: tuple[str, ...]
    flaws: frozenset[str]
    counts: bool

    def silences(self, finding: Finding) -> bool:
        known = finding.check not in _OF_FLAWS or bool(self.flaws.intersection(finding.names))
        return self.counts and finding.check in self.checks and known


class Deviations:
    """All deviations of a service, and what is wrong with them."""

    def __init__(self, records: Records, today: datetime.date) -> None:
        self.findings: list[Finding] = []
        self._deviations: list[Deviation] = []
        self._approvers = house.names("approvers")
        self._days = house.deviation_days()
        for record in records.records:
            if record.kind == "SVC" and self._is_deviation(record):
                self._read(record, records, today)

    @staticmethod
    def _is_deviation(record: Record) -> bool:
        named = any(_field(record, name) for name in ("Deviates from", "Approver", "Expires"))
        return named and record.value("Status") not in _OVER

    def _read(self, record: Record, records: Records, today: datetime.date) -> None:
        found = [*_incomplete(record), *self._not_allowed(record), *_unknown(record, records)]
        expires = parse_date(_field(record, "Expires"))
        expired = expires is not None and expires <= today
        if expired:
            message = f"the deviation expired on {expires}"
            found.append(_finding("DEV-003", record, "Expires", message))
        self.findings += found
        text = _field(record, "Deviates from")
        checks = tuple(check for check in CHECK_ID.findall(text) if _may_be_silenced(check, text))
        complete = not any(item.check in ("DEV-001", "DEV-004") for item in found)
        counts = complete and not expired and record.value("Status") == "Accepted"
        self._deviations.append(Deviation(record, checks, frozenset(_FLAW.findall(text)), counts))

    def _not_allowed(self, record: Record) -> Iterator[Finding]:
        """What the house wants of a deviation besides."""
        approver = _field(record, "Approver")
        if approver and self._approvers and approver.lstrip("@") not in self._approvers:
            known = ", ".join(self._approvers)
            yield _finding("DEV-001", record, "Approver", f"Approver is {approver}; who may approve: {known}")
        first, last = parse_date(_field(record, "Date")), parse_date(_field(record, "Expires"))
        if first and last and self._days and (last - first).days > self._days:
            message = f"Expires is {(last - first).days} days after Date; at most {self._days} are allowed"
            yield _finding("DEV-001", record, "Expires", message)

    def apply(self, findings: Iterator[Finding] | list[Finding]) -> list[Finding]:
        """Mark the findings that a deviation silences."""
        return [dataclasses.replace(item, deviation=self._record(item)) for item in findings]

    def _record(self, finding: Finding) -> str | None:
        """Name the record that silences a finding; the last where several do."""
        return next((item.record.id for item in reversed(self._deviations) if item.silences(finding)), None)

    def of_flaws(self) -> list[Finding]:
        """Return what is wrong with the records that silence flaws."""
        paths = {item.record.path for item in self._deviations if _OF_FLAWS.intersection(item.checks)}
        return [item for item in self.findings if item.path in paths]


def _field(record: Record, name: str) -> str:
    value = record.value(name)
    return "" if value.lower() in _PLACEHOLDERS else value


def _finding(check: str, record: Record, name: str, message: str) -> Finding:
    return Finding(check, record.path, message, CHECKS[check].fix, record.line(name) or record.line("Deviates from"))


def _incomplete(record: Record) -> Iterator[Finding]:
    text = _field(record, "Deviates from")
    if not _ADR_ID.search(text) or not CHECK_ID.search(text):
        message = "Deviates from does not name a decision and its checks, as in `ADR-003: IMG-001`"
        yield _finding("DEV-001", record, "Deviates from", message)
    elif not _FLAW.search(text) and _OF_FLAWS.intersection(CHECK_ID.findall(text)):
        message = "Deviates from names no flaw, so nothing is silenced"
        yield _finding("DEV-004", record, "Deviates from", message)
    if not _field(record, "Approver"):
        yield _finding("DEV-001", record, "Approver", "the deviation has no Approver")
    expires = _field(record, "Expires")
    if parse_date(expires) is None:
        message = f'Expires is "{expires}", expected YYYY-MM-DD' if expires else "the deviation has no Expires"
        yield _finding("DEV-001", record, "Expires", message)


def _unknown(record: Record, records: Records) -> Iterator[Finding]:
    text = _field(record, "Deviates from")
    adrs = _ADR_ID.findall(text)
    for name in adrs:
        if not known_adr(name, records):
            yield _finding("DEV-002", record, "Deviates from", f"{name} does not exist")
    for check in CHECK_ID.findall(text):
        if check not in CHECKS:
            yield _finding("DEV-002", record, "Deviates from", f"{check} is no check")
        elif check.startswith("DEV"):
            yield _finding("DEV-002", record, "Deviates from", f"{check} looks after deviations and cannot be silenced")
        elif adrs and CHECKS[check].adr not in adrs:
            message = f"{check} belongs to {CHECKS[check].adr}, which is not named"
            yield _finding("DEV-002", record, "Deviates from", message)


def _may_be_silenced(check: str, text: str) -> bool:
    return check in CHECKS and not check.startswith("DEV") and CHECKS[check].adr in _ADR_ID.findall(text)
