"""The checks on GitHub's workflows. Everything here needs PyYAML."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import installs, pipeline, shell, signing
from .dockerfile_checks import ImageName
from .model import Finding
from .records import read_text
from .registry import CHECKS
from .secrets_in_commands import secrets_in_script
from .secrets_in_files import secret_setting

FOLDER = ".github/workflows"
SCRIPTS = "ci/github"
BUILDS, PROMOTES = f"{FOLDER}/pipeline.yml", f"{FOLDER}/promote.yml"
HANDS_OFF = f"{FOLDER}/hand-off.yml"
WATCHES = f"{FOLDER}/watch.yml"
_CALLED = (BUILDS, PROMOTES, HANDS_OFF)
# The one script that starts containers, and what it may give them.
RUNNER = f"{SCRIPTS}/run.sh"
_CAPABILITIES = frozenset({"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"})
_RUN_FLAGS = frozenset({"--rm", "--security-opt", "--cap-drop", "--cap-add", "--volume", "--workdir", "--entrypoint"})

# What a caller may give another image of.
_TOOLS = frozenset({"crane-image", "kaniko-image", "syft-image", "grype-image"})

_COMMIT = re.compile(r"[^@]+@[0-9a-f]{40}")
_LEVELS = {"none": 0, "read": 1, "write": 2}


@dataclass(frozen=True)
class Job:
    """A job of a workflow and where it stands."""

    path: str
    name: str
    keys: Any
    line: int

    @property
    def uses(self) -> str:
        called = self.keys.get("uses")
        return posixpath.normpath(called) if isinstance(called, str) and called.startswith("./") else ""

    @property
    def needs(self) -> list[str]:
        value = self.keys.get("needs", [])
        return [value] if isinstance(value, str) else [str(item) for item in value or []]


def present(root: str) -> bool:
    return os.path.isdir(os.path.join(root, SCRIPTS)) or os.path.isfile(os.path.join(root, BUILDS))


def _finding(check: str, path: str, line: int | None, message: str, fix: str | None = None) -> Finding:
    return Finding(check, path, message, fix or CHECKS[check].fix, line)


class Workflows:
    """All workflows of a repository, and the scripts that they run."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.unreadable: list[Finding] = []
        self.files: dict[str, Any] = {}
        for path in pipeline.files_below(root, ".github"):
            if path.endswith((".yml", ".yaml")) and (path.startswith(f"{FOLDER}/") or _is_action(path)):
                self._load(path)
        self.scripts = [
            pipeline.Text(path, 1, ("run",), read_text(os.path.join(root, path)))
            for folder in (pipeline.SCRIPTS, SCRIPTS)
            for path in pipeline.files_below(root, folder)
            if path.endswith(".sh")
        ]
        self.jobs = [job for path in self.files for job in self._jobs_of(path)]

    def _load(self, path: str) -> None:
        documents, faults = pipeline.load(self.root, path, "GitHub refuses the file")
        self.unreadable += faults
        if documents:
            self.files[path] = documents[0]

    def _jobs_of(self, path: str) -> Iterator[Job]:
        jobs = self.files[path].get("jobs")
        if isinstance(jobs, dict):
            for name, keys in jobs.items():
                if isinstance(keys, dict):
                    yield Job(path, name, keys, jobs.lines[name])  # type: ignore[attr-defined]

    def run(self) -> Iterator[Finding]:
        yield from self.unreadable
        yield from self._calls()
        yield from self._privilege()
        yield from self._installs()
        yield from self._kaniko()
        yield from self._images()
        yield from self._tags()
        yield from self._secrets()
        yield from self._platform()
        yield from self._permissions()
        yield from self._promotion()
        yield from self._signing()

    def _values(self) -> Iterator[pipeline.Text]:
        for path, document in self.files.items():
            yield from pipeline.walk(path, document)

    def _script_texts(self) -> Iterator[pipeline.Text]:
        for text in self._values():
            if text.keys[-1] == "run" and "steps" in text.keys and isinstance(text.value, str):
                yield text
        yield from self.scripts

    # PIP-001

    def _calls(self) -> Iterator[Finding]:
        for text in self._values():
            if text.keys[-1] != "uses" or not isinstance(text.value, str) or not text.value.startswith("./"):
                continue
            place = os.path.join(self.root, posixpath.normpath(text.value))
            found = os.path.isfile(place) or any(
                os.path.isfile(os.path.join(place, name)) for name in ("action.yml", "action.yaml", "Dockerfile")
            )
            if not found:
                yield _finding("PIP-001", text.path, text.line, f"it uses {text.value}, which is missing")

    # PIP-002

    def _privilege(self) -> Iterator[Finding]:
        for text in self._values():
            value, key = text.value, text.keys[-1]
            if not isinstance(value, str):
                continue
            if "docker.sock" in value:
                yield _finding("PIP-002", text.path, text.line, "the Docker socket")
            elif key == "options" and "--privileged" in value:
                yield _finding("PIP-002", text.path, text.line, "a privileged container")
            elif _is_image(text.keys) and re.search(r"(?:^|/)docker:[\w.-]*dind|:dind\b|^docker:|/docker:", value):
                yield _finding("PIP-002", text.path, text.line, f"docker-in-docker ({value})")
            elif key == "uses" and value.startswith("docker/"):
                yield _finding("PIP-002", text.path, text.line, f"a Docker daemon ({value.partition('@')[0]})")
            elif "env" in text.keys and key in ("DOCKER_HOST", "DOCKER_TLS_CERTDIR"):
                yield _finding("PIP-002", text.path, text.line, f"a Docker daemon ({key})")
            elif _is_image(text.keys) and "kaniko" in value and not value.startswith("${{ inputs.containers &&"):
                yield _finding("PIP-002", text.path, text.line, f"Kaniko beside the runner's docker ({value})", _STEP)
        for job in self.jobs:
            given = job.keys.get("with")
            if job.uses not in (BUILDS, PROMOTES) or not isinstance(given, dict) or not given.get("containers"):
                continue
            if _HOSTED.match(str(given.get("runner", "ubuntu-latest"))):
                message = f"{job.name} asks for containers where the runner has docker, whose socket is in each"
                fix = "take containers away, or name runners without docker: runner: <label>"
                yield _finding("PIP-002", job.path, given.lines["containers"], message, fix)  # type: ignore[attr-defined]
        for text in self._script_texts():
            for command in shell.commands(text.value):
                if "--privileged" in command.words:
                    yield _finding("PIP-002", text.path, text.line, f"{command.name} --privileged")
                elif command.name == "dockerd":
                    yield _finding("PIP-002", text.path, text.line, "docker-in-docker (dockerd)")
                elif command.name in ("docker", "docker-compose") and pipeline.needs_daemon(command):
                    if text.path == RUNNER:
                        wrong = _beyond_the_platforms_step(command.words)
                        if wrong:
                            yield _finding("PIP-002", text.path, text.line, f"the platform's docker run has {wrong}")
                        continue
                    what = " ".join(word for word in command.words[:4] if "=" not in word)[:60]
                    yield _finding("PIP-002", text.path, text.line, f"a Docker daemon ({what})", _STEP)

    # PIP-003

    def _installs(self) -> Iterator[Finding]:
        place: tuple[str, tuple[str, ...]] | None = None
        downloads = installs.Downloads()
        for text in self._script_texts():
            where = (text.path, text.keys[:3])
            if where != place:
                place, downloads = where, installs.Downloads()
            for what in installs.installed_by(text.value, downloads):
                yield _finding("PIP-003", text.path, text.line, f"the job installs something: {what}")
        for text in self._values():
            if text.keys[-1] == "uses" and str(text.value).startswith("actions/setup-"):
                name = str(text.value).partition("@")[0]
                yield _finding("PIP-003", text.path, text.line, f"the job installs something: {name}")

    # PIP-004, PIP-005

    def _kaniko(self) -> Iterator[Finding]:
        found = False
        named = [(text.path, text.line, text.value) for text in self._values() if isinstance(text.value, str)]
        for text in self.scripts:
            for number, line in enumerate(text.value.splitlines(), 1):
                match = re.match(r"\s*kaniko=(\S+)$", line)
                if match:
                    named.append((text.path, number, match.group(1)))
        for path, line, value in named:
            if "kaniko" in value and pipeline.IMAGE_LIKE.fullmatch(value):
                found = True
                message = pipeline.wrong_kaniko(value)
                if message:
                    yield _finding("PIP-004", path, line, message)
        for job in self.jobs:
            image, line = _container(job)
            runs = any("/kaniko/executor" in str(text.value) for text in pipeline.walk(job.path, job.keys))
            if runs and "kaniko" not in image:
                where = image or "the runner itself"
                message = f"{job.name} runs Kaniko from {where}, which is not the maintained fork, pinned"
                yield _finding("PIP-004", job.path, line or job.line, message)
        if not found and self.files:
            yield _finding("PIP-004", next(iter(self.files)), None, "no Kaniko image is named")

    def _images(self) -> Iterator[Finding]:
        for text in self._values():
            if not isinstance(text.value, str) or "${{" in text.value:
                continue
            value = text.value
            if text.keys[-1] == "uses" and not value.startswith("./"):
                if value.startswith("docker://"):
                    value = value[len("docker://") :]
                elif not _COMMIT.fullmatch(value):
                    yield _finding("PIP-005", text.path, text.line, f"{value} names no commit", _PIN)
                    continue
                else:
                    continue
            elif text.keys[-1] in _TOOLS and value:
                if "@sha256:" not in value and "kaniko" not in value:
                    yield _finding("PIP-005", text.path, text.line, f"{value} has no digest", "add its digest")
                continue
            elif not _is_image(text.keys) or not value:
                continue
            name = ImageName.of(value)
            if name.tag == "latest":
                yield _finding("PIP-005", text.path, text.line, f"{value} is latest")
            elif not name.tag and not name.digest:
                yield _finding("PIP-005", text.path, text.line, f"{value} has no tag")

    # PIP-006

    def _tags(self) -> Iterator[Finding]:
        if not self.files:
            return
        everything = "\n".join([str(text.value) for text in self._values()] + [text.value for text in self.scripts])
        if "DEBUG_FROM=" not in everything:
            message = "no job builds the debug image from the release (DEBUG_FROM)"
            yield _finding("PIP-006", next(iter(self.files)), None, message, _CALL)
        elif not pipeline.DEBUG_TAG.search(everything):
            yield _finding("PIP-006", next(iter(self.files)), None, "no job publishes a tag that ends in -debug", _CALL)

    # PIP-008

    def _secrets(self) -> Iterator[Finding]:
        for text in self._values():
            if "env" in text.keys[:-1] and text.value is not None and "${{" not in str(text.value):
                name = text.keys[-1]
                if secret_setting(name, str(text.value)):
                    message = f"the variable {name} holds a secret"
                    yield _finding("PIP-008", text.path, text.line, message, _SECRET)
        for text in self._script_texts():
            for name in secrets_in_script(text.value):
                yield _finding("PIP-008", text.path, text.line, f"the script shows a secret ({name})", _SECRET)

    # PIP-007, PIP-009, PIP-011

    def _platform(self) -> Iterator[Finding]:
        calls = [job for job in self.jobs if job.uses == BUILDS]
        if not calls:
            if any(item.path.startswith(f"{FOLDER}/") for item in self.unreadable):
                return  # it may be in that file
            where = next((path for path in self.files if path not in (BUILDS, PROMOTES)), BUILDS)
            yield _finding("PIP-009", where, None, f"no job calls {BUILDS}", _CALL)
            return
        for job in calls:
            for key in ("if", "strategy"):
                if key in job.keys:
                    message = f"{job.name} calls the platform's jobs with {key}, which decides whether they run"
                    yield _finding("PIP-009", job.path, job.keys.lines[key], message, f"take {key} away")
        promoting = {job.path for job in self.jobs if job.uses == PROMOTES}
        builds = [job for job in calls if job.path in promoting] or calls
        for path in dict.fromkeys(job.path for job in builds):
            yield from self._triggers(path)

    def _triggers(self, path: str) -> Iterator[Finding]:
        triggers, line = _triggers(self.files[path])
        if "schedule" not in triggers:
            fix = "add: schedule: [{cron: …}], weekly at least"
            yield _finding("PIP-007", path, line, "no job runs in a scheduled pipeline", fix)
        if "workflow_dispatch" not in triggers and WATCHES in self.files:
            message = f"{WATCHES} cannot start a rebuild, and neither can a person"
            yield _finding("PIP-007", path, line, message, "add: workflow_dispatch:")
        push = triggers.get("push", None)
        filters = push if isinstance(push, dict) else {}
        if "push" not in triggers or ("branches" in filters and "tags" not in filters):
            message = "a tag such as v1.4.2 starts no run"
            yield _finding("PIP-009", path, line, message, 'add: push: {tags: ["v[0-9]+.[0-9]+.[0-9]+*"]}')
        if "pull_request" not in triggers:
            yield _finding("PIP-009", path, line, "a pull request starts no run", "add: pull_request:")
        branches = filters.get("branches") or []
        any_branch = not filters or any(str(name) in ("*", "**") for name in branches)
        if "push" in triggers and "pull_request" in triggers and any_branch:
            message = "a push to a branch with an open pull request starts two runs"
            yield _finding("PIP-011", path, line, message, "name the branches that are pushed to: [main]")

    # PIP-012

    def _permissions(self) -> Iterator[Finding]:
        for path, document in self.files.items():
            if not path.startswith(f"{FOLDER}/"):
                continue
            triggers, line = _triggers(document)
            if "pull_request_target" in triggers:
                message = "pull_request_target gives a fork's code the secrets of this repository"
                yield _finding("PIP-012", path, line, message, "start it with pull_request")
            given = document.get("permissions", None)
            where = document.lines.get("permissions")
            if "permissions" not in document or (given is not None and given != {}):
                message = "the workflow's own permissions are not {}, so that a job has more than it asks for"
                yield _finding("PIP-012", path, where, message)
        for job in self.jobs:
            if job.uses in _CALLED:
                yield from self._grants(job)

    def _grants(self, job: Job) -> Iterator[Finding]:
        needed: dict[str, str] = {}
        for called in self.jobs:
            if called.path == job.uses:
                for scope, level in (called.keys.get("permissions") or {}).items():
                    if _LEVELS.get(str(level), 0) > _LEVELS[needed.get(scope, "none")]:
                        needed[scope] = str(level)
        given = job.keys.get("permissions")
        if needed and given != needed:
            wanted = ", ".join(f"{scope}: {level}" for scope, level in sorted(needed.items()))
            message = f"{job.name} grants other permissions than the jobs need that it calls"
            yield _finding("PIP-012", job.path, job.line, message, f"write permissions: {{{wanted}}}")
        if job.keys.get("secrets") == "inherit":
            message = f"{job.name} hands on every secret of the repository"
            fix = f"name those that {job.uses} lists below secrets:"
            yield _finding("PIP-012", job.path, job.keys.lines["secrets"], message, fix)

    # PIP-014, PIP-015

    def _signing(self) -> Iterator[Finding]:
        yield from signing.bases_are_verified(f"{FOLDER}/ci.yml")
        for job in self.jobs:
            if job.path == BUILDS and job.name == signing.JOB:
                continue
            line = signing.names_environment(job.keys)
            if line is not None:
                message = f"{job.name} names the environment {signing.ENVIRONMENT}, whose secrets are the keys"
                yield signing.reaches(job.path, line, message)
            for text in pipeline.walk(job.path, job.keys):
                handed_on = job.uses == BUILDS and text.keys[0] == "secrets"
                if not handed_on and any(f"secrets.{name}" in str(text.value) for name in signing.KEYS):
                    yield signing.reaches(job.path, text.line, f"{job.name} gets a key that signs")
        yield from signing.private_keys(self.root)

    # PIP-013

    def _promotion(self) -> Iterator[Finding]:
        calls = [job for job in self.jobs if job.uses == PROMOTES]
        if not calls:
            if any(job.uses == BUILDS for job in self.jobs):
                where = next(job for job in self.jobs if job.uses == BUILDS)
                yield _finding("PIP-009", where.path, where.line, f"no job calls {PROMOTES}", _CALL)
            return
        for job in calls[1:]:
            message = f"{job.name} calls {PROMOTES}, as {calls[0].name} of {calls[0].path} does"
            yield _finding("PIP-013", job.path, job.line, message)
        job = calls[0]
        builds = {other.name: other for other in self.jobs if other.path == job.path and other.uses == BUILDS}
        before = self._before(job)
        if not builds or not set(builds) & before:
            message = f"{job.name} does not need the job that calls {BUILDS}"
            yield _finding("PIP-009", job.path, job.line, message, "write needs: with that job, and the team's own")
        if "if" in job.keys:
            message = f"{job.name} calls {PROMOTES} with if, so that tags may move after a job that failed"
            yield _finding("PIP-009", job.path, job.keys.lines["if"], message, "take if away: the workflow has its own")
        platforms = [other for other in self.jobs if other.path == job.path and other.uses in _CALLED]
        images = {str((each.keys.get("with") or {}).get("image-repository")) for each in platforms}
        if len(images) > 1:
            message = f"image-repository is not the same in the calls: {' and '.join(sorted(images))}"
            yield _finding("PIP-013", job.path, job.line, message, "write the same in each")

    def _before(self, job: Job) -> set[str]:
        """Name the jobs that a job waits for."""
        jobs = {other.name: other for other in self.jobs if other.path == job.path}
        found: set[str] = set()
        todo = list(job.needs)
        while todo:
            name = todo.pop()
            if name not in found and name in jobs:
                found.add(name)
                todo += jobs[name].needs
        return found


_HOSTED = re.compile(r"ubuntu-|windows-|macos-")
_STEP = f"call sh {RUNNER}, the one script that starts containers"
_CALL = f"call ./{BUILDS}, and ./{PROMOTES} after it, as the template's ci.yml does"
_PIN = "name its commit, and its version in a comment: uses: owner/action@<40 digits> # v1.2.3"
_SECRET = "make it a secret of the repository, and replace it"


def _is_action(path: str) -> bool:
    return path.startswith(".github/actions/") and posixpath.basename(path) in ("action.yml", "action.yaml")


def _triggers(document: Any) -> tuple[dict[str, Any], int | None]:
    """What starts a workflow. YAML reads the key `on` as true."""
    key = next((key for key in ("on", "True") if key in document), None)
    if key is None:
        return {}, None
    value, line = document[key], document.lines[key]
    if isinstance(value, dict):
        return dict(value), line
    names = value if isinstance(value, list) else [value]
    return {str(name): None for name in names}, line


def _is_image(keys: tuple[str, ...]) -> bool:
    return keys[-1] == "container" or (keys[-1] == "image" and ("container" in keys or "services" in keys))


def _container(job: Job) -> tuple[str, int]:
    container = job.keys.get("container")
    if isinstance(container, dict):
        return str(container.get("image") or ""), container.lines.get("image", 0)  # type: ignore[attr-defined]
    return (container, job.keys.lines["container"]) if isinstance(container, str) else ("", 0)


def _beyond_the_platforms_step(words: list[str]) -> str:
    """Say what a docker command of the platform's script has beyond what it may have."""
    if words[1:2] == ["load"]:
        return ""
    if words[1:2] != ["run"]:
        return f"the verb {' '.join(words[1:2])}"
    flags: list[tuple[str, str]] = []
    options = iter(words[2:])
    for word in options:
        if not word.startswith("-"):
            break
        name, equals, value = word.partition("=")
        if not equals and name in ("--volume", "--workdir", "--entrypoint"):
            value = next(options, "")
        flags.append((name, value))
    for name, value in flags:
        if name not in _RUN_FLAGS:
            return name
        if name == "--cap-add" and value not in _CAPABILITIES:
            return f"{name}={value}"
        if name == "--volume" and not value.endswith(":/workspace"):
            return f"{name} {value}"
    for needed in (("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges")):
        if needed not in flags:
            return f"no {'='.join(needed)}"
    return ""
