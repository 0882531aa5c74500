"""Draw docs/questions.svg: the questions as they look in a terminal of 80 columns.

Copier runs in a pseudo-terminal with a few answers typed, a terminal emulator keeps the
screen, and the screen becomes an SVG. `--check` writes nothing and exits 1 when it differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import pexpect
import pyte

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "questions.svg"
COLUMNS, LINES = 80, 24
# Each question's first words, and what is typed before Enter.
ANSWERS = [
    ("What is the service called?", "order-book"),
    ("What does it do?", ""),
    ("Which team owns it?", "checkout"),
    ("Which language", ""),
    ("What does its production image", ""),
    ("What builds and publishes", ""),
    ("Which registry", ""),
    ("Which prefix", ""),
]


def screen() -> list[str]:
    """What the terminal shows when the last question has been answered."""
    terminal = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(terminal)
    with tempfile.TemporaryDirectory() as scratch:
        child = pexpect.spawn(
            sys.executable,
            [
                "-m", "copier", "copy", "--quiet", "--vcs-ref", "HEAD", str(ROOT),
                f"{scratch}/service",
            ],
            dimensions=(LINES, COLUMNS), encoding="utf-8", timeout=120,
            env={
                **os.environ, "TERM": "xterm", "PYTHONWARNINGS": "ignore",
                # This terminal does not say where its cursor is: each question would wait for it.
                "PROMPT_TOOLKIT_NO_CPR": "1",
            },
        )  # fmt: skip
        for question, answer in ANSWERS:
            child.expect_exact(question)
            stream.feed(child.before + child.after)
            child.send((f"\x01\x0b{answer}" if answer else "") + "\r")
        child.expect(["is ready", pexpect.EOF])
        stream.feed(child.before)
        child.close(force=True)
    lines = [line.rstrip() for line in terminal.display]
    first = next(number for number, line in enumerate(lines) if ANSWERS[0][0] in line)
    return [line for line in lines[first:] if line]


def svg(lines: list[str]) -> str:
    height = 18 * len(lines) + 24
    text = "\n".join(
        f'<text x="12" y="{18 * number + 26}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" '
        'font-family="monospace" font-size="14" fill="#d8dee9">\n'
        f'<rect width="700" height="{height}" rx="8" fill="#2e3440"/>\n{text}\n</svg>\n'
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    arguments = parser.parse_args()
    text = svg(screen())
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == text:
        return 0
    if arguments.check:
        print(f"{PICTURE} is not what the questions look like; run: make picture", file=sys.stderr)
        return 1
    PICTURE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
