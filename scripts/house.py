"""Write what services and Copier get of bases.yml and of a house's own entries.

bases.yml is the table of the template. A platform team adds to it in house/house.yml: an
entry with a language and a name of its own is a base more, one that bases.yml has already
changes what it says of it. `--check` writes nothing and exits 1 when a file is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import house_own
import yaml
from house_own import LANGUAGES
from lock import lock_texts

ROOT = Path(__file__).resolve().parent.parent
BASES, HOUSE = "bases.yml", "house/house.yml"
# What a service gets, and what Copier reads: JSON, which it parses a hundred times as fast.
DATA, JSON = "template/ci/house/house.toml", "partials/house.json"
DOCS = "docs/choosing-a-base.md"
DOCS_BEGIN, DOCS_END = "<!-- Written by make house. -->", "<!-- End of what make house wrote. -->"

Entry = dict[str, Any]

KEYS = ("language", "name", "offered", "label", "why", "libc", "user", "runtime",
        "builder", "release", "jre", "debug")  # fmt: skip
DOCS_KEYS = ("has", "lacks")
SIGNER_KEYS = ("identity", "issuer", "key")
INTERPRETED = ("python", "node")
LIBCS = ("glibc", "musl", "none")

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(?::[0-9]+)?"
    rf"(?:/{_PART})+(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?P<digest>@sha256:[0-9a-f]{{64}})?"
)
# A text stands in TOML, JSON, a Dockerfile and Jinja as it is.
_TEXT = re.compile(r"[^\x00-\x1f\x7f\"\\{}\u2028\u2029]+")


class Wrong(Exception):
    """What a person has to mend: one line for each fault."""


def load(path: Path, name: str) -> Entry:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Wrong(f"{name} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise Wrong(f"{name} is {type(value).__name__}, want a mapping of settings")
    return value


def table(root: Path = ROOT) -> Entry:
    """The template's table with the house's: `bases`, `by_hand`, `signers`, and `house`."""
    own = load(root / BASES, BASES)
    house = load(root / HOUSE, HOUSE) if (root / HOUSE).exists() else {}
    if faults := [f"{HOUSE}: {fault}" for fault in house_own.faults(root, house)]:
        raise Wrong("\n".join(faults))
    entries = merge_bases(own["bases"], house.get("bases") or [], own)
    by_hand = own["by_hand"]
    value = house_own.values(house)
    return {
        "bases": entries,
        "by_hand": by_hand,
        "signers": signers([*entries, *by_hand, *own["tools"]]),
        "house": value | house_own.computed(root, value),
    }


def merge_bases(own: list[Entry], added: object, defaults: Entry) -> list[Entry]:
    """The entries of the template and of a house, whole and valid, or `Wrong`."""
    if not isinstance(added, list):
        raise Wrong(f"{HOUSE}: bases is {type(added).__name__}, want a list of entries")
    merged: dict[tuple[str, str], Entry] = {}
    faults: list[str] = []
    for where, entry in [(BASES, entry) for entry in own] + [(HOUSE, entry) for entry in added]:
        if not isinstance(entry, dict) or not {"language", "name"} <= entry.keys():
            faults.append(f"{where}: bases: {entry!r} is no base: want at least language and name")
            continue
        key = (str(entry["language"]), str(entry["name"]))
        if where == BASES and key in merged:
            faults.append(f"{where}: bases: {' '.join(key)} is there twice")
        merged[key] = {**merged.get(key, {"where": where}), **entry}
    for key, entry in merged.items():
        named = {name for name in ("builder", "release", "jre", "debug") if entry.get(name)}
        whole = {
            "offered": True, "runtime": "", "jre": "", "signer": {}, "has": "", "lacks": "",
            "why": "", "user": defaults["user"], "debug": defaults["debug"],
            "builder": defaults["builders"].get(key[0], ""),
        } | entry  # fmt: skip
        where = f"{whole.pop('where')}: bases: {' '.join(key)}"
        faults += [f"{where}: {fault}" for fault in base_faults(whole, defaults)]
        merged[key] = whole | {"signed": sorted(named)}
    for language in LANGUAGES:
        if not any(e["offered"] for k, e in merged.items() if k[0] == language):
            faults.append(f"{HOUSE}: bases: none is offered for {language}: want one at least")
    if faults:
        raise Wrong("\n".join(faults))
    return sorted(merged.values(), key=lambda entry: LANGUAGES.index(entry["language"]))


def base_faults(entry: Entry, defaults: Entry) -> Iterator[str]:
    """Say what is wrong with an entry, and what is right instead."""
    for key in sorted(entry.keys() - {*KEYS, *DOCS_KEYS, "signer"}):
        yield f"{key} is no field of a base; want {', '.join((*KEYS, 'signer', *DOCS_KEYS))}"
    language, libc, release = entry["language"], entry.get("libc"), entry.get("release")
    if language not in LANGUAGES:
        yield f"language is {language}, want one of {', '.join(LANGUAGES)}"
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", str(entry["name"])):
        yield f"name is {entry['name']}, want a short word of a-z, 0-9 and -, as in hardened"
    if not isinstance(entry["offered"], bool):
        yield f"offered is {entry['offered']}, want true or false"
    for key in ("label", "why", "has", "lacks"):
        value = entry.get(key, "")
        needless = value == "" and key != "label"
        if not needless and not (isinstance(value, str) and _TEXT.fullmatch(value)):
            yield f"{key} is {value!r}, want a line of text without quotes, braces and backslashes"
    if libc not in LIBCS:
        yield f"libc is {libc}, want one of {', '.join(LIBCS)}"
    if not re.fullmatch(r"[1-9][0-9]{0,8}:(?:0|[1-9][0-9]{0,8})", str(entry["user"])):
        yield f'user is {entry["user"]}, want uid:gid in numbers, uid not 0, as in "65532:65532"'
    for key in ("release", "builder", "debug", "jre"):
        yield from _image_faults(key, entry.get(key), empty=key == "jre")
    yield from _runtime_faults(entry)
    if release == "scratch" and libc != "none" and language != "java":
        yield f"libc is {libc}, but scratch has none"
    if language == "java" and not (libc == "musl") == (release == "scratch") == bool(entry["jre"]):
        yield (
            "a Java runtime for glibc stands on an image, one for musl on scratch and comes from a "
            "JDK for musl: want libc glibc and a release, or libc musl, release scratch and a jre"
        )
    glibc = defaults["builders"].get(language)
    if language in INTERPRETED and libc == "musl" and entry["builder"] == glibc:
        yield "libc is musl, but the builder's is glibc: name one with musl in builder"
    yield from _signer_faults(entry["signer"])


def _image_faults(key: str, value: object, empty: bool) -> Iterator[str]:
    if (empty and value == "") or (key == "release" and value == "scratch"):
        return
    match = _IMAGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        example = "gcr.io/distroless/cc-debian13:nonroot"
        yield f"{key} is {value}, want an image with its registry, as in {example}"
    elif match["tag"] == ":latest" or not (match["tag"] or match["digest"]):
        yield f"{key} is {value}: want a tag that says what it is, or a digest in place of latest"
    elif key == "release" and {"debug", "dev"} & set(re.split(r"[:._-]", match["tag"] or "")):
        yield f"{key} is {value}, which has a shell: want the variant that production runs"


def _runtime_faults(entry: Entry) -> Iterator[str]:
    language, runtime = entry["language"], entry["runtime"]
    if language in INTERPRETED:
        if entry.get("release") == "scratch":
            yield f"release is scratch, which has no interpreter for {language}"
        if not re.fullmatch(r"(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)+", str(runtime)):
            what = "the path of the interpreter in the release image, as in /usr/bin/python3.13"
            yield f"runtime is {runtime or 'missing'}, want {what}"
    elif runtime:
        yield f"runtime is {runtime}, but a service in {language} needs no interpreter of its base"
    if entry["jre"] and language != "java":
        yield f"jre is {entry['jre']}, but {language} needs none"


def _signer_faults(signer: object) -> Iterator[str]:
    if signer == {}:
        return
    right = "want identity and issuer of a keyless signature, or key"
    if not isinstance(signer, dict) or set(signer) not in ({"identity", "issuer"}, {"key"}):
        yield f"signer is {signer}, {right}"
    else:
        for key, value in signer.items():
            if not isinstance(value, str) or not re.fullmatch(r"[^\s\"'\\{}$`]+", value):
                yield f"signer: {key} is {value!r}, {right}"


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    return re.sub(r":[^/:]+$", "", image.partition("@")[0])


def signers(entries: list[Entry]) -> list[dict[str, str]]:
    """Who signs each repository of the table; unsigned ones have empty fields."""
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        for key in ("release", "builder", "jre", "debug", "image"):
            image = entry.get(key)
            if not image or image == "scratch":
                continue
            signer = entry.get("signer") if key in entry.get("signed", [key]) else None
            known = found.get(repository(image), {})
            fields = {name: (signer or {}).get(name, "") for name in SIGNER_KEYS}
            found[repository(image)] = known if any(known.values()) else fields
    return [{"repository": name, **found[name]} for name in sorted(found)]


def toml_text(tables: dict[str, list[dict[str, str]]]) -> str:
    """TOML in a form that needs no parser: a string a line, nothing escaped."""
    lines = ["# Written by `make house` of the service template: what this platform offers."]
    for name, rows in tables.items():
        for row in rows:
            lines += ["", f"[[{name}]]", *(f'{key} = "{value}"' for key, value in row.items())]
    return "\n".join(lines) + "\n"


def data_text(values: Entry) -> str:
    def text(value: object) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return str(value).lower() if isinstance(value, bool) else str(value)

    house = {key: text(values["house"][key]) for key in house_own.SERVICE_KEYS}
    rows = [{key: text(entry[key]) for key in KEYS} for entry in values["bases"]]
    by_hand = [{"release": entry["release"]} for entry in values["by_hand"]]
    return toml_text(
        {"house": [house], "base": rows, "by_hand": by_hand, "signer": values["signers"]}
    )


def json_text(values: Entry) -> str:
    """The same for Copier; an entry a line, for whoever reads the diff."""
    rows = [json.dumps({key: entry[key] for key in KEYS}) for entry in values["bases"]]
    house = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in values["house"].items()]
    return '{"house": {\n' + ",\n".join(house) + '\n},\n"bases": [\n' + ",\n".join(rows) + "\n]}\n"


def texts(root: Path = ROOT) -> dict[Path, str]:
    """Map each file that is written from the tables to its text."""
    values = table(root)
    wanted = {
        root / DATA: data_text(values),
        root / JSON: json_text(values),
        **house_own.files(root, values["house"]),
    }
    if (root / DOCS).exists():
        wanted[root / DOCS] = docs_text(root)
    return wanted


def docs_text(root: Path) -> str:
    """The page with the table of the template's own bases, between two comments."""
    own = load(root / BASES, BASES)
    lines = ["| base | for | stands on | libc | has | lacks | take it when |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for entry in merge_bases(own["bases"], [], own):
        image = repository(entry["release"])
        language = entry["language"].capitalize()
        lines.append(
            f"| `{entry['name']}` | {language} | `{image}` | {entry['libc']} "
            f"| {entry['has']} | {entry['lacks']} | {entry['why']} |"
        )
    before, first, rest = (root / DOCS).read_text(encoding="utf-8").partition(DOCS_BEGIN)
    _, last, after = rest.partition(DOCS_END)
    if not last:
        raise Wrong(f"{DOCS} lacks the line {DOCS_END if first else DOCS_BEGIN}")
    rows = "\n".join(lines)
    return f"{before}{first}\n\n{rows}\n\n{last}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    parser.add_argument("--start", metavar="NAME", help="begin house/ for the team of this name")
    parser.add_argument("--root", type=Path, default=ROOT, help="the template's checkout")
    arguments = parser.parse_args()
    if arguments.start:
        for path in house_own.start(arguments.root, arguments.start):
            print(f"house: wrote {path.relative_to(arguments.root)}")
    try:
        if not arguments.check:
            write(arguments.root)
            return 0
        wanted = texts(arguments.root)
    except Wrong as error:
        print(f"house: {error}".replace("\n", "\nhouse: "), file=sys.stderr)
        return 2
    stale, gone = _stale(wanted), house_own.left_over(arguments.root, wanted)
    for path in stale:
        print(f"{path} is not what {BASES} and house/ say; run: make house", file=sys.stderr)
    for path in gone:
        print(f"{path} is not in house/ any more; run: make house", file=sys.stderr)
    return 1 if stale or gone else 0


def write(root: Path) -> None:
    """Write every file of the template that comes from the table and from a house."""
    wanted = texts(root)
    for path, text in _stale(wanted).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in house_own.left_over(root, wanted):
        path.unlink()
    lock = (root / DATA).with_name("platform.lock")
    lock.write_text(lock_texts(root)[lock], encoding="utf-8")


def _stale(wanted: dict[Path, str]) -> dict[Path, str]:
    return {
        path: text
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


if __name__ == "__main__":
    sys.exit(main())
