"""Say of many services which release each has, what deviates, and what an update would do.

    .venv/bin/python scripts/fleet.py ../payments https://git.example.com/orders.git
    .venv/bin/python scripts/fleet.py --list fleet.txt --to v1.2.0 --format json

Each service is cloned into a scratch directory, checked with this checkout's conformance
checks, and updated there by Copier to the newest release, or to --to. Nothing is written to
the services, and no code of theirs is run. Exit code 1 says that one could not be read or
would conflict.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import yaml
from copier import run_copy, run_update
from copier.errors import CopierError
from releases import ROOT, Refused, git

MARKER = re.compile(rb"^<<<<<<< before updating", re.MULTILINE)


@dataclass
class Service:
    """What is known of a service; `changes` has the paths of the update, each with A, M or D."""

    repository: str
    name: str = ""
    owner: str = ""
    language: str = ""
    release: str = ""
    target: str = ""
    findings: list[str] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    problem: str = ""


def read_answers(clone: Path) -> dict[str, str]:
    path = clone / ".copier-answers.yml"
    if not path.is_file():
        raise Refused("it has no .copier-answers.yml: it is no service of a template")
    try:
        answers = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise Refused(".copier-answers.yml is not YAML") from problem
    if not isinstance(answers, dict) or not {"_src_path", "_commit"} <= answers.keys():
        raise Refused(".copier-answers.yml does not name the template and its release")
    return answers


def check(clone: Path, service: Service) -> None:
    command = [sys.executable, str(ROOT / "template/ci/conformance"), "repo",
               "--format", "json", str(clone)]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode not in (0, 1):
        raise Refused(f"the conformance checks cannot read it: {result.stderr.strip()}")
    for finding in json.loads(result.stdout)["findings"]:
        text = f"{finding['check']} {finding['path']}"
        if finding["deviation"]:
            service.deviations.append(f"{text} ({finding['deviation']})")
        else:
            service.findings.append(text)


def removed_edits(clone: Path, answers: dict[str, str], removed: list[str]) -> list[str]:
    """Of the files that an update removed, those that its team had edited."""
    if not removed:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        run_copy(
            answers["_src_path"], scratch, defaults=True, quiet=True, vcs_ref=answers["_commit"],
            data={key: value for key, value in answers.items() if not key.startswith("_")},
        )  # fmt: skip
        return [
            path
            for path in removed
            if not (old := Path(scratch, path)).is_file()
            or git(clone, "hash-object", str(old)) != git(clone, "rev-parse", f"HEAD:{path}")
        ]


def try_update(clone: Path, service: Service, answers: dict[str, str], target: str) -> None:
    try:
        run_update(clone, defaults=True, quiet=True, overwrite=True, vcs_ref=target or None)
    except (CopierError, ValueError, OSError) as problem:
        raise Refused(f"the update fails: {str(problem).splitlines()[0]}") from problem
    service.target = read_answers(clone)["_commit"]
    unmerged = set(git(clone, "diff", "--name-only", "--diff-filter=U", "-z").split("\0"))
    git(clone, "add", "--all")
    listed = git(clone, "diff", "--cached", "--no-renames", "--name-status", "-z", "HEAD")
    fields = listed.split("\0")
    changed = list(zip(fields[0:-1:2], fields[1:-1:2], strict=True))
    service.changes = [f"{status} {path}" for status, path in changed]
    marked = {
        path
        for status, path in changed
        if (
            status != "D"
            and (clone / path).is_file()
            and MARKER.search((clone / path).read_bytes())
        )
        or path.endswith(".rej")
    }
    removed = removed_edits(clone, answers, [path for status, path in changed if status == "D"])
    service.conflicts = sorted((unmerged | marked | set(removed)) - {""})


def examine(repository: str, target: str) -> Service:
    service = Service(repository)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone = Path(scratch, "service")
        try:
            # The clone is made elsewhere, where a relative path would lead to nothing.
            source = str(Path(repository).resolve()) if Path(repository).is_dir() else repository
            git(Path(scratch), "clone", "--quiet", "--no-tags", "--", source, str(clone))
            answers = read_answers(clone)
            service.name = str(answers.get("service_name", ""))
            service.owner = str(answers.get("owner", ""))
            service.language = str(answers.get("language", ""))
            service.release = str(answers["_commit"])
            check(clone, service)
            try_update(clone, service, answers, target)
        except Refused as problem:
            service.problem = str(problem)
        except Exception as problem:  # One bad service does not hide the others.
            service.problem = f"{type(problem).__name__}: {problem}"
    return service


def outcome(service: Service) -> str:
    if service.problem:
        return "cannot be updated"
    if service.conflicts:
        return "conflicts"
    return "merges" if service.changes else "current"


def report(services: list[Service]) -> str:
    def rows(title: str, listed: list[tuple[str, list[str]]]) -> list[str]:
        lines = [f"- {name}: {', '.join(items)}" for name, items in listed if items]
        return ["", f"## {title}", "", *(lines or ["None."])]

    counts = Counter(map(outcome, services))
    lines = [
        "# The fleet", "",
        f"{len(services)} services: "
        + ", ".join(f"{n} {what}" for what, n in counts.most_common()),
        "", "| service | owner | language | release | findings | deviations | update |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for s in services:
        update = f"{outcome(s)}: {s.target}" if s.target else outcome(s)
        lines.append(
            f"| {s.name or s.repository} | {s.owner} | {s.language} | {s.release} | "
            f"{len(s.findings)} | {len(s.deviations)} | {update} |"
        )
    named = [(s.name or s.repository, s) for s in services]
    lines += rows("Conflicts", [(name, s.conflicts) for name, s in named])
    lines += rows("Findings", [(name, s.findings) for name, s in named])
    lines += rows("Deviations", [(name, s.deviations) for name, s in named])
    lines += rows("Problems", [(name, [s.problem] if s.problem else []) for name, s in named])
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", nargs="*", help="a directory or a URL that git can clone")
    parser.add_argument("--list", type=Path, help="a file with one repository a line")
    parser.add_argument("--to", default="", help="the release to try; default: the newest")
    parser.add_argument("--format", choices=("markdown", "json"), default="markdown")
    parser.add_argument("--jobs", type=int, default=2, help="services examined at once: 2")
    arguments = parser.parse_args()
    repositories = list(arguments.repository)
    if arguments.list:
        try:
            text = arguments.list.read_text(encoding="utf-8")
        except OSError as problem:
            parser.error(str(problem))
        lines = [line.strip() for line in text.splitlines()]
        repositories += [line for line in lines if line[:1] not in ("", "#")]
    if not repositories:
        parser.error("name the services, or a file that lists them: --list fleet.txt")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        services = list(pool.map(partial(examine, target=arguments.to), repositories))
    if arguments.format == "json":
        print(json.dumps([{**asdict(s), "outcome": outcome(s)} for s in services], indent=2))
    else:
        print(report(services), end="")
    return int(any(s.problem or s.conflicts for s in services))


if __name__ == "__main__":
    sys.exit(main())
