"""What every tier shares: the template as a repository, and services rendered from it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quick_copier
from rendering import Render, changed_files, commit_all, copy_template, snapshot

quick_copier.install()

# A run in the background of a script inherits an ignored SIGINT, and hands it on to the
# services and commands that the tests end as Ctrl-C does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No configuration of whoever runs the tests, and fixed identities for git."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text(
        "[user]\n\tname = Test\n\temail = test@example.com\n"
        "[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n[safe]\n\tdirectory = *\n"
        "[maintenance]\n\tauto = false\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        patch.setenv("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        # What the `make` that runs the tests, or a hook, tells its children.
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "MAKEFLAGS", "MFLAGS",
                     "MAKELEVEL", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):  # fmt: skip
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def template_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in a repository of its own, committed, so that no render sees a dirty tree."""
    repository = copy_template(tmp_path_factory.mktemp("template"))
    commit_all(repository, "Template")
    return repository


@pytest.fixture(scope="session")
def render(copie_session: Any, template_repository: Path) -> Iterator[Render]:
    """Render a service; the same answers give the same directory, so treat it as read-only.

    Fails at its end if a test did not: others would pass or fail by the order that they run in.
    """
    rendered: dict[str, Path] = {}
    snapshots: dict[Path, dict[str, tuple[int, bytes]]] = {}

    def render_once(**answers: Any) -> Path:
        key = repr(sorted(answers.items()))
        if key not in rendered:
            result = copie_session.copy(extra_answers=answers, template_dir=template_repository)
            if result.exception:
                raise result.exception
            rendered[key] = result.project_dir
            snapshots[result.project_dir] = snapshot(result.project_dir)
        return rendered[key]

    yield render_once
    changed = {place.name: changed_files(place, files) for place, files in snapshots.items()}
    assert not any(changed.values()), f"a test changed what others read: {changed}"


@pytest.fixture
def scaffold(render: Render, tmp_path: Path) -> Render:
    """Render a service into a directory that the test may change."""

    def scaffold_copy(**answers: Any) -> Path:
        destination = tmp_path / str(answers.get("service_name", "payments"))
        shutil.copytree(render(**answers), destination, symlinks=True)
        return destination

    return scaffold_copy
