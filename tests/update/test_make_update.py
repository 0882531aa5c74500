"""The service's `make update`, `make update-check` and `make restore`, as a person runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from history import (
    AFTER,
    BEFORE,
    COPIER,
    PLATFORM,
    Edit,
    History,
    append,
    content,
    differences,
    edited_platform_files,
    remove,
    substitute,
    update,
    write,
)

from rendering import commit_all, git, rendered_files

LATER = "v1001.0.0"


@pytest.fixture
def service(history: History, tmp_path: Path) -> Path:
    return history.service(tmp_path / "service", BEFORE)


def follow_a_later_release(
    service: Path, history: History, template: Path, base: str, *edits: Edit
) -> None:
    """Make LATER of a release in a clone of the template, and have the service follow that."""
    source = str(history.repository)
    git(template.parent, "clone", "--quiet", "--branch", base, source, template.name)
    for edit in edits:
        edit(template)
    commit_all(template, LATER)
    git(template, "tag", LATER)
    substitute(".copier-answers.yml", "_src_path: .*", f"_src_path: {template}")(service)


def status(service: Path) -> str:
    return git(service, "status", "--porcelain")


def version(service: Path) -> str:
    lines = (service / ".copier-answers.yml").read_text().splitlines()
    return next(line.removeprefix("_commit: ") for line in lines if line.startswith("_commit: "))


def make(service: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=service,
        env={**os.environ, "COPIER": COPIER}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip


def test_it_says_what_it_brings(service: Path) -> None:
    result = make(service, "update")
    assert result.returncode == 0, result.stderr
    assert f"from {BEFORE} to {AFTER}" in result.stderr
    assert "A note of the second release." in result.stderr
    assert "A note of the first release." not in result.stderr
    assert "Not released." not in result.stderr
    assert version(service) == AFTER
    commit_all(service, "Update")
    again = make(service, "update")
    assert again.returncode == 0
    assert f"on {AFTER} already" in again.stderr
    assert status(service) == ""


def test_it_refuses_a_dirty_tree(service: Path) -> None:
    # A team's git may be told not to show new files; the update would still undo them.
    git(service, "config", "status.showUntrackedFiles", "no")
    write("new.txt", "new\n")(service)
    result = update(service)
    assert result.returncode == 1
    assert "uncommitted changes; commit or stash them" in result.stderr
    assert "?? new.txt" in result.stderr
    assert (service / "new.txt").exists()
    assert version(service) == BEFORE


def test_it_lists_conflicts_and_can_be_undone(service: Path) -> None:
    (service / "CODEOWNERS").write_text("/image/ @someone-else\n")
    commit = commit_all(service, "Edit")
    result = make(service, "update")
    assert result.returncode == 2
    assert "have conflicts; resolve each one:\n  CODEOWNERS\n" in result.stderr
    again = update(service)
    assert again.returncode == 1
    assert "uncommitted changes" in again.stderr
    assert "interrupted" not in again.stderr
    undo = next(line for line in result.stderr.splitlines() if "undo it with: " in line)
    subprocess.run(undo.split("with: ")[1], shell=True, cwd=service, check=True)
    assert status(service) == ""
    assert git(service, "rev-parse", "HEAD").strip() == commit


def test_a_pinned_release_and_the_way_back(service: Path, history: History) -> None:
    substitute("README.md", "## Try it", "## Ours")(service)
    commit_all(service, "Edit")
    # Without its v, too.
    assert update(service, VERSION=AFTER.removeprefix("v")).returncode == 0
    assert version(service) == AFTER
    commit_all(service, "Update")
    write("docs/later.md", "Written after the update.\n")(service)
    commit_all(service, "Write")
    result = update(service, VERSION=BEFORE)
    assert result.returncode == 0, result.stderr
    assert version(service) == BEFORE
    assert differences(service, history.fresh(BEFORE), "go") == {"README.md", "docs/later.md"}
    assert edited_platform_files(service) == set()
    commit_all(service, "Go back")
    # And on again: going back was a decision for a day.
    assert update(service).returncode == 0
    assert differences(service, history.fresh(AFTER), "go") == {"README.md", "docs/later.md"}


def test_a_way_back_with_a_conflict_says_that_it_is_not_all(
    service: Path, history: History, tmp_path: Path
) -> None:
    """A revert stops at the newest update; the older ones are still to be reverted."""
    later = write("template/later.txt", "later\n")
    follow_a_later_release(service, history, tmp_path / "template", AFTER, later)
    commit_all(service, "Move")
    for release in (AFTER, LATER):
        assert update(service, VERSION=release).returncode == 0
        commit_all(service, f"Update to {release}")
    append("later.txt", "ours\n")(service)
    commit_all(service, "Edit what the last update brought")

    result = update(service, VERSION=BEFORE)
    assert result.returncode == 1
    assert "  later.txt\n" in result.stderr
    again = next(line for line in result.stderr.splitlines() if "not all of the way" in line)
    assert again.endswith(f"make update VERSION={BEFORE}")
    commit_all(service, "Keep ours")
    assert version(service) == AFTER
    result = update(service, VERSION=BEFORE)
    assert result.returncode == 0, result.stderr
    assert version(service) == BEFORE


def test_a_local_file_that_git_ignores_is_kept(
    service: Path, history: History, tmp_path: Path
) -> None:
    """No commit has it, so nothing could bring it back."""
    follow_a_later_release(
        service, history, tmp_path / "template", BEFORE,
        write("template/local settings.env", "DEFAULT=1\n"),
        write("template/other.env", "DEFAULT=1\n"),
    )  # fmt: skip
    append(".gitignore", "*.env\n")(service)
    commit_all(service, "Move")
    write("local settings.env", "OURS=1\n")(service)
    result = update(service)
    assert result.returncode == 0, result.stderr
    assert (service / "local settings.env").read_text() == "OURS=1\n"
    assert "which git ignores here, were kept:\n  local settings.env\n" in result.stderr

    git(service, "reset", "--quiet", "--hard")
    (service / "other.env").unlink()
    failing = tmp_path / "copier"
    failing.write_text('#!/bin/sh\necho half > "local settings.env"\nexit 1\n')
    failing.chmod(0o755)
    result = update(service, COPIER=str(failing))
    assert "the service is as it was" in result.stderr
    assert (service / "local settings.env").read_text() == "OURS=1\n"


def test_no_way_back_to_where_it_never_was(history: History, tmp_path: Path) -> None:
    service = history.service(tmp_path / "service", AFTER)
    result = update(service, VERSION=BEFORE)
    assert result.returncode == 1
    assert "was never on it" in result.stderr
    assert status(service) == ""


def test_an_unknown_release_is_named_with_those_there_are(service: Path) -> None:
    result = update(service, VERSION="v7.7.7")
    assert result.returncode == 1
    assert "no release v7.7.7" in result.stderr
    assert BEFORE in result.stderr
    assert status(service) == ""


def test_check_exits_as_copier_does(service: Path, history: History, tmp_path: Path) -> None:
    result = update(service, "check")
    assert result.returncode == 2
    assert f"on {BEFORE}; {AFTER[1:]} is available" in result.stdout
    assert make(service, "update-check").returncode != 0
    result = update(history.service(tmp_path / "current", AFTER), "check")
    assert result.returncode == 0
    assert "the newest release" in result.stdout


def test_restore_brings_back_the_platform_files_and_touches_nothing_else(
    service: Path, history: History
) -> None:
    """Every file of every class edited, some deleted, one added, nothing committed."""
    for path in rendered_files(service):
        if not (service / path).is_symlink():
            append(str(path), "# edited\n")(service)
    substitute(".copier-answers.yml", "# edited\n", "")(service)
    remove("ci/platform.lock")(service)
    remove("ci/gitlab/platform.lock")(service)
    remove("ci/pipeline/platform.lock")(service)
    remove("CODEOWNERS")(service)
    remove("cmd/payments/main.go")(service)
    shutil.rmtree(service / "ci/conformance")
    write("notes.txt", "untracked\n")(service)
    write("specs/ADRs/service/SVC-0001-ours.md", "# Ours\n")(service)
    expected = {path: content(service / path) for path in rendered_files(service)}
    pristine = history.fresh(BEFORE)
    for path in rendered_files(pristine):
        if PLATFORM.match_file(path.as_posix()):
            expected[path] = content(pristine / path)
    result = update(service, "restore")
    assert result.returncode == 0, result.stderr
    assert {path: content(service / path) for path in rendered_files(service)} == expected
    assert edited_platform_files(service) == set()


def test_restore_settles_a_conflict_in_a_platform_file(service: Path) -> None:
    append("specs/guidelines/containerization.md", "\nOur own rule.\n")(service)
    commit_all(service, "Edit")
    assert update(service).returncode == 1
    assert update(service, "restore").returncode == 0
    assert edited_platform_files(service) == set()


def test_an_answer_of_two_lines_is_not_reported(history: History, tmp_path: Path) -> None:
    """YAML folds what is long."""
    long = " ".join(["Takes the payments of every customer."] * 5)
    service = history.service(tmp_path / "service", BEFORE, description=long)
    assert "\n  " in (service / ".copier-answers.yml").read_text()
    result = update(service)
    assert result.returncode == 0, result.stderr
    assert "does not know these answers" not in result.stderr


def test_an_answer_that_was_reset_is_reported(history: History, tmp_path: Path) -> None:
    """A validator that is narrowed takes the default without a word from Copier."""
    service = history.service(tmp_path / "service", BEFORE, owner="acme/checkout")
    narrow = substitute("copier.yml", r"owner \| length > 100 or", "'/' in owner or")
    follow_a_later_release(service, history, tmp_path / "template", BEFORE, narrow)
    commit_all(service, "Move")
    result = update(service)
    assert result.returncode in (0, 1)
    assert "does not know these answers" in result.stderr, result.stderr
    assert "  owner: acme/checkout\n" in result.stderr


def test_the_teams_own_file_stays(service: Path, history: History, tmp_path: Path) -> None:
    """Of the name of one that the release brings: nothing is there to merge it with."""
    own = {"docs/NOTES.md": "# Ours\n", "our notes.md": "Ours, too\n"}
    follow_a_later_release(
        service, history, tmp_path / "template", AFTER,
        *(write(f"template/{path}", "# The template's\n\nAnother text.\n") for path in own),
        write("template/docs/free.md", "Free.\n"),
    )  # fmt: skip
    for path, text in own.items():
        write(path, text)(service)
    commit_all(service, "Notes")
    result = update(service)
    assert result.returncode == 0, result.stderr
    assert f"{LATER} brings files of these names, and yours were kept" in result.stderr
    for path, text in own.items():
        assert f"  {path}\n" in result.stderr
        assert (service / path).read_text() == text
    assert (service / "docs/free.md").exists()
    assert git(service, "ls-files", "--unmerged") == ""
    # It is settled: the next update has nothing to say about them.
    commit_all(service, "Update")
    again = update(service, DATA="description=Another")
    assert again.returncode == 0, again.stderr
    assert "yours were kept" not in again.stderr


def test_a_file_that_both_knew_is_a_conflict_still(service: Path) -> None:
    (service / "CODEOWNERS").write_text("/image/ @someone-else\n")
    write("deploy/base/deployment.yaml", "kind: Deployment\nspec: {}\n")(service)
    commit_all(service, "Edit")
    result = update(service)
    assert result.returncode == 1
    assert "yours were kept" not in result.stderr
    assert "CODEOWNERS" in git(service, "ls-files", "--unmerged")


def test_a_teams_manifests_stay_when_the_answer_brings_some(
    history: History, tmp_path: Path
) -> None:
    own = "deploy/base/deployment.yaml"
    service = history.service(
        tmp_path / "service", AFTER, write(own, "# Ours\nkind: Deployment\n"), kubernetes="false"
    )
    result = update(service, DATA="kubernetes=true")
    assert result.returncode == 0, result.stderr
    assert (
        f"yours were kept; for the release's delete yours, commit, and update again:\n  {own}\n"
        in (result.stderr)
    )
    assert (service / own).read_text() == "# Ours\nkind: Deployment\n"
    assert (service / "deploy/base/service.yaml").exists()


def test_a_platform_file_is_not_the_teams_to_keep(
    service: Path, history: History, tmp_path: Path
) -> None:
    path = "ci/conformance/later.py"
    follow_a_later_release(
        service, history, tmp_path / "template", AFTER,
        write(f"template/{path}", '"""The platform\'s."""\n'),
        append("template/ci/platform.lock", f"{'0' * 64}  {path}\n"),
    )  # fmt: skip
    write(path, '"""Ours."""\n')(service)
    commit_all(service, "Ours")
    result = update(service)
    assert result.returncode == 1
    assert "yours were kept" not in result.stderr
    assert f"resolve each one:\n  {path}\n" in result.stderr
