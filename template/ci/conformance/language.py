"""Which language a service is written in, told from its repository."""

from __future__ import annotations

import os
import re

_MARKERS = (
    ("go.mod", "go"),
    ("Cargo.toml", "rust"),
    ("pom.xml", "java"),
    ("pyproject.toml", "python"),
    ("package.json", "node"),
)
_ANSWER = re.compile(r"^language:\s*[\"']?(go|rust|java|python|node)[\"']?\s*$", re.MULTILINE)


def detect(root: str) -> str | None:
    """The recorded answer decides; without one the build file does."""
    try:
        with open(os.path.join(root, ".copier-answers.yml"), encoding="utf-8") as file:
            answer = _ANSWER.search(file.read())
            if answer:
                return answer.group(1)
    except (OSError, UnicodeDecodeError):
        pass
    return next((language for name, language in _MARKERS if os.path.isfile(os.path.join(root, name))), None)
