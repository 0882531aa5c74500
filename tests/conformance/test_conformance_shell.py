"""What a script runs: quotes, substitutions, heredocs and comments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import shell


def names(script: str) -> list[str]:
    return [" ".join(command.words) for command in shell.commands(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a b; c && d || e | f & g", ["a b", "c", "d", "e", "f", "g"]),
        ("a 'b; c' \"d && e\"", ["a b; c d && e"]),
        ("a # b; c\nd", ["a", "d"]),
        ("a b#c", ["a b#c"]),
        ("a \\\n  b", ["a b"]),
        ("A=1 B=2 c", ["c"]),
        ("if a; then b; else c; fi", ["a", "b", "c"]),
        ("sudo -E env X=1 a b", ["a b"]),
        ("x=$(a b | c)", ["a b", "c"]),
        ('echo "$(a "b c")" `d`', ["a b c", "d", "echo $() $()"]),
        ("sh -c 'a; b'", ["sh -c a; b", "a", "b"]),
        ("bash -euc 'a'", ["bash -euc a", "a"]),
        ("cat <<EOF && b\na; apt-get install\nEOF\nc", ["cat", "b", "c"]),
        ("cat <<-'X' > f\n\ta\n\tX\nb", ["cat > f", "b"]),
        ("(a; b) && { c; }", ["a", "b", "c"]),
        ("for x in a b; do c; done", ["x in a b", "c"]),
        ("", []),
        ("'unclosed", ["unclosed"]),
    ],
)
def test_commands(script: str, expected: list[str]) -> None:
    assert names(script) == expected


def test_pipes() -> None:
    found = {
        command.name: command.piped for command in shell.commands("a | /bin/b |\n c; d || e\nf | g")
    }
    assert found == {
        "a": False,
        "b": True,
        "c": True,
        "d": False,
        "e": False,
        "f": False,
        "g": True,
    }


@given(st.text(alphabet="ab '\"\\$(`)|&;#<\n\tEOF-=", max_size=80))
def test_any_script_ends(script: str) -> None:
    assert all(command.words for command in shell.commands(script))
