"""Whatever a person answers: the service means it, or the question says why not.

`make test-nightly` tries fifty times more; `pytest --hypothesis-seed=N` repeats a failure.
"""

from __future__ import annotations

import json
import os
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
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from inprocess import Template
from rendering import COMBINATIONS, NIGHTLY, ROOT, copy_template, rendered_files

SETS = int(os.environ.get("ANSWER_SETS", "1000"))
COPIES = SETS // 25
PARTS = 8
STACKS = sorted({(c["language"], c["runtime_base"]) for c in COMBINATIONS.values()})
LANGUAGES = dict(reversed(STACKS))
PROVIDERS = sorted(
    yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["ci"]["choices"].values()
)

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
    ci = draw(st.sampled_from(PROVIDERS))
    answers = {"language": language, "runtime_base": base, "ci": ci}
    answers |= {name: draw(strategy) for name, strategy in ANSWERS.items()}
    if language not in ("go", "java"):
        del answers["module_root"]
    if draw(st.booleans()):
        name = draw(st.sampled_from([n for n in ANSWERS if n in answers]))
        answers[name] = draw(st.sampled_from(HOSTILE) | st.text(max_size=60))
    return answers


def markdown(text: str) -> dict[str, Any]:
    """The title, the first paragraph, the owner and the image that a Markdown reader sees."""
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
        "image": owned[1],
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
    "deploy/overlays/production/kustomization.yaml": lambda text: {
        "service_name": yaml.safe_load(text)["namespace"],
        "image": yaml.safe_load(text)["images"][0]["newName"],
    },
    "catalog-info.yaml": lambda text: {
        name: value
        for part in yaml.safe_load_all(text)
        for name, value in (
            ("service_name", part["metadata"]["name"]),
            ("description", part["metadata"]["description"]),
            ("catalog_owner", part["spec"]["owner"]),
        )
    },
    "CODEOWNERS": lambda text: {"owner": text.removeprefix("* @").removesuffix("\n")},
    ".gitlab-ci.yml": lambda text: {"image": yaml.safe_load(text)["variables"]["IMAGE_REPOSITORY"]},
    ".github/workflows/ci.yml": lambda text: {
        "image": yaml.safe_load(text)["jobs"]["promote"]["with"]["image-repository"]
    },
    "pyproject.toml": lambda text: {
        "description": toml("project", "description")(text),
        "service_name": next(iter(toml("project", "scripts")(text))),
    },
    "Cargo.toml": lambda text: {"description": toml("package", "description")(text)},
    "package.json": lambda text: {
        "description": json.loads(text)["description"],
        "package": json.loads(text)["name"],
    },
    "package-lock.json": lambda text: {"package": json.loads(text)["packages"][""]["name"]},
    "go.mod": lambda text: {"module": text.splitlines()[0].removeprefix("module ")},
    "pom.xml": lambda text: {
        "description": (ElementTree.fromstring(text).findtext("m:description", "", MAVEN)),
        "service_name": (ElementTree.fromstring(text).findtext("m:artifactId", "", MAVEN)),
        "module_root": (ElementTree.fromstring(text).findtext("m:groupId", "", MAVEN)),
    },
}


def documents(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


PARSERS: dict[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yml": documents,
    ".yaml": documents,
    ".xml": ElementTree.fromstring,
}


def check_meaning(files: dict[str, str], answers: dict[str, Any]) -> None:
    """Every file parses, and says what was answered."""
    answers = {
        **answers,
        "image": f"{answers['registry']}/{answers['service_name']}",
        "module": f"{answers.get('module_root')}/{answers['package']}",
        "catalog_owner": answers["owner"].replace("/", "-")[:63].rstrip("-._"),
    }
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
    max_examples=SETS // PARTS, deadline=None, suppress_health_check=list(HealthCheck),
    database=None, phases=set(Phase) - {Phase.explain},
)  # fmt: skip
@given(answers=answer_sets())
@pytest.mark.parametrize("part", range(PARTS))
def test_every_answer_is_meant_or_refused(
    part: int, template: Template, answers: dict[str, str]
) -> None:
    try:
        worker = template.ask(answers)
    except ValueError as error:
        check_refusal(error, answers)
    else:
        check_meaning(template.render(worker), {**worker.answers.combined, **answers})


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("answer", HOSTILE)
def test_hostile_answers_one_by_one(template: Template, name: str, answer: str) -> None:
    for language, base in STACKS if NIGHTLY else LANGUAGES.items():
        if name == "module_root" and language not in ("go", "java"):
            continue
        answers = {"language": language, "runtime_base": base, name: answer}
        try:
            worker = template.ask(answers)
        except ValueError as error:
            check_refusal(error, answers)
        else:
            check_meaning(template.render(worker), {**worker.answers.combined})


OTHER = {
    "description": "Something else", "owner": "somebody/else", "registry": "else.example.com/x",
}  # fmt: skip


def unread(template: Template, question: str) -> set[str]:
    """The files that change with an answer, and from which no reader gets it back."""
    names = {
        "description": {question},
        "owner": {question, "catalog_owner"},
        "registry": {question, "image"},
    }
    found = set()
    for language, base in STACKS:
        for ci in PROVIDERS:
            answers = {
                "language": language, "runtime_base": base, "ci": ci, "owner": "platform",
                "registry": "registry.example.com/platform",
            }  # fmt: skip
            if language in ("go", "java"):
                answers["module_root"] = "com.example"
            files = template.render(template.ask(answers))
            others = template.render(template.ask({**answers, question: OTHER[question]}))
            found |= {
                path
                for path, text in files.items()
                if others[path] != text
                and not names[question] & set(MEANINGS.get(path, lambda _: {})(text))
            }
    return found


# An image's name in a Makefile: make itself reads it back, in whole copies below.
@pytest.mark.parametrize(
    ("question", "read_elsewhere"),
    [("description", set()), ("owner", set()), ("registry", {"Makefile"})],
)
def test_every_answer_is_read_back(
    question: str, read_elsewhere: set[str], template: Template
) -> None:
    """A file that an answer reaches has a reader above, so that no sink goes unchecked."""
    assert unread(template, question) <= read_elsewhere


def test_an_answer_that_nobody_reads_back_is_found(tmp_path: Path) -> None:
    root = copy_template(tmp_path / "template")
    with (root / "template/.gitignore.jinja").open("w", encoding="utf-8") as file:
        file.write("# {{ description }}\n")
    assert unread(Template(root, tmp_path / "service"), "description") == {".gitignore"}


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


def makefile(service: Path) -> dict[str, str]:
    """What make itself understands of a Makefile's variables."""
    told = subprocess.run(
        ["make", "--silent", "--eval", "tell:;@printf '%s\\n' '$(SERVICE)' '$(IMAGE)'", "tell"],
        cwd=service, env={"PATH": os.environ["PATH"]}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(zip(("service_name", "image"), told.stdout.splitlines(), strict=True))


CANARY = "canary-was-here"


@pytest.mark.parametrize("part", range(PARTS))
def test_quick_way_tells_the_truth(
    part: int, template: Template, template_repository: Path, tmp_path: Path
) -> None:
    """Whole copies refuse what the quick way refuses, and have the same bytes."""
    for number, answers in enumerate(sample(COPIES)[part::PARTS]):
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
        combined = worker.answers.combined
        name, registry = combined["service_name"], combined["registry"]
        assert makefile(destination) == {"service_name": name, "image": f"{registry}/{name}"}


INJECTIONS = [
    f"$(touch {CANARY})", f"`touch {CANARY}`", f"; touch {CANARY} #", f"' && touch {CANARY} '",
    f'" && touch {CANARY} "', f"$(shell touch {CANARY})", f"${{IFS}}touch {CANARY}",
    f"\\$(touch {CANARY})", f"$$(touch {CANARY})",
]  # fmt: skip


# What would leave this machine or the test's directory; each of them does nothing instead.
STUBS = (
    "bash", "buildah", "cosign", "crane", "curl", "docker", "executor", "gitlab-ci-local", "npm",
    "npx", "podman", "uv", "uvx", "wget",
)  # fmt: skip


def play(service: Path, variables: dict[str, str], tools: Path) -> None:
    """Run what a person and a pipeline run: make's verbs, and every script."""
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tools), **variables}
    for arguments in (["help"], ["image"], ["debug-image"], ["ci"], ["verify"], ["clean"]):
        subprocess.run(
            ["make", *arguments], cwd=service, env=environment, capture_output=True, check=False
        )  # fmt: skip
    for script in sorted(service.glob("ci/**/*.sh")):
        subprocess.run(
            ["sh", script], cwd=service, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tools")
    for name in STUBS:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.mark.parametrize("question", ["description", "owner", "registry", "service_name"])
def test_answers_are_never_run(
    question: str, template_repository: Path, tmp_path: Path, tools: Path
) -> None:
    """`make` and the scripts in a service whose answers are commands run none of them."""
    for number, injection in enumerate(INJECTIONS):
        destination = tmp_path / str(number)
        language, base = STACKS[number % len(STACKS)]
        answers = {"language": language, "runtime_base": base, question: injection}
        try:
            run_copy(str(template_repository), destination, data=answers, defaults=True,
                     quiet=True, vcs_ref="HEAD")  # fmt: skip
        except ValueError:
            assert question != "description", "free text is accepted, and harmless"
            continue
        play(destination, {}, tools)
        assert list(destination.rglob(f"*{CANARY}*")) == []


def test_a_pipelines_variables_are_never_run(
    template_repository: Path, tmp_path: Path, tools: Path
) -> None:
    """A branch, a tag, a title or a registry of GitLab's may be a command, and stays a text."""
    service = tmp_path / "service"
    run_copy(str(template_repository), service, data={"ci": "gitlab"}, defaults=True, quiet=True,
             vcs_ref="HEAD")  # fmt: skip
    text = "".join(path.read_text("utf-8") for path in sorted(service.glob("ci/pipeline/*.*")))
    names = set(re.findall(r"\b(?:CI_[A-Z_]+|[A-Z]+_(?:REPOSITORY|TAG|REVISION|USER))\b", text))
    assert {"CI_COMMIT_SHA", "CI_COMMIT_TAG", "IMAGE_REPOSITORY"} <= names
    for injection in INJECTIONS:
        play(service, dict.fromkeys(names, injection), tools)
        assert list(service.rglob(f"*{CANARY}*")) == []


@pytest.mark.parametrize(
    ("path", "text", "variables"),
    [
        ("Makefile", f"X := {INJECTIONS[5]}\nhelp:\n\t@:\n", {}),
        ("ci/pipeline/build.sh", 'eval "echo $CI_COMMIT_TAG"\n', {"CI_COMMIT_TAG": INJECTIONS[0]}),
    ],
)
def test_a_canary_can_sing(
    path: str, text: str, variables: dict[str, str], tmp_path: Path, tools: Path
) -> None:
    """The injections above do run where a template lets them."""
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    play(tmp_path, variables, tools)
    assert list(tmp_path.rglob(CANARY))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "# payments\n\nTakes *card* payments\n\nOwned by `platform`; `x/y`\n"),
        ("README.md", "# payments\n\n- x\n\nOwned by `platform`; `x/y`\n"),
        (
            "README.md",
            "# payments\n\nTakes \\*card\\* payments\n\nOwned by `platform`; published as `x/y`.\n",
        ),
        ("CODEOWNERS", "* @other\n"),
        (".gitlab-ci.yml", "variables: {IMAGE_REPOSITORY: registry.example.com/payments}\n"),
        ("go.mod", "module example.com/payments\n"),
        ("pyproject.toml", '[project]\ndescription = "other"\nscripts = {payments = "x:y"}\n'),
        ("Cargo.toml", '[package]\ndescription = "other"\n'),
        ("package.json", '{"name": "payments", "description": "other"}'),
        (".copier-answers.yml", "description: other\n"),
    ],
)
def test_meaning_can_fail(path: str, text: str) -> None:
    answers = {
        "service_name": "payments", "owner": "platform", "description": "Takes *card* payments",
        "registry": "registry.example.com/platform", "module_root": "example.com/platform",
        "package": "payments",
    }  # fmt: skip
    with pytest.raises(AssertionError):
        check_meaning({path: text}, answers)
