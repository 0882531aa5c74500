"""Names at the edge compile, in every language."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from rendering import COMBINATIONS, NIGHTLY, Render
from toolchains import run, tail, toolchain

LANGUAGES = {c["language"]: c for c in reversed(COMBINATIONS.values())}
# Two letters, forty, a digit first, hyphens in a row; and what the language reserves.
NAMES = ["ab", "a23456789-b23456789-c23456789-d234567890", "3scale", "a--b"]
RESERVED = {
    "go": ["testdata"], "rust": ["async", "server"], "java": ["package"],
    "python": ["logging"], "node": ["fastify"],
}  # fmt: skip

# Rust's lint compiles the tests as well, and a long name could break a line of the formatter.
VERBS = {"rust": ["lint"]}
# Maven does what Java's lint does, for several projects in one go.
REACTOR = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId>
  <artifactId>names</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <modules>{modules}</modules>
</project>
"""


@pytest.mark.parametrize("language", [one for one in LANGUAGES if NIGHTLY or one != "rust"])
def test_names_compile(
    language: str, render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*NAMES, *RESERVED[language]]
    for name in names:
        service = tmp_path / name
        shutil.copytree(render(**LANGUAGES[language], service_name=name), service, symlinks=True)
        answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
        assert answers["service_name"] == name
    if language == "java":
        modules = "".join(f"<module>{name}</module>" for name in names)
        (tmp_path / "pom.xml").write_text(REACTOR.format(modules=modules))
        shutil.copy(tmp_path / names[0] / "mvnw", tmp_path)
        shutil.copytree(tmp_path / names[0] / ".mvn", tmp_path / ".mvn")
        result = run(
            "./mvnw", "--batch-mode", "--no-transfer-progress", "--quiet", "--projects=!.",
            "com.diffplug.spotless:spotless-maven-plugin:check", "test-compile",
            cwd=tmp_path, env=toolchain(language),
        )  # fmt: skip
        assert result.returncode == 0, tail(result)
        assert all(list((tmp_path / name / "target").rglob("*Test.class")) for name in names)
        return
    # The dependencies are the same under every name: compile them once.
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    for name in names:
        verbs = VERBS.get(language, ["fetch", "build"])
        result = run(
            "make", "--no-print-directory", *verbs, cwd=tmp_path / name, env=toolchain(language)
        )
        assert result.returncode == 0, f"{name}:\n{tail(result)}"
