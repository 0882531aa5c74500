"""A parser for Dockerfiles: what BuildKit reads, no more than the checks need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

INSTRUCTIONS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][\w-]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)$")
_VARIABLE = re.compile(
    r"\\(.)|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}|\{([A-Za-z_]\w*)(:?[-+])([^{}]*(?:\{[^{}]*\}[^{}]*)*)\})"
)


class DockerfileError(Exception):
    """The file is not a Dockerfile."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Instruction:
    """One instruction with its continuations joined and its comments gone."""

    keyword: str
    value: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[str, ...] = ()

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON array, or None for the shell form."""
        if not self.value.startswith("["):
            return None
        try:
            words = json.loads(self.value)
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None

    @property
    def words(self) -> list[str]:
        return self.exec_form if self.exec_form is not None else [unquote(word) for word in split_words(self.value)]

    @property
    def pairs(self) -> list[tuple[str, str | None]]:
        """The assignments of ARG, ENV and LABEL."""
        words = split_words(self.value)
        if self.keyword != "ARG" and words and "=" not in words[0]:
            return [(unquote(words[0]), self.value[len(words[0]) :].strip())]
        pairs: list[tuple[str, str | None]] = []
        for word in words:
            name, equals, value = word.partition("=")
            pairs.append((unquote(name), unquote(value) if equals else None))
        return pairs


@dataclass
class Stage:
    """A FROM and what follows it."""

    base: str
    name: str | None
    line: int
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, *keywords: str) -> list[Instruction]:
        return [item for item in self.instructions if item.keyword in keywords]

    def last(self, keyword: str) -> Instruction | None:
        found = self.all(keyword)
        return found[-1] if found else None


@dataclass
class Dockerfile:
    """A parsed file: directives, arguments before the first stage, stages."""

    directives: dict[str, tuple[str, int]] = field(default_factory=dict)
    arguments: list[Instruction] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)

    @property
    def instructions(self) -> Iterator[Instruction]:
        yield from self.arguments
        for stage in self.stages:
            yield from stage.instructions

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name.lower()), None)

    def expand(self, text: str) -> str:
        """Replace the global arguments by their defaults, as FROM does."""
        values: dict[str, str] = {}
        for instruction in self.arguments:
            for name, default in instruction.pairs:
                values[name] = substitute(default, values) if default is not None else ""
        return substitute(text, values)

    def root_of(self, stage: Stage) -> Stage:
        """Follow `FROM another-stage` to the stage that starts from an image."""
        return self.lineage(stage)[0]

    def lineage(self, stage: Stage) -> list[Stage]:
        """The stages that the stage stands on, the one that starts from an image first, and itself."""
        name, found = self.expand(stage.base).lower(), [stage]
        for earlier in reversed(self.stages[: self._position(stage)]):
            if earlier.name == name:
                name = self.expand(earlier.base).lower()
                found.insert(0, earlier)
        return found

    def with_inherited(self, stage: Stage) -> Stage:
        """The stage with the instructions of those that it stands on before its own."""
        instructions: list[Instruction] = []
        for part in self.lineage(stage):
            if part.all("ENTRYPOINT"):  # which clears the command of the stages before
                instructions = [item for item in instructions if item.keyword != "CMD"]
            instructions += part.instructions
        return Stage(stage.base, stage.name, stage.line, instructions)

    def _position(self, stage: Stage) -> int:
        return next(index for index, item in enumerate(self.stages) if item is stage)

    def is_stage(self, name: str, before: Stage) -> bool:
        earlier = self.stages[: self._position(before)]
        numbers = map(str, range(len(earlier)))
        return name in numbers or any(stage.name == name.lower() for stage in earlier)


def substitute(text: str, values: dict[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        escaped, plain, braced, name, operator, word = match.groups()
        if escaped is not None:
            return str(escaped)
        if name is None:
            return values.get(plain or braced, "")
        value = values.get(name)
        present = bool(value) if ":" in operator else value is not None
        if operator.endswith("-"):
            return value or "" if present else substitute(word, values)
        return substitute(word, values) if present else ""

    return _VARIABLE.sub(replace, text)


def split_words(text: str, escape: str = "\\") -> list[str]:
    """Split at white space outside quotes; quotes stay."""
    words: list[str] = []
    word, quote, skip = "", "", False
    for char in text:
        if skip:
            word, skip = word + char, False
        elif char == escape and quote != "'":
            word, skip = word + char, True
        elif quote:
            word += char
            quote = "" if char == quote else quote
        elif char in "\"'":
            word, quote = word + char, char
        elif char.isspace():
            if word:
                words.append(word)
            word = ""
        else:
            word += char
    return [*words, word] if word else words


def unquote(word: str) -> str:
    result, quote, skip = "", "", False
    for char in word:
        if skip:
            result, skip = result + char, False
        elif char == "\\" and quote != "'":
            skip = True
        elif quote:
            if char == quote:
                quote = ""
            else:
                result += char
        elif char in "\"'":
            quote = char
        else:
            result += char
    return result


def parse(text: str) -> Dockerfile:
    """Parse a Dockerfile, or raise DockerfileError with the line."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    result = Dockerfile(_directives(lines))
    escape = result.directives.get("escape", ("\\", 0))[0]
    if escape not in ("\\", "`"):
        raise DockerfileError(result.directives["escape"][1], f'the escape directive is "{escape}", expected \\ or `')
    for instruction in _instructions(lines, escape):
        if instruction.keyword == "FROM":
            result.stages.append(_stage(instruction))
        elif result.stages:
            result.stages[-1].instructions.append(instruction)
        elif instruction.keyword == "ARG":
            result.arguments.append(instruction)
        else:
            raise DockerfileError(instruction.line, f"{instruction.keyword} before the first FROM")
    if not result.stages:
        raise DockerfileError(1, "no FROM in the file")
    return result


def _directives(lines: list[str]) -> dict[str, tuple[str, int]]:
    directives: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.match(line.strip())
        if match is None or match.group(1).lower() not in ("syntax", "escape", "check"):
            break
        directives.setdefault(match.group(1).lower(), (match.group(2), number))
    return directives


def _instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        joined = line.lstrip()
        while continued.search(joined):
            joined = continued.sub("", joined)
            following = next((item for _, item in numbered if item.strip() and not item.lstrip().startswith("#")), None)
            if following is None:
                break
            joined += following
        yield from _instruction(joined.strip(), number, numbered, escape)


def _instruction(text: str, number: int, numbered: Iterator[tuple[int, str]], escape: str) -> Iterator[Instruction]:
    keyword, _, value = text.partition(" ") if " " in text else text.partition("\t")
    if "\t" in keyword:
        keyword, _, value = text.partition("\t")
    keyword, value = keyword.upper(), value.strip()
    if keyword not in INSTRUCTIONS:
        raise DockerfileError(number, f"unknown instruction {keyword[:40]}")
    if keyword == "ONBUILD":
        yield Instruction(keyword, value, number)
        return
    flags: list[tuple[str, str]] = []
    while match := re.match(r"--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)", value):
        flags.append((match.group(1), match.group(2) or ""))
        value = value[match.end() :]
    if not value:
        raise DockerfileError(number, f"{keyword} without an argument")
    heredocs: list[str] = []
    if keyword in ("RUN", "COPY", "ADD") and not value.startswith("["):
        for word in split_words(value, escape):
            heredoc = _HEREDOC.match(word)
            if heredoc:
                heredocs.append(_heredoc_body(numbered, unquote(heredoc.group(2)), bool(heredoc.group(1)), number))
    yield Instruction(keyword, value, number, tuple(flags), tuple(heredocs))


def _heredoc_body(numbered: Iterator[tuple[int, str]], end: str, strip_tabs: bool, start: int) -> str:
    body: list[str] = []
    for _, line in numbered:
        if (line.lstrip("\t") if strip_tabs else line) == end:
            return "\n".join(body)
        body.append(line)
    raise DockerfileError(start, f"the heredoc {end} has no end")


def _stage(instruction: Instruction) -> Stage:
    words = split_words(instruction.value)
    if len(words) == 1:
        return Stage(unquote(words[0]), None, instruction.line)
    if len(words) == 3 and words[1].upper() == "AS":
        return Stage(unquote(words[0]), words[2].lower(), instruction.line)
    raise DockerfileError(instruction.line, "FROM wants: FROM <image> [AS <name>]")
