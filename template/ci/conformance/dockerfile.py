"""A parser for Dockerfiles that reads them as BuildKit does, and Kaniko, which has its parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from .expansion import Budget, ExpansionError, NeededError, TooLongError, Value, expand

INSTRUCTIONS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
MAX_LINE = 65535  # bytes, as docker has it

_SPACE = " \t\v\f\r"
_BLANK = re.compile(rf"[{_SPACE}]+")
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"\d*<<(-?)\s*([^<]*)$")
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]*)?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]+)?",
    re.ASCII,
)
_MAX_IMAGE = 512
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git@")


class DockerfileError(Exception):
    """The file cannot be read to its end."""

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
    escape: str = "\\"
    trigger: Instruction | None = None
    valueless: frozenset[str] = frozenset()  # the flags that had no =

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON array of strings, or None for the shell form."""
        words = json_array(self.value)
        if words is None:
            return None
        strings = [word for word in words if word is not None]
        return strings if len(strings) == len(words) else None

    @property
    def words(self) -> list[str]:
        """The words as the builders split them: quotes are part of them, and hold nothing together."""
        array = self.exec_form
        return array if array is not None else _BLANK.split(self.value)

    @property
    def pairs(self) -> list[tuple[str, str | None]]:
        """The assignments of ARG, ENV and LABEL, as they are written."""
        words = split_words(self.value, self.escape)
        if self.keyword != "ARG" and words and "=" not in words[0]:
            name, _, value = first_word(self.value)
            return [(name, value)]
        pairs: list[tuple[str, str | None]] = []
        for word in words:
            name, equals, value = word.partition("=")
            pairs.append((name, value if equals else None))
        return pairs

    def flag(self, name: str) -> str | None:
        return next((value for flag, value in self.flags if flag == name), None)


@dataclass
class Stage:
    """A FROM and what follows it."""

    base: str
    name: str | None
    line: int
    instructions: list[Instruction] = field(default_factory=list)
    source: Instruction | None = None  # the FROM itself

    @property
    def platform(self) -> str | None:
        return self.source.flag("platform") if self.source else None

    def all(self, *keywords: str) -> list[Instruction]:
        return [item for item in self.instructions if item.keyword in keywords]

    def last(self, keyword: str) -> Instruction | None:
        found = self.all(keyword)
        return found[-1] if found else None


@dataclass(frozen=True)
class Base:
    """An image that the file names: the build argument that brings it, or "-"; what is wrong with it."""

    line: int
    argument: str
    image: str
    problem: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Input:
    """What a build takes from its context; or why that cannot be told."""

    line: int
    path: str
    problem: str = ""
    fix: str = ""


@dataclass
class Scope:
    """The variables of a stage where an instruction stands."""

    values: dict[str, Value]
    complete: bool  # nothing else is set: the stage does not stand on an image
    escape: str
    budget: Budget
    given: set[str] = field(default_factory=set)  # arguments that have their value from outside

    def expand(self, word: str) -> str | None:
        """Return what the word stands for, or None where only the base image or the builder knows it."""
        try:
            value = expand(word, self.values, self.escape, self.budget)
        except ExpansionError:
            return None
        return None if self.unknown(value) else value.text

    def unknown(self, value: Value) -> list[str]:
        """The variables that only the base image or the builder knows."""
        return [name for name in value.unset if not self.complete or name in self.given]

    def fault(self, word: str) -> str:
        """Say why docker cannot expand the word, if it cannot.

        Raises:
            TooLongError: nor can this tool, this word or any after it.
        """
        try:
            expand(word, self.values, self.escape, self.budget)
        except TooLongError:
            raise
        except NeededError as error:
            return str(error) if self.complete and error.name not in self.given else ""
        except ExpansionError as error:
            return str(error)
        return ""

    def enter(self, item: Instruction, arguments: Mapping[str, Value]) -> None:
        """Set what the instruction sets for those after it."""
        if item.keyword not in ("ARG", "ENV"):
            return
        before = dict(self.values) if item.keyword == "ENV" else self.values
        for name, default in item.pairs:
            if default is None:
                if name in arguments:
                    self.values[name] = arguments[name]
                elif name not in self.values:
                    self.given.add(name)
                continue
            try:
                self.values[name] = expand(default, before, self.escape, self.budget)
            except ExpansionError:
                self.values.pop(name, None)
                self.given.add(name)


@dataclass
class Dockerfile:
    """A parsed file: directives, arguments before the first stage, stages."""

    directives: dict[str, tuple[str, int]] = field(default_factory=dict)
    arguments: list[Instruction] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    problems: list[DockerfileError] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    names: list[str] = field(default_factory=list)  # what each stage starts from

    @property
    def escape(self) -> str:
        return self.directives.get("escape", ("\\", 0))[0]

    @property
    def instructions(self) -> Iterator[Instruction]:
        """Every instruction, one that waits behind ONBUILD as if it stood alone."""
        yield from self.arguments
        for stage in self.stages:
            yield from alone(stage.instructions)

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name.lower()), None)

    def expand(self, text: str) -> str:
        """Put the defaults of the global arguments in, as FROM does."""
        try:
            return expand(text, self.values, self.escape).text
        except ExpansionError:
            return ""

    def scoped(self) -> Iterator[tuple[Stage, Instruction, Scope]]:
        """Yield every instruction of a stage with the variables that it sees."""
        ends: dict[int, Scope] = {}
        budget = Budget()
        for position, stage in enumerate(self.stages):
            parent = self.parent(position)
            if parent is not None:
                before = ends[parent]
                scope = Scope(dict(before.values), before.complete, self.escape, budget, set(before.given))
            else:
                scope = Scope({}, self.names[position] == "scratch", self.escape, budget)
            for item in stage.instructions:
                yield stage, item, scope
                scope.enter(item, self.values)
            ends[position] = scope

    def parent(self, position: int) -> int | None:
        """The stage that a stage starts from; of several with one name the last before it.

        BuildKit keeps the name of a stage in small letters, and takes it in FROM in those alone.
        """
        name = self.names[position]
        return next((index for index in range(position - 1, -1, -1) if self.stages[index].name == name), None)

    def root_of(self, stage: Stage) -> Stage:
        """Follow `FROM another-stage` to the stage that starts from an image."""
        return self.lineage(stage)[0]

    def lineage(self, stage: Stage) -> list[Stage]:
        """The stages that the stage stands on, the one that starts from an image first, and itself."""
        position: int | None = self._position(stage)
        found: list[Stage] = []
        while position is not None:
            found.insert(0, self.stages[position])
            position = self.parent(position)
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

    # What the pipeline resolves

    def bases(self, arguments_are_passed: bool = True) -> list[Base]:
        """Every image that the file names, in the resolver's order.

        An image that FROM takes from a global argument *_IMAGE is passed as that build
        argument; any other one gets its digest in the file.
        """
        found: list[Base] = []
        if arguments_are_passed:
            lines = {name: item.line for item in reversed(self.arguments) for name, _ in item.pairs}
            for name, value in self.values.items():
                if name.endswith("_IMAGE") and re.search(r"[/:@]", value.text) and not value.missing:
                    found.append(Base(lines[name], name, value.text))
        passed = {item.argument for item in found}
        for position, stage in enumerate(self.stages):
            sole = re.fullmatch(r"\$(?:(\w+)|\{(\w+)\})", stage.base, re.ASCII)
            name = (sole.group(1) or sole.group(2)) if sole else ""
            base = self._base(position, stage, name)
            if base is not None and not (name in passed and not base.problem):
                found.append(base)
            for item in alone(stage.instructions):
                source = item.flag("from") if item.keyword == "COPY" else None
                if source is not None and not self.names_stage(source):
                    found.append(_image(item.line, source, "COPY --from="))
        unique = {(item.argument, item.image): item for item in reversed([item for item in found if not item.problem])}
        return [item for item in found if item.problem or unique[item.argument, item.image] is item]

    def _base(self, position: int, stage: Stage, sole: str) -> Base | None:
        try:
            value = expand(stage.base, self.values, self.escape)
        except ExpansionError as error:
            return Base(stage.line, "-", "", f"FROM {stage.base}: {error}", "write it as docker reads it")
        if value.missing:
            name = value.missing[0]
            if name == sole and name in self.declared:
                return Base(stage.line, "-", "", f"ARG {name} names no image", "give it the base as its default")
            message = f"FROM {stage.base} needs a value for {name}"
            return Base(stage.line, "-", "", message, f"write ARG {name}=… before the first FROM")
        if value.text == "scratch" or self.parent(position) is not None:
            return None
        return _image(stage.line, value.text, "FROM ")

    def inputs(self) -> list[Input]:
        """What COPY, ADD and RUN take from the build context, in the resolver's order."""
        found: list[Input] = []
        for _, item, scope in self.scoped():
            for word in _taken(item):
                try:
                    value = expand(word, scope.values, scope.escape, scope.budget)
                except ExpansionError as error:
                    found.append(Input(item.line, "", f"{item.keyword} {word}: {error}", "write it as docker reads it"))
                    continue
                unknown = scope.unknown(value)
                if unknown:
                    problem = f"{item.keyword} {word} needs a value for {unknown[0]}"
                    found.append(Input(item.line, "", problem, f"write ARG {unknown[0]}=… before it, in this stage"))
                elif not _REMOTE.match(value.text):
                    found.append(Input(item.line, value.text.lstrip("/") or "."))
        return found

    def names_stage(self, source: str) -> bool:
        return bool(re.fullmatch(r"[+-]?[0-9]+", source)) or any(stage.name == source.lower() for stage in self.stages)


def _taken(item: Instruction) -> Iterator[str]:
    """The words of an instruction that name what it takes from the context."""
    if item.keyword in ("ADD", "COPY") and item.flag("from") is None:
        yield from (word for word in item.words[:-1] if "<<" not in word)
    elif item.keyword == "RUN":
        for name, value in item.flags:
            options = dict(part.partition("=")[::2] for part in value.split(","))
            if (
                name == "mount"
                and options.get("type", "bind") == "bind"
                and options.get("from", "context") == "context"
            ):
                yield options.get("source", options.get("src", "."))


def _image(line: int, image: str, where: str) -> Base:
    if not image:
        return Base(line, "-", "", f"{where.rstrip(' =')} names no image", "write registry/repository:tag")
    if len(image) > _MAX_IMAGE or not _IMAGE.fullmatch(image):
        shown = image if len(image) <= 80 else image[:79] + "…"
        return Base(line, "-", "", f"{where}{shown} is no name of an image", "write registry/repository:tag")
    return Base(line, "-", image)


def alone(instructions: list[Instruction]) -> Iterator[Instruction]:
    for item in instructions:
        yield item
        if item.trigger is not None:
            yield item.trigger


def json_array(text: str) -> list[str | None] | None:
    """The elements of a JSON array, those that are no strings as None; None for what is no array."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text, parse_int=_no_string, parse_float=_no_string, parse_constant=_refused)
    except RecursionError:
        return [None]
    except ValueError:
        return None
    return [word if isinstance(word, str) else None for word in words]


def _no_string(_: str) -> None:
    return None


def _refused(_: str) -> None:
    raise ValueError


def split_words(text: str, escape: str = "\\") -> list[str]:
    """Split at white space outside quotes; quotes and escapes stay."""
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


def unquote(word: str, escape: str = "\\") -> str:
    """Take quotes and escapes out, and leave variables alone."""
    result, quote, skip = "", "", False
    for char in word:
        if skip:
            result, skip = result + char, False
        elif char == escape and quote != "'":
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


def first_word(text: str) -> tuple[str, str, str]:
    match = _BLANK.search(text)
    return (text[: match.start()], match.group(), text[match.end() :]) if match else (text, "", "")


def parse(text: str) -> Dockerfile:
    """Parse a Dockerfile.

    What docker would refuse of a single instruction is in `problems`: the rest is read.

    Raises:
        DockerfileError: the file cannot be read to its end.
    """
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    for number, line in enumerate(lines, 1):
        if len(line.encode("utf-8", "surrogatepass")) > MAX_LINE:
            raise DockerfileError(number, f"the line has more than {MAX_LINE} bytes")
    result = Dockerfile(_directives(lines))
    if result.escape not in ("\\", "`"):
        where = result.directives["escape"][1]
        raise DockerfileError(where, f'the escape directive is "{result.escape}", expected \\ or `')
    for instruction in _instructions(lines, result.escape):
        if instruction.keyword == "FROM":
            result.stages.append(_stage(instruction, result.problems))
        elif result.stages:
            result.stages[-1].instructions.append(instruction)
        elif instruction.keyword == "ARG":
            result.arguments.append(instruction)
        elif instruction.keyword not in INSTRUCTIONS:
            result.problems.append(_unknown(instruction))
        else:
            message = f"{instruction.keyword} before the first FROM"
            result.problems.append(DockerfileError(instruction.line, message))
    if not result.stages:
        raise DockerfileError(1, "no FROM in the file")
    for stage in result.stages:
        result.problems += [_unknown(item) for item in alone(stage.instructions) if item.keyword not in INSTRUCTIONS]
        stage.instructions = [item for item in stage.instructions if item.keyword in INSTRUCTIONS]
    _enter_arguments(result)
    result.names = [result.expand(stage.base) for stage in result.stages]
    return result


def _unknown(item: Instruction) -> DockerfileError:
    return DockerfileError(item.line, f"unknown instruction {item.keyword[:40]}")


def _enter_arguments(result: Dockerfile) -> None:
    budget = Budget()
    for item in result.arguments:
        for name, default in item.pairs:
            result.declared.add(name)
            if default is None:
                continue
            try:
                result.values[name] = expand(default, result.values, result.escape, budget)
            except TooLongError as error:
                raise DockerfileError(item.line, f"ARG {name}: {error}") from None
            except ExpansionError as error:
                result.problems.append(DockerfileError(item.line, f"ARG {name}: {error}"))
                result.values.pop(name, None)


def _directives(lines: list[str]) -> dict[str, tuple[str, int]]:
    directives: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.match(line.strip())
        name = match.group(1).lower() if match else ""
        if match is None or name not in ("syntax", "escape", "check"):
            break
        if name in directives:
            raise DockerfileError(number, f"the directive {name} stands twice")
        directives[name] = (match.group(2), number)
    return directives


def _instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    mark = re.escape(escape)
    continuation = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*$")
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        text: str | None = line.lstrip()
        if not text or text.startswith("#"):
            continue
        joined = ""
        while text is not None:
            joined += continuation.sub("", text)
            if not continuation.search(text):
                break
            text = next((more for _, more in numbered if more.strip() and not more.lstrip().startswith("#")), None)
        if joined.strip():
            yield _with_heredocs(_instruction(joined.strip(), number, escape), numbered, joined)


def _instruction(text: str, number: int, escape: str) -> Instruction:
    keyword, _, rest = first_word(text)
    keyword = keyword.upper()
    value, flags = _without_flags(rest, escape)
    value = value.strip()
    trigger = _instruction(value, number, escape) if keyword == "ONBUILD" and value else None
    if trigger is not None and trigger.keyword == "ONBUILD":
        trigger = None
    named = [flag[2:].partition("=") for flag in flags]
    return Instruction(
        keyword,
        value,
        number,
        tuple((name, content) for name, _, content in named),
        escape=escape,
        trigger=trigger,
        valueless=frozenset(name for name, equals, _ in named if not equals),
    )


def _without_flags(text: str, escape: str) -> tuple[str, list[str]]:
    """Take the words that begin with -- off the front; quotes and escapes in them are gone."""
    flags: list[str] = []
    at = 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        if not text.startswith("--", at):
            return text[at:], flags
        word, quote = "", ""
        while at < len(text):
            char = text[at]
            if not quote and char.isspace():
                break
            if char == escape:
                at += 1
                word += text[at : at + 1]
            elif quote:
                quote, word = ("", word) if char == quote else (quote, word + char)
            elif char in "\"'":
                quote = char
            else:
                word += char
            at += 1
        if word == "--":
            return text[at:], flags
        flags.append(word)


def _with_heredocs(item: Instruction, numbered: Iterator[tuple[int, str]], text: str) -> Instruction:
    holder = item.trigger if item.trigger is not None else item
    if holder.keyword not in ("RUN", "COPY", "ADD") or holder.exec_form is not None or "<<" not in text:
        return item
    bodies = tuple(_heredoc_body(numbered, end, tabs, item.line) for end, tabs in _heredocs(text))
    holder = replace(holder, heredocs=bodies)
    return holder if item.trigger is None else replace(item, trigger=holder)


def _heredocs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the end of each heredoc that a line opens, and whether tabs before it are cut."""
    try:
        expand(text, _Anything())
    except ExpansionError:
        return  # what docker cannot take apart has no heredoc for it
    for word in _shell_words(text):
        match = _HEREDOC.match(word)
        names = split_words(match.group(2)) if match else []
        if match and len(names) == 1 and unquote(names[0]):
            yield unquote(names[0]), bool(match.group(1))


class _Anything(dict[str, Value]):
    """Every variable has a value."""

    def get(self, key: str, default: object = None) -> Value:
        return Value("x")


def _shell_words(text: str) -> list[str]:
    """Split a line where the shell would; << takes the blanks behind it along."""
    words: list[str] = []
    word, quote, at = "", "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            word += text[at : at + 2]
            at += 2
            continue
        if not quote and text.startswith("<<", at):
            blanks = len(text) - at - 2 - len(text[at + 2 :].lstrip(" \t\r"))
            word += text[at : at + 2 + blanks]
            at += 2 + blanks
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char.isspace():
            words += [word] if word else []
            word, at = "", at + 1
            continue
        word += char
        at += 1
    return [*words, word]


def _heredoc_body(numbered: Iterator[tuple[int, str]], end: str, strip_tabs: bool, start: int) -> str:
    body: list[str] = []
    for _, line in numbered:
        if (line.lstrip("\t") if strip_tabs else line) == end:
            return "\n".join(body)
        body.append(line)
    raise DockerfileError(start, f"the heredoc {end} has no end")


_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


def _stage(item: Instruction, problems: list[DockerfileError]) -> Stage:
    words = _BLANK.split(item.value)
    name = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else None
    if (name is None and len(words) != 1) or not words[0]:
        problems.append(DockerfileError(item.line, "FROM wants: FROM <image> [AS <name>]"))
    elif name is not None and not _STAGE_NAME.fullmatch(name):
        message = f"a stage cannot be named {words[2]}: expected a letter, then letters, digits, - _ and ."
        problems.append(DockerfileError(item.line, message))
    return Stage(words[0], name, item.line, source=item)
