"""`copier copy` and `copier update` beside an empty template; conformance; the test suite.

What is compared is time of the processor: Copier and the checks use one core and wait for
nothing, and the clock would measure what else the machine does.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import jinja2
from copier import run_copy

from lab import LabError
from lab.system import tail
from rendering import commit_all, copy_template, git, rendered_files

from .results import Results, digest, tree_digest
from .run import Options, say
from .subjects import Subject, Workshop, bases

SECTION = "template"
# Raise it when what is measured changes.
METHOD = 2
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
# A change as a platform release has it: a decision's text, and a line of a merged file.
CHANGED = ("specs/guidelines/containerization.md", ".gitattributes")
SAMPLES = ("copy", "copy_wall", "update", "update_wall", "empty")
COPIER = Path(sys.executable).parent / "copier"
IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "bench"), ("EMAIL", "bench@example.com"))
}


def measure(workshop: Workshop, results: Results, options: Options) -> None:
    with mock.patch.dict(os.environ, IDENTITY | {"GIT_CONFIG_NOSYSTEM": "1"}):
        copies(workshop, results, options)
    conformance(workshop, results, options)
    if options.suite:
        suite(results, options.suite)


def copies(workshop: Workshop, results: Results, options: Options) -> None:
    ours = copy_template(workshop.work / "ours")
    empty = empty_template(workshop.work / "empty")
    changed = {ours: [f"template/{name}" for name in CHANGED], empty: ["template/file.txt"]}
    for repository, names in changed.items():
        two_releases(repository, names)
    cases = {"empty": (empty, {}), **{
        language: (ours, {"language": language}) for language in options.languages
    }}  # fmt: skip
    inputs = digest(tree_digest(ours), METHOD)
    rows = {}
    for name, (repository, answers) in cases.items():
        row = results.row(SECTION, f"copy/{name}", inputs, options.again)
        row |= {"language": name} | counts(repository, answers, workshop.work / "counted")
        for key in SAMPLES:
            row.setdefault(key, [])
        rows[name] = row
    for number in range(options.repeats):
        pending = [name for name in options.languages if len(rows[name]["copy"]) <= number]
        if not pending:
            continue
        say(f"template: round {number + 1}/{options.repeats}")
        # Each language is compared with the empty template of its own round.
        for name in ["empty", *pending]:
            repository, answers = cases[name]
            figures = one_round(repository, answers, workshop.work)
            if name == "empty":
                figures["empty"] = figures["copy"]
            else:
                figures["empty"] = rows["empty"]["copy"][-1]
            for key in SAMPLES:
                rows[name][key].append(figures[key])
            results.save(rows[name])


def empty_template(repository: Path) -> Path:
    """The least that can be copied and updated: one question, one file, the answers."""
    (repository / "template").mkdir(parents=True)
    (repository / "copier.yml").write_text(
        "_subdirectory: template\nname:\n  type: str\n  default: payments\n"
    )
    (repository / "template" / ANSWERS).write_text("{{ _copier_answers | to_nice_yaml }}")
    (repository / "template/file.txt").write_text("A line.\n")
    return repository


def two_releases(repository: Path, changed: list[str]) -> None:
    commit_all(repository, "First")
    git(repository, "tag", "v1.0.0")
    for name in changed:
        path = repository / name
        path.write_text(path.read_text() + "\n# A later decision.\n")
    commit_all(repository, "Second")
    git(repository, "tag", "v1.1.0")


def counts(repository: Path, answers: dict[str, str], scratch: Path) -> dict[str, int]:
    """Files that a copy writes, and what Jinja compiles for them."""
    compiled = 0
    original = jinja2.Environment.compile

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return original(*args, **kwargs)

    shutil.rmtree(scratch, ignore_errors=True)
    with mock.patch.object(jinja2.Environment, "compile", counting):
        run_copy(str(repository), scratch, data=answers, defaults=True, quiet=True)
    files = len(rendered_files(scratch))
    shutil.rmtree(scratch)
    return {"files": files, "compiles": compiled}


def one_round(repository: Path, answers: dict[str, str], work: Path) -> dict[str, float]:
    """`copier copy` of the first release, and `copier update` to the second."""
    service = work / "copied"
    shutil.rmtree(service, ignore_errors=True)
    words = ["--quiet", "--defaults", *(f"--data={key}={answers[key]}" for key in answers)]
    copied = timed([COPIER, "copy", *words, "--vcs-ref=v1.0.0", repository, service])
    commit_all(service, "Scaffold")
    updated = timed([COPIER, "update", *words[:2], "--vcs-ref=v1.1.0", service])
    if "A later decision." not in git(service, "diff"):
        raise LabError(f"the update of {repository.name} changed nothing")
    shutil.rmtree(service)
    figures = {"copy": copied, "update": updated}
    return {key: cpu for key, (cpu, _) in figures.items()} | {
        f"{key}_wall": wall for key, (_, wall) in figures.items()
    }


def timed(command: list[Any], where: Path | None = None) -> tuple[float, float]:
    """Seconds of the processor and of the clock that a command takes."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        words = " ".join(map(str, command[:3]))
        raise LabError(f"{words} failed:\n{tail(done.stdout + done.stderr)}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(processor, 3), round(seconds, 3)


def conformance(workshop: Workshop, results: Results, options: Options) -> None:
    """`ci/conformance repo` and `image` as the service calls them, Python's start included.

    In seconds of the processor: both use one core, and do not wait for anything.
    """
    for language in options.languages:
        subject = Subject(language, bases(language)[0])
        checks = tree_digest(workshop.service(language, subject.base) / "ci/conformance")
        inputs = digest(workshop.inputs(subject), checks)
        row = results.row(SECTION, f"conformance/{language}", inputs, options.again)
        if len(row.get("image", [])) >= options.repeats:
            continue
        say(f"template: conformance of {language}")
        service = workshop.service(language, subject.base)
        image = workshop.build(subject)
        commands = {"repo": ["repo"], "image": ["image", str(image.oci_archive)]}
        row |= {"language": language, "repo": [], "image": [], "image_bytes": image.size}
        for _ in range(options.repeats):
            for name, arguments in commands.items():
                command = [sys.executable, "ci/conformance", *arguments]
                row[name].append(timed(command, service)[0])
        image.oci_archive.unlink()
        results.save(row)


def suite(results: Results, runs: list[ElementTree.Element]) -> None:
    """The durations of test runs, by directory, from the XML that `pytest --junit-xml` wrote."""
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, int] = defaultdict(int)
    for run in runs:
        for case in run.iter("testcase"):
            directory = case.get("classname", "").removeprefix("tests.").split(".")[0]
            seconds[directory] += float(case.get("time", 0))
            tests[directory] += 1
    inputs = digest(seconds, tests)
    for directory in seconds:
        row = results.row(SECTION, f"suite/{directory}", inputs)
        tier = directory if directory in ("image", "pipeline") else "fast"
        row |= {
            "tier": tier, "directory": directory, "tests": tests[directory],
            "seconds": round(seconds[directory], 1),
        }  # fmt: skip
        results.save(row)
