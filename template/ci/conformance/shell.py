"""The commands of a shell script: enough of the grammar to see what is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
# The programs that start another one, and those of their options that take a word.
_WRAPPERS: dict[str, frozenset[str]] = {
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C", "-D", "-r", "-t", "-T", "-U", "--user", "--group"}),
    "doas": frozenset({"-u", "-C"}),
    "env": frozenset({"-u", "--unset", "-C", "--chdir"}),
    "exec": frozenset({"-a"}),
    "time": frozenset({"-f", "-o", "--format", "--output"}),
    "nice": frozenset({"-n", "--adjustment"}),
    "ionice": frozenset({"-c", "-n"}),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "timeout": frozenset({"-k", "-s", "--kill-after", "--signal"}),
    "command": frozenset(),
    "builtin": frozenset(),
    "xargs": frozenset({"-n", "-I", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--delimiter"}),
    "eval": frozenset(),
    "retry": frozenset({"-t", "--times", "-d", "--delay"}),
    "gosu": frozenset(),
    "su-exec": frozenset(),
    "chroot": frozenset(),
    "flock": frozenset({"-w", "--timeout", "-E"}),
}
# A word of their own comes before the program: a duration, a user, a directory, a file.
_ONE_WORD_FIRST = frozenset({"timeout", "gosu", "su-exec", "chroot", "flock"})
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "case", "esac", "in", "!", "{", "}"}
)
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})


@dataclass
class Command:
    """One simple command; `piped` says that it reads another one's output."""

    words: list[str] = field(default_factory=list)
    piped: bool = False
    nested: list[str] = field(default_factory=list)  # the scripts in its $(…) and <(…)

    @property
    def name(self) -> str:
        return self.words[0].rpartition("/")[2] if self.words else ""


def commands(script: str, depth: int = 0) -> Iterator[Command]:
    """Yield every simple command, those in substitutions and `sh -c` too."""
    if depth > 8:
        return
    for words, piped, nested in _simple(script):
        for text in nested:
            yield from commands(text, depth + 1)
        command = Command(_unwrapped(words), piped, nested)
        if not command.words:
            continue
        yield command
        if command.name in _SHELLS:
            for position, word in enumerate(command.words[1:-1], 1):
                if re.fullmatch(r"-[a-z]*c", word):
                    yield from commands(command.words[position + 1], depth + 1)
                    break


def _unwrapped(words: list[str]) -> list[str]:
    while words:
        if words[0] in _KEYWORDS or _ASSIGNMENT.match(words[0]):
            words = words[1:]
        elif words[0].rpartition("/")[2] in _WRAPPERS:
            name, words = words[0].rpartition("/")[2], words[1:]
            while words and (words[0].startswith("-") or _ASSIGNMENT.match(words[0])):
                words = words[2:] if words[0] in _WRAPPERS[name] else words[1:]
            words = words[1:] if name in _ONE_WORD_FIRST else words
        else:
            break
    return words


def _simple(script: str) -> Iterator[tuple[list[str], bool, list[str]]]:
    """Split into simple commands at operators outside quotes."""
    words: list[str] = []
    nested: list[str] = []
    word: str | None = None
    piped = next_piped = False
    heredocs: list[tuple[str, bool]] = []
    index, end = 0, len(script)
    while index <= end:
        char = script[index] if index < end else "\n"
        if char == "\\" and index + 1 < end:
            if script[index + 1] != "\n":
                word = (word or "") + script[index + 1]
            index += 2
            continue
        if char == "'":
            close = script.find("'", index + 1)
            close = end if close < 0 else close
            word = (word or "") + script[index + 1 : close]
            index = min(close + 1, end)
            continue
        if char == '"':
            text, index = _double_quoted(script, index + 1, nested)
            word = (word or "") + text
            continue
        if char == "`" or script.startswith(("$(", "<(", ">("), index):
            mark = "$()" if char in "`$" else char + "()"
            text, index = _substitution(script, index)
            nested.append(text)
            word = (word or "") + mark
            continue
        if char == "#" and word is None:
            newline = script.find("\n", index)
            index = end if newline < 0 else newline
            continue
        if script.startswith("<<", index) and not script.startswith("<<<", index):
            match = re.compile(r"<<(-?)\s*([\"']?)([\w.-]+)\2").match(script, index)
            if match:
                heredocs.append((match.group(3), bool(match.group(1))))
                index = match.end()
                continue
        if char in " \t\r\n;&|()":
            if word is not None:
                words.append(word)
                word = None
            if char in "\n;&|()":
                if words or nested:
                    yield words, piped, nested
                    words, nested = [], []
                    next_piped = False
                if char == "|" and not script.startswith("||", index):
                    next_piped = True
                elif char in "&|":
                    index += script.startswith(char * 2, index)
                    next_piped = False
                elif char in ";\n" and not next_piped:
                    next_piped = False
                piped = next_piped
            index += 1
            if char == "\n" and heredocs:
                index = _after_heredocs(script, index, heredocs)
                heredocs = []
            continue
        word = (word or "") + char
        index += 1


def _double_quoted(script: str, index: int, nested: list[str]) -> tuple[str, int]:
    text = ""
    while index < len(script) and script[index] != '"':
        if script[index] == "\\" and index + 1 < len(script):
            text += script[index + 1] if script[index + 1] in '"\\$`' else script[index : index + 2]
            index += 2
        elif script[index] == "`" or script.startswith("$(", index):
            inner, index = _substitution(script, index)
            nested.append(inner)
            text += "$()"
        else:
            text += script[index]
            index += 1
    return text, min(index + 1, len(script))


def _substitution(script: str, index: int) -> tuple[str, int]:
    """Return the inside of `…` or $(…), and where it ends."""
    if script[index] == "`":
        close = script.find("`", index + 1)
        close = len(script) if close < 0 else close
        return script[index + 1 : close], min(close + 1, len(script))
    start = index = index + 2
    depth, quote = 1, ""
    while index < len(script):
        char = script[index]
        if char == "\\" and quote != "'":
            index += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                break
        index += 1
    return script[start:index], min(index + 1, len(script))


def _after_heredocs(script: str, index: int, heredocs: list[tuple[str, bool]]) -> int:
    for end_word, strip_tabs in heredocs:
        while index < len(script):
            newline = script.find("\n", index)
            newline = len(script) if newline < 0 else newline
            line = script[index:newline]
            index = newline + 1
            if (line.lstrip("\t") if strip_tabs else line) == end_word:
                break
    return index
