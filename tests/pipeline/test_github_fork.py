"""A pull request from a fork on GitHub: it has no secrets, and publishes nothing.

What it reads is public, so this registry asks for no password: whatever the run pushed would
be there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hub import Hub, on_github
from world import World, world

from lab import Lab, Missing
from rendering import Render

BUILT = {
    "resolve", "ci-image", "lint", "test", "verify", "build", "verify-image", "sbom",
    "scan", "vulnerabilities", "verify-bases",
}  # fmt: skip


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    try:
        with Lab() as lab, world(lab, tmp_path_factory.mktemp("world"), password=False) as made:
            made.bases()
            yield made
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def hub(public: World, render: Render, tmp_path_factory: pytest.TempPathFactory) -> Hub:
    rendered = render(language="go", ci="github", registry=f"{public.address}/fork")
    directory = tmp_path_factory.mktemp("service") / "payments"
    return on_github(public, rendered, directory, "fork", tmp_path_factory.mktemp("hub"))


def test_a_forks_request_builds_and_verifies_and_publishes_nothing(hub: Hub) -> None:
    """Its CI image is a file; what compiles is the builder that the Dockerfile names."""
    run = hub.run("pull_request", payload=hub.request("somebody/payments"), secrets={})
    assert run.code == 0, run.log
    assert set(run.passed()) == BUILT
    assert "building topic-one-" in run.log
    assert run.noted("resolve", "CI_IMAGE_TO") == "file"
    assert hub.manifests() == set()
    assert hub.world.tags(f"{hub.repository}/ci") == {}
    assert hub.tags() == {}
