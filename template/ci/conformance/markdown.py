"""The little of Markdown that decision records use: headings, tables, links."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_LINK = re.compile(
    r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*(<[^<>\n]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"
)
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t]*(<[^<>\n]*>|\S+)", re.MULTILINE)
_ANCHOR = re.compile(r"<[a-z]+[^<>]*\s(?:id|name)=[\"']([^\"']+)[\"']", re.IGNORECASE)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)


@dataclass(frozen=True)
class Heading:
    level: int
    text: str
    line: int


@dataclass(frozen=True)
class Link:
    target: str
    line: int


@dataclass
class Document:
    """A page, with code blocks and comments blanked out of `lines`."""

    lines: list[str]
    headings: list[Heading] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Document:
        document = cls(_without_blocks(text))
        for number, line in enumerate(document.lines, 1):
            match = _HEADING.match(line)
            if match:
                document.headings.append(Heading(len(match.group(1)), match.group(2), number))
        return document

    def section(self, title: str) -> tuple[int, list[str]] | None:
        """Return the first line and the lines of a section, its subsections included."""
        for position, heading in enumerate(self.headings):
            if plain(heading.text).lower() == title.lower():
                following = self.headings[position + 1 :]
                end = next((item.line - 1 for item in following if item.level <= heading.level), len(self.lines))
                return heading.line, self.lines[heading.line : end]
        return None

    def fields(self) -> dict[str, tuple[str, int]]:
        """Return the rows of the first table, by the first cell in lower case."""
        rows: dict[str, tuple[str, int]] = {}
        started = False
        for number, line in enumerate(self.lines, 1):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            if not line.strip().startswith("|"):
                if started:
                    break
                continue
            started = True
            if len(cells) >= 2 and not re.fullmatch(r":?-+:?", cells[0]):
                rows.setdefault(plain(cells[0]).lower(), (" ".join(cells[1:]).strip(), number))
        return rows

    def links(self) -> list[Link]:
        text = _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), "\n".join(self.lines))
        found = []
        for pattern in (_LINK, _DEFINITION):
            for match in pattern.finditer(text):
                found.append(Link(match.group(1).strip("<>"), text.count("\n", 0, match.start(1)) + 1))
        return sorted(found, key=lambda link: link.line)

    def anchors(self) -> set[str]:
        """Return every anchor, as GitHub and as GitLab make them."""
        found: set[str] = set()
        for heading in self.headings:
            slug = re.sub(r"[^\w\- ]", "", plain(heading.text).lower()).replace(" ", "-")
            for name in {slug, re.sub(r"-{2,}", "-", slug)}:
                number = 0
                while (candidate := f"{name}-{number}" if number else name) in found:
                    number += 1
                found.add(candidate)
        return found | {name.lower() for line in self.lines for name in _ANCHOR.findall(line)}


def plain(text: str) -> str:
    """Return the text without emphasis, code marks and link targets."""
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", text)
    return re.sub(r"[`*]|(?<!\w)_+|_+(?!\w)", "", text).strip()


def unescape(target: str) -> str:
    return urllib.parse.unquote(target)


def _without_blocks(text: str) -> list[str]:
    text = re.sub(r"<!--.*?-->", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if fence:
            if match and match.group(1).startswith(fence) and not line.strip(" `~"):
                fence = ""
            lines.append("")
        elif match:
            fence = match.group(1)
            lines.append("")
        else:
            lines.append(line)
    return lines
