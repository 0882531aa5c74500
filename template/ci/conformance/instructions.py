"""What docker refuses of an instruction that its parser could read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .dockerfile import Dockerfile, Instruction, Scope, Stage, alone, first_word, json_array
from .expansion import TooLongError

_SWITCH, _TEXT, _LIST = "switch", "text", "list"
_FLAGS = {
    "ADD": {
        "chown": _TEXT,
        "chmod": _TEXT,
        "checksum": _TEXT,
        "exclude": _LIST,
        "keep-git-dir": _SWITCH,
        "link": _SWITCH,
        "unpack": _SWITCH,
    },
    "COPY": {
        "chown": _TEXT,
        "chmod": _TEXT,
        "exclude": _LIST,
        "from": _TEXT,
        "link": _SWITCH,
        "parents": _SWITCH,
    },
    "FROM": {"platform": _TEXT},
    "HEALTHCHECK": {
        "interval": _TEXT,
        "retries": _TEXT,
        "start-interval": _TEXT,
        "start-period": _TEXT,
        "timeout": _TEXT,
    },
    "RUN": {"device": _LIST, "mount": _LIST, "network": _TEXT, "security": _TEXT},
}
_FLAGS_NOT_READ = ("ARG", "STOPSIGNAL")  # docker passes over them
_JSON = ("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME")
_ONE = ("MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR")

_DURATION = re.compile(r"[+-]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_PORTS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?(?:/([A-Za-z]*))?")
_SIGNAL = re.compile(
    r"(?:SIG)?(?:ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS"
    r"|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ"
    r"|RTMIN(?:\+(?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?)",
    re.IGNORECASE,
)
_MOUNT_TYPES = frozenset({"bind", "cache", "secret", "ssh", "tmpfs"})
_MOUNT_KEY = re.compile(
    r"type|from|source|src|target|dst|destination|readonly|ro|readwrite|rw|required|size|id|sharing|mode|uid|gid|env"
)
_NO_VARIABLE = "it takes no variable; name the image in a FROM, and that stage here"
_MOUNT_SWITCHES = frozenset({"readonly", "ro", "readwrite", "rw", "required"})


def faults(file: Dockerfile) -> Iterator[tuple[int, str]]:
    """Yield the line and the fault of everything that stops a build, as far as the file tells."""
    for item in file.arguments:
        for message in _assignments(item):
            yield item.line, message
    for stage in file.stages:
        for message in _flags(stage.source) if stage.source else ():
            yield stage.line, message
    for stage, item, scope in file.scoped():
        for part in alone([item]):
            where = "ONBUILD " if part is not item else ""
            try:
                # What a trigger names is a stage of the file that builds on this image.
                stages = _source_stage(file, stage, part) if part is item else ()
                for message in (*_instruction(part, scope), *stages):
                    yield part.line, where + message
            except TooLongError as error:
                yield part.line, where + str(error)
                return


def _instruction(item: Instruction, scope: Scope) -> Iterator[str]:
    keyword = item.keyword
    yield from _flags(item)
    elements = json_array(item.value) if keyword in _JSON else None
    if elements is not None and None in elements:
        yield f"{keyword} has an element in its JSON array that is no string"
        return
    if keyword in ("ADD", "COPY"):
        yield from _files(item, scope)
    elif keyword in ("ARG", "ENV", "LABEL"):
        yield from _assignments(item)
        yield from _words(item, [part for name, value in item.pairs for part in (name, value or "")], scope)
    elif keyword in _ONE:
        if not item.value:
            yield f"{keyword} without an argument"
        elif keyword != "MAINTAINER":
            yield from _words(item, [item.value], scope)
        if keyword == "STOPSIGNAL" and item.value:
            yield from _signal(scope.expand(item.value))
    elif keyword == "EXPOSE":
        yield from _ports(item, scope)
    elif keyword == "VOLUME":
        if not item.words or not all(word.strip() for word in item.words):
            yield "VOLUME without a directory"
        yield from _words(item, item.words, scope)
    elif keyword == "HEALTHCHECK":
        yield from _healthcheck(item)
    elif keyword == "SHELL":
        if not item.exec_form:
            yield 'SHELL wants a JSON array: SHELL ["/bin/bash", "-c"]'
    elif keyword == "ONBUILD":
        yield from _trigger(item)
    elif keyword == "RUN":
        yield from _run(item, scope)


def _flags(item: Instruction) -> Iterator[str]:
    if item.keyword in _FLAGS_NOT_READ:
        return
    if item.keyword == "HEALTHCHECK" and item.words[0].upper() == "NONE":
        return
    known, seen = _FLAGS.get(item.keyword, {}), set()
    for name, value in item.flags:
        kind = known.get(name)
        if kind is None:
            yield f"{item.keyword} has no option --{name[:40]}"
        elif name in seen and kind != _LIST:
            yield f"{item.keyword} has --{name} twice"
        elif kind != _SWITCH and name in item.valueless:
            yield f"{item.keyword} --{name} wants a value"
        elif kind == _SWITCH and name not in item.valueless and value.lower() not in ("true", "false"):
            yield f"{item.keyword} --{name} is true or false, not {value[:40] or 'nothing'}"
        seen.add(name)


def _words(item: Instruction, words: list[str], scope: Scope) -> Iterator[str]:
    for word in words:
        fault = scope.fault(word)
        if fault:
            yield f"{item.keyword} {word[:60]}: {fault}"
            return


def _assignments(item: Instruction) -> Iterator[str]:
    keyword = item.keyword
    if not item.value:
        yield f"{keyword} without an argument"
        return
    old_form = keyword != "ARG" and "=" not in first_word(item.value)[0]
    for name, value in item.pairs:
        if not name:
            yield f"{keyword} has an assignment without a name"
        elif keyword != "ARG" and (value is None or (old_form and not value)):
            yield f"{keyword} {name[:60]} has no value: write {keyword} NAME=value"


def _files(item: Instruction, scope: Scope) -> Iterator[str]:
    words = item.words if item.value else []
    if len(words) < 2:
        yield f"{item.keyword} wants what to copy and where to"
        return
    if "<<" in words[-1] and re.match(r"\d*<<-?\s*[^<\s]", words[-1]):
        yield f"{item.keyword} has a heredoc in the place of where to"
    expanded = [value for name, value in item.flags if name in ("chown", "chmod", "checksum")]
    yield from _words(item, [*expanded, *(word for word in words if "<<" not in word)], scope)


def _source_stage(file: Dockerfile, stage: Stage, item: Instruction) -> Iterator[str]:
    """What COPY --from and RUN --mount=from name must be built before."""
    sources = []
    if item.keyword == "COPY":
        source = item.flag("from")
        sources = [source] if source else []
        if source and re.search(r"[$'\"\\]", source):
            yield f"COPY --from={source[:60]}: {_NO_VARIABLE}"
            return
    elif item.keyword == "RUN":
        mounts = [dict(_fields(value)) for name, value in item.flags if name == "mount"]
        sources = [mount["from"] for mount in mounts if mount.get("from") and "$" not in mount["from"]]
    position = next(index for index, one in enumerate(file.stages) if one is stage)
    for source in sources:
        if re.fullmatch(r"[+-]?[0-9]+", source) and item.keyword == "COPY":
            known = len(source) < 10 and 0 <= int(source) < len(file.stages)
            index = int(source) if known else None
            if index is None:
                yield f"{item.keyword} from stage {source[:20]}, which is not there"
        else:
            named = [number for number, one in enumerate(file.stages) if one.name == source.lower()]
            index = named[-1] if named else None
        if index == position:
            yield f"{item.keyword} from the stage {source} itself"
        elif index is not None and index > position:
            yield f"{item.keyword} from the stage {source}, which stands after it"


def _signal(name: str | None) -> Iterator[str]:
    if name is None:
        return
    if re.fullmatch(r"[+-]?[0-9]{1,18}", name):
        if int(name):
            return
    elif _SIGNAL.fullmatch(name):
        return
    yield f"STOPSIGNAL {name[:40]} is no signal"


def _ports(item: Instruction, scope: Scope) -> Iterator[str]:
    if not item.value:
        yield "EXPOSE without a port"
        return
    yield from _words(item, item.words, scope)
    for word in item.words:
        for port in (scope.expand(word) or "").split():
            if not is_port(port):
                yield f"EXPOSE {port[:60]} is no port"


def is_port(text: str) -> bool:
    """Tell whether docker takes it: a port or a range, maybe with a protocol, maybe behind host address and port."""
    address, _, port = text.rpartition(":")
    match = _PORTS.fullmatch(port)
    if match is None or (match.group(3) or "tcp").lower() not in ("tcp", "udp", "sctp"):
        return False
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if not first <= last <= 65535:
        return False
    if not address:
        return ":" not in text or text.startswith(":")
    host, _, published = address.rpartition(":")
    own = _PORTS.fullmatch(published) if published else None
    if published and (own is None or own.group(3) is not None):
        return False
    if own is not None:
        start, end = int(own.group(1)), int(own.group(2) or own.group(1))
        if not start <= end <= 65535 or (last != first and last - first != end - start):
            return False
    return not host or _is_address(host)


def _is_address(text: str) -> bool:
    import ipaddress

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return "%" not in bare


def _healthcheck(item: Instruction) -> Iterator[str]:
    kind, _, rest = first_word(item.value)
    kind = kind.upper()
    if kind == "NONE":
        if rest:
            yield "HEALTHCHECK NONE takes nothing behind it"
        return
    if kind != "CMD":
        yield f"HEALTHCHECK {kind[:40]}: expected CMD or NONE" if kind else "HEALTHCHECK without an argument"
        return
    elements = json_array(rest)
    if elements is not None and None in elements:
        yield "HEALTHCHECK has an element in its JSON array that is no string"
    elif not rest or elements == []:
        yield "HEALTHCHECK CMD without a command"
    for name, value in item.flags:
        if name == "retries":
            if value and not re.fullmatch(r"\+?[0-9]{1,9}", value):
                yield f"HEALTHCHECK --retries={value[:40]} is no number"
        elif name in _FLAGS["HEALTHCHECK"] and value:
            yield from _duration(name, value)


def _duration(name: str, value: str) -> Iterator[str]:
    if not _DURATION.fullmatch(value):
        yield f"HEALTHCHECK --{name}={value[:40]} is no duration such as 10s"
        return
    units = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1, "s": 1e3, "m": 6e4, "h": 3.6e6}
    parts = re.findall(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)", value)
    total = sum(float(number) * units[unit] for number, unit in parts)
    if total and (value.startswith("-") or total < 1):
        yield f"HEALTHCHECK --{name}={value[:40]} is less than a millisecond"


def _trigger(item: Instruction) -> Iterator[str]:
    word = (item.value.split() or [""])[0].upper()
    if not word:
        yield "ONBUILD without an instruction"
    elif word in ("ONBUILD", "FROM", "MAINTAINER"):
        yield f"ONBUILD {word} is not allowed"


def _fields(value: str) -> Iterator[tuple[str, str]]:
    for part in value.split(","):
        key, equals, content = part.partition("=")
        yield key.lower(), content if equals else "\0"


def _run(item: Instruction, scope: Scope) -> Iterator[str]:
    for name, value in item.flags:
        if name == "network" and value not in ("default", "none", "host"):
            yield f"RUN --network={value[:40]}: expected default, none or host"
        elif name == "security" and value not in ("insecure", "sandbox"):
            yield f"RUN --security={value[:40]}: expected insecure or sandbox"
        elif name == "mount" and '"' not in value:
            yield from _mount(value, scope)


def _mount(value: str, scope: Scope) -> Iterator[str]:
    mount = dict(_fields(value))
    if "$" in mount.get("from", "").rstrip("$"):
        yield f"RUN --mount=from={mount['from'][:60]}: {_NO_VARIABLE}"
        return
    for key, content in mount.items():
        if content == "\0":
            if key not in _MOUNT_SWITCHES:
                yield f"RUN --mount: {key[:40] or 'an empty field'} wants a value"
        elif not _MOUNT_KEY.fullmatch(key):
            yield f"RUN --mount has no option {key[:40]}"
        elif scope.fault(content):
            yield f"RUN --mount={value[:60]}: {scope.fault(content)}"
    sharing = scope.expand(mount.get("sharing", "shared"))
    if sharing is not None and sharing.lower() not in ("shared", "private", "locked"):
        yield f"RUN --mount=sharing={sharing[:40]}: expected shared, private or locked"
    kind = scope.expand(mount.get("type", "bind"))
    if kind is not None and kind.lower() not in _MOUNT_TYPES:
        yield f"RUN --mount=type={kind[:40]}: expected bind, cache, secret, ssh or tmpfs"
