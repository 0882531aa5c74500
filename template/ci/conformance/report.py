"""What a run found, for people and for tools."""

from __future__ import annotations

import hashlib
import json

from .model import Finding, Result
from .registry import CHECKS

FORMATS = ("text", "json", "gitlab")


def render(results: list[Result], form: str) -> str:
    if form == "json":
        return _json(results)
    if form == "gitlab":
        return _gitlab(results)
    return "\n".join(line for result in results for line in _text(result))


def where(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}" if finding.line else finding.path


def _text(result: Result) -> list[str]:
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
    return [*lines, summary]


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _json(results: list[Result]) -> str:
    documents = [
        {
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
        for result in results
    ]
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=2)


def _gitlab(results: list[Result]) -> str:
    """Return the findings as a GitLab code-quality report."""
    issues = []
    for result in results:
        for item in result.findings:
            in_image = item.check.startswith(("IMG", "TWN"))
            text = f"{item.check} {CHECKS[item.check].title}: {item.path + ': ' if in_image else ''}{item.message}"
            key = "\0".join((item.check, item.path, item.message))
            issues.append(
                {
                    "check_name": item.check,
                    "description": f"{text}; {item.fix}"
                    + (f" (deviated by {item.deviation})" if item.deviation else ""),
                    "fingerprint": hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest(),
                    "severity": "info" if item.deviation else "major",
                    "location": {
                        "path": "image/Dockerfile" if in_image else item.path,
                        "lines": {"begin": item.line or 1},
                    },
                }
            )
    return json.dumps(issues, indent=2)
