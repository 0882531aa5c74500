"""The labels that lead from a container to its source and its base."""

from __future__ import annotations

import re

REQUIRED_LABELS = ("title", "version", "revision", "created", "source", "base.name", "base.digest")
NEVER_EMPTY_LABELS = ("title", "version")

PREFIX = "org.opencontainers.image."

_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/]\S*|[\w.-]+@[\w.-]+:\S+", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,}")
_VERSION = re.compile(
    r"v?(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_FORMS = {
    "created": (_TIME, "a time of RFC 3339 such as 2026-03-20T09:30:00Z"),
    "source": (_ADDRESS, "a URL"),
    "url": (_ADDRESS, "a URL"),
    "documentation": (_ADDRESS, "a URL"),
    "base.digest": (_DIGEST, "a digest such as sha256:…"),
}


def wrong_label(name: str, value: str, *, written: bool = True) -> str:
    """Say what is expected of a label whose value has not the form that the OCI gives it.

    The version of a build of a branch is none; one that is written into the file is.
    """
    if not name.startswith(PREFIX) or not value:
        return ""
    short = name[len(PREFIX) :]
    if short == "version" and written:
        return "" if _VERSION.fullmatch(value) else "a version such as 1.4.2"
    form, expected = _FORMS.get(short, (None, ""))
    return "" if form is None or form.fullmatch(value) else expected
