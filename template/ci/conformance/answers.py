"""The answers that a service was made with, as Copier records them."""

from __future__ import annotations

import os
import re

from .model import open_regular

ANSWERS = ".copier-answers.yml"


def recorded(root: str, question: str) -> str | None:
    """Return the answer to a question whose answers are plain words."""
    try:
        with open_regular(os.path.join(root, ANSWERS)) as file:
            text = file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(rf"^{question}:\s*[\"']?([\w-]+)[\"']?\s*$", text, re.MULTILINE)
    return found.group(1) if found else None
