"""What signs, and whether anybody asks who signed the bases: the same on both providers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from .model import Finding, open_regular
from .registry import CHECKS

ENVIRONMENT, JOB = "signing", "attest"
KEYS = ("COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD")
FOLDER = "ci/signing"


def bases_are_verified(path: str) -> Iterator[Finding]:
    """PIP-014, as the job `verify` sees it: a variable that is set for the pipeline reaches this job, too."""
    if os.environ.get("BASE_VERIFICATION", "").lower() in ("off", "false"):
        yield switched_off(path, None)


def switched_off(path: str, line: int | None) -> Finding:
    message = "BASE_VERIFICATION is off: nobody asks who signed the bases"
    return Finding("PIP-014", path, message, CHECKS["PIP-014"].fix, line)


def names_environment(job: Any) -> int | None:
    """Return the line in which a job names the environment with the keys."""
    environment = job.get("environment")
    name = environment.get("name") if isinstance(environment, dict) else environment
    return int(job.lines["environment"]) if name == ENVIRONMENT else None


def reaches(path: str, line: int | None, what: str) -> Finding:
    return Finding("PIP-015", path, what, CHECKS["PIP-015"].fix, line)


def private_keys(root: str) -> Iterator[Finding]:
    """PIP-015: a private key beside the public ones."""
    folder = os.path.join(root, FOLDER)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        try:
            with open_regular(os.path.join(folder, name)) as file:
                held = b"PRIVATE KEY-----" in file.read(1 << 20)
        except OSError:
            continue
        if held:
            fix = "take it out, make another pair, and trust this one no longer: git has it for ever"
            yield Finding("PIP-015", f"{FOLDER}/{name}", "a private key is in the repository", fix)
