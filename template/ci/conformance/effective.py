"""Which jobs of the platform run, unaltered: the pipeline that GitLab makes of a team's files.

What a team's file may set is a list of what is allowed; all else is a finding. What a
rule says is evaluated for the pipelines that have to start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import signing
from .model import open_regular

_JOB_KEYS = frozenset({"cache", "retry", "services", "tags", "timeout", "variables"})
# A service that runs beside it would have its keys.
_SIGNS_KEYS = frozenset({"retry", "tags", "timeout"})
_DEFAULT_KEYS = frozenset({"cache", "image", "retry", "services", "tags", "timeout"})
_WORKFLOW_KEYS = frozenset({"auto_cancel", "name", "rules"})
# Of these jobs the image may come from another host.
_TOOLS = (".in-crane", ".in-kaniko", ".in-syft", ".in-grype", ".in-python")

_ALLOWED = "tags, services, cache, timeout, retry and the variables that ci/gitlab/pipeline.yml lists"
_JOB_FIX = (
    f"give what the team adds a job of its own; of the platform's jobs it may set {_ALLOWED}, "
    f"and of {', '.join(_TOOLS)} another host for the image"
)
_INCLUDE_FIX = "write in .gitlab-ci.yml: include: [{local: /ci/gitlab/pipeline.yml}], without rules"
_WORKFLOW_FIX = (
    "leave workflow out, as the platform's file has it; or let a schedule, a tag and the default branch "
    "start a pipeline: a rule for each, and nothing before them that says never"
)

# Templates of GitLab that hold a workflow and nothing else.
_KNOWN_TEMPLATES: dict[str, list[dict[str, str]]] = {
    "Workflows/Branch-Pipelines.gitlab-ci.yml": [{"if": "$CI_COMMIT_TAG"}, {"if": "$CI_COMMIT_BRANCH"}],
    "Workflows/MergeRequest-Pipelines.gitlab-ci.yml": [
        {"if": "$CI_MERGE_REQUEST_IID"},
        {"if": "$CI_COMMIT_TAG"},
        {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"},
    ],
}

# What a variable of these names does, whoever reads it: to the runner, the shell, git, make, Python.
_RESERVED = re.compile(
    r"CI_\w+|GITLAB_\w+|FF_\w+|LD_\w+|PATH|ENV|BASH_ENV|SHELL|IFS|HOME|SOURCE_DIR|BUILDER_IMAGE|DOCKER_CONFIG"
    r"|GIT_(?:STRATEGY|CHECKOUT|CLEAN_FLAGS|CLONE_PATH|FETCH_EXTRA_FLAGS|CONFIG\w*|DIR|WORK_TREE)"
    r"|MAKEFLAGS|MAKEFILES|MFLAGS|PYTHON(?:PATH|HOME|STARTUP)"
)
_DOCUMENTED = frozenset(
    {"IMAGE_REPOSITORY", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy"}
)

_COMMON = {"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_SHA": "0" * 40, "CI_COMMIT_MESSAGE": "x", "CI_COMMIT_TITLE": "x"}
_BRANCH = {"CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main", "CI_COMMIT_REF_PROTECTED": "true"}
_MUST_START = {
    "a schedule": {**_COMMON, **_BRANCH, "CI_PIPELINE_SOURCE": "schedule"},
    "a tag such as v1.4.2": {
        **_COMMON,
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_TAG": "v1.4.2",
        "CI_COMMIT_REF_NAME": "v1.4.2",
        "CI_COMMIT_REF_PROTECTED": "true",
    },
    "a push to the default branch": {**_COMMON, **_BRANCH, "CI_PIPELINE_SOURCE": "push"},
}
_REQUEST = {**_COMMON, "CI_COMMIT_REF_NAME": "topic", "CI_OPEN_MERGE_REQUESTS": "group/project!1"}
_PUSH_WITH_REQUEST = {**_REQUEST, "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "topic"}
_OF_THE_REQUEST = {
    **_REQUEST,
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_ID": "1",
    "CI_MERGE_REQUEST_IID": "1",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, and how to mend it."""

    check: str
    path: str
    line: int | None
    message: str
    fix: str = ""


@dataclass
class Effective:
    """The files of one pipeline in the order in which GitLab lays them over each other."""

    files: dict[str, list[Any]]
    main: str
    folder: str  # of the platform's jobs
    entry: str  # the file of it that a team includes
    jobs_of: Callable[[Any], dict[str, Any]]
    matches: Callable[[str], list[str]]
    reserved: frozenset[str] = frozenset()
    documented: frozenset[str] = frozenset()
    unread: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._order: list[str] = []
        self._workflow: tuple[str, int, list[Any]] | None = None  # that of a template of GitLab
        self._guarded: tuple[str, int] | None = None
        self._child: tuple[str, int] | None = None
        self._missing = False
        self._walk(self.main, set(), False)

    def _walk(self, path: str, seen: set[str], guarded: bool) -> None:
        if path in seen:
            return
        seen.add(path)
        for document in self.files.get(path, []):
            for item, line in _includes(document):
                self._include(path, item, line, seen, guarded)
            for job in self.jobs_of(document).values():
                trigger = job.get("trigger")
                for item, line in _includes(trigger) if isinstance(trigger, dict) else ():
                    local = item.get("local") if isinstance(item, dict) else item
                    if isinstance(local, str) and self.entry in self.matches(local):
                        self._child = (path, line)
        if not (guarded and path.startswith(f"{self.folder}/")):
            self._order.append(path)  # one that a rule includes may be there

    def _include(self, path: str, item: Any, line: int, seen: set[str], guarded: bool) -> None:
        local = item.get("local") if isinstance(item, dict) else item
        rules = isinstance(item, dict) and bool(item.get("rules"))
        if isinstance(item, dict) and "template" in item:
            rules_of_it = _KNOWN_TEMPLATES.get(str(item["template"]))
            if rules_of_it is not None and not rules:
                self._order.append(f"template {item['template']}")
                return
        if not isinstance(local, str) or "$" in local or re.match(r"https?:", local):
            self.unread.append(f"{path}:{line} {_shown(item)}")
            return
        names = self.matches(local)
        self._missing = self._missing or not (names or "*" in local)
        for name in names:
            if rules and name == self.entry:
                self._guarded = (path, line)
            self._walk(name, seen, guarded or rules)

    def faults(self) -> Iterator[Fault]:
        if self.entry not in self._order:
            yield from self._presence()
            return
        platform = [path for path in self._order if path.startswith(f"{self.folder}/")]
        theirs = {
            name: job
            for path in platform
            for one in self.files.get(path, [])
            for name, job in self.jobs_of(one).items()
        }
        decisive = {name for one in self.files.get(self.entry, []) for name in self.jobs_of(one)}
        for path in self._order:
            if path.startswith((f"{self.folder}/", "template ")):
                continue
            for document in self.files.get(path, []):
                yield from self._jobs(path, document, theirs, decisive)
                yield from self._defaults(path, document)
                yield from self._variables(path, document.get("variables"), "the variable")
                yield from self._stages(path, document)
        yield from self._workflows()

    def _presence(self) -> Iterator[Fault]:
        if self.main not in self.files or self.entry not in self.files:
            return  # which is reported as missing
        if self._guarded:
            message = f"/{self.entry} is included under rules, so the platform's jobs may not be there"
            yield Fault("PIP-009", *self._guarded, message, _INCLUDE_FIX)
        elif self._child:
            message = f"only a child pipeline includes /{self.entry}, so the pipeline itself does not wait for it"
            yield Fault("PIP-009", *self._child, message, _INCLUDE_FIX)
        elif not self._missing:
            message = f"it does not include /{self.entry}, so none of the platform's jobs runs"
            yield Fault("PIP-009", self.main, None, message, _INCLUDE_FIX)

    def _jobs(self, path: str, document: Any, theirs: dict[str, Any], decisive: set[str]) -> Iterator[Fault]:
        for name, job in self.jobs_of(document).items():
            if name not in decisive:
                continue
            allowed = _JOB_KEYS | ({"image"} if name in _TOOLS else set())
            if name == signing.JOB:
                allowed = _SIGNS_KEYS
            keys = sorted(set(job) - allowed)
            if keys:
                line = min(job.lines[key] for key in keys)
                message = f"{name} is the platform's job, and {', '.join(keys)} of it is set here"
                yield Fault("PIP-009", path, line, message, _JOB_FIX)
            if name in _TOOLS and "image" in job and not _same_program(job["image"], theirs[name].get("image")):
                message = f"{name} gets another program here, not the same from another host"
                yield Fault("PIP-009", path, job.lines["image"], message, _JOB_FIX)
            yield from self._variables(path, job.get("variables"), f"{name} is the platform's job, and the variable")

    def _defaults(self, path: str, document: Any) -> Iterator[Fault]:
        default = document.get("default")
        if isinstance(default, dict):
            for key in sorted(set(default) - _DEFAULT_KEYS):
                message = f"default sets {key} for the platform's jobs, too"
                yield Fault("PIP-009", path, default.lines[key], message, _JOB_FIX)  # type: ignore[attr-defined]
        for key in ("before_script", "after_script"):
            if key in document:
                message = f"{key} stands before all jobs, the platform's too"
                yield Fault("PIP-009", path, document.lines[key], message, _JOB_FIX)

    def _variables(self, path: str, variables: Any, what: str) -> Iterator[Fault]:
        if not isinstance(variables, dict):
            return
        for name in variables:
            if name in self.documented or name in _DOCUMENTED:
                continue
            if name in self.reserved or _RESERVED.fullmatch(name):
                line = variables.lines[name]  # type: ignore[attr-defined]
                fix = f"give it another name; of those that the platform's jobs read a team sets {_documented(self)}"
                yield Fault("PIP-009", path, line, f"{what} {name} is set here, which the platform's jobs read", fix)

    def _stages(self, path: str, document: Any) -> Iterator[Fault]:
        stages = document.get("stages")
        wanted: list[Any] = next((one["stages"] for one in self.files.get(self.entry, []) if "stages" in one), [])
        if not isinstance(stages, list):
            return
        kept = [stage for stage in stages if stage in wanted]
        if kept != wanted:
            message = f"stages does not have the platform's in their order: {', '.join(map(str, wanted))}"
            yield Fault(
                "PIP-009", path, document.lines["stages"], message, "leave stages out, or put yours between them"
            )

    # workflow

    def _workflows(self) -> Iterator[Fault]:
        last: tuple[str, int | None, list[Any]] | None = None
        for path in self._order:
            if path.startswith("template "):
                last = (self.main, None, _KNOWN_TEMPLATES[path.partition(" ")[2]])
                continue
            for document in self.files.get(path, []):
                workflow = document.get("workflow")
                if not isinstance(workflow, dict):
                    continue
                ours = path.startswith(f"{self.folder}/")
                for key in () if ours else sorted(set(workflow) - _WORKFLOW_KEYS):
                    line = workflow.lines[key]  # type: ignore[attr-defined]
                    yield Fault("PIP-009", path, line, f"workflow sets {key} for the whole pipeline", _WORKFLOW_FIX)
                rules = workflow.get("rules")
                if isinstance(rules, list):
                    line = workflow.lines["rules"]  # type: ignore[attr-defined]
                    last = None if ours else (path, line, rules)
                    for rule in () if ours else rules:
                        if isinstance(rule, dict):
                            yield from self._variables(path, rule.get("variables"), "workflow sets the variable; it is")
        if last is None:
            return
        path, where, rules = last
        stopped = [what for what, context in _MUST_START.items() if not starts(rules, context)]
        if stopped:
            message = f"workflow starts no pipeline for {', '.join(stopped)}"
            yield Fault("PIP-009", path, where, message, _WORKFLOW_FIX)
        elif starts(rules, _PUSH_WITH_REQUEST) and starts(rules, _OF_THE_REQUEST):
            message = "workflow starts two pipelines for a push to a branch with an open merge request"
            fix = 'say never for one: - if: $CI_PIPELINE_SOURCE == "push" && $CI_OPEN_MERGE_REQUESTS, when: never'
            yield Fault("PIP-011", path, where, message, fix)


def _documented(effective: Effective) -> str:
    return ", ".join(sorted(effective.documented | {"IMAGE_REPOSITORY"}))


def _includes(place: Any) -> Iterator[tuple[Any, int]]:
    if not isinstance(place, dict) or "include" not in place:
        return
    items = place["include"]
    line = place.lines["include"]  # type: ignore[attr-defined]
    if isinstance(items, list):
        yield from zip(items, items.lines)  # type: ignore[attr-defined]
    else:
        yield items, line


def _shown(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key}: {value}" for key, value in item.items() if key not in ("rules", "inputs"))[:120]
    return str(item)[:120]


def _same_program(here: Any, there: Any) -> bool:
    """Tell whether an image is the same from another host: the end of its name is, its tag may be newer."""
    ours, theirs = (str(one.get("name", "")) if isinstance(one, dict) else str(one or "") for one in (here, there))
    if isinstance(here, dict) and set(here) - {"name", "entrypoint", "pull_policy", "docker", "kubernetes"}:
        return False
    repository = re.split(r"[:@]", theirs.partition("/")[2])[0]
    name = re.split(r"(?<=[^/]):(?=[^/]+$)|@", ours)[0] if "/" in ours else ours
    name = name.partition("@")[0]
    tail = "/".join(repository.split("/")[-2:])
    return bool(tail) and (name == tail or name.endswith("/" + tail))


def read_by_the_platform(root: str, paths: list[str], entry: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the variables that the platform's files read, and those that the header of its file lists."""
    read: set[str] = set()
    listed: set[str] = set()
    for path in paths:
        try:
            with open_regular(os.path.join(root, path)) as file:
                text = file.read(1 << 20).decode("utf-8", "replace")
        except OSError:
            continue
        read.update(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", text))
        if path == entry:
            head = re.match(r"(?:#.*\n)*", text)
            for line in head.group().splitlines() if head else ():
                names = re.match(r"#   ([A-Z][A-Z0-9_]+(?:, [A-Z][A-Z0-9_]+)*)(?:  |$)", line)
                listed.update(names.group(1).split(", ") if names else ())
    return frozenset(read - listed), frozenset(listed)


# Rules


def starts(rules: list[Any], variables: dict[str, str]) -> bool:
    """Tell whether a pipeline with these variables surely starts; those that nobody knows are not set."""
    for rule in rules:
        if not isinstance(rule, dict):
            continue
        never = rule.get("when") == "never"
        if rule.get("changes") is not None or rule.get("exists") is not None:
            continue  # it depends on the files: it starts nothing for sure, and stops nothing
        condition = rule.get("if")
        if condition is None or _true(str(condition), variables):
            return not never
    return False


_TOKEN = re.compile(
    r"\s*(?:(&&|\|\||==|!=|=~|!~|\(|\))|\$\{?(\w+)\}?|(\"[^\"]*\"|'[^']*')|(null)\b|/((?:[^/\\]|\\.)+)/([a-z]*))"
)


def _true(text: str, variables: dict[str, str]) -> bool:
    tokens: list[tuple[str, Any]] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            return False
        operator, name, quoted, null, pattern, flags = match.groups()
        if operator:
            tokens.append(("operator", operator))
        elif name:
            tokens.append(("value", variables.get(name)))
        elif quoted:
            tokens.append(("value", quoted[1:-1]))
        elif null:
            tokens.append(("value", None))
        else:
            tokens.append(("pattern", (pattern, flags)))
        at = match.end()
    try:
        return bool(_Condition(tokens[:200]).either())
    except (IndexError, ValueError, re.error, RecursionError):
        return False


class _Condition:
    """An `if` of GitLab: comparisons, joined by && before ||."""

    def __init__(self, tokens: list[tuple[str, Any]]) -> None:
        self._tokens = tokens
        self._at = 0

    def _operator(self) -> str:
        kind, value = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        return str(value) if kind == "operator" else ""

    def either(self) -> bool:
        value = self._both()
        while self._operator() == "||":
            self._at += 1
            other = self._both()
            value = value or other
        return value

    def _both(self) -> bool:
        value = self._compared()
        while self._operator() == "&&":
            self._at += 1
            other = self._compared()
            value = value and other
        return value

    def _compared(self) -> bool:
        if self._operator() == "(":
            self._at += 1
            value = self.either()
            self._at += 1
            return value
        left = self._next()
        operator = self._operator()
        if operator not in ("==", "!=", "=~", "!~"):
            return bool(left)
        self._at += 1
        kind, right = self._tokens[self._at]
        self._at += 1
        if operator in ("==", "!="):
            return bool((left == right) == (operator == "=="))
        if kind != "pattern":
            match = re.fullmatch(r"/(.*)/([a-z]*)", str(right or ""))
            right = match.groups() if match else (r"(?!)", "")
        source, flags = right
        found = re.search(source, str(left or ""), re.IGNORECASE if "i" in flags else 0)
        return (found is not None) == (operator == "=~")

    def _next(self) -> Any:
        kind, value = self._tokens[self._at]
        if kind == "operator":
            raise ValueError
        self._at += 1
        return value
