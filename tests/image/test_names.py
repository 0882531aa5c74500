"""Names at the edge compile, in every language."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from rendering import COMBINATIONS, Render
from toolchains import run, tail, toolchain

LANGUAGES = {c["language"]: c for c in reversed(COMBINATIONS.values())}
# Two letters, forty, a digit first, hyphens in a row; and what the language reserves.
NAMES = ["ab", "a23456789-b23456789-c23456789-d234567890", "3scale", "a--b"]
RESERVED = {
    "go": ["testdata"], "rust": ["async", "server"], "java": ["package"],
    "python": ["logging"], "node": ["fastify"],
}  # fmt: skip


# Their lint compiles the tests as well, and a long name could break a line of a formatter.
VERBS = {"java": ["lint"], "rust": ["lint"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_compile(
    language: str, render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    # The dependencies are the same under every name: compile them once.
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    for name in [*NAMES, *RESERVED[language]]:
        service = tmp_path / name
        shutil.copytree(render(**LANGUAGES[language], service_name=name), service, symlinks=True)
        verbs = VERBS.get(language, ["fetch", "build"])
        result = run("make", "--no-print-directory", *verbs, cwd=service, env=toolchain(language))
        assert result.returncode == 0, f"{name}:\n{tail(result)}"
        answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
        assert answers["service_name"] == name
