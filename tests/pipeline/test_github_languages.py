"""A first push on GitHub in each of the other languages: test_github.py has Go's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hub import on_github
from test_github import JOBS
from world import World

from rendering import Render


@pytest.mark.parametrize("language", ["rust", "java", "python", "node"])
def test_a_first_push_publishes_and_promotes_one_pair(
    place: World, render: Render, tmp_path: Path, language: str
) -> None:
    group = f"github-{language}"
    rendered = render(language=language, ci="github", registry=f"{place.address}/{group}")
    text = (rendered / "image" / "Dockerfile").read_text()
    place.bases(*re.findall(r"^ARG RELEASE_IMAGE=(.*)$", text, re.MULTILINE))
    hub = on_github(
        place, rendered, tmp_path / "payments", group, tmp_path / "hub", language=language
    )
    run = hub.run()
    assert run.code == 0, run.log
    assert set(run.passed()) == JOBS
    name = f"main-{hub.git('rev-parse', 'HEAD')[:8]}"
    assert hub.tags().keys() == {name, f"{name}-debug"}
