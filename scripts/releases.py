"""What was released, and which version a change needs.

releases.yml has the commit of each release, because a clone may have no tags, and a commit
cannot name itself. docs/releasing.md has the rules of `required_bump` in words.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pathspec
import yaml
from jinja2 import Environment

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
# Any of these makes every update in the fleet need --trust, the one that leaves it too.
FORBIDDEN = ("_tasks", "_migrations", "_jinja_extensions")

Bump = Literal["major", "minor", "patch"]


class Refused(Exception):
    """A person's mistake, to be shown without a traceback."""


# What leads git to another repository than the one that a command names.
for _name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"):
    os.environ.pop(_name, None)


def git(root: Path, *arguments: str) -> str:
    result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    if result.returncode:
        raise Refused(f"git {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout


def has_commit(root: Path, revision: str) -> bool:
    command = ["git", "-C", str(root), "cat-file", "-e", f"{revision}^{{commit}}"]
    return subprocess.run(command, capture_output=True).returncode == 0


@dataclass(frozen=True)
class Release:
    version: str
    commit: str
    date: str
    languages: tuple[str, ...]

    @property
    def number(self) -> tuple[int, int, int]:
        return parse_version(self.version)


def parse_version(text: str) -> tuple[int, int, int]:
    match = VERSION.fullmatch(text)
    if not match:
        raise Refused(f"{text!r} is not a version; expected MAJOR.MINOR.PATCH, such as 1.2.0")
    return int(match[1]), int(match[2]), int(match[3])


def read_releases(root: Path) -> list[Release]:
    recorded = yaml.safe_load((root / "releases.yml").read_text(encoding="utf-8"))["releases"]
    return [
        Release(r["version"], r["commit"], str(r["date"]), tuple(r["languages"])) for r in recorded
    ]


def record(root: Path, release: Release) -> None:
    path = root / "releases.yml"
    text = path.read_text(encoding="utf-8").replace("releases: []\n", "releases:\n")
    path.write_text(
        f"{text}  - version: {release.version}\n    commit: {release.commit}\n"
        f'    date: "{release.date}"\n    languages: [{", ".join(release.languages)}]\n',
        encoding="utf-8",
    )


# The change log


def sections(changelog: str) -> dict[str, str]:
    """Map Unreleased and each version to its notes."""
    parts = re.split(r"^## \[([^\]]+)\].*\n", changelog, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def has_notes(notes: str) -> bool:
    return bool(re.search(r"^[-*] \S", notes, re.MULTILINE))


def has_upgrade_note(notes: str) -> bool:
    return bool(re.search(r"^### Upgrading\n+[^#\s]", notes, re.MULTILINE))


# The questions and files of a commit


def questions(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a person is asked; a computed value is no question."""
    return {
        name: question if isinstance(question, dict) else {"default": question}
        for name, question in config.items()
        if not name.startswith("_")
        and not (isinstance(question, dict) and question.get("when") is False)
    }


def values(choices: object) -> set[str]:
    if isinstance(choices, dict):
        return {str(value) for value in choices.values()}
    if isinstance(choices, list):
        return {str(choice[1] if isinstance(choice, list) else choice) for choice in choices}
    return set()


def offered(config: dict[str, Any]) -> dict[str, set[str]]:
    """Map each question with choices to them; those of a language are named LANGUAGE: VALUE."""
    environment = Environment(extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"])
    result = {}
    asked = questions(config)
    for name, question in asked.items():
        choices = question.get("choices")
        if isinstance(choices, str):
            template = environment.from_string(choices)
            result[name] = {
                f"{language}: {value}"
                for language in values(asked["language"]["choices"])
                for value in values(yaml.safe_load(template.render(language=language)))
            }
        elif choices is not None:
            result[name] = values(choices)
    return result


def languages(config: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(values(questions(config)["language"]["choices"])))


def config_at(root: Path, revision: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(git(root, "show", f"{revision}:copier.yml"))
    return config


def service_paths(root: Path, revision: str) -> dict[str, str]:
    """Map the paths that updates manage to their class; names of answers stay as they are.

    A tree that no answer chooses is in no service.
    """
    choices = set().union(*offered(config_at(root, revision)).values())
    listed = git(root, "ls-tree", "-r", "--name-only", "-z", revision, "template").split("\0")
    ownership = yaml.safe_load(git(root, "show", f"{revision}:ownership.yml"))
    classes = {}
    for path in filter(None, listed):
        parts = Path(path).parts[1:]
        tree = re.fullmatch(r"\{\{ (\w+) \}\}", parts[0])
        if tree and tree[1] not in choices:
            continue
        inner = Path(*(parts[1:] if tree else parts)).as_posix().removesuffix(".jinja")
        name = f"{tree[1]}: {inner}" if tree else inner
        for owner in ("platform", "seeded"):
            entry = ownership[owner]
            if isinstance(entry, dict):
                entry = [*entry.get("all", []), *entry.get(tree[1] if tree else "house", [])]
            if pathspec.GitIgnoreSpec.from_lines(entry).match_file(inner):
                classes[name] = owner
                break
        else:
            classes[name] = "merged"
    return {name: owner for name, owner in classes.items() if owner != "seeded"}


def changes(
    before: dict[str, Any], after: dict[str, Any], widened: tuple[str, ...] = ()
) -> Iterator[tuple[Bump, str]]:
    """What became of the questions, and the bump that each change needs."""
    for name in FORBIDDEN:
        if after.get(name):
            raise Refused(f"copier.yml has {name}: every update in the fleet would need --trust")
    if before.get("_min_copier_version") != after.get("_min_copier_version"):
        yield "major", f"Copier {after.get('_min_copier_version')} is needed"
    old, new = questions(before), questions(after)
    for name in sorted(old.keys() - new.keys()):
        yield "major", f"the question {name} was removed"
    for name in sorted(new.keys() - old.keys()):
        if "default" in new[name]:
            yield "minor", f"the question {name} is new"
        else:
            yield "major", f"the question {name} is new and has no default"
    for name in sorted(old.keys() & new.keys()):
        one, other = old[name], new[name]
        if one.get("type") != other.get("type"):
            yield "major", f"{name} has another type"
        if "default" in one and "default" not in other:
            yield "major", f"{name} has no default any more"
        elif one.get("default") != other.get("default"):
            yield "minor", f"{name} has another default"
        if one.get("validator") != other.get("validator"):
            if name in widened:
                yield "minor", f"the validator of {name} was widened"
            else:
                yield "major", f"the validator of {name} was changed, and may be narrower"
    choices, more = offered(before), offered(after)
    for name in sorted(choices.keys() & more.keys()):
        for value in sorted(choices[name] - more[name]):
            yield "major", f"{name} does not offer {value} any more"
        for value in sorted(more[name] - choices[name]):
            yield "minor", f"{name} offers {value}"
    for name in sorted(more.keys() - choices.keys()):
        if name in old:
            yield "major", f"{name} takes only certain values"


SERVICE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])")
NAMES = "partials/names.jinja"


def name_changes(root: Path, before: str, after: str) -> Iterator[tuple[Bump, str]]:
    """Services that a release would call otherwise, in merged files only: their source is theirs.

    Tried are the names that either commit treats in a way of its own.
    """
    texts = [git(root, "show", f"{revision}:{NAMES}") for revision in (before, after)]
    if texts[0] == texts[1]:
        return
    environment = Environment(extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"])
    configs = [config_at(root, revision) for revision in (before, after)]
    had, has = (set(languages(config)) for config in configs)
    # Only a service of a release that asked whose code it has can have said "the platform's".
    answers = [False, True] if all("platform_code" in config for config in configs) else [False]
    for language in sorted(had & has):
        renamed = {}
        for platform_code in answers:
            environment.globals["platform_code"] = platform_code
            old, new = (environment.from_string(text).module for text in texts)
            words = {"orders", "a--b", "a-b", "3scale", "v2"}
            for names in (old, new):
                words |= set(names.reserved[language].split())  # type: ignore[attr-defined]
            renamed |= {
                word: True
                for word in sorted(filter(SERVICE_NAME.fullmatch, words))
                for macro in ("package_name", "class_name")
                if getattr(old, macro)(word, language).strip()
                != getattr(new, macro)(word, language).strip()
            }
        if renamed:
            some = ", ".join(sorted(renamed))
            yield "major", f"{language} services of these names have another package: {some}"


def file_changes(before: dict[str, str], after: dict[str, str]) -> Iterator[tuple[Bump, str]]:
    for path in sorted(before.keys() - after.keys()):
        if before[path] == "merged":
            yield "major", f"{path} was removed, and teams may have edited it"
        else:
            yield "minor", f"{path} was removed"
    for path in sorted(after.keys() - before.keys()):
        yield "minor", f"{path} is new"
    for path in sorted(before.keys() & after.keys()):
        if before[path] != after[path]:
            yield "major", f"{path} was {before[path]} and is {after[path]}"


def all_changes(
    root: Path, before: str, after: str, widened: tuple[str, ...] = ()
) -> list[tuple[Bump, str]]:
    found = [
        *changes(config_at(root, before), config_at(root, after), widened),
        *name_changes(root, before, after),
        *file_changes(service_paths(root, before), service_paths(root, after)),
    ]
    order = ("major", "minor", "patch")
    return sorted(found, key=lambda change: (order.index(change[0]), change[1]))


def smallest_version(last: str, found: list[tuple[Bump, str]]) -> str:
    """The smallest version that the changes allow; before 1.0.0 the minor number is the major."""
    major, minor, patch = parse_version(last)
    needed = found[0][0] if found else "patch"
    if needed == "major":
        return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"
    if needed == "minor" and major:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"
