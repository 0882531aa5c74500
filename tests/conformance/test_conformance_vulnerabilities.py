"""What to do about the flaws of a scan, and which records silence them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance_service import deviation, service, write
from conformance_tool import ROOT, Answer, run

SCANS = ROOT / "tests" / "pipeline" / "scans"
NOW = datetime.datetime.now(datetime.UTC)
LATER = f"{NOW + datetime.timedelta(days=30):%Y-%m-%d}"
GO_MOD = """\
module example.com/payments

require (
\tgithub.com/prometheus/client_golang v1.22.0
\tgo.opentelemetry.io/otel v1.40.0
)
"""
CRITICAL = (
    "VUL-001  go.mod:4: CVE-2026-20005 (critical) in github.com/prometheus/client_golang v1.22.0"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = service(tmp_path / "payments")
    write(made, "go.mod", GO_MOD)
    return made


def scan(
    root: Path, name: str, change: Callable[[Any], object] | None = None, hours: float = 1
) -> Path:
    """A recorded scan, with a database that is an hour old."""
    document = json.loads((SCANS / f"{name}.json").read_text())
    status = document["descriptor"]["db"]["status"]
    built = NOW - datetime.timedelta(hours=hours)
    status["built"] = status["built"].replace("BUILT", f"{built:%Y-%m-%dT%H:%M:%SZ}")
    if change:
        change(document)
    path = root.parent / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


def judged(root: Path, path: Path, *more: object) -> Answer:
    return run("vulnerabilities", path, "--repo", root, *more)


def test_an_image_without_flaws_passes_and_the_databases_age_is_said(root: Path) -> None:
    answer = judged(root, scan(root, "clean"))
    assert answer.code == 0
    assert any(
        line.startswith("note: the database of flaws was built at 2") for line in answer.lines
    )


def test_a_bump_that_is_due_fails_and_says_to_what(root: Path) -> None:
    answer = judged(root, scan(root, "critical"))
    assert answer.code == 1
    assert answer.found == [CRITICAL]
    assert "         fix: bump github.com/prometheus/client_golang to 1.22.1" in answer.lines


def test_what_a_base_or_a_builder_brought_is_reported_and_fails_nothing(root: Path) -> None:
    answer = judged(root, scan(root, "base"))
    assert answer.code == 0
    text = " ".join(answer.out.split())
    for line in (
        "tzdata 2026a-0+deb13u1: no fix yet: CVE-2026-20001 (high)",
        "netbase 6.5: no fix yet: CVE-2026-20002 (negligible)",
        "stdlib go1.26.4: no fix yet: CVE-2026-20003 (critical)",
        # The team's, and not urgent.
        "go.opentelemetry.io/otel v1.40.0: bump it to 1.41.0: CVE-2026-20004 (medium)",
    ):
        assert line in text


def test_a_rebuild_fixes_what_todays_bases_no_longer_have(root: Path) -> None:
    def still(document: Any) -> None:
        document["matches"] = [
            item for item in document["matches"] if item["artifact"]["name"] == "stdlib"
        ]

    release = scan(root, "base")
    bases = scan(root, "base", still).rename(root.parent / "bases.json")
    release = scan(root, "base")
    answer = judged(root, release, "--bases", bases)
    assert answer.code == 0
    text = " ".join(answer.out.split())
    assert "tzdata 2026a-0+deb13u1: a rebuild fixes this: CVE-2026-20001 (high)" in text
    assert "stdlib go1.26.4: no fix yet" in text
    # Nobody has mended it.
    assert "netbase 6.5: no fix yet" in text


def without_a_fix(document: Any) -> None:
    for item in document["matches"]:
        item["vulnerability"]["fix"] = {"versions": [], "state": "not-fixed"}
        item["matchDetails"][0].pop("fix", None)


def test_a_package_of_the_teams_without_a_fix_waits(root: Path) -> None:
    answer = judged(root, scan(root, "critical", without_a_fix))
    assert answer.code == 0
    assert "client_golang v1.22.0: no fix yet" in " ".join(answer.out.split())


PACKAGES = {
    "cargo": ("Cargo.lock", '[[package]]\nname = "ring"\nversion = "0.17.0"\n', "ring"),
    "npm": ("package-lock.json", '{"packages": {\n "node_modules/@fastify/ajv": {}\n}}\n',
            "@fastify/ajv"),
    "pypi": ("uv.lock", '[[package]]\nname = "typing-extensions"\n', "typing_extensions"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKAGES)
def test_the_lock_file_says_whose_a_package_is(root: Path, kind: str) -> None:
    lock, text, name = PACKAGES[kind]

    def rename(to: str) -> Callable[[Any], None]:
        def change(document: Any) -> None:
            [artifact] = [
                item["artifact"]
                for item in document["matches"]
                if "client_golang" in item["artifact"]["name"]
            ]
            artifact.update(name=to, purl=f"pkg:{kind}/{to}@1.0.0")

        return change

    write(root, lock, text)
    answer = judged(root, scan(root, "critical", rename(name)))
    assert answer.code == 1
    line = 1 if text.startswith("name") else 2
    assert answer.found[0].startswith(
        f"VUL-001  {lock}:{line}: CVE-2026-20005 (critical) in {name} "
    )
    # Node.js brings npm's own packages: the lock file does not know them.
    answer = judged(root, scan(root, "critical", rename("other")))
    assert answer.code == 0
    assert "other v1.22.0: no fix yet" in " ".join(answer.out.split())


def test_the_lock_file_is_that_of_what_was_built(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, "go.mod", GO_MOD.replace("client_golang", "common"))
    assert judged(root, scan(root, "critical"), "--source", source).code == 0


def test_a_record_silences_its_flaw(root: Path) -> None:
    deviation(root, deviates_from="ADR-010: VUL-001 CVE-2026-20005", expires=LATER)
    answer = judged(root, scan(root, "critical"))
    assert answer.code == 0
    assert answer.found == [f"{CRITICAL} (deviated by SVC-0001)"]
    assert run("repo", root).code == 0


def test_a_record_may_name_the_advisory(root: Path) -> None:
    deviation(root, deviates_from="ADR-010: VUL-001 GHSA-dddd-eeee-ffff", expires=LATER)
    assert judged(root, scan(root, "critical")).code == 0


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        ({"deviates_from": "ADR-010: VUL-001 CVE-2026-20004"}, []),
        ({"deviates_from": "ADR-010: VUL-001"}, ["DEV-004"]),
        (
            {"deviates_from": "ADR-010: VUL-001 CVE-2026-20005", "expires": "2026-01-31"},
            ["DEV-003"],
        ),
        ({"deviates_from": "ADR-010: VUL-001 CVE-2026-20005", "approver": ""}, ["DEV-001"]),
        ({"deviates_from": "ADR-010: VUL-001 CVE-2026-20005", "status": "Proposed"}, []),
        ({"deviates_from": "ADR-003: IMG-001 CVE-2026-20005"}, []),
    ],
    ids=["another flaw", "no flaw", "expired", "no approver", "proposed", "another check"],
)
def test_a_record_silences_nothing_else(
    root: Path, record: dict[str, str], wrong: list[str]
) -> None:
    deviation(root, **{"expires": LATER, **record})
    answer = judged(root, scan(root, "critical"))
    assert answer.code == 1
    assert CRITICAL in answer.found
    assert sorted(line[:7] for line in answer.found) == sorted([*wrong, "VUL-001"])


def test_a_record_without_a_flaw_fails_also_where_there_is_none(root: Path) -> None:
    deviation(root, deviates_from="ADR-010: VUL-001", expires=LATER)
    answer = judged(root, scan(root, "clean"))
    assert answer.code == 1
    assert [line[:7] for line in answer.found] == ["DEV-004"]


def test_findings_are_shown_in_a_request(root: Path) -> None:
    path = scan(root, "critical")
    [issue] = judged(root, path, "--format", "gitlab").report
    assert issue["location"] == {"path": "go.mod", "lines": {"begin": 4}}
    assert issue["check_name"] == "VUL-001"
    answer = judged(root, path, "--format", "github")
    assert answer.out.startswith(
        "::error file=go.mod,line=4,title=VUL-001 no-bump-is-due::CVE-2026"
    )


def no_database(document: Any) -> None:
    document["descriptor"]["db"] = {"status": {"built": "0001-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            lambda root: scan(root, "stale"),
            "the database of flaws is stale: it was built at 2026-11-01",
        ),
        (lambda root: scan(root, "clean", hours=121), "the database of flaws is stale"),
        (lambda root: scan(root, "clean", no_database), "the scanner had no database of flaws"),
        (lambda root: root / "none.json", "none.json: cannot read it: No such file"),
        (lambda root: write(root, "scan.json", "{}"), "scan.json: it is no scan"),
    ],
    ids=["stale", "a little stale", "no database", "no scan", "another file"],
)
def test_a_scan_that_says_nothing_is_refused_in_one_line(
    root: Path, path: Callable[[Path], Path | None], expected: str
) -> None:
    answer = judged(root, path(root) or root / "scan.json")
    assert answer.code == 2
    assert expected in answer.err
    assert len(answer.err.splitlines()) == 1


def test_how_old_a_database_may_be_is_a_setting(root: Path) -> None:
    path = scan(root, "clean", hours=121)
    assert judged(root, path, "--max-age", "122").code == 0
    assert judged(root, scan(root, "clean", hours=30), "--max-age", "24").code == 2


def test_the_scanners_settings_are_refused(root: Path) -> None:
    write(root, ".grype.yaml", "ignore:\n  - vulnerability: CVE-2026-20005\n")
    answer = run("repo", root)
    assert [line[:20] for line in answer.found] == ["VUL-002  .grype.yaml"]
    # And hide nothing.
    assert judged(root, scan(root, "critical")).found == [CRITICAL]
