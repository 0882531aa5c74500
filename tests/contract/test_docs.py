"""docs/service-contract.md says what the suite checks of every service, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from contract import Limits, suite

PAGE = Path(__file__).resolve().parents[2] / "docs/service-contract.md"
Row = dict[str, str]


def tables(text: str) -> dict[str, list[Row]]:
    """Every table of a Markdown page, under the text of its first heading cell and section."""
    found: dict[str, list[Row]] = {}
    section, rows, cells = "", list[list[str]](), list[str]()
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following:
            section = following.content
        elif token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            cells = []
        elif token.type in ("th_open", "td_open") and following:
            cells.append(following.content)
        elif token.type == "tr_close":
            rows.append(cells)
        elif token.type == "table_close":
            head, *body = rows
            found[f"{section}: {head[0]}"] = [dict(zip(head, row, strict=True)) for row in body]
    return found


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def variables(rows: list[Row]) -> object:
    return [(code(r["variable"]), code(r["default"]), code(r["wants"])) for r in rows]


def keys(rows: list[Row]) -> object:
    found: dict[str, set[str]] = {}
    for row in rows:
        place = row["in"]
        messages = code(place) or [{"every line": "", "request lines": "request"}[place]]
        for message in messages:
            found.setdefault(message, set()).update(code(row["key"]))
    return found


def messages(rows: list[Row]) -> object:
    return {code(row["`msg`"])[0]: re.split(r"\W", row["`level`"])[0] for row in rows}


def metrics(rows: list[Row]) -> object:
    return {
        code(row["metric"])[0]: (row["type"].split(",")[0], set(code(row["labels"])))
        for row in rows
    }


def buckets(rows: list[Row]) -> object:
    histogram = next(row["type"] for row in rows if row["type"].startswith("histogram"))
    return [float(number) for number in re.findall(r"[0-9.]+", histogram)]


def titles(rows: list[Row]) -> object:
    return {int(row["status"]): row["title"] for row in rows}


def limits(rows: list[Row]) -> object:
    values = {row["limit"]: row["value"] for row in rows}
    return tuple(
        float(values[name].removesuffix(" s"))
        for name in (
            "request headers read within",
            "request read within",
            "idle connection kept for",
        )
    )


# Table: how it is read, and what the suite holds every service to.
TABLES: list[tuple[str, Callable[[list[Row]], object], object]] = [
    (
        "Configuration: variable",
        variables,
        [([name], [suite.DEFAULTS[name]], [want]) for name, want in suite.WANTS.items()],
    ),
    (
        "Logs: key",
        keys,
        {"": suite.LINE_KEYS, **{name: set(k) for name, (_, k) in suite.MESSAGES.items() if k}},
    ),
    ("Logs: `msg`", messages, {name: level for name, (level, _) in suite.MESSAGES.items()}),
    ("Metrics: metric", metrics, suite.METRICS),
    ("Metrics: metric", buckets, suite.BUCKETS[:-1]),
    ("Endpoints: status", titles, suite.TITLES),
    ("Limits: limit", limits, (Limits.headers, Limits.request, Limits.idle)),
]


@pytest.mark.parametrize(("table", "read", "want"), TABLES)
def test_the_page_says_what_is_checked(
    table: str, read: Callable[[list[Row]], object], want: object
) -> None:
    assert read(tables(PAGE.read_text(encoding="utf-8"))[table]) == want


@pytest.mark.parametrize(
    ("before", "after", "table"),
    [
        ("| `8080` | `an integer from 1", "| `80` | `an integer from 1", "Configuration: variable"),
        ("`an IP address`", "`an address`", "Configuration: variable"),
        ("`duration_ms` `request_id`", "`duration` `request_id`", "Logs: key"),
        ("| `stopped` | info |", "| `stopped` | warn |", "Logs: `msg`"),
        ("`http_requests_in_flight` | gauge", "`requests_in_flight` | gauge", "Metrics: metric"),
        ("0.25 0.5 1", "0.3 0.5 1", "Metrics: metric"),
        ("| 413 | Content Too Large |", "| 413 | Payload Too Large |", "Endpoints: status"),
        ("idle connection kept for | 60 s", "idle connection kept for | 75 s", "Limits: limit"),
    ],
)
def test_another_page_is_noticed(before: str, after: str, table: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(before) == 1
    changed = tables(text.replace(before, after))[table]
    assert any(read(changed) != want for name, read, want in TABLES if name == table)


def test_exit_codes_are_in_the_page() -> None:
    """What `commands` of the suite compare with: 0, 1 and 2, each with its reason."""
    rows = tables(PAGE.read_text(encoding="utf-8"))["Commands: command"]
    codes = {row["command"]: set(re.findall(r"\b[0-9]\b", row["exit code"])) for row in rows}
    assert codes == {
        "`<service>`": {"0", "1", "2"},
        "`<service> version`": {"0"},
        "`<service> healthcheck`": {"0", "1", "2"},
        "anything else": {"2"},
    }


def test_a_service_names_the_same_variables() -> None:
    readme = (PAGE.parents[1] / "template/README.md.jinja").read_text(encoding="utf-8")
    named = [
        (code(row["variable"])[0], code(row["default"])[0])
        for row in tables(readme)["Configuration: variable"]
    ]
    assert named == list(suite.DEFAULTS.items())
