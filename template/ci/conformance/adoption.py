"""A repository that is not under the template yet: what is met, what is missing, in the order to do it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import dockerfile_checks, pipeline, records
from .answers import ANSWERS
from .context import Context
from .dockerfile_checks import CI_IMAGE, SERVICE, DockerfileChecks
from .model import Finding
from .registry import CHECKS

# What a service has from its first day; without all of it a repository is not one.
_OURS = (ANSWERS, "ci/platform.lock", records.GUIDELINE)
_PLACES = (SERVICE, "Dockerfile")

# The checks on the build as it is, in the order in which a change helps most; then those
# on the form that the pipeline, the debug image and the documentation rely on.
_BUILD = ("DKF-001", "DKF-013", "DKF-017", "DKF-006", "DKF-008", "DKF-010", "DKF-011", "DKF-005", "DKF-004")
_RELEASE = ("DKF-014", "DKF-015", "DKF-007")
_FORM = ("DKF-002", "DKF-003", "DKF-009", "DKF-012", "DKF-016")
_PIPELINE = ("PIP-001", "PIP-002", "PIP-008", "PIP-003", "PIP-004", "PIP-005")


@dataclass(frozen=True)
class Step:
    """One thing to do, or done."""

    group: str
    what: str
    missing: tuple[Finding, ...] = ()
    unknown: str = ""  # why it could not be told


@dataclass
class Adoption:
    """The list for one repository."""

    subject: str
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not any(step.missing for step in self.steps)


def is_service(root: str) -> bool:
    return any(os.path.lexists(os.path.join(root, path)) for path in _OURS)


def repository(start: str) -> str:
    """The folder that is meant where none is named: a service's, git's top level, or the current one."""
    folder = os.path.abspath(start)
    top = ""
    while True:
        if os.path.lexists(os.path.join(folder, ANSWERS)):
            return folder
        if not top and os.path.lexists(os.path.join(folder, ".git")):
            top = folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return top or os.path.abspath(start)
        folder = parent


def place_in_git(root: str) -> list[str]:
    """Say what a service below a repository's root has to know of GitLab."""
    folder = os.path.realpath(root)
    if os.path.lexists(os.path.join(folder, ".git")) or f"{os.sep}.pipeline{os.sep}" in folder + os.sep:
        return []
    parent = os.path.dirname(folder)
    while parent != os.path.dirname(parent):
        if os.path.lexists(os.path.join(parent, ".git")):
            below = os.path.relpath(folder, parent).replace(os.sep, "/")
            return [
                f"{below} lies below the repository's root: GitLab reads the root's .gitlab-ci.yml unless the "
                "project's setting (Settings → CI/CD → General pipelines) names another file, its `local` includes "
                "begin at the root, and the platform's jobs run there"
            ]
        parent = os.path.dirname(parent)
    return []


def look_at(root: str) -> Adoption:
    found = Adoption(os.path.basename(os.path.abspath(root)) or root, notes=place_in_git(root))
    path = next((place for place in _PLACES if os.path.isfile(os.path.join(root, place))), None)
    if path is None:
        fix = f"write {SERVICE}: builder, release and debug, as the template's guideline has them under BLD"
        found.steps.append(
            Step("the image", "a Dockerfile", (_missing("DKF-001", SERVICE, "there is no Dockerfile", fix),))
        )
    else:
        _image(root, path, found)
    _jobs(root, found)
    _template(root, found)
    return found


def _image(root: str, path: str, found: Adoption) -> None:
    dockerfile, unreadable = dockerfile_checks.read(root, path)
    if dockerfile is None:
        found.steps.append(Step("the image", _named("DKF-001"), tuple(unreadable)))
        return
    findings = list(DockerfileChecks(path, dockerfile, Context(root)).adoption())
    release = dockerfile.stage("release") or dockerfile.stages[-1]
    shown = f"the stage {release.name}" if release.name else f"the last stage, in line {release.line}"
    found.notes.append(f"{path} is read with {shown} as the release")
    for group, checks in (("the image", _BUILD), ("the release", _RELEASE)):
        found.steps += _steps(group, checks, findings)
    form = list(DockerfileChecks(path, dockerfile, Context(root)).form())
    form += [item for item in dockerfile_checks.root_link(root) if item.check == "DKF-016"]
    found.steps += _steps("its form", _FORM, form)


def _jobs(root: str, found: Adoption) -> None:
    group = "the pipeline"
    ci_image: tuple[Finding, ...] = ()
    if not os.path.isfile(os.path.join(root, CI_IMAGE)):
        fix = f"write {CI_IMAGE}: toolchain, linters and locked dependencies, so that no job installs anything"
        ci_image = (_missing("PIP-010", CI_IMAGE, "the file is missing", fix),)
    found.steps.append(Step(group, _named("PIP-010"), ci_image))
    if not os.path.isfile(os.path.join(root, pipeline.MAIN)):
        return
    if not pipeline.available():
        found.steps.append(Step(group, ", ".join(_PIPELINE), unknown="PyYAML is not installed: python3-yaml"))
        return
    found.steps += _steps(group, _PIPELINE, _of_what_is_there(root))


def _of_what_is_there(root: str) -> list[Finding]:
    """What the jobs that exist do, without what they lack of the platform's."""
    absent = ("no Kaniko image is named", "is missing")
    return [
        item for item in pipeline.Pipeline(root).run() if not item.message.endswith(absent) or item.check == "PIP-001"
    ]


def _template(root: str, found: Adoption) -> None:
    group = "the template"
    needed = (
        ("records and guideline", records.GUIDELINE, "the decisions that the checks enforce"),
        ("the platform's files", "ci/platform.lock", "checks and scripts, which a later release replaces"),
        ("the answers", ANSWERS, "what the service was made with: updates begin here"),
    )
    for what, path, why in needed:
        missing: tuple[Finding, ...] = ()
        if not os.path.lexists(os.path.join(root, path)):
            fix = f"bring it with the template, as its page for service teams says: {why}"
            missing = (_missing("PLT-001", path, "the file is missing", fix),)
        found.steps.append(Step(group, what, missing))
    jobs = os.path.isfile(os.path.join(root, pipeline.PLATFORM_JOBS))
    missing = () if jobs else (_missing("PIP-009", pipeline.PLATFORM_JOBS, "the file is missing", "as before"),)
    if os.path.isfile(os.path.join(root, pipeline.MAIN)):
        found.steps.append(Step(group, "the platform's jobs", missing))


def _missing(check: str, path: str, message: str, fix: str) -> Finding:
    return Finding(check, path, message, fix)


def _named(check: str) -> str:
    return f"{check} {CHECKS[check].summary}"


def _steps(group: str, checks: Iterable[str], findings: list[Finding]) -> list[Step]:
    unique = list(dict.fromkeys(findings))
    return [Step(group, _named(check), tuple(item for item in unique if item.check == check)) for check in checks]
