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
DEFAULT_CI = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["ci"]["default"]


# What only services of an earlier release have; an update leaves it to them.
KEPT_FOR_OLDER_SERVICES = {"/.mvn/checksums"}


def trees(combination: dict[str, Any]) -> tuple[str, ...]:
    """The groups of paths that a combination of answers has: the house's, language, pipeline."""
    ci = combination.get("ci", DEFAULT_CI)
    return "house", combination["language"], *([] if ci == "none" else ["pipeline", ci])


def patterns(owner: str, *names: str) -> list[str]:
    return [pattern for name in ("all", *names) for pattern in OWNERSHIP[owner].get(name, [])]


def classes_of(path: Path | str, *names: str) -> list[str]:
    found = [
        owner
        for owner in CLASSES
        if pathspec.GitIgnoreSpec.from_lines(patterns(owner, *names)).match_file(str(path))
    ]
    # The platform's folder of a language lies among what is seeded.
    return ["platform"] if found == ["platform", "seeded"] else found


def test_classification_can_fail() -> None:
    assert classes_of("surprise.txt", "go") == []
    assert classes_of("cmd/payments/main.go", "go") == ["seeded"]
    assert classes_of("ci/conformance/cli.py", "go") == ["platform"]
    assert classes_of("ci/gitlab/pipeline.yml", "go", "gitlab") == ["platform"]
    assert classes_of("ci/gitlab/pipeline.yml", "go", "none") == []
    assert classes_of("internal/platform/drain.go", "go") == ["platform"]
    assert classes_of("internal/platform/drain.go", "rust") == []


@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_path_has_exactly_one_owner(name: str, render: Render) -> None:
    combination = COMBINATIONS[name]
    wrong = {
        str(path): owners
        for path in rendered_files(render(**combination))
        if len(owners := classes_of(path, *trees(combination))) != 1
    }
    assert wrong == {}


@pytest.mark.parametrize("tree", sorted({tree for c in COMBINATIONS.values() for tree in trees(c)}))
def test_no_pattern_is_idle(tree: str, render: Render) -> None:
    """A pattern that matches nothing in any combination is a typo or a leftover."""
    paths = [
        path
        for combination in COMBINATIONS.values()
        if tree in trees(combination)
        for path in rendered_files(render(**combination))
    ]
    idle = [
        pattern
        for owner in CLASSES
        for pattern in patterns(owner, tree)
        if not any(pathspec.GitIgnoreSpec.from_lines([pattern]).match_file(str(p)) for p in paths)
    ]
    assert set(idle) <= KEPT_FOR_OLDER_SERVICES


def test_platform_files_are_verbatim() -> None:
    """The same bytes in every service: no Jinja, and no answer in the path."""
    template = ROOT / "template"
    for path in rendered_files(template):
        tree = path.parts[0].strip("{ }") if path.parts[0].startswith("{{") else ""
        inner = Path(*path.parts[1:]) if tree and len(path.parts) > 1 else path
        if path.suffix == ".jinja" and "platform" in classes_of(
            inner.with_suffix(""), tree or "house"
        ):
            pytest.fail(f"{path} is the platform's, so it must be verbatim: drop .jinja")
        if "platform" in classes_of(inner, tree or "house"):
            assert "{{" not in inner.as_posix(), f"{path} is not the same in every service"


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
    assert excluded["update"] - excluded["copy"] == set(patterns("seeded", "pipeline", language))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_readme_shows_the_table(name: str, render: Render) -> None:
    combination = COMBINATIONS[name]
    readme = (render(**combination) / "README.md").read_text(encoding="utf-8")
    rows = {
        cells[0]: re.findall(r"`([^`]+)`", cells[1])
        for line in readme.splitlines()
        if line.startswith("| ")
        and (cells := [cell.strip() for cell in line.strip("|").split("|")])[0] in CLASSES
    }
    assert sorted(rows) == sorted(CLASSES)
    for owner in ("platform", "seeded"):
        assert rows[owner] == [
            pattern.rstrip("/") for pattern in patterns(owner, *trees(combination))
        ]
