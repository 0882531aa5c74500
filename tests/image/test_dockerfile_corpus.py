"""The checks read a Dockerfile as BuildKit's own parser and converter do."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab import Missing, install
from rendering import ROOT

sys.path.insert(0, str(ROOT / "tests/conformance"))

import conformance_tool  # noqa: F401 - it puts the tool on the path, and leaves no bytecode
from conformance.dockerfile import Dockerfile, DockerfileError, Instruction, parse
from conformance.instructions import faults

READER = Path(__file__).parent / "dockerfile_reader/main.go"
FILES = [
    *(ROOT / "tests/conformance/dockerfiles").iterdir(),
    *(path for path in (ROOT / "tests/golden").rglob("Dockerfile") if not path.is_symlink()),
]
BLOCKS = [
    "RUN echo hi && echo \"a b\" 'c d' \\\n  && x",
    "RUN \\\n# a comment\n\n  make",
    'RUN ["a", "b c"]',
    "RUN --mount=type=cache,target=/c,sharing=locked --network=none make",
    "RUN <<EOF\necho hi\nEOF",
    "RUN <<-A cat <<'B'\nFROM x\n\tA\nUSER y\nB",
    "COPY a b /c/",
    "COPY --from=builder --chown=0:0 --chmod=0644 /a /b",
    "COPY --from=0 --link a b",
    'COPY ["a b", "c"]',
    'COPY <<A <<"B" /d/\nx\nA\ny\nB',
    "ADD --keep-git-dir https://a.example.com/a.git /a",
    "ENV A=1 B=\"x y\" C='$A' D=${A:-b}",
    "ENV A some value",
    'ARG X=1 Y Z="q"',
    'LABEL a.b="c" "d e"=f',
    "EXPOSE 80 443/tcp 90-95/udp",
    "EXPOSE 127.0.0.1:80:90 ${X}00",
    "USER 1000:1000",
    "WORKDIR /a/$X",
    'VOLUME /a "/b c"',
    'VOLUME ["/a"]',
    "STOPSIGNAL SIGTERM",
    'HEALTHCHECK --interval=10s --retries=3 CMD ["/a", "b"]',
    "HEALTHCHECK NONE",
    'SHELL ["/bin/sh", "-c"]',
    "ONBUILD RUN echo x",
    "ONBUILD COPY --from=builder a b",
    "ONBUILD COPY <<E /t\nx\nE",
    'CMD ["/x"]',
    "CMD x y",
    'ENTRYPOINT ["/a"]',
    "FROM builder AS other",
    "FROM docker.io/library/alpine:3 AS third",
    "FROM a.example.com/b:${X:-1}",
    "FROM OTHER",
    "MAINTAINER Ada",
    "# a comment",
]
SPLICES = [
    *"\"'\\$ {}<>-=,:[]/#@\t\n`é",
    *("${", "\\\n", "<<E", "--", "=$", '""', "''", "$X", "${X#a}", "AS ", " 0", "65536"),
]
# Where the two are meant to differ, by what the one says and the other does not.
OURS_ALONE = {
    "a build that copies from an empty name copies from the context": "COPY --from names no image",
    "an argument of FROM has to be known": "FROM .* needs a value for ",
    "a name with a quote in it is nobody's intention": 'ARG .*"',
}
TRIGGERS = {"it is read by the build of a child image": "(ONBUILD )?COPY "}
THEIRS_ALONE = {
    "any platform in FROM is a finding, DKF-007": "failed to parse platform",
    "a variable that the stage lacks may come from its base": "invalid (IP|port|container|host)",
    "a quote in an option": "unsupported sharing value .*`|.*failed to parse csv mounts",
}


def texts() -> dict[str, str]:
    """The files by name: of the repository, and such as nobody would write."""
    found = {str(path.relative_to(ROOT)): path.read_bytes().decode() for path in FILES}
    chance = random.Random(1)
    for number in range(4000):
        body = [chance.choice(BLOCKS) for _ in range(chance.randint(1, 3))]
        for _ in range(chance.randint(0, 2)):
            body[0] = damaged(body[0], chance)
        first = "ARG X=1\nFROM a.example.com/b:1 AS builder\n"
        found[f"made {number}"] = first + "\n".join(body) + "\n"
    return found


def damaged(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    kind = chance.random()
    if kind < 0.35:
        return text[:at] + text[at + chance.randint(1, 3) :]
    if kind < 0.85:
        return text[:at] + chance.choice(SPLICES) + text[at:]
    words = text.split(" ")
    chance.shuffle(words)
    return " ".join(words)


@pytest.fixture(scope="module")
def corpus() -> dict[str, str]:
    return texts()


@pytest.fixture(scope="module")
def readings(corpus: dict[str, str]) -> dict[str, Any]:
    """What BuildKit makes of each file."""
    try:
        reader = install.dockerfile_reader(READER)
    except Missing as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        [reader], input=json.dumps(corpus), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refusal(text: str) -> str:
    """What the checks say stops a build of the file; empty if nothing does."""
    try:
        file = parse(text)
    except DockerfileError as error:
        return str(error)
    said = [str(error) for error in file.problems] + [message for _, message in faults(file)]
    said += [base.problem for base in file.bases() if base.problem]
    return said[0] if said else ""


def reading(file: Dockerfile) -> list[list[object]]:
    items = list(file.arguments)
    for stage in file.stages:
        items += [*([stage.source] if stage.source else []), *stage.instructions]
    return [
        [
            item.line,
            item.keyword.lower(),
            [
                f"--{name}" + ("" if name in item.valueless else f"={value}")
                for name, value in item.flags
            ],
            words(item),
            [heredoc.rstrip("\n") for heredoc in (item.trigger or item).heredocs],
        ]
        for item in items
    ]  # fmt: skip


def words(item: Instruction) -> list[str] | None:
    """The words as BuildKit's tree has them, where it has words."""
    if item.keyword in ("ADD", "COPY", "EXPOSE", "VOLUME", "FROM"):
        return item.words
    if item.keyword in ("RUN", "CMD", "ENTRYPOINT", "SHELL"):
        return item.exec_form if item.exec_form is not None else [item.value]
    return [item.value] if item.keyword in ("USER", "WORKDIR", "STOPSIGNAL") else None


def test_buildkit_and_the_checks_read_alike(
    corpus: dict[str, str], readings: dict[str, Any]
) -> None:
    differ = []
    refused = 0
    for name, text in corpus.items():
        theirs, ours = readings[name].get("error", ""), refusal(text)
        refused += bool(theirs)
        if bool(theirs) != bool(ours):
            known = THEIRS_ALONE if theirs else OURS_ALONE | (TRIGGERS if "ONBUILD" in text else {})
            if not any(re.match(pattern, theirs or ours) for pattern in known.values()):
                differ.append((name, text, ours, theirs))
        elif not theirs:
            expected = [
                [item["line"], item["keyword"].lower(), item["flags"] or [], item["words"],
                 [heredoc.rstrip("\n") for heredoc in item["heredocs"]]]
                for item in readings[name]["instructions"]
            ]  # fmt: skip
            for mine, other in zip(reading(parse(text)), expected, strict=True):
                if mine[3] is None:
                    mine[3] = other[3]
                if mine != other:
                    differ.append((name, text, mine, other))
                    break
    shown = "\n".join(map(repr, differ[:30]))
    assert not differ, f"{len(differ)} differ; the first:\n{shown}"
    assert 400 < refused < len(corpus) - 400  # there are enough of both


def test_a_reader_that_reads_line_by_line_is_seen(
    corpus: dict[str, str], readings: dict[str, Any]
) -> None:
    """The corpus has files on which a plainer reader goes wrong."""
    lines = re.compile(r"^\s*(\w+)", re.M)
    wrong = 0
    for name, found in readings.items():
        keywords = [item["keyword"].upper() for item in found["instructions"]]
        wrong += not found.get("error") and lines.findall(corpus[name]) != keywords
    assert wrong > 100
