"""bases.yml is the one table of bases; `make house` says what is wrong with it, and writes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy

from houses import HOUSE, house, make_house
from rendering import ROOT, commit_all

sys.path.insert(0, str(ROOT / "scripts"))
import house_own

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
    assert "Traceback" not in stale.stderr
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
    assert set(found) == {"house", "base", "by_hand", "signer"}
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
        ("colour: red", "colour is no setting; want name, template, owner, registry"),
        ("name: ''", "name is '', want a line of text"),
        ("name: '{{ x }}'", "name is '{{ x }}', want a line of text"),
        ("owner: Acme", "owner is 'Acme'. Example: acme/checkout."),
        ("owner: 7", "owner is 7, want a line of text"),
        ("registry: https://x", "registry is 'https://x'. Example: registry.example.com/acme."),
        ("languages: [cobol]", "languages is ['cobol'], want some of go, rust"),
        ("languages: []", "languages is [], want some of go, rust"),
        ("languages: go", "languages is 'go', want some of go, rust"),
        ("prefix: SEC", "prefix is 'SEC', want four to eight capital letters such as ACME"),
        ("deciders: Ada", "deciders is 'Ada', want a list of names"),
        ("approvers: ['a, b']", "approvers is ['a, b'], want a list of names"),
        ("deviation_days: long", "deviation_days is 'long', want a number of days"),
        ("template: ../here", "template is '../here', want an address that git clones"),
        ("template: https://me:secret@x.example/y", "template has credentials in it"),
        ("mirrors: [a]", "mirrors is list, want a mapping such as docker.io: mirror.acme"),
        ("mirrors: {Docker: x}", "mirrors: Docker is no host of a registry; want one as in"),
        ("mirrors: {docker.io: https://x.y}", "mirrors: docker.io is 'https://x.y', want an add"),
        ("indexes: {cobol: https://x.example}", "indexes: cobol is none; want go, rust, java"),
        ("indexes: {go: http://x.example}", "indexes: go is 'http://x.example', want an address"),
        ("indexes: {go: https://x.example/;id}", "indexes: go is 'https://x.example/;id', want"),
        ("indexes: {go: https://me:secret@x.example}", "indexes: go has credentials in it"),
        ("proxy: proxy.example", "proxy is 'proxy.example', want an address as in http://proxy"),
        ("proxy: http://me:secret@x.example:1", "proxy has credentials in it; every service"),
        ("no_proxy: acme.example", "no_proxy is 'acme.example', want a list of hosts"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(text: str, message: str, tmp_path: Path) -> None:
    template = make_house(tmp_path / "template", OWN)
    (template / "house/house.yml").write_text(text + "\n")
    result = house(template, "--check")
    assert result.returncode == 2
    assert f"house/house.yml: {message}" in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("ADRs/ADR-008-a-title.md", "# ADR-008: A title\n", "ADR-NNN-<kebab-title>.md, from"),
        ("ADRs/data.md", "# Data\n", "ADR-NNN-<kebab-title>.md, from ADR-101 on"),
        ("ADRs/ADR-101-data.md", "# ADR-102: Data\n", "no heading `# ADR-101: Title` at its top"),
        ("checks/a-b.py", "", "<name>.py of a-z, 0-9 and _"),
        ("checks/databases.py", "", "prefix is missing, and there are house/checks/"),
        ("authority.pem", "no", "authority.pem has no certificate: want PEM, from -----BEGIN"),
        ("authority.pem", "-----BEGIN PRIVATE KEY-----", "authority.pem has a private key in it"),
    ],
)  # fmt: skip
def test_a_file_of_a_wrong_name_is_named(
    path: str, text: str, message: str, tmp_path: Path
) -> None:
    template = make_house(tmp_path / "template", OWN)
    (template / "house" / path).parent.mkdir(exist_ok=True)
    (template / "house" / path).write_text(text)
    result = house(template, "--check")
    assert result.returncode == 2
    assert message in result.stderr


def test_a_house_begins_with_what_the_template_has(tmp_path: Path) -> None:
    template = make_house(tmp_path / "template")
    before = {path: (template / path).read_text() for path in (DATA, "partials/house.json")}
    result = house(template, "--start", "Platform team")
    assert result.returncode == 0, result.stderr
    for path in ("house/house.yml", "house/CHANGELOG.md", "house/releases.yml"):
        assert path in result.stdout
    assert {path: (template / path).read_text() for path in before} == before
    # Each value that the file shows behind a # is one that it takes.
    shown = (template / "house/house.yml").read_text()
    whole = re.sub(r"^# (?=[a-z_]+: )", "", shown, flags=re.MULTILINE)
    (template / "house/house.yml").write_text(whole)
    assert house(template).returncode == 0
    assert set(yaml.safe_load(whole)) == {*house_own.DEFAULTS, "bases"}
    # What is there stays.
    assert house(template, "--start", "Another").returncode == 0
    assert (template / "house/house.yml").read_text() == whole


def test_what_a_house_takes_away_goes(tmp_path: Path) -> None:
    template = make_house(tmp_path / "template", OWN)
    record = template / "house/ADRs/ADR-101-data.md"
    record.parent.mkdir()
    record.write_text("# ADR-101: Data\n")
    written = template / "template/specs/ADRs/ADR-101-data.md"
    index = template / "template/specs/guidelines/house-records.md"
    assert house(template).returncode == 0
    assert written.exists()
    assert "[ADR-101](../ADRs/ADR-101-data.md) | Data" in index.read_text()
    assert "specs/ADRs/ADR-101-data.md" in (template / DATA).with_name("platform.lock").read_text()
    # The template's own lock says nothing of it.
    lock = [sys.executable, str(ROOT / "scripts/lock.py"), "--root", str(template)]
    subprocess.run(lock, check=True)
    assert b"ADR-101" not in (template / "template/ci/platform.lock").read_bytes()
    record.unlink()
    stale = house(template, "--check")
    assert stale.returncode == 1
    assert "ADR-101-data.md is not in house/ any more" in stale.stderr
    assert house(template).returncode == 0
    assert not written.exists()
    assert not index.exists()


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


# Inside a company network. The images are built in tests/image/test_company.py.
INSIDE = """\
mirrors: {docker.io: mirror.acme.example/hub, gcr.io: mirror.acme.example/gcr}
indexes:
  apt: https://packages.acme.example/apt
  go: https://packages.acme.example/go
  rust: https://packages.acme.example/rust
  java: https://packages.acme.example/java
  python: https://packages.acme.example/python/simple
  node: https://packages.acme.example/node
proxy: http://proxy.acme.example:3128
no_proxy: [acme.example]
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
NETWORK = ("authority.pem", "cargo.toml", "jobs.sh", "packages.sh")
FETCHES = "RUN --mount=type=secret,id=packages . /opt/house/packages.sh"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of a house that says how its network is."""
    template = make_house(tmp_path_factory.mktemp("inside") / "template")
    (template / "house").mkdir()
    (template / "house/house.yml").write_text(INSIDE)
    (template / "house/authority.pem").write_text(CERTIFICATE)
    result = house(template)
    assert result.returncode == 0, result.stderr
    lock = [sys.executable, str(ROOT / "scripts/lock.py"), "--root", str(template)]
    subprocess.run(lock, check=True)
    commit_all(template, "Say how the network is")
    return template


@pytest.mark.parametrize("language", house_own.LANGUAGES)
def test_each_step_that_fetches_is_told_how(language: str, inside: Path, tmp_path: Path) -> None:
    service = tmp_path / "payments"
    for ci in ("gitlab", "github") if language == "go" else ("gitlab",):
        shutil.rmtree(service, ignore_errors=True)
        data = {"language": language, "ci": ci}
        run_copy(str(inside), service, data=data, defaults=True, quiet=True, vcs_ref="HEAD")
        # Its own checks, with a linter of Dockerfiles, and the words of a shell.
        report = subprocess.run(
            [sys.executable, "-B", "ci/conformance", "repo", "--strict"],
            cwd=service, capture_output=True, text=True,
        )  # fmt: skip
        assert report.returncode == 0, report.stdout + report.stderr
        if ci == "github":
            called = yaml.safe_load((service / ".github/workflows/ci.yml").read_text())["jobs"]
            given = called["pipeline"]["secrets"]["PACKAGE_CREDENTIALS"]
            assert given == "${{ secrets.PACKAGE_CREDENTIALS }}"
    dockerfile = (service / "ci/image/Dockerfile").read_text()
    steps = re.findall(r"(?m)^RUN (?:.*\\\n)*.*", dockerfile)
    offline = [step for step in steps if not step.startswith(FETCHES)]
    assert len(steps) - len(offline) >= 2
    assert [step for step in offline if "--offline" not in step] == []
    assert "COPY ci/house/packages.sh ci/house/authority.pem /opt/house/" in dockerfile
    lint = ["hadolint", "--config", str(ROOT / "tests/scaffold/hadolint.yaml"), "-"]
    done = subprocess.run(lint, input=dockerfile, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    scripts = [str(service / "ci/house" / name) for name in ("packages.sh", "jobs.sh")]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    # What runs in production is built from the CI image, and reads nothing of this.
    assert "ci/house" not in (service / "image/Dockerfile").read_text()


def told(script: str, service: Path, *names: str, **env: str) -> list[str]:
    """The variables that a shell has once it has read a script."""
    words = " ".join(f'"${{{name}:-}}"' for name in names)
    done = subprocess.run(
        ["env", "-i", f"PATH={os.environ['PATH']}", *(f"{k}={v}" for k, v in env.items()),
         "sh", "-euc", f". {script}; printf '%s\\n' {words}"],
        cwd=service, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_jobs_are_told_of_registries(inside: Path) -> None:
    names = ("REGISTRY_MAP", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR")
    place = inside / "template"
    mirrors = "docker.io=mirror.acme.example/hub;gcr.io=mirror.acme.example/gcr"
    proxy, trusted = "http://proxy.acme.example:3128", f"{place}/ci/house"
    assert told("ci/house/jobs.sh", place, *names) == [
        mirrors, proxy, "acme.example", f"/etc/ssl/certs:{trusted}"
    ]  # fmt: skip
    # A variable of the project wins, and what a tool's image trusts stays.
    own = {"REGISTRY_MAP": "docker.io=x", "SSL_CERT_DIR": "/kaniko/ssl/certs"}
    assert told("ci/house/jobs.sh", place, *names, **own) == [
        "docker.io=x", proxy, "acme.example", f"/kaniko/ssl/certs:{trusted}"
    ]  # fmt: skip


def test_a_house_that_leaves_the_network_takes_its_files_along(
    inside: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template"
    shutil.copytree(inside, template, symlinks=True)
    folder = template / "template/ci/house"
    lock = (folder / "platform.lock").read_text()
    assert all((folder / name).exists() and f"ci/house/{name}" in lock for name in NETWORK)
    shutil.rmtree(template / "house")
    stale = house(template, "--check")
    assert stale.returncode == 1
    assert "ci/house/packages.sh is not in house/ any more; run: make house" in stale.stderr
    assert house(template).returncode == 0
    assert not any((folder / name).exists() for name in NETWORK)
    assert "packages.sh" not in (folder / "platform.lock").read_text()
