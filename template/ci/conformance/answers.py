"""The answers that a service was made with, as Copier records them."""

from __future__ import annotations

import os
import re

ANSWERS = ".copier-answers.yml"


def recorded(root: str, question: str) -> str | None:
    """Return the answer to a question whose answers are plain words."""
    try:
        with open(os.path.join(root, ANSWERS), encoding="utf-8") as file:
            found = re.search(rf"^{question}:\s*[\"']?([\w-]+)[\"']?\s*$", file.read(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    return found.group(1) if found else None
