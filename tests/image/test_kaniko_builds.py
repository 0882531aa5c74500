"""Kaniko, where there is one: two builds give the same image."""

from __future__ import annotations

import pytest
from services import IMAGES, Service

from lab import Lab
from rendering import COMBINATIONS, Render

LANGUAGES = list(dict.fromkeys(COMBINATIONS[name]["language"] for name in IMAGES))


@pytest.mark.parametrize("language", LANGUAGES)
def test_kaniko_builds_agree(language: str, kaniko: str, lab: Lab, render: Render) -> None:
    """Without a cache, twice; the bases of a language differ in what is copied only."""
    answers = next(c for c in COMBINATIONS.values() if c["language"] == language)
    service = Service(lab, render(**answers), answers)
    first, second = (service.build("release", builder=kaniko, reproducible=True) for _ in range(2))
    assert first.digest == second.digest
