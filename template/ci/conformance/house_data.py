"""What the house decided for its services: ci/house/house.toml, in the fixed form that `make house` writes."""

from __future__ import annotations

import os
import re

from .model import open_regular

DATA = "ci/house/house.toml"
_HEADER = re.compile(r"\[\[?([a-z_]+)\]\]?")
_VALUE = re.compile(r'([a-z_]+) = "([^"\\]*)"')


def rows(root: str, table: str) -> list[dict[str, str]]:
    """Return each table of this name; none where the file is missing, which PLT-003 says."""
    found: list[tuple[str, dict[str, str]]] = []
    try:
        with open_regular(os.path.join(root, DATA)) as file:
            lines = file.read().decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    for line in lines:
        header, value = _HEADER.fullmatch(line), _VALUE.fullmatch(line)
        if header:
            found.append((header.group(1), {}))
        elif value and found:
            found[-1][1][value.group(1)] = value.group(2)
    return [row for name, row in found if name == table]


def names(root: str, key: str) -> list[str]:
    """Return a list of the house, such as its approvers."""
    values = rows(root, "house")
    return [name for name in (values[0].get(key, "") if values else "").split(", ") if name]


def deviation_days(root: str) -> int:
    """Return how many days a deviation may last; 0 for as many as it says."""
    values = rows(root, "house")
    text = values[0].get("deviation_days", "") if values else ""
    return int(text) if text.isdecimal() else 0
