"""Kaniko, where there is one: a build gives the same image again, from its cache as well."""

from __future__ import annotations

import pytest
from services import IMAGES, Service

from lab import Lab
from rendering import COMBINATIONS, Render

LANGUAGES = list(dict.fromkeys(COMBINATIONS[name]["language"] for name in IMAGES))


@pytest.mark.parametrize("language", LANGUAGES)
def test_kaniko_builds_agree(language: str, kaniko: str, lab: Lab, render: Render) -> None:
    """Without a cache, with an empty one, and with one that has every step; the bases of a
    language differ in what is copied only.

    With a cache Kaniko makes a layer of each instruction, of those that change no file as well;
    without one it does so of some, such as a WORKDIR that is there.
    """
    answers = next(c for c in COMBINATIONS.values() if c["language"] == language)
    service = Service(lab, render(**answers), answers)
    with lab.empty_registry() as registry:
        cache = f"{registry.address}/cache"
        first, second, third = (
            service.build("release", builder=kaniko, reproducible=True, cache_repository=where)
            for where in (None, cache, cache)
        )
    assert second.digest == third.digest
    assert first.layers_with_files == second.layers_with_files
    assert first.config == second.config
