"""The template's history, made once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from history import History


@pytest.fixture(autouse=True, scope="session")
def _own_cache(
    tmp_path_factory: pytest.TempPathFactory, _isolated_environment: None
) -> Iterator[None]:
    """Copier's mirrors of templates do not outlive the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COPIER_CACHE_DIR", str(tmp_path_factory.mktemp("copier")))
        yield


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory, _isolated_environment: None) -> History:
    return History.make(tmp_path_factory.mktemp("history"))
