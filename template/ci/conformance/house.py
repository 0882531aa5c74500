"""What the platform offers: ci/house/house.toml, beside the checks that run.

It is TOML in a form that needs no parser, which Python has only since 3.11.
"""

from __future__ import annotations

import os
import re

from .model import open_regular

DATA = "ci/house/house.toml"
_FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "house", "house.toml")
_TABLE = re.compile(r"\[\[([a-z_]+)\]\]")
_LINE = re.compile(r'([a-z_]+) = "([^"\\]*)"')


def rows(table: str) -> list[dict[str, str]]:
    """The rows of a table; none where the file is not there, which PLT-003 says."""
    try:
        with open_regular(_FILE) as file:
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: dict[str, list[dict[str, str]]] = {}
    row: dict[str, str] = {}
    for line in lines:
        if heading := _TABLE.fullmatch(line):
            row = {}
            found.setdefault(heading.group(1), []).append(row)
        elif setting := _LINE.fullmatch(line):
            row[setting.group(1)] = setting.group(2)
    return found.get(table, [])


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    return re.sub(r":[^/:]+$", "", image.partition("@")[0])


def stands_for(image: str, offered: str) -> bool:
    """Tell whether an image is one that is offered, or its copy in a mirror."""
    name, wanted = repository(image), repository(offered)
    path = wanted.partition("/")[2]
    return name == wanted or name.endswith(f"/{wanted}") or ("/" in path and name.endswith(f"/{path}"))


def names(key: str) -> list[str]:
    """Return a list of the house, such as its approvers."""
    return [name for name in _value(key).split(", ") if name]


def deviation_days() -> int:
    """Return how many days a deviation may last; 0 for as many as it says."""
    days = _value("deviation_days")
    return int(days) if days.isdecimal() else 0


def team() -> str:
    """Say who the "Platform team" of the records is, where the house does."""
    deciders = _value("deciders")
    return f"{_value('name')}: {deciders}" if deciders else ""


def _value(key: str) -> str:
    values = rows("house")
    return values[0].get(key, "") if values else ""
