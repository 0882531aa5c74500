"""A service of an older release keeps its code and names; a new one has the platform's code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from history import BEFORE, LANGUAGES, RELEASES, History, seeded_files, update

from rendering import NIGHTLY, commit_all, rendered_files

OLD = [
    (f"v{release['version']}", language)
    for release in RELEASES
    if release["version"] in ("0.1.0", "0.2.0")
    for language in release["languages"]
]
# Names that the rule of those releases changed, or that today's changes; `payments` is the
# name of the services of test_matrix.py.
NAMES = {
    "go": ["3scale"], "rust": ["http", "axum", "3scale"], "java": ["3scale"],
    "python": ["http", "dotenv", "3scale"], "node": ["http", "3scale"],
}  # fmt: skip
CALLED = (r"\./cmd/([\w-]+)", r"release/([\w-]+)", r"src/(\w+)/VERSION", r'"-m", "(\w+)"')


def answers(service: Path) -> dict[str, object]:
    recorded = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in recorded.items() if not name.startswith("_")}


def package(service: Path) -> set[str]:
    """What the merged files call the package, the command or the class of a service."""
    found = set()
    for path in ("Makefile", "image/Dockerfile"):
        text = (service / path).read_text(encoding="utf-8")
        for pattern in CALLED:
            found |= set(re.findall(pattern, text))
    return found


@pytest.mark.parametrize(
    ("tag", "language", "name"),
    [
        (tag, language, name)
        for tag, language in OLD
        for name in NAMES[language]
        # In 0.1.0 python-dotenv was no dependency; 0.2.0 renamed the package of this service.
        if (tag, name) != ("v0.1.0", "dotenv") and (NIGHTLY or tag != "v0.1.0" or name == "http")
    ],
)
def test_an_older_service_keeps_its_code_and_names(
    name: str, tag: str, language: str, history: History, tmp_path: Path
) -> None:
    history.need(tag)
    service = history.service(tmp_path / "service", tag, language=language, service_name=name)
    seeded, called = seeded_files(service, language), package(service)
    result = update(service, VERSION=BEFORE)
    assert result.returncode == 0, result.stderr
    assert answers(service)["platform_code"] is False
    assert seeded_files(service, language) == seeded
    assert package(service) == called
    assert not list(service.rglob("platform.lock")) or {
        path.relative_to(service).parts[0] for path in service.rglob("platform.lock")
    } == {"ci"}


def test_the_answer_is_kept(history: History, tmp_path: Path) -> None:
    """An update later, the older service has its own code still, the newer one the platform's."""
    language = "go"
    tag = next(tag for tag, has in OLD if has == language)
    history.need(tag)
    older = history.service(tmp_path / "older", tag, language=language)
    newer = history.service(tmp_path / "newer", BEFORE, language=language)
    assert update(older, VERSION=BEFORE).returncode == 0
    for service, has in ((older, False), (newer, True)):
        if service == older:
            commit_all(service, "Update")
        result = update(service)
        assert result.returncode == 0, result.stderr
        assert answers(service)["platform_code"] is has


@pytest.mark.parametrize("language", LANGUAGES)
def test_moving_over(language: str, history: History, tmp_path: Path) -> None:
    """`make update DATA=platform_code=true` brings the platform's folder, and no other code."""
    tag = next(tag for tag, has in OLD if has == language)
    history.need(tag)
    service = history.service(tmp_path / "service", tag, language=language)
    before = {str(path) for path in rendered_files(service)}
    seeded = seeded_files(service, language)
    result = update(service, VERSION=BEFORE, DATA="platform_code=true")
    assert result.returncode == 0, result.stderr
    assert answers(service)["platform_code"] is True
    after = {str(path) for path in rendered_files(service)}
    folder = {
        "go": "internal/platform", "rust": "src/platform", "node": "src/platform",
        "java": "src/main/java/serviceplatform", "python": "src/service_platform",
    }[language]  # fmt: skip
    assert f"{folder}/platform.lock" in after - before
    assert {path: seeded_files(service, language)[path] for path in seeded} == seeded


def test_traces_need_the_platforms_code(history: History, tmp_path: Path) -> None:
    history.need("v0.2.0")
    service = history.service(tmp_path / "service", "v0.2.0", language="go")
    result = update(service, VERSION=BEFORE, DATA="tracing=true")
    assert result.returncode == 1
    assert "before 0.3.0" in result.stderr
