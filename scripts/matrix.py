"""The combinations of answers that are rendered, linted, built and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


def combinations(root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """One for each base of each language, and those of tests/matrix.yml."""
    table = json.loads((root / "partials/house.json").read_text(encoding="utf-8"))
    bases = [(base["language"], base["name"]) for base in table["bases"]]
    more = yaml.safe_load((root / "tests/matrix.yml").read_text(encoding="utf-8"))
    return {
        f"{language}-{name}": {"language": language, "runtime_base": name}
        for language, name in bases
    } | more["combinations"]
