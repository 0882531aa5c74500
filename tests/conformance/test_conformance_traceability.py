"""Rules, checks and decisions name each other, in the files that every service receives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conformance.records import CHECK_ID, GUIDELINE, HOUSE_GUIDELINE, Records, read_rules
from conformance.registry import ADRS, CHECKS, HOUSE
from conformance_tool import TEMPLATE, TOOL

from conformance import markdown

RULES = [
    rule
    for page in (GUIDELINE, HOUSE_GUIDELINE)
    if (TEMPLATE / page).exists()
    for rule in read_rules((TEMPLATE / page).read_text(encoding="utf-8"))
]
RECORDS = [item for item in Records(str(TEMPLATE)).records if item.kind == "ADR"]


def test_the_registry_is_complete() -> None:
    for check in CHECKS.values():
        # Three letters are the template's, more are a house's: no release takes one of them.
        letters = "{4,8}" if check.id in HOUSE else "{3}"
        assert re.fullmatch(rf"[A-Z]{letters}-\d{{3}}", check.id)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.title), check.id
        assert check.adr in {record.id for record in RECORDS}, check.id
        assert check.rules, check.id
        for text in (check.summary, check.rationale, check.fix):
            assert text.strip() == text
            assert text
            assert "\n" not in text


def test_every_rule_has_checks_that_exist_or_a_review() -> None:
    assert RULES
    for rule, _, _, text in RULES:
        assert text is not None, rule
        names = CHECK_ID.findall(text)
        assert names or "review" in text, rule
        assert not set(names) - set(CHECKS), rule


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_its_rules(check: str) -> None:
    named = {rule for rule, _, _, text in RULES if check in CHECK_ID.findall(text or "")}
    assert named == set(CHECKS[check].rules)


# Checks that came when their decision was accepted, and so complete: their rule names them.
LATER = {"DKF-017", "PIP-011", "PLT-005"}
# A record that supersedes a part of another is confirmed by a check of that one, which
# deviations name.
TAKEN_OVER = {"ADR-012": {"DKF-010"}}


@pytest.mark.parametrize("record", RECORDS, ids=lambda item: item.id)
def test_every_decision_names_exactly_its_checks(record: object) -> None:
    section = record.document.section("Confirmation")  # type: ignore[attr-defined]
    assert section is not None
    named = {name for line in section[1] for name in CHECK_ID.findall(line)}
    expected = {check.id for check in CHECKS.values() if check.adr == record.id}  # type: ignore[attr-defined]
    assert named == expected - LATER | TAKEN_OVER.get(record.id, set())  # type: ignore[attr-defined]


def test_the_registry_knows_every_decision() -> None:
    ours = [item.id for item in RECORDS if item.id <= "ADR-100"]
    assert ours == sorted(ADRS)


def test_checks_named_anywhere_in_the_specs_exist() -> None:
    families = {check.rpartition("-")[0] for check in CHECKS}
    for page in sorted((TEMPLATE / "specs").rglob("*.md")):
        document = markdown.Document.parse(page.read_text(encoding="utf-8"))
        for line in document.lines:
            for name in CHECK_ID.findall(line):
                family = name.rpartition("-")[0]
                assert name in CHECKS or family not in families, f"{page.name}: {name}"


def test_the_tool_is_standard_library_only() -> None:
    """PyYAML and a zstd library are used where they are found, inside functions."""
    for path in sorted(Path(TOOL).glob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.match(r"(?:import|from) (?:yaml|zstandard|compression)\b", line), path
