"""Make a release: check that it may be made, date the notes, commit, tag, and record the commit.

    make release VERSION=1.2.0                  release HEAD
    make release VERSION=0.1.0 COMMIT=1a2b3c    call a commit of the past a release

Two commits come of it, because a commit cannot contain its own name: the release, which is
tagged, and the one that records it in releases.yml. Nothing is pushed.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from pathlib import Path

from releases import (
    ROOT,
    Refused,
    Release,
    all_changes,
    config_at,
    git,
    has_commit,
    has_notes,
    has_upgrade_note,
    languages,
    own_file,
    parse_version,
    read_releases,
    record,
    sections,
    smallest_version,
    stray_tags,
)


def check_ancestor(root: Path, commit: str) -> None:
    command = ["git", "-C", str(root), "merge-base", "--is-ancestor", commit, "HEAD"]
    if subprocess.run(command).returncode:
        raise Refused(f"{commit} is not in the history of HEAD; check out the branch that has it")


def check_tree(root: Path, version: str) -> None:
    dirty = git(root, "status", "--porcelain")
    if dirty:
        raise Refused(f"there are uncommitted changes; commit them first:\n{dirty.rstrip()}")
    if git(root, "tag", "--list", f"v{version}").strip():
        raise Refused(f"the tag v{version} exists already; choose the next version")
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise Refused("this clone is shallow; run: git fetch --unshallow")
    for release in read_releases(root):
        if not has_commit(root, release.commit):
            raise Refused(f"releases.yml names {release.commit}, which this repository has not")
        check_ancestor(root, release.commit)
    if stray := stray_tags(root):
        raise Refused(
            f"these tags are no releases of this house, and services would update to the highest: "
            f"{' '.join(stray)}; delete them with: git tag --delete {' '.join(stray)}; and fetch "
            "the template's releases with: git fetch --no-tags"
        )


def check_tested(root: Path, tested: str) -> None:
    """`make release` runs the tests, or a person names the commit that CI has tested."""
    head = git(root, "rev-parse", "HEAD").strip()
    if not tested or git(root, "rev-parse", f"{tested}^{{commit}}").strip() != head:
        raise Refused(
            f"the tests have not passed for {head}; run make release, which runs them, or name "
            "the commit that CI has tested: TESTED=<commit>"
        )


def check_version(root: Path, version: str, commit: str, widened: tuple[str, ...]) -> None:
    parse_version(version)
    earlier = read_releases(root)
    if not earlier:
        return
    last = earlier[-1]
    found = all_changes(root, last.commit, commit, widened)
    smallest = smallest_version(last.version, found)
    print(f"since {last.version}:", *(f"  {bump}: {what}" for bump, what in found), sep="\n")
    if parse_version(version) < parse_version(smallest):
        raise Refused(f"these changes since {last.version} need at least {smallest}, not {version}")


def release_head(root: Path, version: str, date: str) -> str:
    path = own_file(root, "CHANGELOG.md")
    name = path.relative_to(root)
    text = path.read_text(encoding="utf-8")
    notes = sections(text).get("Unreleased", "")
    if not has_notes(notes):
        raise Refused(f"{name} has no notes under Unreleased; say what a service team sees")
    if not has_upgrade_note(notes):
        raise Refused(
            f'{name} has no "### Upgrading" under Unreleased; say what a team has to do to '
            "come from an earlier release, or that it has nothing to do"
        )
    heading = "## [Unreleased]\n"
    path.write_text(
        text.replace(heading, f"{heading}\n## [{version}] - {date}\n", 1), encoding="utf-8"
    )
    git(root, "commit", "--quiet", "--message", f"Release {version}", "--", str(name))
    return git(root, "rev-parse", "HEAD").strip()


def release_past(root: Path, version: str, commit: str) -> str:
    path = own_file(root, "CHANGELOG.md")
    notes = sections(path.read_text(encoding="utf-8"))
    if not has_notes(notes.get(version, "")):
        raise Refused(
            f"{path.relative_to(root)} has no notes under [{version}]; write them and commit first"
        )
    if not has_commit(root, commit):
        raise Refused(f"this repository has no commit {commit}")
    check_ancestor(root, commit)
    return git(root, "rev-parse", f"{commit}^{{commit}}").strip()


def make_release(
    root: Path, version: str, *, commit: str, tested: str, widened: tuple[str, ...], dry_run: bool
) -> None:
    parse_version(version)
    check_tree(root, version)
    check_version(root, version, commit or "HEAD", widened)
    if dry_run:
        return
    if commit:
        released = release_past(root, version, commit)
        date = git(root, "show", "--no-patch", "--format=%cs", released).strip()
    else:
        check_tested(root, tested)
        lock = [sys.executable, str(ROOT / "scripts/lock.py"), "--check", "--root", str(root)]
        if subprocess.run(lock).returncode:
            raise Refused("the lock of platform files is out of date")
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        released = release_head(root, version, date)
    git(root, "tag", "--annotate", "--message", f"Release {version}", f"v{version}", released)
    release = Release(version, released, date, languages(config_at(root, released)))
    recorded = record(root, release).relative_to(root)
    git(
        root,
        "commit",
        "--quiet",
        "--message",
        f"Record the release {version}",
        "--",
        str(recorded),
    )
    print(f"v{version} is {released}; publish it with: git push origin HEAD v{version}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="MAJOR.MINOR.PATCH, without a v")
    parser.add_argument("--commit", default="", help="a commit of the past to call a release")
    parser.add_argument("--tested", default="", help="the commit whose tests have passed")
    parser.add_argument(
        "--widened",
        nargs="*",
        default=[],
        metavar="QUESTION",
        help="questions whose changed validator takes all that it took",
    )
    parser.add_argument("--dry-run", action="store_true", help="only check and list the changes")
    parser.add_argument("--root", type=Path, default=ROOT, help="the template's checkout")
    arguments = parser.parse_args()
    try:
        make_release(
            arguments.root,
            arguments.version,
            commit=arguments.commit,
            tested=arguments.tested,
            widened=tuple(arguments.widened),
            dry_run=arguments.dry_run,
        )
    except Refused as problem:
        print(f"release: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
