"""Every rendered file passes its format's own parser and linter."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from rendering import ALL, ROOT, Render, rendered_files

BIN = Path(sys.executable).parent


class GitLabLoader(yaml.SafeLoader):
    """YAML with GitLab's !reference."""


GitLabLoader.add_constructor(
    "!reference", lambda loader, node: loader.construct_sequence(node, deep=True)
)

PARSERS = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yml": lambda text: list(yaml.load_all(text, GitLabLoader)),
    ".yaml": lambda text: list(yaml.load_all(text, GitLabLoader)),
    ".xml": ElementTree.fromstring,
}


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)


def files(service: Path, *suffixes: str) -> list[Path]:
    return [
        service / path
        for path in rendered_files(service)
        if path.suffix in suffixes and not (service / path).is_symlink()
    ]


@pytest.mark.parametrize("name", ALL)
def test_data_files_parse(name: str, render: Render) -> None:
    service = render(**ALL[name])
    for path in files(service, *PARSERS):
        try:
            PARSERS[path.suffix](path.read_text(encoding="utf-8"))
        except Exception as error:
            pytest.fail(f"{path.relative_to(service)}: {error}")


LINTERS = {
    "yamllint": (
        lambda service: files(service, ".yml", ".yaml"),
        [BIN / "yamllint", "--strict", "--config-file", ROOT / "tests/scaffold/yamllint.yml"],
        "a:   b\n",
    ),
    "shellcheck": (
        lambda service: files(service, ".sh"),
        [BIN / "shellcheck", "--external-sources"],
        "#!/bin/sh\necho $1\n",
    ),
    "hadolint": (
        lambda service: sorted(service.glob("**/Dockerfile")),
        [BIN / "hadolint", "--config", ROOT / "tests/scaffold/hadolint.yaml"],
        "FROM debian\nRUN cd /tmp\n",
    ),
    "pymarkdown": (
        lambda service: files(service, ".md"),
        [BIN / "pymarkdown", "--strict-config", "--config", ROOT / "tests/scaffold/pymarkdown.json",
         "scan"],
        "# a\n# b\n",
    ),
}  # fmt: skip


# Most files are the same in every service: what has passed need not pass again.
PASSED: set[tuple[str, str, bytes]] = set()


@pytest.mark.parametrize("linter", LINTERS)
@pytest.mark.parametrize("name", ALL)
def test_linters_are_content(name: str, linter: str, render: Render) -> None:
    service = render(**ALL[name])
    find, command, _ = LINTERS[linter]
    found = find(service)
    if not found:
        pytest.skip(f"no file for {linter}")
    seen = {path: (linter, path.name, path.read_bytes()) for path in found}
    new = [path for path in found if seen[path] not in PASSED]
    if new:
        result = run(*command, *new, cwd=service)
        assert result.returncode == 0, result.stdout + result.stderr
    PASSED.update(seen.values())


@pytest.mark.parametrize("linter", LINTERS)
def test_linters_can_fail(linter: str, tmp_path: Path) -> None:
    _, command, fault = LINTERS[linter]
    (tmp_path / "fault.md").write_text(fault)
    assert run(*command, tmp_path / "fault.md").returncode != 0


@pytest.mark.parametrize("name", ALL)
def test_description_is_what_was_answered(name: str, render: Render) -> None:
    """Read back with a Markdown parser, not searched as text."""
    from markdown_it import MarkdownIt

    service = render(**ALL[name])
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(
        (service / "README.md").read_text("utf-8")
    )
    kinds = [token.type for token in tokens[:6]]
    assert kinds == [
        "heading_open", "inline", "heading_close", "paragraph_open", "inline", "paragraph_close",
    ]  # fmt: skip
    assert tokens[1].content == answers["service_name"]
    children = tokens[4].children or []
    assert {child.type for child in children} <= {"text", "text_special"}, children
    assert "".join(child.content for child in children) == answers["description"]
