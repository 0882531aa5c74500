"""What a run found, for people and for tools."""

from __future__ import annotations

import hashlib
import json

from .model import Check, Finding, Result
from .registry import ADRS, CHECKS

FORMATS = ("text", "json", "gitlab")


def render(result: Result, form: str) -> str:
    return {"text": _text, "json": _json, "gitlab": _gitlab}[form](result)


def where(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}" if finding.line else finding.path


def _text(result: Result) -> str:
    lines = [f"{item.check}  {where(item)}: {item.message}; {item.fix}" for item in result.open_findings]
    lines += [
        f"{item.check}  {where(item)}: {item.message}; deviated by {item.deviation}"
        for item in result.findings
        if item.deviation
    ]
    lines += [f"{check}  not run: {reason}" for check, reason in sorted(result.not_run.items())]
    found, deviated = len(result.open_findings), len(result.findings) - len(result.open_findings)
    summary = f"{result.subject}: {_count(len(result.checked), 'check')}, {_count(found, 'finding')}"
    if deviated:
        summary += f", {deviated} deviated"
    if result.not_run:
        summary += f", {_count(len(result.not_run), 'check')} not run"
    return "\n".join([*lines, summary])


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _json(result: Result) -> str:
    document = {
        "subject": result.subject,
        "checked": result.checked,
        "not_run": result.not_run,
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
    return "\n".join(
        f"{check.id}  {check.title:<{width}}  {check.adr}  {', '.join(check.rules):<6}  {check.summary}"
        for check in checks
    )


def explanation(check: Check) -> str:
    deviate = (
        "cannot be silenced: it looks after the deviations themselves"
        if check.id.startswith("DEV")
        else f"copy specs/ADRs/service/SVC-0000-template.md to the next free number, with the row\n"
        f"                | Deviates from | {check.adr}: {check.id} |\n"
        "            an Approver outside the team, an Expires date, and Status Accepted"
    )
    return "\n".join(
        (
            f"{check.id} {check.title}: {check.summary}",
            "",
            f"  why       {check.rationale}",
            f"  decision  {check.adr}: {ADRS[check.adr]} (specs/ADRs/)",
            f"  rule      {', '.join(check.rules)} (specs/guidelines/containerization.md)",
            f"  to fix    {check.fix}",
            f"  deviate   {deviate}",
        )
    )
