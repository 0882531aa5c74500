"""The checks on the GitLab pipeline. Everything here needs PyYAML."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import effective, installs, shell, signing
from .dockerfile_checks import CI_IMAGE, ImageName
from .dockerfile_checks import read as read_dockerfile
from .model import Finding
from .records import read_text
from .registry import CHECKS
from .secrets_in_commands import secrets_in_script
from .secrets_in_files import secret_setting

MAIN = ".gitlab-ci.yml"
FOLDER = "ci/gitlab"
SCRIPTS = "ci/pipeline"
PLATFORM_JOBS = f"{FOLDER}/pipeline.yml"

_GLOBAL = frozenset(
    {"default", "include", "spec", "stages", "types", "variables", "workflow", "cache", "image", "services"}
)
_NOT_SEARCHED = frozenset({".git", "node_modules", ".venv"})
_SCRIPTS = ("before_script", "script", "after_script")
_KANIKO = re.compile(r"(?:[\w.:-]+/)*osscontainertools/kaniko:v\d+\.\d+\.\d+(-[\w.]+)?@sha256:[0-9a-f]{64}")
IMAGE_LIKE = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w.-]+)+(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?")
_SCHEDULE = re.compile(r"\$\{?CI_PIPELINE_SOURCE\}?\s*==\s*[\"']schedule[\"']")
DEBUG_TAG = re.compile(r"[\w}\")]-debug\b")


@dataclass(frozen=True)
class Text:
    """A value of a YAML file and where it stands."""

    path: str
    line: int
    keys: tuple[str, ...]
    value: Any


class _Mapping(dict):  # type: ignore[type-arg]
    """A mapping that knows the line of each key."""

    lines: dict[str, int]


class _Sequence(list):  # type: ignore[type-arg]
    """A sequence that knows the line of each item."""

    lines: list[int]


def _loader(twice: list[tuple[int, str]]) -> Any:
    """Make a loader; it notes each key that stands twice in a mapping, of which YAML keeps the last."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Keeps lines, and lets GitLab's own tags through."""

    def mapping(loader: Any, node: Any) -> _Mapping:
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        seen: set[str] = set()
        for name in map(str, own):
            if name in seen:
                keys = [key for key, _ in node.value if str(key.value) == name]
                twice.append((keys[-1].start_mark.line + 1, name))
            seen.add(name)
        loader.flatten_mapping(node)
        result = _Mapping()
        result.lines = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            result[key] = loader.construct_object(value_node, deep=True)
            result.lines[key] = value_node.start_mark.line + 1
        return result

    def sequence(loader: Any, node: Any) -> _Sequence:
        result = _Sequence(loader.construct_object(item, deep=True) for item in node.value)
        result.lines = [item.start_mark.line + 1 for item in node.value]
        return result

    def tagged(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return None  # `!reference`: what it points at is checked where it stands
        return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else mapping(loader, node)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_constructor("tag:yaml.org,2002:seq", sequence)
    Loader.add_multi_constructor("!", tagged)
    return Loader


def available() -> bool:
    try:
        import yaml  # noqa: F401
    except ImportError:
        return False
    return True


def present(root: str) -> bool:
    return os.path.exists(os.path.join(root, MAIN)) or os.path.isdir(os.path.join(root, FOLDER))


class Pipeline:
    """All pipeline files of a repository."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.unreadable: list[Finding] = []
        self.files: dict[str, list[_Mapping]] = {}
        self.scripts: list[Text] = []
        self.loaded: set[str] = set()
        self.unread: list[str] = []
        for path in self._paths():
            self._load(path)
        self._load_included()

    def _paths(self) -> Iterator[str]:
        if os.path.isfile(os.path.join(self.root, MAIN)):
            yield MAIN
        else:
            self.unreadable.append(self._finding("PIP-001", MAIN, None, "the file is missing"))
        for path in (*files_below(self.root, FOLDER), *files_below(self.root, SCRIPTS)):
            if path.endswith((".yml", ".yaml")):
                yield path
            elif path.endswith(".sh"):
                self.scripts.append(Text(path, 1, ("script",), read_text(os.path.join(self.root, path))))

    def _load_included(self) -> None:
        """Load what the files include from the repository."""
        todo = [MAIN] if MAIN in self.loaded else []
        seen = set(todo)
        while todo:
            path = todo.pop()
            if path not in self.loaded:
                self._load(path)
            for document in self.files.get(path, []):
                for local, _, _ in _included(document):
                    found = set(_matches(self.root, local)) - seen
                    seen |= found
                    todo += sorted(found)

    def _load(self, path: str) -> None:
        self.loaded.add(path)
        documents, faults = load(self.root, path, "GitLab takes the last")
        self.unreadable += faults
        if documents is not None:
            self.files[path] = documents

    @staticmethod
    def _finding(check: str, path: str, line: int | None, message: str, fix: str | None = None) -> Finding:
        return Finding(check, path, message, fix or CHECKS[check].fix, line)

    def run(self) -> Iterator[Finding]:
        yield from self.unreadable
        yield from self._includes()
        yield from self._privilege()
        yield from self._installs()
        yield from self._kaniko()
        yield from self._images()
        yield from self._tags()
        yield from self._schedule()
        yield from self._secrets()
        yield from self._verifies()
        yield from self._effective()
        yield from self._signing()

    def _values(self) -> Iterator[Text]:
        """Yield every scalar of every file, with the keys that lead to it."""
        for path, documents in self.files.items():
            for document in documents:
                yield from _walk(path, document, (), set(), 1)

    def _script_texts(self) -> Iterator[Text]:
        for text in self._values():
            if any(key in text.keys for key in _SCRIPTS) and isinstance(text.value, str):
                yield text
        yield from self.scripts

    # PIP-001

    def _includes(self) -> Iterator[Finding]:
        for path, documents in self.files.items():
            for document in documents:
                for local, line, _ in _included(document):
                    if "*" not in local and not os.path.isfile(os.path.join(self.root, local.lstrip("/"))):
                        yield self._finding("PIP-001", path, line, f"it includes {local}, which is missing")

    # PIP-002

    def _privilege(self) -> Iterator[Finding]:
        for text in self._values():
            value, key = text.value, text.keys[-1]
            if key == "privileged" and value is True:
                yield self._finding("PIP-002", text.path, text.line, "a privileged job")
            elif not isinstance(value, str):
                continue
            elif "docker.sock" in value:
                yield self._finding("PIP-002", text.path, text.line, "the Docker socket")
            elif _is_image_key(text.keys) and re.search(r"(?:^|/)docker:[\w.-]*dind|:dind\b|^docker:|/docker:", value):
                yield self._finding("PIP-002", text.path, text.line, f"docker-in-docker ({value})")
            elif "variables" in text.keys and key in ("DOCKER_HOST", "DOCKER_TLS_CERTDIR"):
                yield self._finding("PIP-002", text.path, text.line, f"a Docker daemon ({key})")
        for text in self._script_texts():
            for command in shell.commands(text.value):
                if "--privileged" in command.words:
                    yield self._finding("PIP-002", text.path, text.line, f"{command.name} --privileged")
                elif command.name in ("docker", "docker-compose") and needs_daemon(command):
                    what = " ".join(word for word in command.words[:4] if "=" not in word)[:60]
                    yield self._finding("PIP-002", text.path, text.line, f"a Docker daemon ({what})")
                elif command.name == "dockerd":
                    yield self._finding("PIP-002", text.path, text.line, "docker-in-docker (dockerd)")

    # PIP-003

    def _installs(self) -> Iterator[Finding]:
        place: tuple[str, tuple[str, ...]] | None = None
        downloads = installs.Downloads()
        for text in self._script_texts():
            where = (text.path, text.keys[:-1])
            if where != place:
                place, downloads = where, installs.Downloads()
            for what in installs.installed_by(text.value, downloads):
                yield self._finding("PIP-003", text.path, text.line, f"the job installs something: {what}")

    # PIP-004, PIP-005

    def _image_values(self) -> Iterator[tuple[Text, str]]:
        for text in self._values():
            if not isinstance(text.value, str):
                continue
            if _is_image_key(text.keys) or ("variables" in text.keys and _variable_name(text.keys).endswith("IMAGE")):
                yield text, text.value

    def _kaniko(self) -> Iterator[Finding]:
        found = False
        for text in self._values():
            if isinstance(text.value, str) and "kaniko" in text.value and not any(key in text.keys for key in _SCRIPTS):
                if not IMAGE_LIKE.fullmatch(text.value):
                    continue
                found = True
                message = wrong_kaniko(text.value)
                if message:
                    yield self._finding("PIP-004", text.path, text.line, message)
        for path, documents in self.files.items():
            for document in documents:
                for name, job in _jobs(document).items():
                    image, line = _image_of(job)
                    runs = any("/kaniko/executor" in text.value for text in _scripts_of(path, job))
                    if runs and image and "$" not in image and "kaniko" not in image:
                        message = f"{name} runs Kaniko from {image}, which is not the maintained fork, pinned"
                        yield self._finding("PIP-004", path, line, message)
        if not found and self.files:
            yield self._finding("PIP-004", next(iter(self.files)), None, "no Kaniko image is named")

    def _images(self) -> Iterator[Finding]:
        used = {
            name
            for text in self._values()
            if _is_image_key(text.keys) and isinstance(text.value, str)
            for name in re.findall(r"\$\{?(\w+)", text.value)
        }
        for text, value in self._image_values():
            if "kaniko" in value or "$" in value:
                if value.rpartition("/")[2].endswith(":latest"):
                    yield self._finding("PIP-005", text.path, text.line, f"{value} is latest")
                continue
            name = ImageName.of(value)
            if name.tag == "latest":
                yield self._finding("PIP-005", text.path, text.line, f"{value} is latest")
            elif value and not name.tag and not name.digest:
                if "variables" in text.keys and _variable_name(text.keys) not in used:
                    continue  # a repository: a tag comes to it elsewhere
                yield self._finding("PIP-005", text.path, text.line, f"{value} has no tag")

    # PIP-006, PIP-007, PIP-009

    def _everything(self) -> str:
        values = [str(text.value) for text in self._values()] + [text.value for text in self.scripts]
        return "\n".join(values)

    def _tags(self) -> Iterator[Finding]:
        if not self.files:
            return
        everything = self._everything()
        if "DEBUG_FROM=" not in everything:
            yield self._finding(
                "PIP-006", next(iter(self.files)), None, "no job builds the debug image from the release (DEBUG_FROM)"
            )
        elif not DEBUG_TAG.search(everything):
            yield self._finding("PIP-006", next(iter(self.files)), None, "no job publishes a tag that ends in -debug")

    def _schedule(self) -> Iterator[Finding]:
        if not self.files:
            return
        for path, documents in self.files.items():
            for document in documents:
                if any(_runs_on_schedule(rules) for rules in _rules(document, set())):
                    return
            del path
        yield self._finding("PIP-007", next(iter(self.files)), None, "no job runs in a scheduled pipeline")

    def _verifies(self) -> Iterator[Finding]:
        if not self.files:
            return
        subjects: set[str] = set()
        for text in self._script_texts():
            for command in shell.commands(text.value):
                if command.words[:2] == ["make", "verify"]:
                    subjects.add("repo")
                for position, word in enumerate(command.words[:-1]):
                    if word.rstrip("/").endswith("ci/conformance"):
                        subjects.add(command.words[position + 1])
        for subject, what in (("repo", "the repository"), ("image", "the image")):
            if subject not in subjects:
                message = f"no job checks {what} (ci/conformance {subject})"
                yield self._finding("PIP-009", next(iter(self.files)), None, message)

    # PIP-009, PIP-011

    def _effective(self) -> Iterator[Finding]:
        """Which of the platform's jobs run, unaltered."""
        own = [path for path in self.files if path.startswith(f"{FOLDER}/")]
        scripts = [text.path for text in self.scripts]
        named = {
            name
            for one in self.files.get(MAIN, [])
            for local, *_ in _included(one)
            for name in _matches(self.root, local)
        }
        entry = PLATFORM_JOBS
        if entry not in self.files:
            entry = next((path for path in own if path in named), entry)
        reserved, documented = effective.read_by_the_platform(self.root, [*own, *scripts], entry)
        whole = effective.Effective(
            self.files, MAIN, FOLDER, entry, _jobs, lambda local: _matches(self.root, local), reserved, documented
        )
        self.unread = whole.unread
        for fault in whole.faults():
            yield self._finding(fault.check, fault.path, fault.line, fault.message, fault.fix)

    # PIP-014, PIP-015

    def _signing(self) -> Iterator[Finding]:
        yield from signing.bases_are_verified(MAIN)
        for text in self._values():
            named = "variables" in text.keys and _variable_name(text.keys) == "BASE_VERIFICATION"
            if named and str(text.value).lower() in ("off", "false"):
                yield signing.switched_off(text.path, text.line)
        for path, documents in self.files.items():
            for name, job in (item for document in documents for item in _jobs(document).items()):
                line = signing.names_environment(job)
                if line is not None and not (path == PLATFORM_JOBS and name == signing.JOB):
                    message = f"{name} names the environment {signing.ENVIRONMENT}, whose variables are the keys"
                    yield signing.reaches(path, line, message)
        yield from signing.private_keys(self.root)

    # PIP-008

    def _secrets(self) -> Iterator[Finding]:
        for text in self._values():
            if "variables" in text.keys and not isinstance(text.value, (dict, list)) and text.value is not None:
                name = _variable_name(text.keys)
                if text.keys[-1] in (name, "value") and secret_setting(name, str(text.value)):
                    yield self._finding("PIP-008", text.path, text.line, f"the variable {name} holds a secret")
        for text in self._script_texts():
            for name in secrets_in_script(text.value):
                yield self._finding("PIP-008", text.path, text.line, f"the script shows a secret ({name})")


def load(root: str, path: str, of_two: str) -> tuple[list[_Mapping] | None, list[Finding]]:
    """Read the mappings of a YAML file, None where it is none, and say what is wrong with it.

    `of_two` says what the provider does with a key that stands twice.
    """
    import yaml

    def fault(line: int | None, message: str) -> Finding:
        return Finding("PIP-001", path, message, CHECKS["PIP-001"].fix, line)

    twice: list[tuple[int, str]] = []
    try:
        documents = list(yaml.load_all(read_text(os.path.join(root, path)), Loader=_loader(twice)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it is not YAML"
        return None, [fault(mark.line + 1 if mark else 1, f"not valid YAML: {reason}")]
    except OSError as error:
        return None, [fault(None, f"cannot be read: {error.strerror}")]
    except (ValueError, RecursionError):
        return None, [fault(1, "not valid YAML")]
    faults = [
        fault(line, f"the key {name} stands twice in one mapping; {of_two}") for line, name in dict.fromkeys(twice)
    ]
    found = [document for document in documents if isinstance(document, _Mapping)]
    if not found:
        faults.append(fault(1, "the file holds no mapping"))
    return found, faults


def wrong_kaniko(image: str) -> str:
    """Say what is wrong with an image of Kaniko; nothing where it is the maintained fork's, pinned."""
    match = _KANIKO.fullmatch(image)
    if not match:
        return f"{image} is not the maintained fork, pinned by version and digest"
    return "Kaniko's -debug image drops what the debug stage copies to /busybox" if match.group(1) == "-debug" else ""


def walk(path: str, document: Any) -> Iterator[Text]:
    """Yield every scalar of a document, with the keys that lead to it."""
    return _walk(path, document, (), set(), 1)


def ci_image(root: str) -> Iterator[Finding]:
    """PIP-010 needs no YAML; whether there is a pipeline the caller knows."""
    if not os.path.isfile(os.path.join(root, CI_IMAGE)):
        yield Finding("PIP-010", CI_IMAGE, "the file is missing", CHECKS["PIP-010"].fix)
        return
    dockerfile, _ = read_dockerfile(root, CI_IMAGE)
    for item in dockerfile.inputs() if dockerfile is not None else ():
        if item.problem and " needs a value for " in item.problem:
            yield Finding("PIP-010", CI_IMAGE, item.problem, item.fix, item.line)


def _jobs(document: _Mapping) -> dict[str, _Mapping]:
    return {name: job for name, job in document.items() if name not in _GLOBAL and isinstance(job, _Mapping)}


def _image_of(job: _Mapping) -> tuple[str, int]:
    image = job.get("image")
    line = job.lines.get("image", 0)
    if isinstance(image, _Mapping):
        return str(image.get("name") or ""), image.lines.get("name", line)
    return (image, line) if isinstance(image, str) else ("", line)


def _scripts_of(path: str, job: _Mapping) -> Iterator[Text]:
    for key in _SCRIPTS:
        if key in job:
            texts = _walk(path, job[key], (key,), set(), job.lines[key])
            yield from (text for text in texts if isinstance(text.value, str))


def _included(document: _Mapping) -> Iterator[tuple[str, int, bool]]:
    """Yield each `local` that the file includes, its line, and whether a child pipeline gets it."""
    for place in (document, *(job.get("trigger") for job in _jobs(document).values())):
        if not isinstance(place, _Mapping) or "include" not in place:
            continue
        items, line = place["include"], place.lines["include"]
        many = isinstance(items, _Sequence)
        for item, where in zip(items, items.lines) if many else [(items, line)]:
            local = item.get("local") if isinstance(item, _Mapping) else item
            if isinstance(local, str) and "$" not in local and not re.match(r"https?:", local):
                yield local, where, place is not document


def _matches(root: str, local: str) -> list[str]:
    """Name the files that GitLab takes for a `local`: `*` stops at a slash, `**` does not."""
    wanted = posixpath.normpath(local.lstrip("/"))
    found = [wanted] if os.path.isfile(os.path.join(root, wanted)) else []
    if "*" in wanted and not wanted.startswith(".."):
        parts = re.split(r"(\*\*?)", wanted)
        pattern = "".join({"*": "[^/]*", "**": ".*"}.get(part, re.escape(part)) for part in parts)
        below = files_below(root, parts[0].rpartition("/")[0])
        found = [path for path in below if path.endswith((".yml", ".yaml")) and re.fullmatch(pattern, path)]
    top = os.path.join(os.path.realpath(root), "")
    return [path for path in found if os.path.realpath(os.path.join(root, path)).startswith(top)]


def files_below(root: str, top: str) -> Iterator[str]:
    """Yield the regular files below a folder of the repository, in order."""
    for folder, directories, names in os.walk(os.path.join(root, top)):
        directories[:] = sorted(name for name in directories if name not in _NOT_SEARCHED)
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        for path in (posixpath.normpath(f"{relative}/{name}") for name in sorted(names)):
            if os.path.isfile(os.path.join(root, path)):
                yield path


def _walk(path: str, value: Any, keys: tuple[str, ...], seen: set[tuple[int, str]], line: int) -> Iterator[Text]:
    if isinstance(value, (_Mapping, _Sequence)):
        place = (id(value), _sort_of(keys))
        if place in seen:
            return  # an anchor: it is checked once in each place that gives it another meaning
        seen.add(place)
    if isinstance(value, _Mapping):
        for key, item in value.items():
            yield from _walk(path, item, (*keys, key), seen, value.lines[key])
    elif isinstance(value, _Sequence):
        for position, item in enumerate(value):
            yield from _walk(path, item, keys, seen, value.lines[position])
    elif keys:
        yield Text(path, line, keys, value)


def _sort_of(keys: tuple[str, ...]) -> str:
    """What the keys on the way make of a value."""
    return next((key for key in keys if key in (*_SCRIPTS, "variables", "image", "services")), "")


_WITHOUT_DAEMON = frozenset({"version", "help", "login", "logout", "context", "manifest"})


def needs_daemon(command: shell.Command) -> bool:
    """Tell whether the client would ask a daemon, through the options before its verb."""
    if command.name == "docker-compose":
        return len(command.words) > 1 and command.words[1] not in ("version", "--version", "config")
    verbs = [word for word in installs.arguments(command.words) if not re.match(r"[0-9&]*[<>]", word)]
    if not verbs:
        return False
    return not (verbs[0] in _WITHOUT_DAEMON or verbs[:2] in (["buildx", "imagetools"], ["compose", "config"]))


def _is_image_key(keys: tuple[str, ...]) -> bool:
    places = ("image", "services")
    return "variables" not in keys and (
        keys[-1] in places or (keys[-1] == "name" and len(keys) > 1 and keys[-2] in places)
    )


def _variable_name(keys: tuple[str, ...]) -> str:
    position = keys.index("variables")
    return keys[position + 1] if len(keys) > position + 1 else ""


def _rules(value: Any, seen: set[int]) -> Iterator[list[Any]]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "rules" and isinstance(item, list):
                yield item
            elif key == "only":
                yield [{"only": item}]
            else:
                yield from _rules(item, seen)
    elif isinstance(value, list):
        for item in value:
            yield from _rules(item, seen)


def _runs_on_schedule(rules: list[Any]) -> bool:
    for rule in rules:
        if not isinstance(rule, dict):
            continue
        if "schedules" in str(rule.get("only", "")):
            return True
        if _SCHEDULE.search(str(rule.get("if", ""))) and rule.get("when") != "never":
            return True
    return False
