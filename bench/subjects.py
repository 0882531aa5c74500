"""What is compared: each offered release image, and what a team would pick instead."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copier import run_copy

from lab import Image, Lab, external_images
from lab import bases as stand_ins
from rendering import COMBINATIONS, copy_template

from .results import digest, tree_digest

ALTERNATIVES = Path(__file__).parent / "alternatives"
KINDS = ("slim", "toolchain", "alpine", "artifact")
VERSION = "1.2.3"
# What no image is made of; with a change there, a figure of an image is still right.
NOT_BUILT = (
    ".copier-answers.yml", ".devcontainer", ".editorconfig", ".git", ".gitattributes", ".gitignore",
    ".gitlab-ci.yml", ".pre-commit-config.yaml", "AGENTS.md", "CODEOWNERS", "Makefile", "README.md",
    "catalog-info.yaml", "ci", "compose.yaml", "deploy", "mkdocs.yml", "renovate.json", "specs",
)  # fmt: skip
# Rust's base whose binary has glibc in it, as the one on an empty base has.
STATIC = "distroless-static"
BUILD_ARGS = {
    "DEBUG_FROM": "release",
    "VERSION": VERSION,
    "REVISION": "0" * 40,
    "CREATED": "2026-01-01T00:00:00Z",
    "SOURCE_URL": "https://gitlab.example.com/platform/payments",
    "BASE_NAME": "example",
    "BASE_DIGEST": "sha256:" + "0" * 64,
}


@dataclass(frozen=True)
class Subject:
    """An image: the release on one base, or an alternative with the same service."""

    language: str
    base: str
    kind: str = "release"

    @property
    def name(self) -> str:
        return f"{self.language}/{self.base if self.kind == 'release' else self.kind}"

    @property
    def target(self) -> str:
        return "release" if self.kind == "release" else "alternative"


def languages() -> list[str]:
    return list(dict.fromkeys(answers["language"] for answers in COMBINATIONS.values()))


def bases(language: str) -> list[str]:
    """The bases of a language, the default first."""
    return list(
        dict.fromkeys(
            answers["runtime_base"]
            for answers in COMBINATIONS.values()
            if answers["language"] == language
        )
    )


def alternatives(language: str) -> list[Subject]:
    """What a team would pick instead, and the floor; on the default base's builder."""
    default = bases(language)[0]
    # musl cannot run what is linked with glibc, so Rust on Alpine is the static binary.
    static = STATIC if language == "rust" else default
    found = [Subject(language, static if kind == "alpine" else default, kind) for kind in KINDS]
    return [*found, Subject(language, STATIC, "static-artifact")] if language == "rust" else found


def subjects(language: str) -> list[Subject]:
    return [Subject(language, base) for base in bases(language)] + alternatives(language)


def alternative(language: str, kind: str) -> str:
    """The text that an alternative adds to the service's own Dockerfile."""
    if kind == "release":
        return ""
    own = ALTERNATIVES / f"{language}.{kind}.Dockerfile"
    shared = ALTERNATIVES / f"{kind.removeprefix('static-')}.Dockerfile"
    return (own if own.exists() else shared).read_text()


class Workshop:
    """Renders services and builds their images."""

    def __init__(self, lab: Lab, work: Path) -> None:
        self.lab, self.work = lab, work
        self._template = copy_template(work / "template")
        self._services: dict[tuple[str, str], Path] = {}

    @property
    def bases(self) -> str:
        return "real" if self.lab.real else "stand-ins"

    def service(self, language: str, base: str) -> Path:
        """A rendered service with the default answers; treat it as read-only."""
        key = (language, base)
        if key not in self._services:
            target = self.work / f"{language}-{base}" / "payments"
            answers: dict[str, Any] = {"language": language, "runtime_base": base}
            run_copy(str(self._template), target, data=answers, defaults=True, quiet=True)
            self._services[key] = target
        return self._services[key]

    def available(self, subject: Subject) -> bool:
        """No package registry has Alpine's packages: there is no stand-in for it."""
        return subject.kind != "alpine" or self.lab.real

    def inputs(self, subject: Subject) -> str:
        """A hash of all that an image is made of, but for its bases."""
        service = self.service(subject.language, subject.base)
        return digest(tree_digest(service, NOT_BUILT), alternative(subject.language, subject.kind))

    def prepare(self, service: Path) -> None:
        """Have the bases of a service's images in the lab's registry."""
        text = (service / "image/Dockerfile").read_text()
        self.lab.bases_for(
            name
            for name in external_images(text, BUILD_ARGS)
            if stand_ins.canonical(name) in stand_ins.names()
        )

    def build(self, subject: Subject, target: str | None = None) -> Image:
        context = self.service(subject.language, subject.base)
        if subject.kind == "release":
            return self.lab.build(context, target or subject.target, BUILD_ARGS)
        altered = self.work / f"{subject.language}-{subject.kind}" / "payments"
        if not altered.exists():
            shutil.copytree(context, altered, symlinks=True)
            dockerfile = altered / "image/Dockerfile"
            dockerfile.write_text(
                f"{dockerfile.read_text()}\n{alternative(subject.language, subject.kind)}"
            )
        return self.lab.build(altered, subject.target, BUILD_ARGS)
