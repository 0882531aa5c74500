"""The questions: what they offer, what they refuse, and that nothing else can be set."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy
from copier.errors import UnsafeTemplateError
from jinja2 import Environment, FileSystemLoader

from rendering import COMBINATIONS, EXTREMES, ROOT, Render, commit_all, copy_template

sys.path.insert(0, str(ROOT / "scripts"))
import releases

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
# What few services change is stored, validated and kept, but not asked.
UNASKED = {name for name, body in QUESTIONS.items() if body.get("ask") is False}


def copy(template: Path, destination: Path, **answers: Any) -> None:
    run_copy(
        str(template), destination, data=answers, defaults=True, quiet=True, vcs_ref="HEAD"
    )  # fmt: skip


def test_at_most_eight_questions_with_a_default_each() -> None:
    assert len(QUESTIONS.keys() - UNASKED) <= 8
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
    assert used == {name: releases.values(QUESTIONS[name]["choices"]) for name in used}
    assert bases == {language: set(offered_bases(language)) for language in used["language"]}


def offered_bases(language: str) -> list[str]:
    environment = Environment(
        autoescape=False, loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    )  # fmt: skip
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
        ("order-book", "java", "orderbook", "OrderBook"),
        ("package", "java", "svcpackage", "SvcPackage"),
        ("spring-boot", "java", "svcspringboot", "SvcSpringBoot"),
        ("sw-itch", "java", "svcswitch", "SvcSwItch"),
        ("payments", "rust", "payments-app", "PaymentsApp"),
        ("payments-app", "rust", "payments-app", "PaymentsApp"),
        ("hyper", "rust", "hyper-app", "HyperApp"),
        ("a--b", "rust", "a-b-app", "ABApp"),
        ("order-book", "python", "order_book_app", "OrderBookApp"),
        ("class", "python", "class_app", "ClassApp"),
        ("3scale", "python", "svc_3scale_app", "Svc3scaleApp"),
        ("fastify", "node", "fastify-app", "FastifyApp"),
        ("app", "node", "app-app", "AppApp"),
    ],
)
def test_names_are_safe_in_their_language(
    service_name: str, language: str, package: str, class_name: str
) -> None:
    names = names_module(platform_code=True)
    assert names.package_name(service_name, language) == package
    assert names.class_name(service_name, language) == class_name


# What 0.1.0 and 0.2.0 called these; the source of their services is called so for ever.
@pytest.mark.parametrize(
    ("service_name", "language", "package"),
    [
        ("payments", "rust", "payments"),
        ("async", "rust", "svc-async"),
        ("axum", "rust", "svc-axum"),
        ("http", "rust", "svc-http"),
        ("a--b", "rust", "a-b"),
        ("payments", "python", "payments"),
        ("dotenv", "python", "svc_dotenv"),
        ("http", "python", "svc_http"),
        ("3scale", "python", "svc_3scale"),
        ("prometheus--client", "python", "svc_prometheus__client"),
        ("fastify", "node", "svc-fastify"),
        ("payments", "node", "payments"),
        ("testdata", "go", "svc-testdata"),
        ("package", "java", "svcpackage"),
    ],
)
def test_names_of_older_services_stay(service_name: str, language: str, package: str) -> None:
    names = names_module(platform_code=False)
    assert names.package_name(service_name, language) == package


def names_module(platform_code: bool) -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment
    from jinja2_ansible_filters.core_filters import regex_replace, regex_search

    environment = SandboxedEnvironment(loader=FileSystemLoader(ROOT), undefined=StrictUndefined)
    environment.filters |= {"regex_search": regex_search, "regex_replace": regex_replace}
    environment.globals["platform_code"] = platform_code
    return environment.get_template("partials/names.jinja").module


def test_no_library_is_called_as_a_service(render: Render) -> None:
    """The form of a package's name is no dependency's, so that no new one can take it."""
    locks = {
        "rust": ("Cargo.lock", r'^name = "([^"]+)"'),
        "python": ("uv.lock", r'^name = "([^"]+)"'),
        "node": ("package-lock.json", r'"node_modules/([^"]+)": '),
    }
    for language, (lock, pattern) in locks.items():
        text = (render(language=language) / lock).read_text(encoding="utf-8")
        names = set(re.findall(pattern, text, re.MULTILINE))
        assert len(names) > 10
        assert {name for name in names if name.endswith(("-app", "_app"))} <= {"payments-app"}


# Answers that are not asked.


def test_a_new_service_has_the_platforms_code(template_repository: Path, tmp_path: Path) -> None:
    for number, answers in enumerate([{}, {"service_name": "orders"}]):
        service = tmp_path / str(number)
        copy(template_repository, service, **answers)
        recorded = yaml.safe_load((service / ".copier-answers.yml").read_text())
        assert recorded["platform_code"] is True
        assert recorded["tracing"] is False


def test_traces_need_the_platforms_code(template_repository: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)'tracing'.*before 0.3.0"):
        copy(template_repository, tmp_path / "refused", platform_code=False, tracing=True)
    copy(template_repository, tmp_path / "service", tracing=True)
    assert yaml.safe_load((tmp_path / "service/.copier-answers.yml").read_text())["tracing"] is True


def test_an_ahead_of_time_cache_needs_the_platforms_code(
    template_repository: Path, tmp_path: Path
) -> None:
    answers = {"language": "java", "aot_cache": True}
    with pytest.raises(ValueError, match=r"(?s)'aot_cache'.*before 0.3.0"):
        copy(template_repository, tmp_path / "refused", platform_code=False, **answers)
    copy(template_repository, tmp_path / "service", **answers)
    assert yaml.safe_load((tmp_path / "service/.copier-answers.yml").read_text())["aot_cache"]


@pytest.mark.parametrize("language", sorted(releases.values(QUESTIONS["language"]["choices"])))
def test_a_team_that_has_its_own_code_is_given_none(
    language: str, template_repository: Path, tmp_path: Path
) -> None:
    """What is seeded or in the platform's folder is not written beside a team's own code."""
    copy(template_repository, tmp_path / "service", language=language, platform_code=False)
    found = {path.name for path in (tmp_path / "service").iterdir()}
    assert not found & {
        "cmd", "internal", "src", "test", "tests", "go.mod", "Cargo.toml", "pom.xml",
        "pyproject.toml", "package.json", "openapi.json",
    }  # fmt: skip
    assert {"Makefile", "image", "ci", "specs"} <= found
