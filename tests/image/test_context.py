"""A build context has the files that the images are made of, and no others."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from lab import Lab
from rendering import COMBINATIONS, Render, rendered_files

LANGUAGES = {answers["language"]: answers for answers in reversed(COMBINATIONS.values())}
# What is never needed although it lies beside what is.
UNNEEDED = {"go": ["*_test.go"]}
CLUTTER = [
    ".env", ".git/config", ".venv/bin/python", "bin/payments", "dist/main.js", "id_rsa",
    "node_modules/fastify/index.js", "target/release/payments",
]  # fmt: skip


def sent(lab: Lab, service: Path) -> set[str]:
    """The files that the builder receives, as it says itself."""
    (service / "context.Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    image = lab.build(service, dockerfile="context.Dockerfile")
    return {path.lstrip("/") for path, member in image.files.items() if member.isreg()}


def copied(dockerfile: str) -> set[Path]:
    """What a Dockerfile copies from its context."""
    sources: set[Path] = set()
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        instruction, *words = line.split() or [""]
        if instruction == "COPY" and not any(word.startswith("--from=") for word in words):
            sources |= {Path(word) for word in words[:-1] if not word.startswith("--")}
    return sources


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_context_is_what_the_images_need(language: str, scaffold: Render, lab: Lab) -> None:
    service = scaffold(**LANGUAGES[language])
    sources = copied((service / "image/Dockerfile").read_text())
    sources |= copied((service / "ci/image/Dockerfile").read_text())
    needed = {
        str(path)
        for path in rendered_files(service)
        if sources & {path, *path.parents}
        and not any(fnmatch.fnmatch(path.name, name) for name in UNNEEDED.get(language, []))
    }
    for name in CLUTTER:
        (service / name).parent.mkdir(parents=True, exist_ok=True)
        (service / name).write_text("not for an image\n")
    assert sent(lab, service) == needed
    if language == "go":
        (service / ".dockerignore").unlink()
        assert set(CLUTTER) <= sent(lab, service)
