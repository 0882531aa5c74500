"""The template's own files: they parse, stay thin, and their trees do not overlap."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, StrictUndefined, meta

from rendering import ROOT, rendered_files

TEMPLATE = ROOT / "template"
CONFIG = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
ENVIRONMENT = Environment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
)
FILTERS = (
    "combine", "dirname", "from_json", "hash", "regex_replace", "regex_search", "to_json",
    "to_nice_yaml",
)  # fmt: skip
for name in FILTERS:
    ENVIRONMENT.filters[name] = str
KNOWN = {name for name in CONFIG if not name.startswith("_")} | {
    "_copier_answers", "_copier_conf",
}  # fmt: skip
JINJA = [
    *(TEMPLATE / path for path in rendered_files(TEMPLATE) if path.suffix == ".jinja"),
    *(ROOT / "partials").rglob("*.*"),
]


@pytest.mark.parametrize("path", JINJA, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_parses_and_uses_known_answers(path: Path) -> None:
    syntax = ENVIRONMENT.parse(path.read_text(encoding="utf-8"))
    assert meta.find_undeclared_variables(syntax) <= KNOWN


def test_suffix_is_earned() -> None:
    """A file without a tag is copied verbatim; the suffix would only cost a render."""
    idle = [
        str(path.relative_to(ROOT))
        for path in JINJA
        if path.suffix == ".jinja"
        and path.is_relative_to(TEMPLATE)
        and not any(mark in path.read_text(encoding="utf-8") for mark in ("{{", "{%"))
    ]
    assert idle == []


def overlaps(template: Path) -> list[tuple[str, str, str]]:
    """Paths that the shared tree and an overlay, or a language and a provider, both bring."""
    trees: dict[str, set[str]] = {}
    for path in rendered_files(template):
        bare = path.with_suffix("") if path.suffix == ".jinja" else path
        overlay = bare.parts[0].startswith("{{ ") and len(bare.parts) > 1
        tree, inner = (bare.parts[0], Path(*bare.parts[1:])) if overlay else ("shared", bare)
        trees.setdefault(tree, set()).add(str(inner))
    languages = {f"{{{{ {name} }}}}" for name in ("go", "rust", "java", "python", "node")}
    return [
        (path, first, second)
        for first in trees
        for second in trees
        if first < second and not {first, second} <= languages
        for path in trees[first] & trees[second]
    ]


def test_trees_are_disjoint() -> None:
    assert overlaps(TEMPLATE) == []


def test_an_overlap_is_found(tmp_path: Path) -> None:
    for name in ("README.md.jinja", "{{ go }}/README.md", "{{ rust }}/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(overlaps(tmp_path)) == [
        ("README.md", "shared", "{{ go }}"),
        ("README.md", "shared", "{{ rust }}"),
    ]
