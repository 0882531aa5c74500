"""What a run found, for people and for tools."""

from __future__ import annotations

import hashlib
import json
import textwrap
from itertools import groupby

from . import house, records
from .adoption import Adoption
from .model import Check, Finding, Result
from .registry import ADRS, CHECKS, GROUPS, HOUSE

FORMATS = ("text", "json", "gitlab", "github")


def render(result: Result, form: str) -> str:
    return {"text": _text, "json": _json, "gitlab": _gitlab, "github": _github}[form](result)


def where(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}" if finding.line else finding.path


def _text(result: Result) -> str:
    """Return one line for each finding, and its remedy once for all that share it."""
    lines: list[str] = []
    for (_, fix), items in groupby(result.open_findings, lambda item: (item.check, item.fix)):
        lines += [f"{item.check}  {where(item)}: {item.message}" for item in items]
        lines.append(f"         fix: {fix}")
    lines += [
        f"{item.check}  {where(item)}: {item.message} (deviated by {item.deviation})"
        for item in result.findings
        if item.deviation
    ]
    for reason in dict.fromkeys(result.not_run.values()):
        checks = [check for check in CHECKS if result.not_run.get(check) == reason]
        lines += textwrap.wrap(f"not run: {', '.join(checks)} ({reason})", 110, subsequent_indent=" " * 9)
    lines += [f"not read: {what}" for what in result.not_read]
    for note in result.notes:
        lines += textwrap.wrap(f"note: {note}", 110, subsequent_indent=" " * 6)
    found, deviated = len(result.open_findings), len(result.findings) - len(result.open_findings)
    summary = f"{result.subject}: {_count(len(result.checked), 'check')}, {_count(found, 'finding')}"
    if deviated:
        summary += f", {deviated} deviated"
    if result.not_run:
        summary += f", {_count(len(result.not_run), 'check')} not run"
    lines.append(summary)
    if found:
        lines.append("why, and how to deviate: python3 ci/conformance explain ID")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _json(result: Result) -> str:
    document = {
        "subject": result.subject,
        "checked": result.checked,
        "not_run": result.not_run,
        "not_read": result.not_read,
        "notes": result.notes,
        "findings": [
            {
                "check": item.check,
                "title": CHECKS[item.check].title,
                "adr": CHECKS[item.check].adr,
                "rules": list(CHECKS[item.check].rules),
                "path": item.path,
                "line": item.line,
                "message": item.message,
                "fix": item.fix,
                "deviation": item.deviation,
            }
            for item in result.findings
        ],
    }
    return json.dumps(document, indent=2)


def _gitlab(result: Result) -> str:
    """Return the findings as a GitLab code-quality report."""
    issues = []
    seen: dict[str, int] = {}
    for item in result.findings:
        in_image = item.check.startswith(("IMG", "TWN"))
        text = (
            f"{item.check} {CHECKS[item.check].title}: {item.path + ': ' if in_image else ''}{item.message}; {item.fix}"
        )
        key = "\0".join((item.check, item.path, item.message))
        seen[key] = seen.get(key, 0) + 1
        digest = hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogateescape")).hexdigest()
        issues.append(
            {
                "check_name": item.check,
                "description": text + (f" (deviated by {item.deviation})" if item.deviation else ""),
                "fingerprint": digest,
                "severity": "info" if item.deviation else "major",
                "location": {
                    "path": "image/Dockerfile" if in_image else item.path,
                    "lines": {"begin": item.line or 1},
                },
            }
        )
    return json.dumps(issues, indent=2)


def _github(result: Result) -> str:
    """Return the findings as annotations of GitHub: commands that a step prints."""
    lines = []
    for item in result.findings:
        in_image = item.check.startswith(("IMG", "TWN"))
        place = {
            "file": "image/Dockerfile" if in_image else item.path,
            "line": str(item.line or 1),
            "title": f"{item.check} {CHECKS[item.check].title}",
        }
        text = f"{item.path + ': ' if in_image else ''}{item.message}; {item.fix}"
        text += f" (deviated by {item.deviation})" if item.deviation else ""
        where = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in place.items())
        lines.append(f"::{'notice' if item.deviation else 'error'} {where}::{_escaped(text)}")
    return "\n".join(lines)


def _escaped(text: str, more: str = "") -> str:
    for char in f"%\r\n{more}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def adoption(found: Adoption, form: str) -> str:
    """Return the list of what a repository lacks to be a service of the platform, in the order to do it."""
    if form in ("gitlab", "github"):
        return render(Result(found.subject, [item for step in found.steps for item in step.missing]), form)
    if form == "json":
        steps = [
            {
                "group": step.group,
                "step": step.what,
                "met": None if step.unknown else not step.missing,
                "missing": [
                    {
                        "check": item.check,
                        "path": item.path,
                        "line": item.line,
                        "message": item.message,
                        "fix": item.fix,
                    }
                    for item in step.missing
                ],
                "unknown": step.unknown,
            }
            for step in found.steps
        ]
        document = {"subject": found.subject, "complete": found.complete, "steps": steps, "notes": found.notes}
        return json.dumps(document, indent=2)
    lines = [f"{found.subject} is not under the template: what is met, and what is missing, in the order to do it"]
    for group, steps_of_it in groupby(found.steps, lambda step: step.group):
        lines += ["", group]
        for step in steps_of_it:
            state = "unknown" if step.unknown else "missing" if step.missing else "met"
            lines.append(f"  {state:<8} {step.what}{f' ({step.unknown})' if step.unknown else ''}")
            for item in step.missing:
                lines.append(f"           {where(item)}: {item.message}")
                lines.append(f"           do: {item.fix}")  # in one line, for it may hold a command to copy
    lines.append("")
    for note in found.notes:
        lines += textwrap.wrap(f"note: {note}", 110, subsequent_indent=" " * 6)
    met = sum(not step.missing and not step.unknown for step in found.steps)
    lines.append(f"{found.subject}: {met} of {len(found.steps)} are met")
    return "\n".join(lines)


def listing(form: str) -> str:
    checks = list(CHECKS.values())
    if form == "json":
        rows = [
            {
                "id": check.id,
                "title": check.title,
                "summary": check.summary,
                "adr": check.adr,
                "rules": list(check.rules),
                "rationale": check.rationale,
                "fix": check.fix,
                "needs_yaml": check.needs_yaml,
            }
            for check in checks
        ]
        return json.dumps(rows, indent=2)
    width = max(len(check.title) for check in checks)
    lines: list[str] = []
    for group, items in groupby(checks, lambda check: check.id.rpartition("-")[0]):
        lines += ["", f"{GROUPS[group]}"]
        lines += [
            f"{check.id}  {check.title:<{width}}  {check.adr}  {', '.join(check.rules):<6}  {check.summary}"
            for check in items
        ]
    return "\n".join(lines[1:])


def explanation(check: Check, root: str) -> str:
    """Return what a person needs who sees a finding; records and rules are those below `root`."""
    rules = records.guideline_rules(root)
    known = records.Records(root)
    decision = known.find(check.adr)
    deviate = (
        ["cannot be silenced: it looks after the deviations themselves"]
        if check.id.startswith("DEV")
        else [
            "copy specs/ADRs/service/SVC-0000-template.md to the next free number, with Status Accepted, "
            f"an Approver {_approvers()}, an Expires date{_at_most()}, and the row",
            f"| Deviates from | {check.adr}: {check.id} |",
        ]
    )
    named: list[str] = []
    for rule in check.rules:
        title, place = rules.get(rule, ("", records.HOUSE_GUIDELINE if check.id in HOUSE else records.GUIDELINE))
        named += [f"{rule}: {title}" if title else rule, place]
    parts = (
        ("why", [check.rationale]),
        ("fix", [check.fix]),
        ("decision", [f"{check.adr}: {_title(check.adr, decision)}", decision.path if decision else records.FOLDER]),
        ("rule", named),
        ("deviate", deviate),
        ("ask", [house.team()] if house.team() else []),
    )
    lines = [f"{check.id} {check.title}: {check.summary}", ""]
    for name, paragraphs in parts:
        for position, text in enumerate(paragraphs):
            first = f"  {'' if position else name:<10}"
            lines += textwrap.wrap(text, 100, initial_indent=first, subsequent_indent=" " * 12, break_on_hyphens=False)
    return "\n".join(lines)


def _title(adr: str, record: records.Record | None) -> str:
    if adr in ADRS or record is None or not record.document.headings:
        return ADRS.get(adr, "")
    return record.document.headings[0].text.partition(":")[2].strip()


def _approvers() -> str:
    names = house.names("approvers")
    return f"({', '.join(names)})" if names else "outside the team"


def _at_most() -> str:
    days = house.deviation_days()
    return f" at most {days} days after its Date" if days else ""
