"""Every combination of answers renders, the same everywhere, and leaves no trace of Jinja."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rendering import ALL, COMBINATIONS, ROOT, Render, changed_files, rendered_files, snapshot

ANSWERS = [
    name for name in yaml.safe_load((ROOT / "copier.yml").read_text()) if not name.startswith("_")
]

COPY = """
import sys, yaml
from copier import run_copy
run_copy(sys.argv[1], sys.argv[2], data=yaml.safe_load(sys.argv[3]), defaults=True, quiet=True,
         vcs_ref="HEAD")
"""


ONE_OF_EACH = {answers["language"]: name for name, answers in COMBINATIONS.items()}


@pytest.mark.parametrize("name", ONE_OF_EACH.values())
def test_same_answers_give_the_same_bytes(
    name: str, template_repository: Path, tmp_path: Path
) -> None:
    """From another directory, in another locale and time zone, with another git configuration."""
    (gitconfig := tmp_path / "gitconfig").write_text(
        "[user]\n\tname = Somebody Else\n\temail = else@example.com\n"
        "[core]\n\tautocrlf = true\n\tfileMode = false\n[init]\n\tdefaultBranch = trunk\n"
    )
    environments = [
        {"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        {
            "LC_ALL": "C",
            "LANG": "tr_TR.UTF-8",
            "TZ": "Asia/Kathmandu",
            "GIT_CONFIG_GLOBAL": str(gitconfig),
            "COLUMNS": "20",
        },
    ]
    snapshots = []
    for number, environment in enumerate(environments):
        (cwd := tmp_path / f"cwd{number}").mkdir()
        destination = tmp_path / f"service{number}"
        subprocess.run(
            [
                sys.executable, "-W", "ignore", "-c", COPY,
                str(template_repository), str(destination), yaml.safe_dump(COMBINATIONS[name]),
            ],
            check=True, cwd=cwd, env={**os.environ, **environment},
        )  # fmt: skip
        snapshots.append(snapshot(destination))
    assert snapshots[0] == snapshots[1]


def test_a_test_that_changes_a_render_is_named(tmp_path: Path) -> None:
    (tmp_path / "edited").write_text("a")
    (tmp_path / "removed").symlink_to("edited")
    before = snapshot(tmp_path)
    assert changed_files(tmp_path, before) == []
    (tmp_path / "edited").write_text("b")
    (tmp_path / "removed").unlink()
    (tmp_path / "added").touch()
    assert changed_files(tmp_path, before) == ["added", "edited", "removed"]


def hygiene_faults(path: Path, data: bytes) -> list[str]:
    """What is untidy about a text file: trailing blanks, CR, blank-line debris, the end."""
    faults = []
    text = data.decode("utf-8")
    lines = text.split("\n")
    if "\r" in text:
        faults.append("carriage return")
    if any(line != line.rstrip() for line in lines):
        faults.append("trailing blank")
    if not text.endswith("\n") or text.endswith("\n\n"):
        faults.append("not exactly one final newline")
    if text.startswith("\n"):
        faults.append("blank first line")
    # Python puts two blank lines between definitions.
    run = "\n\n\n\n" if path.suffix == ".py" else "\n\n\n"
    if run in text:
        faults.append("run of blank lines")
    return faults


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"a \n", "trailing blank"),
        (b"a", "not exactly one final newline"),
        (b"a\n\n", "not exactly one final newline"),
        (b"\na\n", "blank first line"),
        (b"a\n\n\nb\n", "run of blank lines"),
        (b"a\r\n", "carriage return"),
    ],
)
def test_hygiene_can_fail(data: bytes, fault: str) -> None:
    assert fault in hygiene_faults(Path("x.md"), data)


@pytest.mark.parametrize("name", ALL)
def test_renders_are_tidy(name: str, render: Render) -> None:
    service = render(**ALL[name])
    faults = {
        str(path): found
        for path in rendered_files(service)
        if not (service / path).is_symlink() and (service / path).stat().st_size
        if path.suffix not in (".jar",)
        if (found := hygiene_faults(path, (service / path).read_bytes()))
    }
    assert faults == {}


TAG = re.compile(r"\{%|%\}|(?<!\$)\{\{-?\s*(?:" + "|".join(ANSWERS) + r")\b")


def jinja_leftovers(text: str) -> list[str]:
    """Lines with a Jinja tag; braces of Rust's format! and of a workflow are none."""
    return [line for line in text.splitlines() if TAG.search(line)]


def test_leftovers_are_found() -> None:
    text = 'a\n{% if x %}\n{{ service_name }}\nformat!("{{{x}}}")\n'
    assert jinja_leftovers(text) == ["{% if x %}", "{{ service_name }}"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_no_jinja_is_left(name: str, render: Render) -> None:
    service = render(**COMBINATIONS[name])
    leftovers = {
        str(path): found
        for path in rendered_files(service)
        if "{" in str(path)
        or (
            path.parts[:2] != ("ci", "conformance")
            and path.suffix not in (".sh", ".jar")
            and not (service / path).is_symlink()
            and (found := jinja_leftovers((service / path).read_text("utf-8")))
        )
    }
    assert leftovers == {}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_dockerfile_is_found_where_newcomers_look(name: str, render: Render) -> None:
    service = render(**COMBINATIONS[name])
    assert os.readlink(service / "Dockerfile") == "image/Dockerfile"
    assert (service / "Dockerfile").read_bytes() == (service / "image/Dockerfile").read_bytes()
