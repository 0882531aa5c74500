"""Whatever a person answers: the service means it, or the question says why not.

`ANSWER_SETS=50000 make test-fast` tries ten times more (nightly does);
`pytest --hypothesis-seed=N` repeats a failure.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from copier import run_copy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from inprocess import Template
from rendering import COMBINATIONS, copy_template, rendered_files

SETS = int(os.environ.get("ANSWER_SETS", "5000"))
COPIES = SETS // 25
STACKS = sorted({(c["language"], c["runtime_base"]) for c in COMBINATIONS.values()})

HOSTILE = [
    "", " ", "x" * 10_000, "\x00", "a\nb", "a\r\nb", "\u202eevil", "a\u2028b", "\ufeffx", "\ud800",
    '"', "'", "\\", '\\"', "`id`", "$(id)", "${HOME}", "$HOME", "$$", "%s", "{{ 7*7 }}",
    "{% raw %}", "{# x #}", "]]>", "<script>", "&amp;", "<!--", "-->", "'''", '"""', "yes", "no",
    "null", "~", "1e3", "0x10", "2026-01-01", "- x", "# x", ": ", "a: b", "x #y", "> x", "| x",
    "* x", "1. x", "+ x", "=====", "---", "...", "[x](y)", "![x](y)", "*x*", "_x_", "~~x~~",
    "@team", "!x", "&x", "?x", "%TAG", "async", "class", "package", "main", "test", "crate", "java",
    "self", "type", "def", "go", "internal", "cmd", "vendor", "src", "tests", "ci", "image",
    "specs", "fastapi", "fastify", "axum", "spring-boot", "http", "json", "logging",
    "node_modules", "con",
    "-", "--", "a--b", "a.", ".a", "a/", "/a", "a//b", "..", "../../etc/passwd", "*", "?", "~root",
    "80", "65536", "localhost", "localhost:5000", "localhost:5000/x", "https://r.example.com/x",
    "r.example.com/x:1", "r.example.com/x@sha256:" + "0" * 64, "r.example.com/x/",
    "r.example.com./x", "R.example.com/x", "example.com", "com.example", "com.class", "java.lang",
    "é", "日本語", "🚀", "\U0001d538", "İ", "ß", "x;id", "x&&id", "x|id", "x>y", "x\ty",
]  # fmt: skip
LABEL = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])\Z")
ANSWERS: dict[str, st.SearchStrategy[str]] = {
    "service_name": LABEL,
    "description": st.text(min_size=1, max_size=200) | st.sampled_from(HOSTILE),
    "owner": st.from_regex(r"\A[a-z0-9]{1,9}([._-][a-z0-9]{1,9})?(/[a-z0-9]{1,9})?\Z"),
    "registry": st.from_regex(
        r"\A(localhost|[a-z]{1,9}\.[a-z]{2,5})(:[1-9][0-9]{1,3})?(/[a-z0-9]{1,9}(__?[a-z]{1,3}|-+[a-z])?){1,3}\Z"
    ),
    "module_root": st.from_regex(r"\A[a-z]{1,9}\.[a-z]{2,9}\Z"),
}


@st.composite
def answer_sets(draw: st.DrawFn) -> dict[str, str]:
    """A valid set in which, half of the time, one answer is hostile."""
    language, base = draw(st.sampled_from(STACKS))
    answers = {"language": language, "runtime_base": base}
    answers |= {name: draw(strategy) for name, strategy in ANSWERS.items()}
    if language not in ("go", "java"):
        del answers["module_root"]
    if draw(st.booleans()):
        name = draw(st.sampled_from([n for n in ANSWERS if n in answers]))
        answers[name] = draw(st.sampled_from(HOSTILE) | st.text(max_size=60))
    return answers


def markdown(text: str) -> dict[str, Any]:
    """The title, the first paragraph and the owner that a Markdown reader sees."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inline = [token for token in tokens if token.type == "inline"]
    plain = [token for token in inline[1].children or [] if token.type.startswith("text")]
    owned = [c.content for c in inline[2].children or [] if c.type == "code_inline"]
    return {
        "service_name": inline[0].content,
        "description": "".join(token.content for token in plain)
        if len(plain) == len(inline[1].children or []) and tokens[3].type == "paragraph_open"
        else inline[1].children,
        "owner": owned[0],
    }


def toml(*path: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value: Any = tomllib.loads(text)
        for key in path:
            value = value[key]
        return value

    return read


MAVEN = {"m": "http://maven.apache.org/POM/4.0.0"}

# Where an answer appears, and how the format's own parser reads it back.
MEANINGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "README.md": markdown,
    ".copier-answers.yml": lambda text: {
        name: value for name, value in yaml.safe_load(text).items() if name in ANSWERS
    },
    "CODEOWNERS": lambda text: {"owner": text.removeprefix("* @").removesuffix("\n")},
    "pyproject.toml": lambda text: {"description": toml("project", "description")(text)},
    "Cargo.toml": lambda text: {"description": toml("package", "description")(text)},
    "package.json": lambda text: {"description": json.loads(text)["description"]},
    "pom.xml": lambda text: {
        "description": (ElementTree.fromstring(text).findtext("m:description", "", MAVEN)),
        "service_name": (ElementTree.fromstring(text).findtext("m:artifactId", "", MAVEN)),
    },
}
PARSERS: dict[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
    ".xml": ElementTree.fromstring,
}


def check_meaning(files: dict[str, str], answers: dict[str, Any]) -> None:
    """Every file parses, and says what was answered."""
    for path, text in files.items():
        if parse := PARSERS.get(Path(path).suffix):
            parse(text)
        for name, value in MEANINGS.get(path, lambda _: {})(text).items():
            assert value == answers[name], f"{path}: {name} reads {value!r}, not {answers[name]!r}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    directory = tmp_path_factory.mktemp("answers")
    return Template(copy_template(directory / "template"), directory / "service")


def check_refusal(error: ValueError, answers: dict[str, str]) -> None:
    """A refusal names the question, the rule and an example."""
    message = str(error)
    question = re.search(r"question '(\w+)'", message)
    assert question, message
    assert question[1] in answers
    assert re.search(r"Example: \S", message), message


@settings(
    max_examples=SETS, deadline=None, suppress_health_check=list(HealthCheck), database=None
)  # fmt: skip
@given(answers=answer_sets())
def test_every_answer_is_meant_or_refused(template: Template, answers: dict[str, str]) -> None:
    try:
        worker = template.ask(answers)
    except ValueError as error:
        check_refusal(error, answers)
        return
    files = template.render(worker)
    check_meaning(files, {**answers, "module_root": worker.answers.combined.get("module_root")})


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("answer", HOSTILE)
def test_hostile_answers_one_by_one(template: Template, name: str, answer: str) -> None:
    for language, base in STACKS:
        if name == "module_root" and language not in ("go", "java"):
            continue
        answers = {"language": language, "runtime_base": base, name: answer}
        try:
            worker = template.ask(answers)
        except ValueError as error:
            check_refusal(error, answers)
        else:
            check_meaning(template.render(worker), {**worker.answers.combined})


def sample(count: int) -> list[dict[str, str]]:
    """Answer sets drawn the same way every time."""
    drawn: list[dict[str, str]] = []

    @settings(max_examples=count, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(answers=answer_sets())
    def draw(answers: dict[str, str]) -> None:
        drawn.append(answers)

    draw()
    return drawn


CANARY = "canary-was-here"


@pytest.mark.parametrize("part", range(8))
def test_quick_way_tells_the_truth(
    part: int, template: Template, template_repository: Path, tmp_path: Path
) -> None:
    """Whole copies refuse what the quick way refuses, and have the same bytes."""
    for number, answers in enumerate(sample(COPIES)[part::8]):
        destination = tmp_path / str(number)
        try:
            worker = template.ask(answers)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error)[:40])):
                run_copy(str(template_repository), destination, data=answers, defaults=True,
                         quiet=True, vcs_ref="HEAD")  # fmt: skip
            assert not destination.exists()
            continue
        run_copy(str(template_repository), destination, data=answers, defaults=True, quiet=True,
                 vcs_ref="HEAD")  # fmt: skip
        quick = template.render(worker)
        for path in rendered_files(destination):
            text = quick.pop(str(path), None)
            if text is not None and str(path) != ".copier-answers.yml":
                assert (destination / path).read_text(encoding="utf-8") == text, path
        assert quick == {}
        check_meaning(
            {".copier-answers.yml": (destination / ".copier-answers.yml").read_text("utf-8")},
            worker.answers.combined,
        )


INJECTIONS = [
    f"$(touch {CANARY})", f"`touch {CANARY}`", f"; touch {CANARY} #", f"' && touch {CANARY} '",
    f'" && touch {CANARY} "', f"$(shell touch {CANARY})", f"${{IFS}}touch {CANARY}",
    f"\\$(touch {CANARY})", f"$$(touch {CANARY})",
]  # fmt: skip


@pytest.mark.parametrize("question", ["description", "owner", "registry", "service_name"])
def test_answers_are_never_run(question: str, template_repository: Path, tmp_path: Path) -> None:
    """`make` in a service whose answers are commands runs none of them."""
    random.seed(question)
    for number, injection in enumerate(INJECTIONS):
        destination = tmp_path / str(number)
        try:
            run_copy(str(template_repository), destination, data={question: injection},
                     defaults=True, quiet=True, vcs_ref="HEAD")  # fmt: skip
        except ValueError:
            assert question != "description", "free text is accepted, and harmless"
            continue
        for arguments in (["help"], ["--dry-run", "image"], ["clean"], ["verify"]):
            subprocess.run(
                ["make", *arguments], cwd=destination, capture_output=True, check=False
            )  # fmt: skip
        for script in destination.glob("ci/*.sh"):
            subprocess.run(["sh", script], cwd=destination, capture_output=True, check=False)
        assert list(destination.rglob(f"*{CANARY}*")) == []


def test_a_canary_can_sing(tmp_path: Path) -> None:
    """The injections above do run where a template lets them."""
    (tmp_path / "Makefile").write_text(f"X := {INJECTIONS[5]}\nhelp:\n\t@:\n")
    subprocess.run(["make", "help"], cwd=tmp_path, check=True)
    assert (tmp_path / CANARY).exists()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "# payments\n\nTakes *card* payments\n\nOwned by `platform`; …\n"),
        ("README.md", "# payments\n\n- x\n\nOwned by `platform`; …\n"),
        ("CODEOWNERS", "* @other\n"),
        ("pyproject.toml", '[project]\ndescription = "other"\n'),
        ("Cargo.toml", '[package]\ndescription = "other"\n'),
        ("package.json", '{"description": "other"}'),
        (".copier-answers.yml", "description: other\n"),
    ],
)
def test_meaning_can_fail(path: str, text: str) -> None:
    answers = {
        "service_name": "payments", "owner": "platform", "description": "Takes *card* payments",
    }  # fmt: skip
    with pytest.raises(AssertionError):
        check_meaning({path: text}, answers)
