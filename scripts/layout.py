"""What is known of a project from its files: the answers that it would give, and how it builds.

Nothing of the project is run, and what cannot be read is passed over. The worked-out answers
are proposals: Copier holds them against the template's rules.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

MANIFESTS = {
    "go": ("go.mod", "go.work"),
    "rust": ("Cargo.toml",),
    "java": (
        *("pom.xml", "build.gradle.kts", "build.gradle"),
        *("settings.gradle.kts", "settings.gradle"),
    ),
    "python": ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt", "Pipfile"),
    "node": ("package.json",),
}
SUFFIXES = {
    "go": {".go"},
    "rust": {".rs"},
    "java": {".java", ".kt"},
    "python": {".py"},
    "node": {".ts", ".tsx", ".mts", ".js", ".mjs", ".cjs"},
}
# Where other people's code is, or code that is not the service.
ASIDE = {
    "vendor", "node_modules", "third_party", "testdata", "examples", "docs", "test", "tests",
}  # fmt: skip
OTHER_PIPELINES = (
    ".github/workflows", "Jenkinsfile", ".circleci", "azure-pipelines.yml",
    "bitbucket-pipelines.yml", ".drone.yml", ".woodpecker.yml", ".travis.yml", ".buildkite",
)  # fmt: skip
CODEOWNERS = ("CODEOWNERS", ".github/CODEOWNERS", ".gitlab/CODEOWNERS", "docs/CODEOWNERS")
# Whose file says by which tool the dependencies are managed, and is not the template's.
FOREIGN_TOOLS = {
    "java": {
        "build.gradle.kts": "Gradle", "build.gradle": "Gradle",
        "settings.gradle.kts": "Gradle", "settings.gradle": "Gradle",
    },
    "python": {"poetry.lock": "Poetry", "pdm.lock": "PDM", "Pipfile": "Pipenv"},
    "node": {
        "pnpm-lock.yaml": "pnpm", "pnpm-workspace.yaml": "pnpm", "yarn.lock": "Yarn",
        "bun.lock": "Bun", "bun.lockb": "Bun",
    },
}  # fmt: skip
# Which of its members belongs to whom only a person knows.
WORKSPACES = {
    "go": ("go.work",),
    "node": ("pnpm-workspace.yaml", "lerna.json", "nx.json", "turbo.json"),
}
# Of the source only what others wrote does not count.
THEIRS = {"vendor", "node_modules", "third_party"}
_HOST = r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::[0-9]{1,5})?"
_IMAGE = re.compile(rf"(?<![\w./@$}}-])({_HOST}(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+)")
_REGISTRY = re.compile(
    r"\b\w*(?:registry|image_repo|image_prefix)\w*[\"']?[ \t]*[:?]*[=:][ \t]*[\"']?"
    rf"({_HOST}(?:/[a-z0-9._-]+)+)",
    re.IGNORECASE,
)
_LARGEST = 1_000_000


@dataclass
class Layout:
    """The answers with the file that each came from; and why the template's build does not fit."""

    answers: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    misfits: list[str] = field(default_factory=list)

    def say(self, question: str, answer: object, origin: str) -> None:
        if isinstance(answer, str) and answer.strip() and question not in self.answers:
            self.answers[question] = answer.strip()
            self.origins[question] = origin


@dataclass
class Project:
    """A directory under git: its tracked files, and the parts of its remote's address."""

    root: Path
    tracked: list[str]
    remote: str = ""

    def has(self, path: str) -> bool:
        return (self.root / path).exists()

    def has_in_git(self, path: str) -> bool:
        """A file, or a directory with one."""
        return any(name == path or name.startswith(f"{path}/") for name in self.tracked)

    def text(self, path: str | PurePosixPath) -> str:
        file = self.root / path
        try:
            if file.is_file() and file.stat().st_size <= _LARGEST:
                return file.read_bytes().decode("utf-8-sig", errors="replace")
        except OSError:
            pass
        return ""

    def toml(self, path: str | PurePosixPath) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text(path))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def json(self, path: str | PurePosixPath) -> dict[str, Any]:
        try:
            found = json.loads(self.text(path))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def address(self) -> tuple[str, list[str]]:
        """The remote's host and the words of its path."""
        match = re.match(r"(?:\w[\w+.-]*://)(?:[^/@]*@)?([^/:]+)(?::\d+)?/(.+)", self.remote)
        match = match or re.match(r"(?:[\w.-]+@)([\w.-]+):(?!//)(.+)", self.remote)
        if not match or self.remote.startswith("file:"):
            return "", []
        words = match[2].rstrip("/").removesuffix(".git").strip("/").split("/")
        return match[1].lower(), words

    @property
    def name(self) -> tuple[str, str]:
        """What the repository is called, and who says so; below its root the directory counts."""
        words = self.address[1]
        if words and (self.root / ".git").exists():
            return words[-1], "the remote"
        return self.root.name, "the directory"


def label(name: str) -> str:
    """A name as an RFC 1123 label."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].rstrip("-")


def table(value: object, *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def work_out(project: Project, providers: set[str], language: str = "") -> Layout:
    """What the files say; the language may be known. `providers` are those of a pipeline."""
    layout = Layout()
    manifest = find_manifest(project, language)
    if manifest:
        language, path = manifest
        layout.say("language", language, str(path))
        if path.parent != PurePosixPath("."):
            layout.misfits.append(f"its {path.name} is in {path.parent}/")
        READERS[language](project, path, layout)
        layout.misfits += tools(project, language, path)
    elif language:
        layout.misfits.append(f"it has none of {', '.join(MANIFESTS.get(language, ()))}")
    name, origin = project.name
    layout.say("service_name", label(name), origin)
    owner(project, layout)
    pipeline(project, layout, providers)
    registry(project, layout)
    base(project, layout, language)
    return layout


def find_manifest(project: Project, language: str = "") -> tuple[str, PurePosixPath] | None:
    """The manifest nearest to the root; of several languages the one with the most source."""
    found: dict[str, list[tuple[int, int, PurePosixPath]]] = {}
    count = dict.fromkeys(SUFFIXES, 0)
    for path in map(PurePosixPath, project.tracked):
        if not THEIRS & set(path.parts):
            for known, suffixes in SUFFIXES.items():
                count[known] += path.suffix in suffixes
        if len(path.parts) <= 3 and not ASIDE & set(path.parts):
            for known, names in MANIFESTS.items():
                if path.name in names and language in ("", known):
                    rank = (len(path.parts), names.index(path.name), path)
                    found.setdefault(known, []).append(rank)
    if not found:
        return None
    nearest = {known: min(ranks) for known, ranks in found.items()}
    depth = min(rank[0] for rank in nearest.values())
    best = max((known for known in nearest if nearest[known][0] == depth), key=count.__getitem__)
    return best, nearest[best][2]


def tools(project: Project, language: str, manifest: PurePosixPath) -> Iterator[str]:
    """By what the project is built, where that is not what the template's files call."""
    folder = manifest.parent
    seen = set()
    for name, tool in FOREIGN_TOOLS.get(language, {}).items():
        if tool not in seen and project.has(str(folder / name)):
            seen.add(tool)
            yield f"it builds with {tool} ({folder / name})"
    for name in WORKSPACES.get(language, ()):
        if project.has(str(folder / name)) or project.has(name):
            yield f"it is a workspace ({name})"
    if language == "rust" and "workspace" in project.toml(manifest):
        yield f"it is a workspace ({manifest})"
    if language == "java" and re.search(r"<modules>\s*<module>", project.text(manifest)):
        yield f"it has modules ({manifest})"
    if language == "python":
        known = table(project.toml(folder / "pyproject.toml"), "tool")
        if "Poetry" not in seen and "poetry" in known:
            yield f"it builds with Poetry ({folder / 'pyproject.toml'})"
        if "workspace" in table(known, "uv"):
            yield f"it is a workspace ({folder / 'pyproject.toml'})"
        if project.has(str(folder / "requirements.txt")) and not project.has(
            str(folder / "uv.lock")
        ):
            yield f"its dependencies are in {folder / 'requirements.txt'}, and not in a uv.lock"
    if language == "node":
        package = project.json(manifest)
        manager = str(package.get("packageManager", "npm")).split("@")[0]
        if manager != "npm" and manager not in {tool.lower() for tool in seen}:
            yield f"it builds with {manager} ({manifest})"
        if "workspaces" in package:
            yield f"it is a workspace ({manifest})"


# What the manifest of each language says


def read_go(project: Project, path: PurePosixPath, layout: Layout) -> None:
    module = re.search(r"^module\s+\"?([^\s\"]+)", project.text(path), re.MULTILINE)
    if not module:
        return
    words = re.sub(r"/v[0-9]+$", "", module[1]).removesuffix(f"/{path.parent}").split("/")
    layout.say("service_name", label(words[-1]), str(path))
    layout.say("module_root", "/".join(words[:-1]).lower(), str(path))


def read_rust(project: Project, path: PurePosixPath, layout: Layout) -> None:
    package = table(project.toml(path), "package")
    layout.say("service_name", label(str(package.get("name", ""))), str(path))
    layout.say("description", package.get("description"), str(path))


def read_java(project: Project, path: PurePosixPath, layout: Layout) -> None:
    if path.name == "pom.xml":
        try:
            pom = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", project.text(path)))
        except ElementTree.ParseError:
            return
        layout.say("service_name", label(pom.findtext("{*}artifactId", "")), str(path))
        layout.say("description", pom.findtext("{*}description"), str(path))
        group = pom.findtext("{*}groupId") or pom.findtext("{*}parent/{*}groupId") or ""
        if not group.startswith("org.springframework"):
            layout.say("module_root", group.lower(), str(path))
        return
    for name in ("settings.gradle.kts", "settings.gradle"):
        called = re.search(
            r"rootProject\.name\s*=\s*[\"']([^\"']+)", project.text(path.parent / name)
        )
        if called:
            layout.say("service_name", label(called[1]), str(path.parent / name))
    for name in ("build.gradle.kts", "build.gradle", "gradle.properties"):
        text = project.text(path.parent / name)
        owned = re.search(r"^\s*group\s*[= ]\s*[\"']?([\w.]+)", text, re.MULTILINE)
        about = re.search(r"^\s*description\s*=\s*[\"']([^\"'$]+)[\"']", text, re.MULTILINE)
        layout.say("module_root", owned and owned[1].lower(), str(path.parent / name))
        layout.say("description", about and about[1], str(path.parent / name))


def read_python(project: Project, path: PurePosixPath, layout: Layout) -> None:
    pyproject = project.toml(path.parent / "pyproject.toml")
    for found in (table(pyproject, "project"), table(pyproject, "tool", "poetry")):
        layout.say("service_name", label(str(found.get("name", ""))), "pyproject.toml")
        layout.say("description", found.get("description"), "pyproject.toml")
    setup = configparser.RawConfigParser()
    try:
        setup.read_string(project.text(path.parent / "setup.cfg"))
    except configparser.Error:
        return
    layout.say("service_name", label(setup.get("metadata", "name", fallback="")), "setup.cfg")
    layout.say("description", setup.get("metadata", "description", fallback=""), "setup.cfg")


def read_node(project: Project, path: PurePosixPath, layout: Layout) -> None:
    package = project.json(path)
    if "workspaces" not in package and not project.has("pnpm-workspace.yaml"):
        name = str(package.get("name", "")).rsplit("/", 1)[-1]
        layout.say("service_name", label(name), str(path))
    layout.say("description", package.get("description"), str(path))


READERS = {
    "go": read_go, "rust": read_rust, "java": read_java, "python": read_python, "node": read_node,
}  # fmt: skip


# What the rest of the repository says


def owner(project: Project, layout: Layout) -> None:
    for path in CODEOWNERS:
        owners = re.search(r"^\*\s+(?:\S+@\S+\s+)*@(\S+)", project.text(path), re.MULTILINE)
        if owners:
            layout.say("owner", owners[1].lower(), path)
    layout.say("owner", "/".join(project.address[1][:-1]).lower(), "the remote")


def pipeline(project: Project, layout: Layout, providers: set[str]) -> None:
    host = project.address[0]
    found = [("gitlab", ".gitlab-ci.yml")] if project.has(".gitlab-ci.yml") else []
    found += [
        ("github" if path.startswith(".github") else "none", path)
        for path in OTHER_PIPELINES
        if project.has(path)
    ]
    if "gitlab" in host or host == "github.com":
        found.append(("gitlab" if "gitlab" in host else "github", "the remote"))
    for provider, origin in found:
        if provider in providers:
            layout.say("ci", provider, origin)
        else:  # also one that is none of the template's
            layout.say("ci", "none", f"{origin}: the template has no pipeline for it")


def registry(project: Project, layout: Layout) -> None:
    """Where an image of the service's name is said to be kept."""
    name = layout.answers.get("service_name", "")
    host, words = project.address
    files = [".gitlab-ci.yml", "Makefile", "Jenkinsfile", "skaffold.yaml", "pom.xml"]
    files += [path for path in project.tracked if _may_name_an_image(PurePosixPath(path))]
    for path in files:
        text = project.text(path)
        for found in _IMAGE.findall(text):
            place, _, last = found.rpartition("/")
            code = place.split("/")[0] == host or place == layout.answers.get("module_root")
            if last == name and "/" in place and not code:
                layout.say("registry", place, path)
        for found in _REGISTRY.findall(text):
            layout.say("registry", found.removesuffix(f"/{name}").lower(), path)
        if "registry" in layout.answers:
            return
    group = "/".join(words[:-1] if words[-1:] == [name] else words).lower()
    if host == "gitlab.com":
        layout.say("registry", f"registry.gitlab.com/{group}", "the remote")
    elif host == "github.com":
        layout.say("registry", f"ghcr.io/{words[0].lower()}", "the remote")


def _may_name_an_image(path: PurePosixPath) -> bool:
    if len(path.parts) > 6 or ASIDE & set(path.parts):
        return False
    return path.suffix in {".yml", ".yaml"} or path.name in {
        "Makefile", "build.gradle", "build.gradle.kts",
    }  # fmt: skip


def dockerfiles(project: Project) -> list[str]:
    """The project's Dockerfiles, the one at the root first."""
    tracked = [
        path
        for path in map(PurePosixPath, project.tracked)
        if not ASIDE & set(path.parts[:-1])
        and re.fullmatch(r"(Dockerfile|Containerfile)(\.[\w-]+)?|[\w-]+\.Dockerfile", path.name)
        and path.suffix not in {".template", ".dockerignore"}
    ]
    ranked = sorted(tracked, key=lambda path: (len(path.parts), path.name != "Dockerfile", path))
    return [str(path) for path in ranked]


def base(project: Project, layout: Layout, language: str) -> None:
    for path in dockerfiles(project)[:1]:
        stages = re.findall(r"^FROM\s+(?:--\S+\s+)*(\S+)", project.text(path), re.MULTILINE)
        if stages and language in ("go", "rust") and stages[-1] == "scratch":
            layout.say("runtime_base", "scratch", path)
        if stages and language == "java" and "alpine" in stages[-1]:
            layout.say("runtime_base", "jre-alpine", path)
