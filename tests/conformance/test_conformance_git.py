"""What git has of a service is checked beside what lies in the work tree."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance_service import lock, service, write
from conformance_tool import Answer, run

PROMOTE = "ci/pipeline/promote.sh"
LOCK = "ci/pipeline/platform.lock"


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A service that is committed."""
    made = service(tmp_path / "payments")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "Scaffold")
    assert run("repo", made).code == 0
    return made


def found(root: Path) -> list[tuple[str, str]]:
    report = run("repo", root, "--format", "json").report
    return [(item["check"], item["path"]) for item in report["findings"]]


def clone(root: Path) -> Path:
    place = root.parent / "clone"
    shutil.rmtree(place, ignore_errors=True)
    git(root, "commit", "--quiet", "--allow-empty", "--message", "All")
    git(root, "clone", "--quiet", ".", str(place))
    return place


def stage_an_edit(root: Path) -> None:
    """What is committed next differs from what lies here."""
    text = (root / PROMOTE).read_text()
    write(root, PROMOTE, text + "# edited\n")
    git(root, "add", PROMOTE)
    write(root, PROMOTE, text)


def hold_an_edit(flag: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        stage_an_edit(root)
        git(root, "update-index", flag, PROMOTE)

    return plant


def drop_it(root: Path) -> None:
    git(root, "rm", "--quiet", "--cached", PROMOTE)


def make_it_a_link(root: Path) -> None:
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=root, input="publish.sh", capture_output=True,
        text=True, check=True,
    ).stdout.strip()  # fmt: skip
    git(root, "update-index", "--cacheinfo", f"120000,{blob},{PROMOTE}")


@pytest.mark.parametrize(
    "plant",
    [
        stage_an_edit, hold_an_edit("--assume-unchanged"), hold_an_edit("--skip-worktree"),
        drop_it, make_it_a_link,
    ],
)  # fmt: skip
def test_what_git_has_is_checked(root: Path, plant: Callable[[Path], None]) -> None:
    """The work tree is right, a clone is not; and the remedy mends it."""
    plant(root)
    assert found(root) == [("PLT-005", PROMOTE)]
    assert {check for check, _ in found(clone(root))} & {"PLT-002", "PLT-003"}
    git(root, "reset", "--quiet", "--soft", "HEAD~1")
    [item] = run("repo", root, "--format", "json").report["findings"]
    command = item["fix"].removeprefix("make restore && ")
    subprocess.run(["sh", "-euc", command], cwd=root, check=True, capture_output=True)
    assert found(root) == []
    assert found(clone(root)) == []


@pytest.mark.parametrize("where", ["own", "global", "exclude"])
@pytest.mark.parametrize(
    ("rule", "hidden"),
    [
        ("*.lock", {LOCK, "ci/gitlab/platform.lock", "ci/platform.lock", "uv.lock"}),
        ("ci/", {LOCK, PROMOTE, "ci/image/Dockerfile"}),
        ("promote.*", {PROMOTE}),
    ],
)
def test_what_an_ignore_rule_hides_is_in_no_clone(
    tmp_path: Path, where: str, rule: str, hidden: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = service(tmp_path / "payments")
    write(root, "uv.lock", "")
    place = {"own": root / ".gitignore", "global": tmp_path / "ignore",
             "exclude": root / ".git/info/exclude"}[where]  # fmt: skip
    if where == "global":
        config = tmp_path / "gitconfig"
        config.write_text(f"[core]\n\texcludesFile = {place}\n")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    place.write_text(f"{rule}\n")
    assert found(root) == [], "nothing is added yet"
    git(root, "add", "--all")
    reported = found(root)
    assert {check for check, _ in reported} == {"PLT-005"}
    assert hidden <= {path for _, path in reported}
    item = run("repo", root, "--format", "json").report["findings"][0]
    assert f"no clone has the file: {rule} in " in item["message"]
    for item in run("repo", root, "--format", "json").report["findings"]:
        subprocess.run(["sh", "-euc", item["fix"]], cwd=root, check=True)
    assert found(root) == []


def test_an_update_that_is_not_added_yet_has_no_finding(root: Path) -> None:
    """`make verify` comes before `git add` in what an update says to do next."""
    write(root, "ci/pipeline/old.sh", "#!/bin/sh\n")
    lock(root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Another release")
    write(root, PROMOTE, "#!/bin/sh\n")
    (root / "ci/pipeline/old.sh").rename(root / "ci/pipeline/new.sh")
    lock(root)
    assert found(root) == []
    # One file of it is added, such as one that had a conflict.
    git(root, "add", PROMOTE)
    assert found(root) == []
    git(root, "add", "--all")
    assert found(root) == []


def test_without_an_index_the_work_tree_alone_is_judged(root: Path) -> None:
    """The source of a rebuild lies in a repository that has nothing of it; an archive in none."""
    source = root / ".pipeline/source"
    source.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=root, capture_output=True, check=True
    ).stdout
    write(root, ".gitignore", "/.pipeline/\nci/\n")
    subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    assert found(source) == []
    with (source / PROMOTE).open("a") as file:
        file.write("# edited\n")
    assert found(source) == [("PLT-002", PROMOTE)]


def test_a_service_in_a_folder_of_a_repository(tmp_path: Path) -> None:
    repository = tmp_path / "all"
    root = service(repository / "services/payments")
    shutil.rmtree(root / ".git")
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    git(repository, "add", "--all")
    assert found(root) == []
    stage_an_edit(root)
    assert found(root) == [("PLT-005", PROMOTE)]


@pytest.mark.parametrize("mode", ["+x", "-x"])
def test_a_run_bit_is_no_finding(root: Path, mode: str) -> None:
    """No verb needs one, and bots and Windows lose it."""
    git(root, "update-index", f"--chmod={mode}", PROMOTE)
    (root / PROMOTE).chmod(0o755 if mode == "-x" else 0o644)
    assert found(root) == []


def test_another_repository_in_the_environment_is_not_asked(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_an_edit(root)
    other = service(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert found(root) == [("PLT-005", PROMOTE)]


def test_a_platform_file_that_was_replaced_by_a_link(root: Path) -> None:
    (root / PROMOTE).rename(root / "promote.sh")
    (root / PROMOTE).symlink_to("../../promote.sh")
    assert found(root) == [("PLT-002", PROMOTE)]


# The link at the root, where a checkout has no links


def answer(root: Path) -> Answer:
    return run("repo", root, "--format", "json")


def test_a_link_that_is_checked_out_as_a_text_is_the_link_that_git_has(root: Path) -> None:
    git(root, "config", "core.symlinks", "false")
    (root / "Dockerfile").unlink()
    git(root, "checkout", "--quiet", "--", "Dockerfile")
    assert (root / "Dockerfile").read_text() == "image/Dockerfile"
    assert not (root / "Dockerfile").is_symlink()
    assert found(root) == []


@pytest.mark.parametrize("links", ["true", "false"])
def test_the_text_of_a_link_is_made_the_link_again(tmp_path: Path, links: str) -> None:
    """As where a service was scaffolded and added on Windows."""
    root = service(tmp_path / "payments")
    git(root, "config", "core.symlinks", links)
    (root / "Dockerfile").unlink()
    write(root, "Dockerfile", "image/Dockerfile\n")
    git(root, "add", "--all")
    [item] = answer(root).report["findings"]
    assert item["check"] == "DKF-016"
    assert "core.symlinks" in item["message"]
    subprocess.run(["sh", "-euc", item["fix"].removeprefix("run: ")], cwd=root, check=True)
    assert found(root) == []
    assert (root / "Dockerfile").is_symlink() == (links == "true")
    place = clone(root)
    assert (place / "Dockerfile").is_symlink()
    assert found(place) == []
