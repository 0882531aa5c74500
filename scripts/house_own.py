"""What a platform team makes its own in house/: values, records, a guideline and checks.

`scripts/house.py` writes what services get of it. Nothing else of the template has a line
of a house, so that a later release merges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

FOLDER = "house"
LANGUAGES = ("go", "rust", "java", "python", "node")
DEFAULTS: dict[str, Any] = {
    "name": "Platform team",
    "template": "",
    "owner": "platform",
    "registry": "registry.example.com/{owner}",
    "languages": list(LANGUAGES),
    "prefix": "",
    "deciders": [],
    "approvers": [],
    "deviation_days": 0,
    "mirrors": {},
    "indexes": {},
    "proxy": "",
    "no_proxy": [],
}
# What a service gets of them; the rest are answers.
SERVICE_KEYS = ("name", "deciders", "approvers", "deviation_days")
# Of these a service gets a file each; a house without any has none of them.
RECORDS, GUIDELINE, CHECKS = "ADRs", "guideline.md", "checks"
TEMPLATE_RECORDS = "template/specs/ADRs"
TEMPLATE_CHECKS = "template/ci/conformance/house"
TEMPLATE_GUIDELINE = "template/specs/guidelines/house.md"
TEMPLATE_INDEX = "template/specs/guidelines/house-records.md"
# Whom builds and jobs trust besides, and what a house inside a company network gives them.
AUTHORITY = "authority.pem"
TEMPLATE_NETWORK = "template/ci/house"
NETWORK = (AUTHORITY, "packages.sh", "jobs.sh", "cargo.toml")
# Languages; apt for the packages of the builder's system, rustup for Rust's linters.
INDEXES = (*LANGUAGES, "apt", "rustup")

_TEXT = re.compile(r"[^\x00-\x1f\x7f\"\\{}\u2028\u2029]{1,100}")
_RECORD = re.compile(r"ADR-([1-9]\d\d)-[a-z0-9]+(?:-[a-z0-9]+)*\.md")
_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_MIRROR = re.compile(rf"{_HOST}(?::\d{{1,5}})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_INDEX = re.compile(rf"https://{_HOST}(?::\d{{1,5}})?(?:/[A-Za-z0-9._~-]+)*/?")
_PROXY = re.compile(rf"http://(?P<host>{_HOST}):(?P<port>\d{{1,5}})/?")
_NO_SECRET = "every service would get them: leave them out, the build takes PACKAGE_CREDENTIALS"
_MODULE = re.compile(r"[a-z][a-z0-9_]*\.py")


def start(root: Path, name: str) -> list[Path]:
    """Write the files that a house begins with; one that is there stays."""
    written = []
    for path, text in {
        "house.yml": HOUSE_YML.replace("NAME", json.dumps(name, ensure_ascii=False)),
        "CHANGELOG.md": CHANGELOG,
        "releases.yml": RELEASES,
    }.items():
        place = root / FOLDER / path
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
            written.append(place)
    return written


# Values


def values(house: dict[str, Any]) -> dict[str, Any]:
    """The values of a house, with the defaults for those that it does not name."""
    return DEFAULTS | {key: house[key] for key in DEFAULTS if house.get(key) is not None}


def faults(root: Path, house: dict[str, Any]) -> Iterator[str]:
    """Say what is wrong with the values and files of a house, and what is right instead."""
    for key in sorted(house.keys() - DEFAULTS.keys() - {"bases"}, key=str):
        yield f"{key} is no setting; want {', '.join((*DEFAULTS, 'bases'))}"
    value = values(house)
    if not _text(value["name"]):
        yield f"name is {value['name']!r}, want a line of text such as Acme Platform"
    for key in ("deciders", "approvers"):
        names = value[key]
        if not isinstance(names, list) or not all(
            _text(name) and "," not in name for name in names
        ):
            yield f"{key} is {names!r}, want a list of names, as in [Ada Lovelace, platform-leads]"
    days = value["deviation_days"]
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= 3650:
        yield f"deviation_days is {days!r}, want a number of days, 0 for no limit"
    address = value["template"]
    if address and not (
        isinstance(address, str) and re.fullmatch(r"[\w.+-]+(://|@)[^\s\"'\\{}]+", address)
    ):
        yield (
            f"template is {address!r}, want an address that git clones, as in "
            "https://git.example.com/platform/copier-service.git"
        )
    elif isinstance(address, str) and re.match(r"https?://[^/]*@", address):
        yield "template has credentials in it, which do not belong into a service; leave them out"
    languages = value["languages"]
    if (
        not isinstance(languages, list)
        or not languages
        or not set(map(str, languages)) <= set(LANGUAGES)
    ):
        yield f"languages is {languages!r}, want some of {', '.join(LANGUAGES)}"
    yield from _network_faults(root, value)
    yield from _prefix_faults(root, value["prefix"])
    yield from _answer_faults(root, value)
    yield from _file_faults(root)


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(_TEXT.fullmatch(value)) and value == value.strip()


def _network_faults(root: Path, value: dict[str, Any]) -> Iterator[str]:
    for key, names, form, example in (
        ("mirrors", (), _MIRROR, "docker.io: mirror.acme.example/hub"),
        ("indexes", INDEXES, _INDEX, "go: https://packages.acme.example/go"),
    ):
        found = value[key]
        if not isinstance(found, dict):
            yield f"{key} is {type(found).__name__}, want a mapping such as {example}"
            continue
        for name, address in found.items():
            if names and name not in names:
                yield f"{key}: {name} is none; want {', '.join(names)}"
            elif not names and not (isinstance(name, str) and re.fullmatch(_HOST, name)):
                yield f"{key}: {name} is no host of a registry; want one as in {example}"
            elif "@" in str(address):
                yield f"{key}: {name} has credentials in it; {_NO_SECRET}"
            elif not (isinstance(address, str) and form.fullmatch(address)):
                yield f"{key}: {name} is {address!r}, want an address as in {example}"
    proxy = value["proxy"]
    if "@" in str(proxy):
        yield f"proxy has credentials in it; {_NO_SECRET}"
    elif proxy != "" and not (isinstance(proxy, str) and _PROXY.fullmatch(proxy)):
        yield f"proxy is {proxy!r}, want an address as in http://proxy.acme.example:3128"
    hosts = value["no_proxy"]
    if not isinstance(hosts, list) or not all(
        isinstance(host, str) and re.fullmatch(_HOST, host) for host in hosts
    ):
        yield f"no_proxy is {hosts!r}, want a list of hosts and domains, as in [acme.example]"
    authority = root / FOLDER / AUTHORITY
    if authority.exists():
        text = authority.read_bytes()
        if b"PRIVATE KEY" in text:
            yield f"{AUTHORITY} has a private key in it; every service would get it: take it out"
        elif b"-----BEGIN CERTIFICATE-----" not in text or not text.isascii():
            yield f"{AUTHORITY} has no certificate: want PEM, from -----BEGIN CERTIFICATE----- on"


def _prefix_faults(root: Path, prefix: object) -> Iterator[str]:
    if prefix == "":
        if (root / FOLDER / CHECKS).is_dir():
            yield f"prefix is missing, and there are {FOLDER}/{CHECKS}/: want one such as ACME"
    elif not isinstance(prefix, str) or not re.fullmatch(r"[A-Z]{4,8}", prefix):
        yield (
            f"prefix is {prefix!r}, want four to eight capital letters such as ACME: three are the "
            "template's"
        )


def _answer_faults(root: Path, value: dict[str, Any]) -> Iterator[str]:
    """A default has to pass the validator of its question."""
    questions = yaml.safe_load((root / "copier.yml").read_text(encoding="utf-8"))
    environment = Environment(extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"])
    owner = value["owner"]
    registry = value["registry"]
    if isinstance(registry, str):
        registry = registry.replace("{owner}", str(owner))
    for key, answer in (("owner", owner), ("registry", registry)):
        said = f"{key} is {answer!r}, want a line of text"
        if isinstance(answer, str):
            validator = environment.from_string(questions[key]["validator"])
            context = {"owner": owner, "registry": registry, "service_name": "payments"}
            problem = " ".join(validator.render(context).split())
            said = f"{key} is {answer!r}. {problem}" if problem else ""
        if said:
            yield said


def _file_faults(root: Path) -> Iterator[str]:
    for folder, form, shape in (
        (RECORDS, _RECORD, "ADR-NNN-<kebab-title>.md, from ADR-101 on"),
        (CHECKS, _MODULE, "<name>.py of a-z, 0-9 and _"),
    ):
        place = root / FOLDER / folder
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            name = path.name
            if name == "__pycache__":
                continue
            if not path.is_file() or not form.fullmatch(name) or name.startswith("ADR-100"):
                yield f"{folder}/{name} has another name than {shape}"
            elif folder == RECORDS and not _title(path):
                yield f"{folder}/{name} has no heading `# {name[:7]}: Title` at its top"


# Files


def files(root: Path, value: dict[str, Any]) -> dict[Path, str]:
    """Map each file of the template that comes from the house to its text."""
    house = root / FOLDER
    found = {root / TEMPLATE_NETWORK / name: text for name, text in network(root, value).items()}
    for folder, target in ((RECORDS, TEMPLATE_RECORDS), (CHECKS, TEMPLATE_CHECKS)):
        for path in sorted((house / folder).glob("*")) if (house / folder).is_dir() else []:
            if path.is_file():
                found[root / target / path.name] = path.read_text(encoding="utf-8")
    if (house / GUIDELINE).exists():
        found[root / TEMPLATE_GUIDELINE] = (house / GUIDELINE).read_text(encoding="utf-8")
    records = sorted(house.glob(f"{RECORDS}/*.md"))
    if records:
        rows = [f"| [{path.name[:7]}](../ADRs/{path.name}) | {_title(path)} |" for path in records]
        head = "# Decision records of the house\n\n| Record | Decides |\n| --- | --- |\n"
        found[root / TEMPLATE_INDEX] = head + "".join(f"{row}\n" for row in rows)
    return found


def computed(root: Path, value: dict[str, Any]) -> dict[str, bool]:
    """Whether there is an authority, and whether builds are told how they find packages."""
    authority = (root / FOLDER / AUTHORITY).exists()
    return {
        "authority": authority,
        "fetches": bool(authority or value["indexes"] or value["proxy"]),
    }


def network(root: Path, value: dict[str, Any]) -> dict[str, str]:
    """What builds and jobs inside a company network read; nothing for a house outside of one."""
    authority = root / FOLDER / AUTHORITY
    written = "# Written by `make house` of the service template.\n"
    proxy = _PROXY.fullmatch(value["proxy"])
    direct = value["no_proxy"]
    found = {}
    if authority.exists():
        found[AUTHORITY] = authority.read_text(encoding="utf-8")
    if computed(root, value)["fetches"]:
        settings = {
            "proxy": value["proxy"],
            "proxy_host": proxy["host"] if proxy else "",
            "proxy_port": proxy["port"] if proxy else "",
            "no_proxy": ",".join(direct),
            "java_no_proxy": "|".join(name for host in direct for name in (host, f"*.{host}")),
            **{name: value["indexes"].get(name, "").rstrip("/") for name in INDEXES},
        }
        # npm finds the credentials by an address that ends so.
        settings["node"] += "/" if settings["node"] else ""
        lines = "".join(f"house_{key}='{setting}'\n" for key, setting in settings.items())
        directive, _, script = PACKAGES.read_text(encoding="utf-8").partition("\n")
        found["packages.sh"] = f"{PACKAGES_HEAD}{written}{directive}\n{lines}\n{script}"
    lines = ""
    if value["mirrors"]:
        mirrors = ";".join(f"{host}={mirror}" for host, mirror in value["mirrors"].items())
        lines += f': "${{REGISTRY_MAP:={mirrors}}}"\n'
    if proxy:
        address, hosts = value["proxy"], ",".join(direct)
        lines += (
            f': "${{HTTP_PROXY:={address}}}" "${{HTTPS_PROXY:={address}}}" '
            f'"${{NO_PROXY:={hosts}}}"\nexport HTTP_PROXY HTTPS_PROXY NO_PROXY\n'
        )
    if authority.exists():
        lines += (
            "# Besides those of the image, which the tools read first.\n"
            'export SSL_CERT_DIR="${SSL_CERT_DIR:-/etc/ssl/certs}:$PWD/ci/house"\n'
        )
    if lines:
        found["jobs.sh"] = f"{JOBS_HEAD}{written}{lines}"
    if index := value["indexes"].get("rust"):
        found["cargo.toml"] = CARGO.replace("INDEX", index.rstrip("/"))
    return found


def left_over(root: Path, wanted: Iterable[Path]) -> list[Path]:
    """Files of a house in the template that are not wanted: house/ does not have them any more."""
    there = [
        path for path in (root / TEMPLATE_RECORDS).glob("ADR-*.md") if _RECORD.fullmatch(path.name)
    ]
    there += (root / TEMPLATE_CHECKS).glob("*.py")
    there += [
        path for name in (TEMPLATE_GUIDELINE, TEMPLATE_INDEX) if (path := root / name).exists()
    ]
    there += [path for name in NETWORK if (path := root / TEMPLATE_NETWORK / name).exists()]
    return sorted(set(there).difference(wanted))


def _title(path: Path) -> str:
    found = re.match(rf"# {path.name[:7]}: (\S.*)\n", path.read_text(encoding="utf-8"))
    return found[1].strip() if found else ""


HOUSE_YML = """\
# What this platform team makes its own. `make house` says what is wrong in it, and writes
# what services get of it. A line behind a # has the value that it shows.

# Who decides: the "Platform team" of the template's records.
name: NAME

# Where services find this template; without it, where the checkout comes from.
# template: https://git.example.com/platform/copier-service.git

# The first answers of a new service. {owner} is the answer to the question before.
# owner: platform
# registry: registry.example.com/{owner}

# What a new service may be written in, the default first. One that has another keeps it.
# languages: [go, rust, java, python, node]

# Four to eight capital letters before the numbers of the house's own rules and checks.
# prefix: ACME

# Who decides for the platform, and whose names let a deviation count; nobody: any name does.
# deciders: [Ada Lovelace, platform-leads]
# approvers: [Ada Lovelace, security]

# How many days a deviation may last from its date on; 0: as many as it says.
# deviation_days: 180

# Inside a company network: docs/company-network.md. What builds and jobs trust besides is in
# house/authority.pem. No password stands here, nor in an address.
# mirrors: {docker.io: mirror.acme.example/hub, gcr.io: mirror.acme.example/gcr}
# indexes: {apt: https://packages.acme.example/apt, go: https://packages.acme.example/go}
# proxy: http://proxy.acme.example:3128
# no_proxy: [acme.example]

# Bases beside those of bases.yml, in the form that it has.
# bases: []
"""

PACKAGES = Path(__file__).with_name("packages.sh")
PACKAGES_HEAD = """\
# How a step of a build finds packages inside this network: a RUN of ci/image/Dockerfile that
# fetches reads this first.
"""
JOBS_HEAD = """\
# How the jobs find registries inside this network. A variable of the project wins.
# shellcheck shell=sh
"""
CARGO = """\
# Written by `make house` of the service template: crates.io is this index. It stays in the
# CI image, since cargo looks for what it has fetched under the index's name.
[source.crates-io]
replace-with = "house"

[source.house]
registry = "sparse+INDEX/"

[registries.house]
index = "sparse+INDEX/"
credential-provider = ["cargo:token"]
"""

CHANGELOG = """\
# Changelog

What a service team sees of this house's releases. The notes of the template that it
takes in are in the CHANGELOG.md above.

## [Unreleased]
"""

RELEASES = """\
# The releases of this house, oldest first: written by `make release`.
releases: []
"""
