"""docs/service-contract.md says what the suite checks of every service, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from contract import harness, suite

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
    return {code(row["variable"])[0]: code(row["default"])[0] for row in rows}


def keys(rows: list[Row]) -> object:
    every = {key for row in rows if row["in"] == "every line" for key in code(row["key"])}
    others = {key for row in rows for key in code(row["key"])} - every - {"trace_id"}
    return every, others


def metrics(rows: list[Row]) -> object:
    return {code(row["metric"])[0]: (row["type"], tuple(code(row["labels"]))) for row in rows}


def exit_codes(rows: list[Row]) -> object:
    return [set(re.findall(r"\b[0-9]\b", row["exit code"])) for row in rows]


def routes(rows: list[Row]) -> object:
    return {code(row["request"])[0] for row in rows}


# Table: how it is read, and what the suite holds every service to.
TABLES: dict[str, tuple[Callable[[list[Row]], object], object]] = {
    "Commands: command": (exit_codes, [{"0", "2"}, {"0"}, {"0", "1", "2"}, {"2"}]),
    "Configuration: variable": (variables, suite.DEFAULTS),
    "Endpoints: request": (routes, {*suite.ROUTES, *(f"GET {path}" for path in suite.UNLISTED)}),
    "Logs: key": (keys, (harness.LINE_KEYS, harness.REQUEST_KEYS)),
    "Metrics: metric": (metrics, {suite.DURATION: ("histogram", suite.LABELS)}),
}


@pytest.mark.parametrize("table", TABLES)
def test_the_page_says_what_is_checked(table: str) -> None:
    read, want = TABLES[table]
    assert read(tables(PAGE.read_text(encoding="utf-8"))[table]) == want


@pytest.mark.parametrize(
    ("before", "after", "table"),
    [
        ("two seconds at most, whatever the proxy variables | 0 healthy, 1", "x | 0 healthy, 3",
         "Commands: command"),
        ("| `PORT` | `8080` |", "| `PORT` | `80` |", "Configuration: variable"),
        ("| `GET /openapi.json` |", "| `GET /openapi` |", "Endpoints: request"),
        ("`status` `duration_ms` |", "`status` `duration` |", "Logs: key"),
        ("`http_route`, `http_response_status_code` |", "`http_route` |", "Metrics: metric"),
    ],
)  # fmt: skip
def test_another_page_is_noticed(before: str, after: str, table: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(before) == 1
    read, want = TABLES[table]
    assert read(tables(text.replace(before, after))[table]) != want


@pytest.mark.parametrize("language", ["go", "rust", "java", "python", "node"])
def test_a_service_names_the_same_variables(language: str) -> None:
    readme = PAGE.parents[1] / f"tests/golden/{language}-distroless/README.md"
    missing = {"IDLE_TIMEOUT_SECONDS"} if "idle-timeout" in suite.LACKS.get(language, {}) else set()
    named = variables(tables(readme.read_text(encoding="utf-8"))["Configuration: variable"])
    assert named == {name: suite.DEFAULTS[name] for name in suite.DEFAULTS.keys() - missing}


def test_the_rules_know_the_names_of_the_contract() -> None:
    groups = yaml.safe_load((PAGE.parent / "recording-rules.yml").read_text())["groups"]
    old, new = ({rule["record"] for rule in group["rules"]} for group in groups)
    assert new == {f"{suite.DURATION}_{part}" for part in ("count", "sum", "bucket")}
    for group, names in zip(groups, (new, old), strict=True):
        for rule in group["rules"]:
            # Taken from the other names, and only where a service has said it itself.
            assert re.findall(r"(\w+){\w+=\"\"}", rule["expr"])[0] in names, rule
    assert set(suite.LABELS) <= set(re.findall(r'"(\w+)"', groups[1]["rules"][0]["expr"]))
