"""The questions: what they offer, what they refuse, and that nothing else can be set."""

from __future__ import annotations

import json
import keyword
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy
from copier.errors import UnsafeTemplateError
from jinja2 import Environment

from rendering import COMBINATIONS, EXTREMES, ROOT, Render, commit_all, copy_template

CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = {
    name: body
    for name, body in CONFIG.items()
    if not name.startswith("_") and body.get("when") is not False
}
COMPUTED = {
    name: body
    for name, body in CONFIG.items()
    if not name.startswith("_") and body.get("when") is False
}


def copy(template: Path, destination: Path, **answers: Any) -> None:
    run_copy(
        str(template), destination, data=answers, defaults=True, quiet=True, vcs_ref="HEAD"
    )  # fmt: skip


def test_at_most_eight_questions_with_a_default_each() -> None:
    assert len(QUESTIONS) <= 8
    assert [name for name, body in QUESTIONS.items() if "default" not in body] == []


def test_nothing_needs_trust() -> None:
    """A task, a migration or an extension would make every update in the fleet need --trust."""
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & set(CONFIG)


def test_a_task_is_refused_without_trust(tmp_path: Path) -> None:
    """The check above matters: Copier itself refuses such a template."""
    template = copy_template(tmp_path / "template")
    with (template / "copier.yml").open("a", encoding="utf-8") as config:
        config.write("_tasks: ['true']\n")
    commit_all(template, "Add a task")
    with pytest.raises(UnsafeTemplateError):
        copy(template, tmp_path / "service")


def test_every_choice_is_in_the_matrix(render: Any) -> None:
    used: dict[str, set[str]] = {"language": set(), "ci": set()}
    bases: dict[str, set[str]] = {}
    for combination in COMBINATIONS.values():
        answers = yaml.safe_load((render(**combination) / ".copier-answers.yml").read_text())
        for name in used:
            used[name].add(answers[name])
        bases.setdefault(answers["language"], set()).add(answers["runtime_base"])
    assert used == {name: set(QUESTIONS[name]["choices"].values()) for name in used}
    assert bases == {language: set(offered_bases(language)) for language in used["language"]}


def offered_bases(language: str) -> list[str]:
    from jinja2_ansible_filters.core_filters import to_json  # type: ignore[import-untyped]

    environment = Environment(autoescape=False)
    environment.filters["to_json"] = to_json
    choices = environment.from_string(QUESTIONS["runtime_base"]["choices"])
    return list(yaml.safe_load(choices.render(language=language)).values())


REFUSED = {
    "service_name": [
        "", "a", "Payments", "-payments", "payments-", "pay_ments", "pay.ments", "pay ments",
        "a" * 41, "payments\n", "päyments", "x;id", "$(id)",
    ],
    "description": ["", " x", "x ", "a\nb", "a\x00b", "tab\there", "\u202eevil", "x" * 201],
    "owner": ["", "@team", "Team", "a b", "a//b", "/a", "a/", "a--b", "a\n", "x" * 101],
    "registry": [
        "", "https://registry.example.com/a", "registry.example.com", "registry.example.com/",
        "registry.example.com/A", "registry.example.com/a:tag", "registry.example.com/a/",
        "registry.example.com:99999/a", "registry.example.com/a@sha256:00", "library/a",
        "registry.example.com/a\n",
    ],
    "module_root": [
        "", "nodots", "https://example.com", "example.com/", "Example.com", "a.b/c d",
        "example.com/vendor", "example.com/a/con.git", "aux.example.com/a", "golang.org/x",
        "example.com/con", "example.com/aux.x/y", "com1.example",
    ],
    "language": ["cobol"],
    "runtime_base": ["alpine"],
    "ci": ["jenkins"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("question", "answer"),
    [(question, answer) for question, answers in REFUSED.items() for answer in answers],
)
def test_wrong_answers_are_refused(
    question: str, answer: str, template_repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"'?{question}'?|Invalid choice") as refusal:
        copy(template_repository, tmp_path / "service", **{question: answer})
    assert not (tmp_path / "service").exists()
    if question in ("service_name", "description", "owner", "registry", "module_root"):
        assert "xample" in str(refusal.value)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ("com", "two or more"),
        ("com.example/a", "two or more"),
        ("com.switch", "this one has switch"),
        ("java.example", "your own"),
        ("org.springframework.boot", "your own"),
        ("org.springframeworks", None),
        ("javax.switches", None),
    ],
)
def test_a_java_group_can_be_compiled(
    group: str, why: str | None, template_repository: Path, tmp_path: Path
) -> None:
    if why:
        with pytest.raises(ValueError, match=rf"(?s)Example: com.example.checkout.*{why}"):
            copy(template_repository, tmp_path / "service", language="java", module_root=group)
        return
    copy(template_repository, tmp_path / "service", language="java", module_root=group)
    assert (tmp_path / "service/src/main/java" / group.replace(".", "/")).is_dir()


def test_a_team_may_have_a_name_that_go_refuses(template_repository: Path, tmp_path: Path) -> None:
    copy(template_repository, tmp_path / "service", owner="acme/vendor")
    answers = yaml.safe_load((tmp_path / "service" / ".copier-answers.yml").read_text())
    assert (answers["owner"], answers["module_root"]) == ("acme/vendor", "example.com")


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_are_accepted(name: str, template_repository: Path, tmp_path: Path) -> None:
    copy(template_repository, tmp_path / "service", **EXTREMES[name])
    answers = yaml.safe_load((tmp_path / "service" / ".copier-answers.yml").read_text())
    assert {key: answers[key] for key in EXTREMES[name]} == EXTREMES[name]


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_answers_cannot_be_set(
    name: str, template_repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"'{name}'.*computed"):
        copy(template_repository, tmp_path / "service", **{name: "elsewhere"})
    assert not (tmp_path / "service").exists()


def test_every_computed_answer_is_guarded() -> None:
    assert [name for name, body in COMPUTED.items() if "validator" not in body] == []


@pytest.mark.parametrize(
    ("service_name", "language", "package", "class_name"),
    [
        ("payments", "go", "payments", "Payments"),
        ("order-book", "go", "order-book", "OrderBook"),
        ("3scale", "go", "svc-3scale", "Svc3scale"),
        ("testdata", "go", "svc-testdata", "SvcTestdata"),
        ("v2", "go", "svc-v2", "SvcV2"),
        ("async", "rust", "svc-async", "SvcAsync"),
        ("hyper", "rust", "svc-hyper", "SvcHyper"),
        ("env", "rust", "svc-env", "SvcEnv"),
        ("a--b", "rust", "a-b", "AB"),
        ("order-book", "java", "orderbook", "OrderBook"),
        ("package", "java", "svcpackage", "SvcPackage"),
        ("spring-boot", "java", "svcspringboot", "SvcSpringBoot"),
        ("sw-itch", "java", "svcswitch", "SvcSwItch"),
        ("order-book", "python", "order_book", "OrderBook"),
        ("class", "python", "svc_class", "SvcClass"),
        ("fastapi", "python", "svc_fastapi", "SvcFastapi"),
        ("prometheus--client", "python", "svc_prometheus__client", "SvcPrometheusClient"),
        ("fastify", "node", "svc-fastify", "SvcFastify"),
    ],
)
def test_names_are_safe_in_their_language(
    service_name: str, language: str, package: str, class_name: str
) -> None:
    names = names_module()
    assert names.package_name(service_name, language) == package
    assert names.class_name(service_name, language) == class_name


def names_module() -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment
    from jinja2_ansible_filters.core_filters import regex_replace, regex_search

    environment = SandboxedEnvironment(loader=FileSystemLoader(ROOT), undefined=StrictUndefined)
    environment.filters |= {"regex_search": regex_search, "regex_replace": regex_replace}
    return environment.get_template("partials/names.jinja").module


def reserved(language: str) -> set[str]:
    return set(names_module().reserved[language].split())


def test_every_locked_crate_is_reserved() -> None:
    """A service with the name of a dependency's crate would not be found in the lock file."""
    crates = re.findall(r'^name = "([^"]+)"', (ROOT / "partials/rust/Cargo.lock").read_text(), re.M)
    assert {name.replace("_", "-") for name in crates} <= reserved("rust")


def test_every_rust_module_is_reserved() -> None:
    """`use server::server;` would make every later `server::` ambiguous."""
    sources = (ROOT / "template" / "{{ rust }}" / "src").iterdir()
    modules = {source.name.partition(".")[0].replace("_", "-") for source in sources}
    assert modules - {"lib", "main"} <= reserved("rust")


def test_no_go_service_has_the_path_of_a_dependency() -> None:
    required = re.findall(
        r"^\t(\S+) v", (ROOT / "template" / "{{ go }}" / "go.mod.jinja").read_text(), re.M
    )
    taken = [path for path in required if names_module().is_foreign_go_path(path)]
    assert taken == required != []


def test_every_python_module_is_reserved(render: Render) -> None:
    """A package with the name of a module would be imported instead of it, or be no name at all."""
    lock = tomllib.loads((render(language="python") / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"] for package in lock["package"]} - {"payments"}
    # The modules of the Python that runs this, but for those that 3.13 has not on Linux.
    gone = {"crypt", "distutils", "imp", "msvcrt", "nis", "smtpd"}
    modules = {
        name.replace("_", "-").lower()
        for name in sys.stdlib_module_names - gone
        if not name.startswith("_")
    }
    words = {*keyword.kwlist, *keyword.softkwlist} - {"None", "True", "False", "_"}
    assert locked | modules | words <= reserved("python")


def test_every_node_dependency_is_reserved(render: Render) -> None:
    """npm installs no package that has the name of the one that asks for it."""
    package = json.loads((render(language="node") / "package.json").read_text(encoding="utf-8"))
    names = {*package["dependencies"], *package["devDependencies"]}
    assert {name for name in names if not name.startswith("@")} <= reserved("node")
