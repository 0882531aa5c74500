"""All checks on a repository."""

from __future__ import annotations

import datetime
import os

from . import (
    adoption,
    dockerfile_checks,
    house_checks,
    manifests,
    ownership,
    pipeline,
    records,
    vulnerabilities,
    workflows,
)
from .deviations import Deviations
from .index import Index
from .model import Finding, Result, Unusable, printable
from .registry import CHECKS

_OF_IMAGES = ("IMG", "TWN", "VUL-001")


def deviations_of(root: str, today: datetime.date) -> Deviations:
    return Deviations(records.Records(root), today)


def check(root: str, today: datetime.date, strict: bool) -> Result:
    if not os.path.isdir(root):
        raise Unusable(f"{root} is not a directory")
    checked = [item for item in CHECKS if not item.startswith(_OF_IMAGES)]
    not_run: dict[str, str] = {}
    known = records.Records(root)
    deviations = Deviations(known, today)
    not_read: list[str] = []
    findings: list[Finding] = [*dockerfile_checks.run(root), *_pipeline(root, checked, not_run, not_read)]
    findings += _manifests(root, checked, not_run)
    findings += house_checks.run(root, not_run)
    index = Index(root)
    platform = list(ownership.platform_files(root, index))
    missing = frozenset(item.path for item in platform if item.check == "PLT-003")
    findings += [*known.run(missing), *records.broken_links(root, missing)]
    findings += records.guidelines(root, missing)
    findings += [*deviations.findings, *vulnerabilities.ignore_files(root), *platform, *ownership.leftovers(root)]
    findings += ownership.unmerged(index)
    if index.reason:
        not_run.update(dict.fromkeys(("PLT-005", "UPD-002"), index.reason))
    result = Result(os.path.basename(os.path.abspath(root)) or root, deviations.apply(_ordered(findings)))
    result.not_run = not_run
    result.not_read = not_read
    result.notes = adoption.place_in_git(root) if pipeline.present(root) else []
    result.checked = [item for item in checked if item not in not_run]
    result.failed = strict and bool(not_run)
    return result


def _pipeline(root: str, checked: list[str], not_run: dict[str, str], not_read: list[str]) -> list[Finding]:
    ids = [item for item in checked if item.startswith("PIP")]
    on_gitlab, on_github = pipeline.present(root), workflows.present(root)
    if not (on_gitlab or on_github):
        checked[:] = [item for item in checked if item not in ids]
        return []
    findings = list(pipeline.ci_image(root))
    if pipeline.available():
        if on_gitlab:
            read = pipeline.Pipeline(root)
            findings += read.run()
            not_read += [printable(what) for what in read.unread]
        if on_github:
            findings += workflows.Workflows(root).run()
        return findings
    not_run.update({item: "PyYAML is not installed: python3-yaml" for item in ids if CHECKS[item].needs_yaml})
    return findings


def _manifests(root: str, checked: list[str], not_run: dict[str, str]) -> list[Finding]:
    ids = [item for item in checked if item.startswith("KUB")]
    if not manifests.present(root):
        checked[:] = [item for item in checked if item not in ids]
        return []
    if pipeline.available():
        return list(manifests.repository(root))
    not_run.update(dict.fromkeys(ids, "PyYAML is not installed: python3-yaml"))
    return []


def _ordered(findings: list[Finding]) -> list[Finding]:
    unique = list(dict.fromkeys(findings))
    return sorted(unique, key=lambda item: (item.check, item.path, item.line or 0))
