"""A house from its first file to an update of its services by a later release of the template.

It does what docs/house.md says, command by command.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from copier import run_copy, run_update
from history import append, substitute, update, write

from rendering import NIGHTLY, ROOT, changed_files, commit_all, copy_template, git, snapshot

sys.path.insert(0, str(ROOT / "scripts"))
import without_house

# Minutes each: nightly, and the whole fast tier once.
FAST_TIER = "make test-fast"
DEAR = () if NIGHTLY else ("make golden", "make blast-radius")
PAGE = (ROOT / "docs/house.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^`([^`]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What stands on the page for an address, and the variable that has one here.
ADDRESSES = {
    "https://git.example.com/platform/copier-service.git": "UPSTREAM",
    "https://git.example.com/acme/copier-service.git": "ORIGIN",
}


def follow(heading: str, place: Path, *without: str, **env: str) -> Path:
    """Do what a section of docs/house.md says, in a folder; return the folder that it ends in."""
    # A block may show a page, which has headings of its own.
    outside = BLOCK.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), PAGE)
    first = outside.index(f"\n## {heading}\n") + 1
    after = outside.find("\n## ", first)
    for path, _, text in BLOCK.findall(PAGE[first : after if after > 0 else None]):
        if path:
            write(path, text)(place)
            continue
        script = ["set -eu"]
        for line in text.splitlines():
            if not line.startswith((*DEAR, *without)):
                script.append(line)
            if line.startswith("cd acme"):
                script.append(f"{sys.executable} {ROOT}/scripts/without_house.py --link .")
        command = "\n".join([*script, "pwd"])
        for address, name in ADDRESSES.items():
            command = command.replace(address, f'"${name}"')
        done = subprocess.run(
            ["sh", "-c", command], cwd=place, env={**os.environ, "NIGHTLY": "", **env},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        place = Path(done.stdout.splitlines()[-1])
    return place


def run(root: Path, script: str, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, str(root / "scripts" / script), *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


def conformance(service: Path, *arguments: str) -> str:
    command = [sys.executable, "-B", "ci/conformance", *arguments]
    result = subprocess.run(command, cwd=service, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@dataclass
class Life:
    upstream: Path
    house: Path
    service: Path


def release(house: Path, version: str, note: str) -> None:
    notes = f"## [Unreleased]\n\n- {note}\n\n### Upgrading\n\nNothing to do.\n"
    substitute("house/CHANGELOG.md", r"## \[Unreleased\]\n", notes)(house)
    head = commit_all(house, "Write the notes")
    run(house, "release.py", version, "--tested", head)
    git(house, "push", "--quiet", "--follow-tags", "origin", "HEAD")


def later_release(upstream: Path) -> None:
    """What releases usually change: a pin, a job, a record, a rule, a question, the notes."""
    records = upstream / "template/specs/ADRs"
    last = max(path.name for path in records.glob("ADR-0*.md"))
    number = f"ADR-{int(last[4:7]) + 1:03}"
    [alone] = records.glob("ADR-008-*.md")  # it supersedes none
    text = alone.read_text(encoding="utf-8").replace("ADR-008", number)
    write(f"template/specs/ADRs/{number}-a-later-decision.md", text)(upstream)
    row = f"| [{number}](ADRs/{number}-a-later-decision.md) | Later |"
    tier = "\ntier:\n  type: str\n  help: Which tier is it in?\n  default: standard\n"
    guideline = "template/specs/guidelines/containerization.md"
    registry = "template/ci/conformance/registry.py"
    for edit in (
        substitute("bases.yml", "golang:1.26-trixie", "golang:1.27-trixie"),
        append("template/{{ gitlab }}/ci/gitlab/pipeline.yml", "\n# A later job.\n"),
        substitute("template/specs/README.md", r"\n\nRecords from", f"\n{row}\n\nRecords from"),
        substitute(guideline, "Numbers MUST be", "Each number MUST be"),
        substitute(registry, r'(    "ADR-001": )', rf'    "{number}": "later",\n\1'),
        append("copier.yml", tier),
        substitute("CHANGELOG.md", r"(## \[Unreleased\]\n)", r"\1\n- A later note.\n"),
        append("releases.yml", "# later\n"),
        append("tests/golden/go-distroless/MANIFEST", "later\n"),
    ):
        edit(upstream)
    run(upstream, "house.py")
    run(upstream, "lock.py")
    if NIGHTLY:  # when the house writes its own anew
        run(upstream, "golden.py")
    commit_all(upstream, "A later release")
    git(upstream, "tag", "v9.0.0")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """The first afternoon, and a team that edits its service."""
    scratch = tmp_path_factory.mktemp("life")
    upstream = without_house.make(ROOT, scratch / "upstream")
    git(upstream, "checkout", "--quiet", "-B", "main")  # a checkout of CI's may be on no branch
    git(scratch, "init", "--quiet", "--bare", "origin.git")
    service = follow(
        "The first afternoon of a platform team", scratch, *([] if NIGHTLY else [FAST_TIER]),
        UPSTREAM=str(upstream), ORIGIN=str(scratch / "origin.git"),
    )  # fmt: skip
    append("README.md", "\nOurs.\n")(service)
    append("Makefile", "\n.PHONY: ours\nours:\n\t@echo ours\n")(service)
    commit_all(service, "Edit")
    return Life(upstream, scratch / "acme-services", service)


def test_a_house_changes_no_file_of_the_template(life: Life) -> None:
    """But for what `make house` writes, which a merge may leave for it to write anew."""
    changed = git(life.house, "diff", "--name-only", "upstream/HEAD").split()
    written = (
        "template/ci/house/", "template/ci/conformance/house/", "template/specs/guidelines/house",
        "template/specs/ADRs/ADR-101-", "partials/house.json",
    )  # fmt: skip
    assert [path for path in changed if not path.startswith(("house/", *written))] == []


def test_a_new_service_is_the_house_s(life: Life) -> None:
    answers = yaml.safe_load((life.service / ".copier-answers.yml").read_text())
    assert answers["owner"] == "acme"
    assert answers["registry"] == "registry.acme.example/acme"
    assert answers["language"] == "python"
    assert answers["_commit"] == "v1.0.0"
    assert answers["_src_path"].endswith("/origin.git")
    for path in (
        "specs/ADRs/ADR-101-data-in-postgresql.md", "specs/guidelines/house.md",
        "specs/guidelines/house-records.md", "ci/conformance/house/databases.py",
    ):  # fmt: skip
        assert (life.service / path).exists(), path
    explained = " ".join(conformance(life.service, "explain", "ACME-001").split())
    for text in ("ADR-101: Data in PostgreSQL", "(security)", "180 days after", "Ada Lovelace"):
        assert text in explained


def is_upstream_without_house(life: Life) -> None:
    """The template's own tests run on a copy that is the template's own commit."""
    run(life.house, "without_house.py", ".cache/copy")
    head = git(life.upstream, "rev-parse", "HEAD").strip()
    assert git(life.house / ".cache/copy", "diff", "--name-only", head) == ""
    shutil.rmtree(life.house / ".cache")


def test_its_own_tests_pass(life: Life) -> None:
    """The part of the fast tier that a house changes; the rest runs on a copy without it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [] if NIGHTLY else ["-k", "hardened or fault or tag or note or current"]
    result = subprocess.run(
        [*command, "tests/house/test_own.py"], cwd=life.house, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout
    is_upstream_without_house(life)


def test_a_later_release_merges_and_arrives(life: Life) -> None:
    later_release(life.upstream)
    follow("A release of this template comes in", life.house, FAST_TIER)
    assert git(life.house, "tag").split() == ["v1.0.0"]
    assert git(life.house, "status", "--porcelain") == ""
    assert "golang:1.27" in (life.house / "template/ci/house/house.toml").read_text()
    for script in ("house.py", "lock.py"):
        run(life.house, script, "--check")
    is_upstream_without_house(life)
    (life.house / "fleet.txt").write_text(f"{life.service}\n")
    follow("What a release will do", life.house)
    (life.house / "fleet.txt").unlink()
    release(life.house, "1.1.0", "A second release of the house.")
    result = update(life.service)
    assert result.returncode == 0, result.stderr
    assert "from v1.0.0 to v1.1.0" in result.stderr
    assert "A second release of the house." in result.stderr
    assert "A later note." not in result.stderr
    assert (life.service / "README.md").read_text().endswith("\nOurs.\n")
    assert "ours:" in (life.service / "Makefile").read_text()
    assert "later job" in (life.service / "ci/gitlab/pipeline.yml").read_text()
    commit_all(life.service, "Update")
    conformance(life.service, "repo", "--strict")


def test_a_release_is_taken_back(life: Life) -> None:
    merge = git(life.house, "rev-list", "--merges", "--max-count=1", "HEAD").strip()
    follow("Taking one back", life.house, MERGE=merge)
    release(life.house, "2.0.0", "The second release is taken back.")
    result = update(life.service)
    assert result.returncode == 0, result.stderr
    assert "later job" not in (life.service / "ci/gitlab/pipeline.yml").read_text()
    assert not list(life.service.glob("specs/ADRs/*-a-later-decision.md"))
    assert (life.service / "README.md").read_text().endswith("\nOurs.\n")
    assert (life.service / "specs/ADRs/ADR-101-data-in-postgresql.md").exists()


def test_tags_of_the_template_stay_out(life: Life) -> None:
    git(life.house, "tag", "v8.0.0")
    head = git(life.house, "rev-parse", "HEAD").strip()
    said = run(life.house, "release.py", "1.2.0", "--tested", head, code=1)
    git(life.house, "tag", "--delete", "v8.0.0")
    assert "git tag --delete v8.0.0" in said
    assert "git fetch --no-tags" in said


def test_a_language_that_is_left_out_stays_that_of_a_service(tmp_path: Path) -> None:
    """Copier takes the default where an answer is no choice any more: another language."""
    template = copy_template(tmp_path / "template")
    for tag, edit in {
        "v1.0.0": append("README.md", "One.\n"),
        "v1.1.0": substitute("partials/house.json", '"rust", "java", ', '"rust", '),
        "v1.2.0": append("template/CODEOWNERS.jinja", "/image/ @{{ owner }}\n"),
    }.items():
        edit(template)
        commit_all(template, tag)
        git(template, "tag", tag)
    service = tmp_path / "service"
    java = {"language": "java"}
    run_copy(str(template), service, data=java, defaults=True, quiet=True, vcs_ref="v1.0.0")
    commit_all(service, "Scaffold")
    for tag in ("v1.1.0", "v1.2.0"):
        before = snapshot(service)
        run_update(service, defaults=True, quiet=True, overwrite=True, vcs_ref=tag)
        assert "language: java\n" in (service / ".copier-answers.yml").read_text()
        expected = [".copier-answers.yml", *(["CODEOWNERS"] if tag == "v1.2.0" else [])]
        assert changed_files(service, before) == expected
        commit_all(service, tag)
    with pytest.raises(ValueError, match="Platform team does not offer it to new services"):
        run_copy(str(template), tmp_path / "new", data=java, defaults=True, quiet=True)
