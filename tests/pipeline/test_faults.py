"""What is wrong with a commit stops its pipeline before anything is published."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import Project


def _shell_in_release(directory: Path) -> None:
    path = directory / "image" / "Dockerfile"
    text = path.read_text()
    path.write_text(
        text.replace("USER 65532", "COPY --from=builder /bin/busybox /app/tool\nUSER 65532", 1)
    )


FAULTS = {
    "lint": lambda directory: (directory / "cmd" / "note").write_text("LINT"),
    "test": lambda directory: (directory / "cmd" / "note").write_text("BROKEN"),
    "verify-image": _shell_in_release,
}


@pytest.fixture(scope="module")
def released(project: Project) -> None:
    """A release that no fault may touch."""
    project.release("1.0.0")


@pytest.mark.parametrize("job", FAULTS)
def test_a_fault_stops_the_pipeline_and_moves_no_tag(
    project: Project, released: None, job: str
) -> None:
    version = f"1.{1 + list(FAULTS).index(job)}.0"
    before, published = project.tags(), project.manifests()
    FAULTS[job](project.directory)
    project.commit(f"Plant a fault for {job}")
    run = project.run(tag=f"v{version}")
    assert run.code != 0
    assert run.failed() == [job], run.log
    assert not run.ran("publish")
    assert not run.ran("promote")
    assert project.tags() == before
    assert project.manifests() == published
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    project.release(version)
