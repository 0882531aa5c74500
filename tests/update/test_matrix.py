"""From every release to the next: each language, as its team left it, comes out as it should."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from history import (
    ADDED_RECORD,
    AFTER,
    BEFORE,
    GUIDELINE,
    LANGUAGES,
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

from rendering import COMBINATIONS, git

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
        append(".gitignore", "/tmp/\n"),
        substitute("README.md", "## Try it", "## Try it now"),
        remove("CODEOWNERS"),
    ]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_an_untouched_service_equals_a_fresh_one(
    name: str, history: History, tmp_path: Path
) -> None:
    answers = COMBINATIONS[name]
    service = history.service(tmp_path / "service", BEFORE, **answers)
    before = seeded_files(service, answers["language"])
    result = update(service)
    assert result.returncode == 0, result.stderr
    fresh = history.fresh(AFTER, **answers)
    assert differences(service, fresh, answers["language"]) == set()
    assert seeded_files(service, answers["language"]) == before
    assert edited_platform_files(service) == set()
    assert (service / ADDED_RECORD).exists()
    assert "| Superseded |" in (service / SUPERSEDED_RECORD).read_text(encoding="utf-8")
    assert not (service / REMOVED_PLATFORM).exists()


@pytest.mark.parametrize("language", LANGUAGES)
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
        "docs/notes.md", "image/Dockerfile", "Makefile", ".gitignore", "README.md", "CODEOWNERS",
    }  # fmt: skip
    assert not (service / "CODEOWNERS").exists()
    for path, ours, theirs in (
        ("image/Dockerfile", "EXPOSE 8080 9090", "--interval=17s"),
        ("Makefile", "kubectl apply", "## Build the image\n"),
        ("README.md", "## Try it now", "Tier: standard."),
    ):
        text = (service / path).read_text(encoding="utf-8")
        assert ours in text, path
        assert theirs in text, path
    assert "/tmp/\n" in (service / ".gitignore").read_text(encoding="utf-8")
    assert edited_platform_files(service) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_conflicts_are_named(language: str, history: History, tmp_path: Path) -> None:
    answers = with_default_base(language)
    service = history.service(
        tmp_path / "service", BEFORE,
        substitute("image/Dockerfile", r"--interval=\d+s", "--interval=19s"),
        write(".hadolint.yaml", "ignored: [DL3008]\n"),
        append(".editorconfig", "\n[*.sql]\nindent_size = 4\n"),
        append(GUIDELINE, "\nOur own rule.\n"),
        append(REMOVED_PLATFORM, "\nOur own remark.\n"),
        substitute("specs/ADRs/ADR-003-minimal-multi-stage-runtime-images.md", "Accepted", "Ours"),
        **answers,
    )  # fmt: skip
    seeded = seeded_files(service, language)
    result = update(service)
    assert result.returncode == 1
    named = {line.strip() for line in result.stderr.splitlines() if line.startswith("  ")}
    conflicts = {"image/Dockerfile", ".hadolint.yaml", GUIDELINE}
    removed = {".editorconfig", REMOVED_PLATFORM}
    edited = {GUIDELINE, "specs/ADRs/ADR-003-minimal-multi-stage-runtime-images.md"}
    assert conflicts | removed | edited <= named
    assert set(git(service, "diff", "--name-only", "--diff-filter=U").split()) == conflicts
    for path in removed:
        assert not (service / path).exists()
    for path, ours, theirs in (
        ("image/Dockerfile", "--interval=19s", "--interval=17s"),
        (".hadolint.yaml", "DL3008", "ignored: []"),
        (GUIDELINE, "Our own rule.", "BLD-99"),
    ):
        text = (service / path).read_text(encoding="utf-8")
        assert ours in text, path
        assert theirs in text, path
        assert "<<<<<<< before updating" in text, path
    assert seeded_files(service, language) == seeded
    assert edited_platform_files(service) == edited
    assert differences(service, history.fresh(AFTER, **answers), language) == conflicts | edited


SWITCHES = [
    pytest.param(
        dict(old), dict(new), id=f"{'-'.join(old.values())}-to-{'-'.join(new.values())}"
    )
    for old, new in [
        *(  # every language to the next one
            (with_default_base(one), with_default_base(other))
            for one, other in pairwise([*LANGUAGES, LANGUAGES[0]])
        ),
        *(  # every base of a language to the next one
            (one, other)
            for one, other in pairwise(COMBINATIONS.values())
            if one["language"] == other["language"]
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


@pytest.mark.parametrize(
    ("tag", "language"),
    [(f"v{release['version']}", language) for release in RELEASES
     for language in release["languages"]],
)  # fmt: skip
def test_from_a_recorded_release(tag: str, language: str, history: History, tmp_path: Path) -> None:
    """What the team did survives or is reported; the rest is what a fresh service has."""
    history.need(tag)
    edits = [
        edit_seeded(language),
        write(OWN_RECORD, "# SVC-0001: Our decision\n"),
        append("Makefile", "\n.PHONY: deploy\ndeploy: ## Deploy it\n\tkubectl apply -f k8s\n"),
        append("README.md", "\n## Ours\n"),
        remove("CODEOWNERS"),
    ]
    service = history.service(tmp_path / "service", tag, *edits, language=language)
    seeded = seeded_files(service, language)
    result = update(service, VERSION=BEFORE)
    reported = {line.strip() for line in result.stderr.splitlines() if line.startswith("  ")}
    assert result.returncode == (1 if "conflicts" in result.stderr else 0), result.stderr
    assert seeded_files(service, language) == seeded
    assert edited_platform_files(service) == set()
    assert not (service / "CODEOWNERS").exists()
    assert "kubectl apply" in (service / "Makefile").read_text(encoding="utf-8")
    assert "## Ours" in (service / "README.md").read_text(encoding="utf-8")
    different = differences(service, history.fresh(BEFORE, language=language), language)
    assert different - reported <= {"Makefile", "README.md", "CODEOWNERS"}
    assert content(service / ".copier-answers.yml")
