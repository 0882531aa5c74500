"""Releases: what may be one, what it writes, what it does to services, and its change log."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from history import AFTER, BEFORE, RELEASES, History, append, remove, substitute, write

from rendering import ROOT, commit_all, git

sys.path.insert(0, str(ROOT / "scripts"))
import releases

CONFIG: dict[str, Any] = {
    "_min_copier_version": "9.19.1",
    "name": {"type": "str", "default": "x", "validator": "{% if name | length > 9 %}no{% endif %}"},
    "language": {"type": "str", "choices": {"Go": "go", "Rust": "rust"}, "default": "go"},
    "base": {
        "type": "str",
        "choices": "{{ {'go': ['small', 'empty'], 'rust': ['small']}[language] | to_json }}",
        "default": "small",
    },
    "computed": {"type": "str", "when": False, "default": "{{ name }}", "validator": "no"},
}  # fmt: skip


def bump(**after: Any) -> list[tuple[str, str]]:
    changed = copy.deepcopy(CONFIG)
    for name, question in after.items():
        if question is None:
            del changed[name]
        elif isinstance(question, dict):
            changed[name] = {**changed.get(name, {}), **question}
        else:
            changed[name] = question
    return [(kind, what) for kind, what in releases.changes(CONFIG, changed)]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({}, []),
        ({"name": None}, [("major", "the question name was removed")]),
        (
            {"tier": {"type": "str"}},
            [("major", "the question tier is new and has no default")],
        ),
        ({"tier": {"default": "a"}}, [("minor", "the question tier is new")]),
        ({"name": {"type": "int"}}, [("major", "name has another type")]),
        ({"name": {"default": "y"}}, [("minor", "name has another default")]),
        (
            {"name": {"validator": "{% if 1 %}no{% endif %}"}},
            [("major", "the validator of name was changed, and may be narrower")],
        ),
        ({"name": {"help": "Another wording"}}, []),
        ({"computed": {"default": "y", "validator": "other"}}, []),
        (
            {"language": {"choices": {"Go": "go"}}},
            [
                ("major", "language does not offer rust any more"),
                ("major", "base does not offer rust: small any more"),
            ],
        ),
        (
            {"base": {"choices": "{{ {'go': ['small'], 'rust': ['small', 'tiny']}[language] }}"}},
            [
                ("major", "base does not offer go: empty any more"),
                ("minor", "base offers rust: tiny"),
            ],
        ),
        ({"_min_copier_version": "10"}, [("major", "Copier 10 is needed")]),
    ],
)
def test_what_a_change_of_the_questions_needs(
    after: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert sorted(bump(**after)) == sorted(expected)


def test_a_widened_validator_is_minor_when_a_person_says_so() -> None:
    changed = copy.deepcopy(CONFIG)
    changed["name"]["validator"] = ""
    assert [kind for kind, _ in releases.changes(CONFIG, changed, ("name",))] == ["minor"]


def test_code_in_an_update_is_never_released() -> None:
    with pytest.raises(releases.Refused, match="--trust"):
        bump(_tasks=["true"])


def test_a_service_that_would_be_renamed_is_named(checkout: Path) -> None:
    """Its Dockerfile would name a package that its own source does not have."""
    assert list(releases.name_changes(checkout, "HEAD^", "HEAD")) == []
    substitute(releases.NAMES, "'go': 'aux ", "'go': 'aux ledger ")(checkout)
    commit_all(checkout, "Reserve a name")
    assert list(releases.name_changes(checkout, "HEAD^", "HEAD")) == [
        ("major", "go services of these names have another package: ledger")
    ]


def test_only_trees_that_an_answer_chooses_are_in_services(checkout: Path) -> None:
    write("template/{{ cobol }}/Makefile.jinja", "all:\n")(checkout)
    write("template/{{ go }}/later.txt", "later\n")(checkout)
    commit_all(checkout, "Grow trees")
    assert list(
        releases.file_changes(
            releases.service_paths(checkout, "HEAD^"), releases.service_paths(checkout, "HEAD")
        )
    ) == [("minor", "go: later.txt is new")]


def test_make_release_tests_first() -> None:
    """Unless a person names the commit that CI has tested, or one of the past."""

    def commands(*arguments: str) -> str:
        result = subprocess.run(
            ["make", "--dry-run", "--directory", ROOT, "release", "VERSION=9.9.9", *arguments],
            capture_output=True, text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    # The commit that is tested, whatever is committed meanwhile.
    head = git(ROOT, "rev-parse", "HEAD").strip()
    before, script, after = commands().partition(f"scripts/release.py 9.9.9 --tested {head}")
    clean, tests, _ = before.partition("-m pytest")
    assert "git status --porcelain" in clean
    assert tests
    assert script
    assert "-m pytest" not in after
    named = commands("TESTED=abc", "WIDENED=owner")
    assert "-m pytest" not in named
    assert "--tested abc" in named
    assert "--widened owner" in named


@pytest.mark.parametrize(
    ("last", "kind", "expected"),
    [
        ("1.2.3", "major", "2.0.0"), ("1.2.3", "minor", "1.3.0"), ("1.2.3", "patch", "1.2.4"),
        ("0.2.3", "major", "0.3.0"), ("0.2.3", "minor", "0.2.4"),
    ],
)  # fmt: skip
def test_the_smallest_version(last: str, kind: releases.Bump, expected: str) -> None:
    assert releases.smallest_version(last, [(kind, "")]) == expected


def test_files_that_leave_and_arrive() -> None:
    before = {"Makefile": "merged", "ci/a": "platform", "ci/b": "platform"}
    after = {"ci/a": "merged", "new": "merged"}
    assert sorted(releases.file_changes(before, after)) == [
        ("major", "Makefile was removed, and teams may have edited it"),
        ("major", "ci/a was platform and is merged"),
        ("minor", "ci/b was removed"),
        ("minor", "new is new"),
    ]


NOTES = "- Another rule.\n\n### Upgrading\n\nNothing to do."


@pytest.fixture
def checkout(history: History, tmp_path: Path) -> Path:
    """A template with one release, 1.0.0, and a changed guideline since."""
    repository = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(history.repository), "checkout")
    git(repository, "reset", "--quiet", "--hard",
        git(history.repository, "rev-parse", BEFORE).strip())  # fmt: skip
    write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - 2026-01-01\n\n- One.\n")(
        repository
    )
    commit = commit_all(repository, "One")
    write(
        "releases.yml",
        f"releases:\n  - version: 1.0.0\n    commit: {commit}\n"
        '    date: "2026-01-01"\n    languages: [go]\n',
    )(repository)
    commit_all(repository, "Record")
    append("template/specs/guidelines/containerization.md", "\nAnother rule.\n")(repository)
    subprocess.run(
        [sys.executable, ROOT / "scripts/lock.py", "--root", repository], check=True
    )  # fmt: skip
    substitute("CHANGELOG.md", r"\[Unreleased\]\n", f"[Unreleased]\n\n{NOTES}\n")(repository)
    commit_all(repository, "Add a rule")
    return repository


def release(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/release.py", "--root", checkout, *arguments],
        capture_output=True, text=True,
    )  # fmt: skip


def test_a_release_is_dated_tagged_and_recorded(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD").strip()
    result = release(checkout, "1.0.1", "--tested", head)
    assert result.returncode == 0, result.stderr
    commit = git(checkout, "rev-parse", "v1.0.1^{commit}").strip()
    assert git(checkout, "rev-parse", f"{commit}^").strip() == head
    recorded = releases.read_releases(checkout)[-1]
    assert (recorded.version, recorded.commit) == ("1.0.1", commit)
    notes = releases.sections(git(checkout, "show", f"{commit}:CHANGELOG.md"))
    assert notes["Unreleased"] == ""
    assert notes["1.0.1"] == NOTES
    assert git(checkout, "status", "--porcelain") == ""
    # Nothing new, so no other release.
    head = git(checkout, "rev-parse", "HEAD").strip()
    again = release(checkout, "1.0.2", "--tested", head)
    assert again.returncode == 1
    assert "no notes under Unreleased" in again.stderr


def test_a_commit_of_the_past_becomes_a_release(checkout: Path) -> None:
    past = git(checkout, "rev-parse", "HEAD").strip()
    refused = release(checkout, "1.0.1", "--commit", past)
    assert refused.returncode == 1
    assert "no notes under [1.0.1]" in refused.stderr
    substitute("CHANGELOG.md", r"\[Unreleased\]\n", "[Unreleased]\n\n## [1.0.1] - 2026-01-02\n")(
        checkout
    )
    commit_all(checkout, "Write the notes")
    assert release(checkout, "1.0.1", "--commit", past).returncode == 0
    assert git(checkout, "rev-parse", "v1.0.1^{commit}").strip() == past
    assert releases.read_releases(checkout)[-1].commit == past


def test_what_is_refused(checkout: Path) -> None:
    def refusal(*arguments: str) -> str:
        before = git(checkout, "rev-parse", "HEAD")
        result = release(checkout, *arguments)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        assert git(checkout, "rev-parse", "HEAD") == before
        assert git(checkout, "tag") == ""
        return result.stderr

    head = git(checkout, "rev-parse", "HEAD").strip()
    assert "not a version" in refusal("v1.1")
    assert "tests have not passed" in refusal("1.0.1")
    assert "tests have not passed" in refusal("1.0.1", "--tested", "HEAD^")
    substitute("CHANGELOG.md", "Nothing to do.\n", "")(checkout)
    head = commit_all(checkout, "Say nothing")
    assert 'no "### Upgrading"' in refusal("1.0.1", "--tested", head)
    assert "need at least 1.0.1, not 1.0.0" in refusal("1.0.0", "--tested", head)
    append("template/ci/engine.sh", "# edited\n")(checkout)
    assert "uncommitted changes" in refusal("1.0.1", "--tested", head)
    commit_all(checkout, "Edit")
    assert "lock of platform files" in refusal("1.0.1", "--tested", "HEAD")
    remove("template/CODEOWNERS.jinja")(checkout)
    commit_all(checkout, "Remove")
    assert "need at least 2.0.0, not 1.1.0" in refusal("1.1.0", "--tested", "HEAD")


def test_the_blast_radius_is_the_diff_of_an_update(history: History, tmp_path: Path) -> None:
    report_path = tmp_path / "report"
    write("releases.yml", "releases: []\n")(history.repository)
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/blast_radius.py", "--root", history.repository,
         "--from", BEFORE, "--to", AFTER, "--output", report_path,
         "--only", "go-distroless", "python-distroless"],
        capture_output=True, text=True,
    )  # fmt: skip
    (history.repository / "releases.yml").unlink()
    assert result.returncode == 0, result.stderr
    report = report_path.with_suffix(".md").read_text(encoding="utf-8")
    assert "### `specs/ADRs/ADR-901-a-later-decision.md` added: every service" in report
    assert "### `specs/guidelines/incident-debugging.md` removed: every service" in report
    assert "### `.editorconfig` removed: go-distroless" in report
    assert "- minor: the question tier is new" in report
    assert "\n+HEALTHCHECK --interval=17s" in report
    assert "changed in the template" not in report
    page = report_path.with_suffix(".html").read_text(encoding="utf-8")
    assert "<ins>+HEALTHCHECK --interval=17s" in page
    assert "every service" in page


def changes_without_notes(root: Path, base: str) -> str:
    """What of a render changed since a commit, when the change log has no new note."""
    now = releases.sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))["Unreleased"]
    then = releases.sections(git(root, "show", f"{base}:CHANGELOG.md"))["Unreleased"]
    if releases.has_notes(now) and now != then:
        return ""
    return git(root, "diff", "--stat", base, "--", "copier.yml", "partials", "template")


def branched_off(root: Path) -> str:
    """The commit of the remote's main branch that HEAD goes on from, if it goes on."""
    for branch in ("origin/HEAD", "origin/main"):
        command = ["git", "-C", str(root), "merge-base", "HEAD", branch]
        base = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if base and base != git(root, "rev-parse", "HEAD").strip():
            return base
    return ""


@pytest.mark.skipif(not RELEASES, reason="there is no release yet")
def test_a_changed_render_has_a_note() -> None:
    last = RELEASES[-1]["commit"]
    if not releases.has_commit(ROOT, last):
        assert git(ROOT, "rev-parse", "--is-shallow-repository").strip() == "true"
        pytest.skip("this clone is shallow and has no commit of the last release")
    # Since the last release, and in this branch for itself.
    for base in filter(None, (last, branched_off(ROOT))):
        changed = changes_without_notes(ROOT, base)
        assert changed == "", f"say in CHANGELOG.md, under Unreleased, what changes:\n{changed}"


def test_a_changed_render_without_a_note_is_found(checkout: Path) -> None:
    last = releases.read_releases(checkout)[-1].commit
    assert changes_without_notes(checkout, last) == ""
    substitute("CHANGELOG.md", "- Another rule.\n", "")(checkout)
    assert "containerization.md" in changes_without_notes(checkout, last)


def test_a_branch_cannot_hide_behind_the_note_of_another_change(
    checkout: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", str(checkout), "branch")
    branch = tmp_path / "branch"
    assert branched_off(branch) == ""
    append("template/specs/guidelines/containerization.md", "\nA third rule.\n")(branch)
    commit_all(branch, "Add a third rule")
    base = branched_off(branch)
    assert base == git(checkout, "rev-parse", "HEAD").strip()
    assert "containerization.md" in changes_without_notes(branch, base)
    substitute("CHANGELOG.md", "- Another rule.", "- Another rule.\n- A third rule.")(branch)
    assert changes_without_notes(branch, base) == ""


def rewritten_notes(root: Path) -> list[str]:
    """The releases whose notes are not those that they were made with."""
    now = releases.sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    found = []
    for one in releases.read_releases(root):
        if releases.has_commit(root, one.commit):
            then = releases.sections(git(root, "show", f"{one.commit}:CHANGELOG.md"))
            # A commit of the past that became a release had them under Unreleased.
            if now[one.version] != then.get(one.version, then["Unreleased"]):
                found.append(one.version)
    return found


def test_notes_stay_as_they_were_released() -> None:
    """A rebase puts a note below the heading of a release that was made meanwhile."""
    assert rewritten_notes(ROOT) == []


def test_a_note_in_the_wrong_place_is_found(checkout: Path) -> None:
    assert rewritten_notes(checkout) == []
    substitute("CHANGELOG.md", "- One.", "- One.\n- Another one.")(checkout)
    assert rewritten_notes(checkout) == ["1.0.0"]


def test_recorded_releases_are_in_order_and_have_notes() -> None:
    recorded = releases.read_releases(ROOT)
    assert [r.number for r in recorded] == sorted(r.number for r in recorded)
    notes = releases.sections((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    for one in recorded:
        assert releases.has_notes(notes[one.version]), one.version
    assert yaml.safe_load((ROOT / "releases.yml").read_text())["releases"] == RELEASES
