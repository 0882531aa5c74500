"""bases.yml is the one table of bases; `make house` says what is wrong with it, and writes it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import ROOT, copy_template, git

HOUSE = [sys.executable, str(ROOT / "scripts/house.py")]
DATA = "template/ci/house/house.toml"
OWN = {
    "language": "python",
    "name": "hardened",
    "label": "hardened: Python of our vendor",
    "release": "images.example.com/hardened/python:3.13",
    "libc": "glibc",
    "user": "1001:1001",
    "runtime": "/opt/python/bin/python3.13",
    "signer": {"identity": "https://example.com/release.yml", "issuer": "https://example.com"},
}


def house(template: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*HOUSE, "--root", str(template), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def make_house(destination: Path, *bases: Any) -> Path:
    """The template in a repository, with these entries as a platform team's own."""
    template = copy_template(destination)
    for name in ("bases.yml", "ownership.yml"):
        shutil.copy2(ROOT / name, template)
    git(template, "init", "--quiet")
    if bases:
        (template / "house").mkdir(exist_ok=True)
        text = yaml.safe_dump({"bases": list(bases)}, allow_unicode=True)
        (template / "house/house.yml").write_text(text, encoding="utf-8")
    return template


def test_what_it_writes_is_current() -> None:
    result = subprocess.run([*HOUSE, "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_change_of_the_table_makes_it_stale(tmp_path: Path) -> None:
    template = make_house(tmp_path / "template")
    assert house(template, "--check").returncode == 0
    text = (template / "bases.yml").read_text()
    (template / "bases.yml").write_text(text.replace("cc-debian13", "cc-debian14"))
    stale = house(template, "--check")
    assert stale.returncode == 1
    assert "run: make house" in stale.stderr
    assert DATA in stale.stderr
    assert "cc-debian14" not in (template / DATA).read_text()
    assert house(template).returncode == 0
    assert house(template, "--check").returncode == 0
    assert "cc-debian14" in (template / DATA).read_text()
    # Its lock is written with it, and no other one has to be.
    lock = [sys.executable, str(ROOT / "scripts/lock.py"), "--check", "--root", str(template)]
    assert subprocess.run(lock, capture_output=True).returncode == 0


def awk(table: str, key: str, wanted: str, data: Path) -> str:
    """How a script of a pipeline reads the file."""
    program = """
        /^\\[\\[/ { if (row[key] == wanted) exit; split("", row) }
        inside && match($0, / = "/) {
            row[substr($0, 1, RSTART - 1)] = substr($0, RSTART + 4, length($0) - RSTART - 4)
        }
        /^\\[\\[/ { inside = $0 == "[[" table "]]" }
        END { if (row[key] == wanted) for (name in row) print name "=" row[name] }"""
    given = [f"-vtable={table}", f"-vkey={key}", f"-vwanted={wanted}"]
    command = ["awk", *given, program, str(data)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_tomllib_and_awk_read_the_same() -> None:
    found = tomllib.loads((ROOT / DATA).read_text(encoding="utf-8"))
    assert set(found) == {"base", "signer"}
    for row in found["signer"]:
        lines = awk("signer", "repository", row["repository"], ROOT / DATA).splitlines()
        assert sorted(lines) == sorted(f"{key}={value}" for key, value in row.items())


def test_every_image_has_a_signer_or_is_said_to_have_none() -> None:
    found = tomllib.loads((ROOT / DATA).read_text(encoding="utf-8"))
    signers = {row["repository"]: row for row in found["signer"]}
    for base in found["base"]:
        for key in ("release", "builder", "jre", "debug"):
            repository = base[key].rsplit(":", 1)[0]
            if repository and repository != "scratch":
                signed = signers[repository]["identity"]
                assert bool(signed) == repository.startswith("gcr.io/distroless/"), repository


def test_a_house_adds_an_entry(tmp_path: Path) -> None:
    template = make_house(tmp_path / "template", OWN)
    result = house(template)
    assert result.returncode == 0, result.stderr
    found = tomllib.loads((template / DATA).read_text(encoding="utf-8"))
    names = [(row["language"], row["name"]) for row in found["base"]]
    assert names.index(("python", "hardened")) == names.index(("python", "distroless")) + 1
    [row] = [row for row in found["base"] if row["name"] == "hardened"]
    assert (row["user"], row["runtime"]) == ("1001:1001", "/opt/python/bin/python3.13")
    assert row["builder"] == "docker.io/library/python:3.13-slim-trixie"
    assert {
        "repository": "images.example.com/hardened/python", "key": "", **OWN["signer"],
    } in found["signer"]  # fmt: skip
    read = json.loads((template / "partials/house.json").read_text())["bases"]
    assert [(base["language"], base["name"]) for base in read] == names


def test_a_house_changes_what_an_entry_says(tmp_path: Path) -> None:
    change = {"language": "node", "name": "distroless", "user": "1001:0"}
    template = make_house(tmp_path / "template", change)
    assert house(template).returncode == 0
    found = tomllib.loads((template / DATA).read_text(encoding="utf-8"))
    users = {(row["language"], row["user"]) for row in found["base"]}
    assert ("node", "1001:0") in users
    assert ("python", "65532:65532") in users


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"language": "cobol"}, "language is cobol, want one of go, rust, java, python, node"),
        ({"name": "Our Base"}, "name is Our Base, want a short word"),
        ({"label": None}, "label is None, want a line of text"),
        ({"why": "{{ service_name }}"}, "why is '{{ service_name }}', want a line of text"),
        ({"release": "python:3.13"}, "release is python:3.13, want an image with its registry"),
        ({"release": "cgr.dev/acme/python:latest"}, "a digest in place of latest"),
        ({"release": "dhi.io/python"}, "want a tag that says what it is"),
        ({"release": "dhi.io/python:3.13-dev"}, "which has a shell"),
        ({"release": "scratch"}, "release is scratch, which has no interpreter for python"),
        ({"libc": "uclibc"}, "libc is uclibc, want one of glibc, musl, none"),
        ({"libc": "musl"}, "the builder's is glibc: name one with musl in builder"),
        ({"user": "nonroot"}, 'user is nonroot, want uid:gid in numbers, uid not 0, as in "65532'),
        ({"user": "0:0"}, "user is 0:0, want uid:gid"),
        ({"user": 1001}, "user is 1001, want uid:gid"),
        ({"runtime": ""}, "runtime is missing, want the path of the interpreter"),
        ({"runtime": "python3"}, "runtime is python3, want the path"),
        ({"language": "go"}, "a service in go needs no interpreter"),
        ({"jre": "dhi.io/jdk:25"}, "jre is dhi.io/jdk:25, but python needs none"),
        ({"signer": {"identity": "me"}}, "want identity and issuer of a keyless signature, or key"),
        ({"offered": "no"}, "offered is no, want true or false"),
        ({"image": "x"}, "image is no field of a base; want language, name, offered"),
        ({"language": "java", "runtime": "", "libc": "musl"}, "release scratch and a jre"),
        ({"language": "go", "runtime": "", "release": "scratch"}, "but scratch has none"),
        ({"name": "distroless", "offered": False}, "none is offered for python"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    template = make_house(tmp_path / "template", OWN | change)
    before = (template / DATA).read_text()
    for arguments in ([], ["--check"]):
        result = house(template, *arguments)
        assert result.returncode == 2
        assert message in result.stderr
        assert "house/house.yml: bases" in result.stderr
        assert "Traceback" not in result.stderr
    assert (template / DATA).read_text() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bases: {a: 1}\n", "house/house.yml: bases is dict, want a list of entries"),
        ("bases: [hardened]\n", "'hardened' is no base: want at least language and name"),
        ("- 1\n", "house/house.yml is list, want a mapping"),
        ("bases: [\n", "house/house.yml is no YAML"),
    ],
)
def test_a_file_of_another_form_is_named(text: str, message: str, tmp_path: Path) -> None:
    template = make_house(tmp_path / "template", OWN)
    (template / "house/house.yml").write_text(text)
    result = house(template)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
