"""Bring a project that exists under the template: scripts/adopt.py DEST [--defaults]

Works out the answers from what is there and asks with these as defaults; DATA="question=answer …"
answers, and --defaults asks nothing. On a branch of the project it then adds what the platform
owns and the answers, and puts the template's version of all else beside the project's own, as
NAME.template. No file that exists is written to. The commit is left to the person.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from shlex import join, quote
from types import ModuleType
from typing import Any

import layout
import pathspec
import yaml
from layout import Layout, Project
from releases import ROOT, Refused, config_at, offered

ANSWERS = ".copier-answers.yml"
BRANCH = "adopt-template"
SUFFIX = ".template"
# The project's code is its own, and the platform has no part in it.
FIXED = {"platform_code": "false"}
DEFAULTS = {"kubernetes": "false", "tracing": "false"}
SHOWN = ("language", "service_name", "description", "owner", "runtime_base", "ci", "registry",
         "module_root")  # fmt: skip

# Of the files that are merged at an update, those that change nothing where the project has none.
HARMLESS = pathspec.GitIgnoreSpec.from_lines(
    [f"/{ANSWERS}", "/CODEOWNERS", "/renovate.json", "/deploy/", "/specs/ADRs/service/"]
)
# Those that the project has instead, under another name.
RIVALS = {
    "CODEOWNERS": layout.CODEOWNERS,
    "Makefile": ("GNUmakefile", "makefile"),
    "README.md": ("README.rst", "README.adoc", "README.txt", "README", "readme.md"),
    ".node-version": (".nvmrc",),
    "renovate.json": (
        "renovate.json5", ".renovaterc", ".renovaterc.json", ".renovaterc.json5",
        ".github/renovate.json", ".github/renovate.json5", ".gitlab/renovate.json",
        ".gitlab/renovate.json5",
    ),
}  # fmt: skip
# Why the others do not simply stand where the template has them.
WHY = "it changes how the project builds or runs"
WHYS = {
    ".editorconfig": "it changes what formatters do",
    ".gitattributes": "it changes the line ends of every file",
    ".gitignore": "it hides files from git",
    ".devcontainer/devcontainer.json": "it changes what editors start",
    ".pre-commit-config.yaml": "it runs before commits",
    "AGENTS.md": "it describes a service that the template made",
    "README.md": "it describes a service that the template made",
    "catalog-info.yaml": "it enters the service in a portal",
    "mkdocs.yml": "it makes pages of specs/",
}
IMAGE, LINK, CI_IMAGE = "image/Dockerfile", "Dockerfile", "ci/image/Dockerfile"
PIPELINES = (".gitlab-ci.yml", ".github/workflows/ci.yml")

# What leads git to another repository than the one that a command names.
for _name in (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_QUARANTINE_PATH",
    "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
):  # fmt: skip
    os.environ.pop(_name, None)


def without_hooks() -> None:
    """No hook of a person's own runs in what Copier and this script do."""
    given = os.environ.get("GIT_CONFIG_COUNT", "")
    count = int(given) if given.isdigit() else 0
    for key, value in (("core.hooksPath", "/dev/null"), ("core.safecrlf", "false")):
        os.environ[f"GIT_CONFIG_KEY_{count}"] = key
        os.environ[f"GIT_CONFIG_VALUE_{count}"] = value
        count += 1
    os.environ["GIT_CONFIG_COUNT"] = str(count)


def say(text: str) -> None:
    print(f"adopt: {text}", file=sys.stderr)


def run_git(root: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], input=given, capture_output=True,
        encoding="utf-8", errors="surrogateescape", env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip


def git(root: Path, *arguments: str, given: str = "") -> str:
    result = run_git(root, *arguments, given=given)
    if result.returncode:
        said = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
        raise Refused(f"{root}: git {arguments[0]}: {said}")
    return result.stdout


# The project


@dataclass
class Destination:
    """The project's directory, and where its repository stood before."""

    shown: str
    root: Path
    back: list[str]  # what `git switch` takes to go back

    def path(self, name: str) -> Path:
        return self.root / name


def look(destination: str) -> Destination:
    """Refuse what cannot be adopted, before anything is asked or written."""
    root = Path(destination)
    if not root.is_dir():
        what = "is not a directory" if os.path.lexists(root) else "does not exist"
        raise Refused(f"{destination} {what}; DEST is the project to adopt. A new one: make new")
    root = root.resolve()
    inside = run_git(root, "rev-parse", "--is-inside-work-tree")
    if inside.stdout.strip() != "true":
        if inside.returncode and "not a git repository" not in inside.stderr:
            raise Refused(f"{destination}: git does not read it: {' '.join(inside.stderr.split())}")
        raise Refused(
            f"{destination} is not a git repository, and adopting it is a branch; run there: "
            "git init && git add --all && git commit"
        )
    top = Path(git(root, "rev-parse", "--show-toplevel").rstrip("\n"))
    if top == ROOT:
        raise Refused(f"{destination} is in this checkout of the template; choose another DEST")
    if os.path.lexists(root / ANSWERS):
        raise Refused(
            f"{destination} has {ANSWERS}: it is under a template already; if it is this one, "
            f"run there: make update (or: sh ci/update.sh)"
        )
    if run_git(root, "rev-parse", "--quiet", "--verify", "HEAD^{commit}").returncode:
        raise Refused(
            f"{destination} has no commit to go back to; run there: git add --all && git commit"
        )
    status = git(root, "status", "--porcelain", "--untracked-files=normal").splitlines()
    if status:
        shown = "".join(f"\n  {line}" for line in status[:10])
        more = f"\n  and {len(status) - 10} more" if len(status) > 10 else ""
        raise Refused(
            f"{destination} has uncommitted changes; commit or stash them first, so that what is "
            f"added can be told apart and undone:{shown}{more}"
        )
    if not run_git(root, "show-ref", "--verify", "--quiet", f"refs/heads/{BRANCH}").returncode:
        raise Refused(
            f"{destination} has a branch {BRANCH} already; rename it (git branch -m {BRANCH} "
            f"NAME) or delete it (git branch -D {BRANCH})"
        )
    branch = run_git(root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    commit = git(root, "rev-parse", "--short", "HEAD").strip()
    return Destination(destination, root, [branch] if branch else ["--detach", commit])


def read_project(root: Path) -> Project:
    tracked = git(root, "ls-files", "-z").split("\0")
    remotes = git(root, "remote").split()
    remote = ""
    if remotes:
        name = "origin" if "origin" in remotes else remotes[0]
        remote = run_git(root, "config", "--get", f"remote.{name}.url").stdout.strip()
    return Project(root, [path for path in tracked if path], remote)


# The render


@dataclass
class Source:
    """The template's release, the address to record, and the answers of DATA."""

    commit: str
    address: str
    data: dict[str, str]
    providers: set[str]  # those that the template has a pipeline for


def read_source() -> Source:
    result = subprocess.run(
        ["sh", ROOT / "scripts/source.sh", "adopt"], stdout=subprocess.PIPE, text=True
    )
    if result.returncode:
        raise Refused("")
    commit, address, *lines = result.stdout.splitlines()
    data = dict(line.split("=", 1) for line in lines)
    config = config_at(ROOT, commit)
    if "platform_code" not in config:
        raise Refused(
            f"the release {commit} of the template is older than adopting, and would write source; "
            "take a checkout with a later one, whose copier.yml asks for platform_code"
        )
    for name, value in FIXED.items():
        if data.setdefault(name, value).lower() not in ("false", "no", "n", "off", "0"):
            raise Refused(f"DATA: {name} is false in a project that brings its own code; leave out")
    providers = offered(config)["ci"] - {"none"}
    return Source(commit, address, {**DEFAULTS, **data}, providers)


def render(source: Source, found: Layout, place: Path, defaults: bool) -> dict[str, Any]:
    """Make the template's files in `place` and return the answers.

    What was worked out goes in as the answers of an earlier time: Copier proposes those that the
    template's rules allow.
    """
    from copier import run_copy  # late: a refusal does not wait for it
    from copier.errors import InteractiveSessionError

    place.mkdir()
    (place / ANSWERS).write_text(json.dumps(found.answers), encoding="utf-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run_copy(
                source.address, place, data=source.data, defaults=defaults, quiet=True,
                vcs_ref=source.commit, overwrite=True,
            )  # fmt: skip
    except Exception as problem:
        if isinstance(problem, KeyboardInterrupt):
            raise
        said = str(problem).strip() or type(problem).__name__
        if isinstance(problem, InteractiveSessionError):
            said = "there is no terminal to ask in; DEFAULTS=1 takes what is worked out"
        raise Refused(f"{said}\nadopt: nothing was changed") from None
    answers = yaml.safe_load((place / ANSWERS).read_text(encoding="utf-8"))
    return dict(answers)


# What goes where


@dataclass
class Addition:
    """A file to add; `rival` is the project's own, and `why` says why it does not stand there."""

    path: str
    content: bytes | str  # a link's is a text
    executable: bool = False
    rival: str = ""
    why: str = ""

    @property
    def target(self) -> str:
        return self.path + SUFFIX if self.why else self.path


@dataclass
class Plan:
    additions: list[Addition] = field(default_factory=list)
    same: list[str] = field(default_factory=list)

    def add(self, place: Path, path: str, rival: str = "", why: str = "", of: str = "") -> None:
        file = place / (of or path)
        if file.is_symlink():
            self.additions.append(Addition(path, os.readlink(file), False, rival, why))
        else:
            executable = os.access(file, os.X_OK)
            self.additions.append(Addition(path, file.read_bytes(), executable, rival, why))


def platform_paths(commit: str) -> pathspec.GitIgnoreSpec:
    ownership = yaml.safe_load(git(ROOT, "cat-file", "blob", f"{commit}:ownership.yml"))
    lists = ownership["platform"].values()
    return pathspec.GitIgnoreSpec.from_lines(pattern for patterns in lists for pattern in patterns)


def files_below(place: Path) -> Iterator[str]:
    for folder, names, files in os.walk(place):
        links = [name for name in names if Path(folder, name).is_symlink()]
        for name in [*files, *links]:
            yield Path(folder, name).relative_to(place).as_posix()


def copied(dockerfile: str) -> list[str]:
    """What a Dockerfile takes out of the project."""
    found = []
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        words = line.split()
        if words and words[0] == "COPY" and not any(word.startswith("--from") for word in words):
            found += [word for word in words[1:-1] if not word.startswith("--")]
    return found


def plan(place: Path, project: Project, platform: pathspec.GitIgnoreSpec, misfit: str) -> Plan:
    made = Plan()
    for path in sorted(files_below(place)):
        if path in (IMAGE, LINK, CI_IMAGE, *PIPELINES):
            continue
        there = project.root / path
        if os.path.lexists(there):
            settle(made, place, project, path, is_platform=platform.match_file(path))
        elif platform.match_file(path) or HARMLESS.match_file(path) or path == "Makefile":
            rival = next((name for name in RIVALS.get(path, ()) if project.has(name)), "")
            why = f"you have {rival}" if rival else misfit if path == "Makefile" else ""
            made.add(place, path, rival, why)
        else:
            rival = next((name for name in RIVALS.get(path, ()) if project.has(name)), "")
            made.add(place, path, rival, f"you have {rival}" if rival else WHYS.get(path, WHY))
    images(made, place, project, misfit)
    made.additions.sort(key=lambda item: item.path)
    return made


def settle(made: Plan, place: Path, project: Project, path: str, is_platform: bool) -> None:
    """A file that the project has: its own stays, and the template's is laid beside it."""
    mine, theirs = project.root / path, place / path
    if mine.is_symlink() or theirs.is_symlink():
        same = (
            mine.is_symlink() and theirs.is_symlink() and os.readlink(mine) == os.readlink(theirs)
        )
    else:
        same = mine.is_file() and mine.read_bytes() == theirs.read_bytes()
    if same:
        made.same.append(path)
    elif is_platform:
        made.add(place, path, path, "the platform's file belongs here: move yours elsewhere")
    else:
        made.add(place, path, path, "you have one")


def images(made: Plan, place: Path, project: Project, misfit: str) -> None:
    """The Dockerfiles and the pipeline, which build each other."""
    texts = {path: (place / path).read_text(encoding="utf-8") for path in (IMAGE, CI_IMAGE)}
    whys = {}
    for path, text in texts.items():
        absent = sorted({name for name in copied(text) if not project.has_in_git(name)})
        whys[path] = misfit or (f"it copies {', '.join(absent)}: not here" if absent else "")
    own = layout.dockerfiles(project)
    if os.path.lexists(project.root / IMAGE):
        settle(made, place, project, IMAGE, is_platform=False)
        whys[IMAGE] = "you have one"
    elif os.path.lexists(project.root / LINK):
        # The template's is a link to image/Dockerfile: what that has is to be compared.
        whys[IMAGE] = "you have one"
        made.add(place, LINK, LINK, "you have one", of=IMAGE)
    else:
        whys[IMAGE] = f"you have {own[0]}" if own else whys[IMAGE]
        made.add(place, IMAGE, own[0] if own else "", whys[IMAGE])
        if not whys[IMAGE]:
            made.add(place, LINK)
    if os.path.lexists(project.root / CI_IMAGE):
        settle(made, place, project, CI_IMAGE, is_platform=False)
        whys[CI_IMAGE] = "you have one"
    else:
        made.add(place, CI_IMAGE, "", whys[CI_IMAGE])
    waiting = " and ".join(path for path in (IMAGE, CI_IMAGE) if whys[path])
    for path in PIPELINES:
        if not os.path.lexists(place / path):
            continue
        if os.path.lexists(project.root / path):
            settle(made, place, project, path, is_platform=False)
        else:
            made.add(place, path, "", f"its jobs need {waiting}" if waiting else "")


def refuse_obstacles(made: Plan, destination: Destination) -> None:
    for addition in made.additions:
        path = PurePosixPath(addition.target)
        if os.path.lexists(destination.path(addition.target)):
            raise Refused(
                f"{destination.shown}/{path} exists, and the template's version belongs there; "
                "move or rename it, commit, and try again. Nothing was changed"
            )
        for parent in list(path.parents)[:-1]:
            place = destination.path(str(parent))
            if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
                what = "a link" if place.is_symlink() else "a file"
                raise Refused(
                    f"{destination.shown}/{parent} is {what}, and the template has a directory "
                    "there; move or rename it, commit, and try again. Nothing was changed"
                )


# Writing


def write(made: Plan, destination: Destination) -> None:
    """Add the files and go to the branch with them, or leave everything as it was."""
    files: list[Path] = []
    folders: list[Path] = []
    try:
        for addition in made.additions:
            target = destination.path(addition.target)
            missing = [parent for parent in target.parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                folders.append(parent)
            if isinstance(addition.content, str):
                os.symlink(addition.content, target)
                files.append(target)
                continue
            mode = 0o777 if addition.executable else 0o666
            number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            files.append(target)
            with os.fdopen(number, "wb") as file:
                file.write(addition.content)
        # Also what the project ignores: without ci/platform.lock no clone would pass its checks.
        names = "\0".join(addition.target for addition in made.additions)
        git(destination.root, "--literal-pathspecs", "add", "--force", "--pathspec-from-file=-",
            "--pathspec-file-nul", given=names)  # fmt: skip
        git(destination.root, "switch", "--quiet", "--create", BRANCH)
    except BaseException as problem:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for target in files:
            target.unlink(missing_ok=True)
        for folder in reversed(folders):
            folder.rmdir()
        run_git(destination.root, "reset", "--quiet")
        if isinstance(problem, OSError):
            why = f"cannot write {problem.filename}: {problem.strerror}"
        elif isinstance(problem, Refused):
            why = str(problem)
        else:
            raise
        raise Refused(f"{why}. The project is as it was") from None


# The report


def conformance(name: str) -> Any:
    """A module of the checks in this checkout: no code of the project is run."""
    if "conformance" not in sys.modules:
        package = sys.modules["conformance"] = ModuleType("conformance")
        package.__path__ = [str(ROOT / "template/ci/conformance")]
    return importlib.import_module(f"conformance.{name}")


def adoption_list(made: Plan, destination: Destination) -> str:
    adoption, model = conformance("adoption"), conformance("model")
    found = adoption.look_at(str(destination.root))
    for addition in made.additions:
        if addition.why:
            finding = model.Finding("PLT-001", addition.target, *to_do(addition, destination))
            step = adoption.Step("beside yours, to merge", addition.path, (finding,))
            found.steps.append(step)
    lines = str(conformance("report").adoption(found, "text")).splitlines()
    lines[0] = f"{found.subject}: what is met, and what is missing, in the order to do it"
    return "\n".join(lines)


def to_do(addition: Addition, destination: Destination) -> tuple[str, str]:
    """What is to be seen of an addition that stands beside, and what to do with it."""
    path, target = quote(addition.path), quote(addition.target)
    if addition.path == LINK and destination.path(LINK).is_symlink():
        done = f"merge, move it to image/Dockerfile, let {path} lead there, then: git rm {target}"
    elif addition.path == LINK:
        move = "mkdir -p image && git mv Dockerfile image/ && ln -s image/Dockerfile Dockerfile"
        done = f"merge, then: {move} && git rm {target}"
    elif addition.rival == addition.path:
        done = f"merge what you want of it into {path}, then: git rm {target}"
    else:
        done = f"if you want it, make it fit and: git mv {target} {path}; else: git rm {target}"
    rival = quote(addition.rival)
    compare = f"; compare: git diff --no-index {rival} {target}" if addition.rival else ""
    return addition.why + compare, done


def summary(made: Plan, found: Layout, destination: Destination) -> Iterator[str]:
    plain = [addition.target for addition in made.additions if not addition.why]
    folders: dict[str, int] = {}
    for path in plain:
        name = path.split("/")[0] + "/" if "/" in path else path
        folders[name] = folders.get(name, 0) + 1
    listed = (f"{name} ({n} files)" if name.endswith("/") else name for name, n in folders.items())
    yield f"added on the branch {BRANCH}, and staged: {', '.join(listed)}"
    beside = [addition for addition in made.additions if addition.why]
    if beside:
        yield "beside yours, since it is not for a template to replace or to switch on:"
        width = max(len(addition.target) for addition in beside)
        for addition in beside:
            yield f"  {addition.target:<{width}}  {addition.why}"
    for reason in found.misfits:
        yield f"the template's Dockerfiles and Makefile are not for this project as it is: {reason}"
    if made.same:
        yield f"the same already: {', '.join(made.same)}"


def proposals(found: Layout) -> Iterator[str]:
    for question in SHOWN:
        if question in found.answers:
            yield f"  {question:<13} {found.answers[question]}  ({found.origins[question]})"


def adopt(destination: Destination, defaults: bool) -> tuple[Plan, Layout]:
    """Ask, and add the files; a failure leaves the project as it was."""
    source = read_source()
    project = read_project(destination.root)
    found = layout.work_out(project, source.providers, source.data.get("language", ""))
    if "language" not in found.answers and "language" not in source.data and defaults:
        names = ", ".join(sorted({name[0] for name in layout.MANIFESTS.values()}))
        raise Refused(
            f"cannot tell the language of {destination.shown}: it has none of {names}; say it with "
            'DATA="language=go". Nothing was changed'
        )
    for question, value in source.data.items():
        if question in found.answers:
            found.answers[question], found.origins[question] = value, "DATA"
    say(f"worked out of {destination.shown}:")
    for line in proposals(found):
        print(line, file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch, "service")
        answers = render(source, found, place, defaults)
        for question in SHOWN:
            given, taken = found.answers.get(question), answers.get(question)
            if defaults and taken is not None and given != str(taken):
                was = f", since the template does not take {given}" if given else ""
                say(f"{question} is {taken}, the template's default{was}: DATA changes it")
        language = str(answers["language"])
        if language != found.answers.get("language"):
            found.misfits = layout.work_out(project, source.providers, language).misfits
        misfit = found.misfits[0] if found.misfits else ""
        made = plan(place, project, platform_paths(source.commit), misfit)
        refuse_obstacles(made, destination)
        write(made, destination)
    return made, found


def report(destination: Destination, made: Plan, found: Layout) -> None:
    for line in summary(made, found, destination):
        if line.startswith("  "):
            print(line, file=sys.stderr)
        else:
            say(line)
    sys.stderr.flush()
    print(f"\n{adoption_list(made, destination)}")
    print(
        f"\nNo file of yours was changed. Next:\n\n"
        f"  cd {quote(destination.shown)}\n"
        f"  git diff --cached --stat\n"
        f'  git commit --message "Adopt the service template"\n'
        f"\nThen merge what is beside yours, and see what is left with: "
        f"python3 -B ci/conformance repo\n"
        f"Updates come with: sh ci/update.sh, or make update once the Makefile has that verb.\n"
        f"To undo it before the commit: git reset --hard && git switch {join(destination.back)} && "
        f"git branch -D {BRANCH}"
    )


def main(arguments: list[str] | None = None) -> int:
    sys.dont_write_bytecode = True
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("destination", metavar="DEST")
    parser.add_argument("--defaults", action="store_true", help="ask nothing")
    options = parser.parse_args(arguments)
    without_hooks()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # A name that is no text is shown as its bytes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        destination = look(options.destination)
        made, found = adopt(destination, options.defaults)
    except Refused as problem:
        if str(problem):
            say(str(problem))
        return 2
    except OSError as problem:
        say(f"{problem.filename}: {problem.strerror}. The project is as it was")
        return 2
    except KeyboardInterrupt:
        say("interrupted. The project is as it was")
        return 130
    try:
        report(destination, made, found)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
