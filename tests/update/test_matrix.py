"""From every release to the next: each language, as its team left it, comes out as it should."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from history import (
    ADDED_RECORD,
    AFTER,
    BEFORE,
    CI,
    COPIER,
    GUIDELINE,
    LANGUAGES,
    PLATFORM,
    QUICK_COPIER,
    RELEASES,
    REMOVED_PLATFORM,
    SUPERSEDED_RECORD,
    Edit,
    History,
    append,
    content,
    differences,
    edited_platform_files,
    remove,
    seeded_files,
    substitute,
    update,
    write,
)

from rendering import COMBINATIONS, NIGHTLY, git, rendered_files

# A merge is one and the same in every language; what is merged is not.
MERGED = LANGUAGES if NIGHTLY else ["go", "node"]
DELETED_RECORD = "specs/ADRs/ADR-004-unprivileged-image-builds-with-kaniko.md"
OWN_RECORD = "specs/ADRs/service/SVC-0001-our-decision.md"


def with_default_base(language: str) -> dict[str, str]:
    return next(dict(c) for c in COMBINATIONS.values() if c["language"] == language)


def edit_seeded(language: str) -> Edit:
    """Edit one seeded file, delete another and add a third."""

    def edit(service: Path) -> None:
        sources = [
            path
            for path in sorted(seeded_files(service, language))
            if "/" in path and not path.startswith("specs/")
        ]
        append(sources[0], "edited by the team\n")(service)
        remove(sources[1])(service)
        write(str(Path(sources[0]).parent / "added-by-the-team"), "added\n")(service)

    return edit


def lived_in(language: str) -> list[Edit]:
    return [
        edit_seeded(language),
        write(OWN_RECORD, "# SVC-0001: Our decision\n"),
        write("docs/notes.md", "Our notes.\n"),
        substitute("image/Dockerfile", "EXPOSE 8080", "EXPOSE 8080 9090"),
        append("Makefile", "\n.PHONY: deploy\ndeploy: ## Deploy it\n\tkubectl apply -f k8s\n"),
        append(".gitlab-ci.yml", "\nsmoke-test:\n  extends: .in-ci-image\n"),
        append(".gitignore", "/tmp/\n"),
        substitute("README.md", "## Try it", "## Try it now"),
        remove("CODEOWNERS"),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_untouched_service_equals_a_fresh_one(
    language: str, history: History, tmp_path: Path
) -> None:
    answers = with_default_base(language)
    service = history.service(tmp_path / "service", BEFORE, **answers)
    before = seeded_files(service, language)
    result = update(service)
    assert result.returncode == 0, result.stderr
    fresh = history.fresh(AFTER, **answers)
    assert differences(service, fresh, language) == set()
    assert seeded_files(service, language) == before
    assert edited_platform_files(service) == set()
    assert (service / ADDED_RECORD).exists()
    assert "| Superseded |" in (service / SUPERSEDED_RECORD).read_text(encoding="utf-8")
    assert not (service / REMOVED_PLATFORM).exists()


@pytest.mark.parametrize("language", MERGED)
def test_edits_deletions_and_additions_survive(
    language: str, history: History, tmp_path: Path
) -> None:
    answers = with_default_base(language)
    service = history.service(tmp_path / "service", BEFORE, *lived_in(language), **answers)
    seeded = seeded_files(service, language)
    result = update(service)
    assert result.returncode == 0, result.stderr
    assert seeded_files(service, language) == seeded
    assert differences(service, history.fresh(AFTER, **answers), language) == {
        "docs/notes.md", "image/Dockerfile", "Makefile", ".gitignore", ".gitlab-ci.yml",
        "README.md", "CODEOWNERS",
    }  # fmt: skip
    assert not (service / "CODEOWNERS").exists()
    for path, ours, theirs in (
        ("image/Dockerfile", "EXPOSE 8080 9090", "--interval=17s"),
        ("Makefile", "kubectl apply", "## Build the image\n"),
        ("README.md", "## Try it now", "Tier: standard."),
        (".gitlab-ci.yml", "smoke-test:", "GIT_DEPTH"),
    ):
        text = (service / path).read_text(encoding="utf-8")
        assert ours in text, path
        assert theirs in text, path
    assert "/tmp/\n" in (service / ".gitignore").read_text(encoding="utf-8")
    assert edited_platform_files(service) == set()


def test_quick_copier_updates_as_copier_does(history: History, tmp_path: Path) -> None:
    """What most of these tests run is no other Copier, but for its time."""
    answers = with_default_base("go")
    edits = [
        *lived_in("go"),
        append(GUIDELINE, "\nOur own rule.\n"),
        lambda service: (service / "ci/engine.sh").chmod(0o644),
    ]
    seen = []
    for copier in (COPIER, QUICK_COPIER):
        service = history.service(tmp_path / "service", BEFORE, *edits, **answers)
        result = update(service, COPIER=copier)
        files = {
            str(path): (content(service / path), (service / path).lstat().st_mode)
            for path in rendered_files(service)
            if path.parts[0] != ".git"
        }
        status = git(service, "status", "--porcelain")
        seen.append((result.returncode, result.stdout, result.stderr, status, files))
        service.rename(tmp_path / str(len(seen)))
    assert seen[0][0] == 1
    assert seen[0] == seen[1]


@pytest.mark.parametrize("language", MERGED)
def test_conflicts_are_named(language: str, history: History, tmp_path: Path) -> None:
    answers = with_default_base(language)
    service = history.service(
        tmp_path / "service", BEFORE,
        substitute("image/Dockerfile", r"--interval=\d+s", "--interval=19s"),
        write(".hadolint.yaml", "ignored: [DL3008]\n"),
        substitute(".gitlab-ci.yml", "  IMAGE_REPOSITORY", '  OURS: "1"\n  IMAGE_REPOSITORY'),
        append(".editorconfig", "\n[*.sql]\nindent_size = 4\n"),
        append(GUIDELINE, "\nOur own rule.\n"),
        append(REMOVED_PLATFORM, "\nOur own remark.\n"),
        substitute("specs/ADRs/ADR-003-minimal-multi-stage-runtime-images.md", "Accepted", "Ours"),
        remove(DELETED_RECORD),
        **answers,
    )  # fmt: skip
    seeded = seeded_files(service, language)
    result = update(service)
    assert result.returncode == 1
    named = {line.strip() for line in result.stderr.splitlines() if line.startswith("  ")}
    conflicts = {"image/Dockerfile", ".gitlab-ci.yml", GUIDELINE}
    kept = {".hadolint.yaml"}  # the team's own, under the name of one that is new
    removed = {".editorconfig", REMOVED_PLATFORM}
    edited = {
        GUIDELINE, DELETED_RECORD, "specs/ADRs/ADR-003-minimal-multi-stage-runtime-images.md",
    }  # fmt: skip
    assert conflicts | removed | edited | kept <= named
    assert set(git(service, "diff", "--name-only", "--diff-filter=U").split()) == conflicts
    for path in {*removed, DELETED_RECORD}:
        assert not (service / path).exists()
    for path, ours, theirs in (
        ("image/Dockerfile", "--interval=19s", "--interval=17s"),
        (".gitlab-ci.yml", "OURS", "GIT_DEPTH"),
        (GUIDELINE, "Our own rule.", "BLD-99"),
    ):
        text = (service / path).read_text(encoding="utf-8")
        assert ours in text, path
        assert theirs in text, path
        assert "<<<<<<< before updating" in text, path
    assert seeded_files(service, language) == seeded
    assert edited_platform_files(service) == edited
    assert (
        differences(service, history.fresh(AFTER, **answers), language) == conflicts | edited | kept
    )


SWITCHES = [
    pytest.param(
        dict(old), dict(new), id=f"{'-'.join(old.values())}-to-{'-'.join(new.values())}"
    )
    for old, new in [
        *(  # every language to the next one
            (with_default_base(one), with_default_base(other))
            for one, other in pairwise([*LANGUAGES, LANGUAGES[0]] if NIGHTLY else MERGED)
        ),
        *(  # every base of a language to the next one
            (one, other)
            for one, other in pairwise(COMBINATIONS.values())
            if one["language"] == other["language"] and (NIGHTLY or one["language"] == "go")
        ),
        *(  # every pipeline to the next one
            ({"language": "go", "ci": one}, {"language": "go", "ci": other})
            for one, other in pairwise([*CI, CI[0]])
        ),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SWITCHES)
def test_a_switched_answer(
    old: dict[str, str], new: dict[str, str], history: History, tmp_path: Path
) -> None:
    """On the way to a release; the source stays what it was, in its old language."""
    service = history.service(
        tmp_path / "service", BEFORE, write(OWN_RECORD, "# SVC-0001: Our decision\n"), **old
    )
    languages = (old["language"], new["language"])
    seeded = seeded_files(service, *languages)
    data = " ".join(f"{key}={value}" for key, value in new.items() if old.get(key) != value)
    result = update(service, DATA=data)
    assert result.returncode == 0, result.stderr
    assert seeded_files(service, *languages) == seeded
    different = differences(service, history.fresh(AFTER, **new), new["language"])
    assert {path for path in different if path not in seeded} == set()


# From the releases that were made


# What an update answers for a service of a release that did not ask.
KEPT_CODE: dict[str, Any] = {"platform_code": False, "kubernetes": False}


def answers_of(service: Path) -> dict[str, str]:
    recorded = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in recorded.items() if not name.startswith("_")}


def line_that_changes(old: Path, new: Path, path: str) -> int | None:
    """The first line of a file for which another version has another one."""
    before, after = ((root / path).read_text("utf-8").splitlines() for root in (old, new))
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return next((line for kind, line, *_ in codes if kind == "replace"), None)


def edit_line(path: str, number: int) -> Edit:
    def edit(root: Path) -> None:
        lines = (root / path).read_text(encoding="utf-8").splitlines(keepends=True)
        lines[number] = "# ours\n"
        (root / path).write_text("".join(lines), encoding="utf-8")

    return edit


RECORDED = [
    (f"v{release['version']}", language)
    for release in RELEASES
    for language in release["languages"]
]


@pytest.mark.parametrize(("tag", "language"), RECORDED)
def test_an_untouched_service_of_a_release(
    tag: str, language: str, history: History, tmp_path: Path
) -> None:
    history.need(tag)
    service = history.service(tmp_path / "service", tag, language=language)
    answers = {**KEPT_CODE, **answers_of(service)}
    seeded = seeded_files(service, language)
    result = update(service, VERSION=BEFORE)
    assert result.returncode == 0, result.stderr
    assert differences(service, history.fresh(BEFORE, **answers), language) == set()
    # A choice that is another one's default today is still this service's answer.
    assert answers.items() <= answers_of(service).items()
    assert seeded_files(service, language) == seeded
    assert edited_platform_files(service) == set()


@pytest.mark.parametrize(
    ("tag", "language"), [one for one in RECORDED if NIGHTLY or one[1] in MERGED]
)
def test_edits_since_a_release(tag: str, language: str, history: History, tmp_path: Path) -> None:
    """An edit of a line that was changed since is a conflict, an edit of a file that was
    removed is reported, and an edit at the end of a file is merged."""
    history.need(tag)
    old = history.fresh(tag, language=language)
    new = history.fresh(BEFORE, **KEPT_CODE, **answers_of(old))
    different = {
        path
        for path in differences(old, new, language)
        if (old / path).is_file() and not PLATFORM.match_file(path)
    } - {".copier-answers.yml", "CODEOWNERS"}
    removed = {path for path in different if not (new / path).exists()}
    lines = {path: line_that_changes(old, new, path) for path in different - removed}
    conflicts = {path: line for path, line in lines.items() if line is not None}
    merged = {"Makefile", "README.md", ".gitignore", ".dockerignore"} - different
    service = history.service(
        tmp_path / "service", tag,
        edit_seeded(language),
        write(OWN_RECORD, "# SVC-0001: Our decision\n"),
        write("docs/notes.md", "Our notes.\n"),
        remove("CODEOWNERS"),
        *(edit_line(path, line) for path, line in conflicts.items()),
        *(append(path, "\n# ours\n") for path in merged | removed),
        language=language,
    )  # fmt: skip
    seeded = seeded_files(service, language)
    result = update(service, VERSION=BEFORE)
    assert result.returncode == bool(removed or conflicts), result.stderr
    named = {line.strip() for line in result.stderr.splitlines() if line.startswith("  ")}
    assert removed | conflicts.keys() <= named
    unmerged = git(service, "diff", "--name-only", "--diff-filter=U").split()
    assert set(unmerged) == conflicts.keys()
    for path in merged | conflicts.keys():
        assert "# ours\n" in (service / path).read_text(encoding="utf-8"), path
    assert seeded_files(service, language) == seeded
    assert edited_platform_files(service) == set()
    assert not (service / "CODEOWNERS").exists()
    assert (service / "docs/notes.md").exists()
    assert differences(service, new, language) == {
        *merged, *conflicts, "CODEOWNERS", "docs/notes.md",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        (f"v{release['version']}", release["languages"][number % len(release["languages"])])
        for number, release in enumerate(RELEASES)
    ],
)
def test_switched_answers_since_a_release(
    tag: str, language: str, history: History, tmp_path: Path
) -> None:
    """Another language, its last base and another pipeline, all on the way from a release."""
    history.need(tag)
    service = history.service(
        tmp_path / "service", tag, write(OWN_RECORD, "# SVC-0001: Our decision\n"),
        language=language,
    )  # fmt: skip
    other = LANGUAGES[LANGUAGES.index(language) - 1]
    base = [c["runtime_base"] for c in COMBINATIONS.values() if c["language"] == other][-1]
    ci = next(choice for choice in CI if choice != answers_of(service)["ci"])
    seeded = seeded_files(service, language, other)
    result = update(service, VERSION=BEFORE, DATA=f"language={other} runtime_base={base} ci={ci}")
    assert result.returncode == 0, result.stderr
    assert seeded_files(service, language, other) == seeded
    answers = answers_of(service)
    assert (answers["language"], answers["runtime_base"], answers["ci"]) == (other, base, ci)
    different = differences(service, history.fresh(BEFORE, **answers), other)
    assert different - seeded.keys() == set()
