"""What Kaniko leaves out or does otherwise without an error; seen in the source of v1.28.3.

The guideline has the same list, under BLD-06: a test holds the two together.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from .dockerfile import Dockerfile, Instruction
from .expansion import ExpansionError, expand
from .instructions import is_port

_NO_EFFECT = "{} {} has no effect in Kaniko"
_OPTIONS = {
    "ADD": ("checksum", "exclude", "keep-git-dir", "link", "unpack"),
    "COPY": ("exclude", "link", "parents"),
    "HEALTHCHECK": ("start-interval",),
    "RUN": ("device", "network", "security"),
}
_UNVERIFIED = "ADD --checksum is not verified by Kaniko"
PLATFORM = "FROM --platform has no effect in Kaniko"
AFTER_USER = "{} after USER: with Kaniko the files belong to that user, with others to root"
OWN_IGNORE = "only docker reads an ignore file of a Dockerfile's own; the pipeline's build reads .dockerignore"
_VOLUME = "{} to {}, which VOLUME declares before: Kaniko leaves it out of the image"
_PORT = "EXPOSE {}: Kaniko takes a number, maybe with /tcp or /udp"
_QUOTES = "Kaniko reads the default of ARG {} otherwise than docker: it takes the quotes off first"


def faults(file: Dockerfile, words: dict[int, list[str]], *, service: bool) -> Iterator[tuple[int, str, str | None]]:
    """Yield line, message and remedy; `words` are those of the instructions with their variables put in."""
    if "syntax" in file.directives:
        yield file.directives["syntax"][1], "the syntax directive has no effect in Kaniko", None
    for item in file.arguments:
        yield from _quotes(file, item)
    for stage in file.stages:
        if stage.platform is not None:
            constant = "" if "$" in stage.platform else f", and {stage.platform[:40]} is the same on every machine"
            yield stage.line, PLATFORM + constant, "leave it out: each platform has a build of its own"
    for item in file.instructions:
        for message in _instruction(item, service):
            yield item.line, message, None
        if item.keyword == "EXPOSE":
            for word in words.get(id(item), []):
                if is_port(word) and not re.fullmatch(r"[0-9]+(?:/(?:tcp|udp))?", word):
                    yield item.line, _PORT.format(word[:60]), "write a line for each port, such as EXPOSE 8080"
    yield from _volumes(file, words)


def _instruction(item: Instruction, service: bool) -> Iterator[str]:
    if item.keyword == "MAINTAINER":
        yield "MAINTAINER has no effect in Kaniko"
    for name, value in item.flags:
        if name in _OPTIONS.get(item.keyword, ()):
            yield _UNVERIFIED if name == "checksum" else _NO_EFFECT.format(item.keyword, f"--{name}")
        elif item.keyword == "RUN" and name == "mount":
            yield from _mount(value, service)
    if item.heredocs:
        yield f"{item.keyword} has a heredoc, which not every builder reads"


def _mount(value: str, service: bool) -> Iterator[str]:
    options = {part.partition("=")[0].lower(): part.partition("=")[2] for part in value.split(",")}
    kind = options.get("type", "bind").lower()
    if options.get("from", "context") != "context":
        yield "RUN --mount from a stage or image is not supported by Kaniko"
    elif kind in ("ssh", "tmpfs"):
        yield f"RUN --mount=type={kind} is not supported by Kaniko"
    elif kind == "secret" and service:
        yield "with Kaniko a secret mount may stay readable for later RUN steps"


def _volumes(file: Dockerfile, words: dict[int, list[str]]) -> Iterator[tuple[int, str, str | None]]:
    for stage in file.stages:
        volumes: list[str] = []
        for item in file.with_inherited(stage).instructions:
            if item.keyword == "VOLUME":
                volumes += [posixpath.normpath(word) for word in words.get(id(item), []) if word.startswith("/")]
            elif item.keyword in ("ADD", "COPY") and item.line > stage.line:
                target = (words.get(id(item)) or [""])[-1]
                inside = [
                    place for place in volumes if f"{posixpath.normpath(target)}/".startswith(f"{place.rstrip('/')}/")
                ]
                if target.startswith("/") and inside:
                    yield (
                        item.line,
                        _VOLUME.format(item.keyword, target[:60]),
                        "copy first, and declare VOLUME behind it",
                    )


def _quotes(file: Dockerfile, item: Instruction) -> Iterator[tuple[int, str, str | None]]:
    """Kaniko takes the quotes around a default off, and reads what is left with its variables put in."""
    for name, default in item.pairs:
        if default is None or len(default) < 2:
            continue
        first, last = (char if char in "'\"" else "" for char in (default[0], default[-1]))
        escaped = default[0] == "\\" and default[1] in "'\""
        if first != last and not escaped:
            yield item.line, _QUOTES.format(name), "put the whole default into quotes, or none of it"
        elif first:
            try:
                ours = expand(default, file.values, file.escape)
                theirs = expand(default[1:-1], file.values)
            except ExpansionError:
                yield item.line, _QUOTES.format(name), "write the default without quotes"
                continue
            if ours.text != theirs.text:
                yield item.line, _QUOTES.format(name), "write the default without quotes"
