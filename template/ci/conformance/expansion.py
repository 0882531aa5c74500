"""Variables in the words of a Dockerfile: what BuildKit and Kaniko put in their place.

The resolver of the pipeline reads them too, in awk: a test holds both to one corpus,
so a limit or a message that changes here changes there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TOTAL = 1 << 20  # characters that the variables of one file may expand to
MAX_DEPTH = 50  # braces in braces

OPEN_QUOTE = "a quote is not closed"
NO_BRACE = "${ has no }"
BAD_SUBSTITUTION = "bad substitution"
TOO_LONG = f"the variables expand to more than {MAX_TOTAL} characters"
TOO_DEEP = f"more than {MAX_DEPTH} braces stand in each other"

_NAME = re.compile(r"[0-9]+|[@*#?$!-]|[A-Za-z_][A-Za-z0-9_]*")


class ExpansionError(Exception):
    """The word cannot be expanded; docker says so as well."""


class TooLongError(ExpansionError):
    """The variables of the file expand to more than anybody means."""

    def __init__(self) -> None:
        super().__init__(TOO_LONG)


class NeededError(ExpansionError):
    """`${NAME:?…}`, and the variable has no value here."""

    def __init__(self, name: str, word: str) -> None:
        super().__init__(f"{name}: {word or 'it has no value'}")
        self.name = name


@dataclass(frozen=True)
class Value:
    """What a word expands to, the names that left nothing behind, and all that had no value."""

    text: str
    missing: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


class Budget:
    """What the expansions of one file may come to, all together."""

    def __init__(self, total: int = MAX_TOTAL) -> None:
        self._left = total

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLongError


def expand(word: str, values: Mapping[str, Value], escape: str = "\\", budget: Budget | None = None) -> Value:
    """Put the values in, take quotes and escapes out."""
    return _Lexer(word, values, escape, budget or Budget()).run()


class _Lexer:
    def __init__(self, word: str, values: Mapping[str, Value], escape: str, budget: Budget) -> None:
        self._word = word
        self._values = values
        self._escape = escape
        self._budget = budget
        self._at = 0
        self._depth = 0
        self._missing: dict[str, None] = {}
        self._unset: dict[str, None] = {}

    def run(self) -> Value:
        return Value(self._until(""), tuple(self._missing), tuple(self._unset))

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _until(self, stop: str, pattern: bool = False) -> str:
        """Read to the stop character, or the end; in a pattern what was escaped or quoted stays so."""
        parts: list[str] = []
        while char := self._peek():
            if char == stop:
                self._at += 1
                return "".join(parts)
            if char == "'":
                parts.append(self._single_quoted(pattern))
            elif char == '"':
                parts.append(self._double_quoted(pattern))
            elif char == "$":
                parts.append(self._dollar())
            elif char == self._escape:
                self._at += 1
                parts.append(char * pattern + self._next())
            else:
                self._at += 1
                parts.append(char)
        if stop:
            raise ExpansionError(NO_BRACE)
        return "".join(parts)

    def _single_quoted(self, pattern: bool) -> str:
        end = self._word.find("'", self._at + 1)
        if end < 0:
            raise ExpansionError(OPEN_QUOTE)
        text = self._word[self._at + 1 : end]
        self._at = end + 1
        return text.replace(self._escape, self._escape * 2) if pattern else text

    def _double_quoted(self, pattern: bool) -> str:
        self._at += 1
        parts: list[str] = []
        while char := self._peek():
            if char == '"':
                self._at += 1
                return "".join(parts)
            if char == "$":
                parts.append(self._dollar())
                continue
            self._at += 1
            if char == self._escape:
                following = self._peek()
                if not following:
                    break
                parts.append(char * pattern)
                if following in ('"', "$", self._escape):
                    char = self._next()
            parts.append(char)
        raise ExpansionError(OPEN_QUOTE)

    def _name(self) -> str:
        match = _NAME.match(self._word, self._at)
        self._at = match.end() if match else self._at
        return match.group() if match else ""

    def _dollar(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._put(name) if name else "$"
        self._at += 1
        if not self._peek():
            raise ExpansionError(NO_BRACE)
        if self._peek() in "{}:":
            raise ExpansionError(BAD_SUBSTITUTION)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpansionError(TOO_DEEP)
        text = self._braces(self._name())
        self._depth -= 1
        return text

    def _braces(self, name: str) -> str:
        operator = self._next()
        if operator == "}":
            return self._put(name)
        if operator == "/":
            return self._replaced(name)
        colon = operator == ":"
        if colon:
            operator = self._next()
        if not operator:
            raise ExpansionError(NO_BRACE)
        if operator not in "+-?#%" or (colon and operator in "#%"):
            raise ExpansionError(BAD_SUBSTITUTION)
        missing, unset = dict(self._missing), dict(self._unset)
        word = self._until("}", operator in "#%")
        value = self._values.get(name)
        there = value is not None and not (colon and not value.text)
        if operator in "+-" and there == (operator == "-"):
            self._missing, self._unset = missing, unset  # the word is not used
        if value is None:
            self._unset[name] = None
        if operator == "?":
            if not there:
                raise NeededError(name, word)
            return self._put(name)
        if operator in "#%":
            return self._trimmed(name, word, operator)
        if operator == "+":
            return word if there else ""
        return self._put(name) if there else word

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        self._at += every
        pattern = self._until("/", True)
        replacement = self._until("}", True)
        if not pattern.strip("*") or self._escape in pattern + replacement or "$" in replacement:
            raise ExpansionError(BAD_SUBSTITUTION)
        value, tokens, parts = self._put(name), _tokens(pattern), [""]
        at = 0
        while at < len(value):
            fitting = self._fitting(tokens, value[at:])
            parts.append(replacement if fitting else value[at])
            at += fitting[-1] if fitting else 1
            if fitting and not every:
                break
        return self._spent("".join(parts) + value[at:])

    def _trimmed(self, name: str, pattern: str, operator: str) -> str:
        greedy, value = pattern[:1] == operator, self._put(name)
        tokens = _tokens(pattern[greedy:])
        if operator == "%":
            value, tokens = value[::-1], tokens[::-1]
        fitting = self._fitting(tokens, value)
        value = value[fitting[-1 if greedy else 0] :] if fitting else value
        return self._spent(value[::-1] if operator == "%" else value)

    def _fitting(self, tokens: list[str], value: str) -> list[int]:
        """The lengths of the beginnings of the value that the pattern fits, in order."""
        self._budget.spend(len(value) * len(tokens))
        stars = sum(1 << index for index, token in enumerate(tokens) if token == "**")
        anything = sum(1 << index for index, token in enumerate(tokens) if token == "??")
        places: dict[str, int] = {}
        for index, token in enumerate(tokens):
            places[token] = places.get(token, 0) | 1 << index
        states, done, fitting = 1, 1 << len(tokens), []
        for length in range(len(value) + 1):
            states |= (states & stars) << 1  # a star may stand for nothing
            if states & done:
                fitting.append(length)
            char = value[length : length + 1]
            states = (states & stars) | (states & (places.get(char, 0) | anything)) << 1
        return fitting

    def _put(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            self._missing[name] = self._unset[name] = None
            return ""
        self._missing.update(dict.fromkeys(value.missing))
        self._unset.update(dict.fromkeys(value.unset))
        return self._spent(value.text)

    def _spent(self, text: str) -> str:
        self._budget.spend(len(text))
        return text


def _tokens(pattern: str) -> list[str]:
    """The characters of a pattern; `*` and `?` that stand for others as "**" and "??"."""
    tokens: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char in "*?":
            if char == "?" or tokens[-1:] != ["**"]:
                tokens.append(char * 2)
        elif char == "\\":
            following = next(chars, "")
            if following not in ("*", "?", "\\", "}", "/"):
                raise ExpansionError(BAD_SUBSTITUTION)
            tokens.append(following)
        else:
            tokens.append(char)
    return tokens
