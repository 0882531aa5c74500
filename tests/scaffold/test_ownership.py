"""ownership.yml is the one table of who owns a path; everything else agrees with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pathspec
import pytest
import yaml
from copier._main import Worker, _operation

from rendering import COMBINATIONS, ROOT, Render, rendered_files

OWNERSHIP: dict[str, Any] = yaml.safe_load((ROOT / "ownership.yml").read_text(encoding="utf-8"))
CLASSES = ("platform", "merged", "seeded")
LANGUAGES = sorted({combination["language"] for combination in COMBINATIONS.values()})


def patterns(owner: str, language: str) -> list[str]:
    entry = OWNERSHIP[owner]
    if isinstance(entry, dict):
        return [*entry.get("all", []), *entry.get(language, [])]
    return list(entry)


def classes_of(path: Path | str, language: str) -> list[str]:
    return [
        owner
        for owner in CLASSES
        if pathspec.GitIgnoreSpec.from_lines(patterns(owner, language)).match_file(str(path))
    ]


def test_classification_can_fail() -> None:
    assert classes_of("surprise.txt", "go") == []
    assert classes_of("cmd/payments/main.go", "go") == ["seeded"]
    assert classes_of("ci/conformance/cli.py", "go") == ["platform"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_path_has_exactly_one_owner(name: str, render: Render) -> None:
    combination = COMBINATIONS[name]
    wrong = {
        str(path): owners
        for path in rendered_files(render(**combination))
        if len(owners := classes_of(path, combination["language"])) != 1
    }
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_pattern_is_idle(language: str, render: Render) -> None:
    """A pattern that matches nothing in any combination is a typo or a leftover."""
    paths = [
        path
        for combination in COMBINATIONS.values()
        if combination["language"] == language
        for path in rendered_files(render(**combination))
    ]
    idle = [
        pattern
        for owner in CLASSES
        for pattern in patterns(owner, language)
        if not any(pathspec.GitIgnoreSpec.from_lines([pattern]).match_file(str(p)) for p in paths)
    ]
    assert idle == []


def test_platform_files_are_verbatim() -> None:
    """The same bytes in every service: no Jinja, and in no language's tree."""
    template = ROOT / "template"
    for path in rendered_files(template):
        if path.suffix == ".jinja" and "platform" in classes_of(path.with_suffix(""), "go"):
            pytest.fail(f"{path} is the platform's, so it must be verbatim: drop .jinja")
        if path.parts[0].startswith("{{") and len(path.parts) > 1:
            inner = Path(*path.parts[1:])
            assert "platform" not in classes_of(inner, "go"), f"{path} is in a language's tree"


@pytest.mark.parametrize("language", LANGUAGES)
def test_update_excludes_exactly_the_seeded_paths(
    language: str, template_repository: Path, tmp_path: Path
) -> None:
    """Copier's own reading of _exclude, in an update and in a copy."""
    excluded = {}
    for operation in ("update", "copy"):
        worker = Worker(
            str(template_repository), tmp_path / "service", defaults=True, vcs_ref="HEAD",
            data={"language": language},
        )  # fmt: skip
        worker._ask()
        token = _operation.set(operation)
        try:
            rendered = [
                worker._render_string(pattern, {"_copier_operation": operation})
                for pattern in worker.all_exclusions
            ]
        finally:
            _operation.reset(token)
        excluded[operation] = {line.strip() for text in rendered for line in text.splitlines()}
    assert excluded["update"] - excluded["copy"] == set(patterns("seeded", language))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_readme_shows_the_table(name: str, render: Render) -> None:
    combination = COMBINATIONS[name]
    language = combination["language"]
    readme = (render(**combination) / "README.md").read_text(encoding="utf-8")
    rows = {
        cells[0]: re.findall(r"`([^`]+)`", cells[1])
        for line in readme.splitlines()
        if line.startswith("| ")
        and (cells := [cell.strip() for cell in line.strip("|").split("|")])[0] in CLASSES
    }
    assert sorted(rows) == sorted(CLASSES)
    for owner in ("platform", "seeded"):
        assert rows[owner] == [pattern.rstrip("/") for pattern in patterns(owner, language)]
