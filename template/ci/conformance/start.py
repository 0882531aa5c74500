"""What a start command in exec form really starts: programs that start another one are passed over."""

from __future__ import annotations

import re

from .content import SHELL, program_by_name

# The programs that do nothing but start another one, with those of their options that take a word.
_STARTERS: dict[str, frozenset[str]] = {
    "tini": frozenset({"-p", "-e"}),
    "tini-static": frozenset({"-p", "-e"}),
    "dumb-init": frozenset({"-r", "--rewrite"}),
    "catatonit": frozenset(),
    "docker-init": frozenset({"-p", "-e"}),
    "env": frozenset({"-u", "--unset", "-C", "--chdir", "-S", "--split-string"}),
    "nice": frozenset({"-n", "--adjustment"}),
    "ionice": frozenset({"-c", "-n"}),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "timeout": frozenset({"-k", "-s", "--kill-after", "--signal"}),
    "chpst": frozenset({"-u", "-U", "-b", "-/", "-e", "-m", "-d", "-o", "-p", "-f", "-c", "-r", "-t", "-l", "-L"}),
    "gosu": frozenset(),
    "su-exec": frozenset(),
    "setpriv": frozenset(),
    "chroot": frozenset(),
    "busybox": frozenset(),
    "toybox": frozenset(),
}
# A word of their own comes before the program: a user, a duration, a directory.
_ONE_WORD_FIRST = frozenset({"gosu", "su-exec", "timeout", "chroot"})
_MULTICALL = frozenset({"busybox", "toybox"})
_SHELL_PLACES = re.compile(r"(?:/usr(?:/local)?)?/s?bin/[^/]+|/busybox/[^/]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def shell_behind(words: list[str]) -> str | None:
    """Return the shell that the command starts, if it starts one.

    A service may have the name of a shell: the name counts where shells are, behind
    another program, or with a command to read.
    """
    words = list(words)
    behind = False
    for _ in range(8):
        if not words:
            return None
        name = words[0].rpartition("/")[2]
        kind = program_by_name(name)
        if name not in _STARTERS:
            if kind is None or kind[0] != SHELL:
                return None
            reads = any(re.fullmatch(r"-[A-Za-z]*c", word) for word in words[1:4])
            return words[0] if reads or behind or _SHELL_PLACES.fullmatch(words[0]) else None
        behind = behind or name in _MULTICALL
        words = _started(words, name)
    return None


def _started(words: list[str], name: str) -> list[str]:
    rest = words[1:]
    while rest and (rest[0].startswith("-") or (name == "env" and _ASSIGNMENT.match(rest[0]))):
        option = rest.pop(0)
        if option == "--":
            break
        if name == "env" and option in ("-S", "--split-string") and rest:
            return [*rest[0].split(), *rest[1:]]
        if option in _STARTERS[name] and rest:
            rest.pop(0)
    while name == "env" and rest and _ASSIGNMENT.match(rest[0]):
        rest.pop(0)
    return rest[1:] if name in _ONE_WORD_FIRST else rest
