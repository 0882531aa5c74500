"""A platform team's own records, rules and checks, beside those of the template."""

from __future__ import annotations

import py_compile
import shutil
import sys
from pathlib import Path

import pytest
from conformance_service import deviation, edit, lock, record, service, write
from conformance_tool import Answer, run_process

CHECK = '''\
"""Data is in PostgreSQL."""

import os
from collections.abc import Iterator

from conformance.model import Check, Finding

CHECKS = (
    Check(
        "ACME-001",
        "one-database",
        "the service names no database but PostgreSQL",
        "ADR-101",
        ("ACME-01",),
        "Whoever is on call knows one database.",
        "take PostgreSQL",
    ),
)


def run(root: str) -> Iterator[Finding]:
    path = "compose.yaml"
    if os.path.isfile(os.path.join(root, path)):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if "mysql" in line:
                    yield Finding("ACME-001", path, "MySQL is named", CHECKS[0].fix, number)
'''
GUIDELINE = """\
# Acme's guideline

### ACME-01 One database

Data MUST be in PostgreSQL.

Check: `ACME-001`
"""
FAULT = "services:\n  db:\n    image: docker.io/library/mysql:8\n"


def a_record(root: Path, number: int, check: str = "ACME-001") -> str:
    """A decision of the house: the template's first record with another number."""
    [first] = (root / "specs/ADRs").glob("ADR-001-*.md")
    lines = first.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[0] = f"# ADR-{number}: Data in PostgreSQL\n"
    text = "".join(lines)
    head, _, rest = text.partition("## Confirmation\n")
    _, _, links = rest.partition("\n## ")
    return f"{head}## Confirmation\n\n- `{check}`\n\n## {links}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = service(tmp_path / "payments")
    shutil.rmtree(root / "ci/conformance/house", ignore_errors=True)
    write(root, "ci/conformance/house/databases.py", CHECK)
    write(root, "specs/guidelines/house.md", GUIDELINE)
    write(root, "specs/ADRs/ADR-101-data-in-postgresql.md", a_record(root, 101))
    lock(root)
    return root


def run(root: Path, *arguments: str) -> Answer:
    return run_process(*arguments, cwd=root, tool=root / "ci/conformance")


def found(root: Path) -> list[tuple[str, str, str | None]]:
    report = run(root, "repo", "--format", "json", "--today", "2026-06-01").report
    return [(item["check"], item["path"], item["deviation"]) for item in report["findings"]]


def test_a_service_that_follows_the_house_has_no_finding(root: Path) -> None:
    answer = run(root, "repo", "--strict")
    assert answer.code == 0, answer
    assert "ACME-001" in run(root, "repo", "--format", "json").report["checked"]


def test_a_fault_is_found_listed_and_explained(root: Path) -> None:
    write(root, "compose.yaml", FAULT)
    assert found(root) == [("ACME-001", "compose.yaml", None)]
    answer = run(root, "repo")
    assert answer.code == 1
    assert "ACME-001  compose.yaml:3: MySQL is named" in answer.lines
    listed = run(root, "list").out
    assert "The house's own\nACME-001  one-database" in listed
    assert "ACME-001" in {item["id"] for item in run(root, "list", "--format", "json").report}
    explained = " ".join(run(root, "explain", "acme-001").out.split())
    for text in (
        "Whoever is on call knows one database.",
        "ADR-101: Data in PostgreSQL specs/ADRs/ADR-101-data-in-postgresql.md",
        "ACME-01: One database specs/guidelines/house.md:3",
        "| Deviates from | ADR-101: ACME-001 |",
    ):
        assert text in explained


def test_a_deviation_silences_it(root: Path) -> None:
    write(root, "compose.yaml", FAULT)
    deviation(root, deviates_from="ADR-101: ACME-001")
    assert found(root) == [("ACME-001", "compose.yaml", "SVC-0001")]


def test_the_series_are_counted_apart(root: Path) -> None:
    write(root, "specs/ADRs/ADR-103-a-later-one.md", a_record(root, 103))
    lock(root)
    assert found(root) == [("REC-002", "specs/ADRs/ADR-103-a-later-one.md", None)]
    assert "there is no ADR-102 before ADR-103" in run(root, "repo").out
    (root / "specs/ADRs/ADR-103-a-later-one.md").unlink()
    write(root, "specs/ADRs/ADR-101-a-second-one.md", a_record(root, 101))
    lock(root)
    assert ("REC-002", "specs/ADRs/ADR-101-data-in-postgresql.md", None) in found(root)


@pytest.mark.parametrize(
    ("path", "old", "new", "check"),
    [
        ("specs/guidelines/house.md", "`ACME-001`", "`ACME-002`", "REC-009"),
        ("specs/guidelines/house.md", "Check: `ACME-001`", "", "REC-009"),
        ("specs/ADRs/ADR-101-data-in-postgresql.md", "`ACME-001`", "`ACME-009`", "REC-008"),
    ],
)
def test_records_rules_and_checks_name_each_other(
    path: str, old: str, new: str, check: str, root: Path
) -> None:
    edit(root, path, old, new)
    lock(root)
    assert {(item, where) for item, where, _ in found(root)} == {(check, path)}


def test_the_guideline_of_the_house_has_to_be_there(root: Path) -> None:
    (root / "specs/guidelines/house.md").unlink()
    lock(root)
    assert {item for item, _, _ in found(root)} == {"REC-009"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CHECKS = (\n", "SyntaxError: '(' was never closed"),
        ("CHECKS = ()\n", "'conformance.house.databases' has no attribute 'run'"),
        (CHECK.replace("ACME-001", "IMG-099"), "IMG-099 is the id of another check"),
        (CHECK.replace("import os", "import nowhere"), "No module named 'nowhere'"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_named(text: str, reason: str, root: Path) -> None:
    write(root, "ci/conformance/house/databases.py", text)
    answer = run(root, "repo")
    assert answer.code == 2
    assert answer.err.startswith("conformance: ci/conformance/house/databases.py: ")
    assert reason in answer.err
    assert answer.err.count("\n") == 1


def test_bytecode_beside_a_module_does_not_run(root: Path) -> None:
    """As for the tool's own modules: the lock vouches for the source."""
    write(root, "compose.yaml", FAULT)
    harmless = root / "harmless.py"
    harmless.write_text(CHECK.replace("mysql", "nothing"))
    place = root / "ci/conformance/house/databases.py"
    tag = f"__pycache__/databases.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(
        str(harmless), str(place.parent / tag),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    harmless.unlink()
    assert ("ACME-001", "compose.yaml", None) in found(root)


def test_a_library_that_is_missing_leaves_the_checks_not_run(root: Path) -> None:
    edit(root, "ci/conformance/house/databases.py", '    path = "compose.yaml"\n',
         '    import nowhere\n\n    path = "compose.yaml"\n')  # fmt: skip
    lock(root)
    answer = run(root, "repo")
    assert answer.code == 0
    assert "not run: ACME-001 (No module named 'nowhere')" in answer.out
    assert run(root, "repo", "--strict").code == 1


def test_a_record_of_a_service_is_no_decision_of_the_house(root: Path) -> None:
    record(root, 1)
    assert found(root) == []
