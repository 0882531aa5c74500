"""How long builds take: cold, after a changed line, after an added dependency, and the twin.

A round is one builder that has seen nothing and builds all four, one after another, so the
warm builds stand on the cold one of the same round. Downloads are part of a build, and so
is writing the image to a file. Kaniko, which keeps no stages, takes the release of the
debug twin from a registry, as the pipeline does; bringing it there is not timed.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from lab import Lab, Missing, install
from lab.system import LabError
from lab.system import run as run_program
from toolchains import run, tail, toolchain

from .results import Results
from .run import Options, say
from .subjects import BUILD_ARGS, Subject, Workshop, bases

SECTION = "build"
Builder = Callable[[Path, str], None]  # of a context and a target
Publisher = Callable[[], None]  # of the release that was built last
Engine = Callable[[Lab], AbstractContextManager[tuple[Builder, Publisher]]]
STEPS = ("cold", "debug", "line", "dependency")
# Where the greeting is said, and a dependency that the service does not have. Java's is
# one that it has by way of another: the checksums of its artifacts are in the repository.
GREETING = "Hello, "
DEPENDENCY = {
    "go": ["go", "get", "golang.org/x/time@v0.14.0"],
    "rust": ["cargo", "add", "--quiet", "fastrand@2.3.0"],
    "python": ["uv", "add", "--quiet", "--no-sync", "tabulate==0.9.0"],
    "node": ["npm", "install", "--silent", "--package-lock-only", "ms@2.1.3"],
}
SUFFIXES = {"go": ".go", "rust": ".rs", "java": ".java", "python": ".py", "node": ".ts"}


def measure(workshop: Workshop, results: Results, options: Options) -> None:
    rows = {}
    for language in options.languages:
        base = bases(language)[0]
        inputs = workshop.inputs(Subject(language, base))
        for name in engines(workshop.lab):
            row = results.row(SECTION, f"{language}/{name}", inputs, options.again)
            row |= {"language": language, "builder": name, "base": base}
            rows[language, name] = row
    for number in range(options.repeats):
        for (language, name), row in rows.items():
            if len(row.get("cold", [])) > number:
                continue
            say(f"build: round {number + 1}/{options.repeats}: {language} with {name}")
            figures = one_round(workshop, language, ENGINES[name])
            for step, seconds in figures.items():
                row.setdefault(step, []).append(round(seconds, 3))
            results.save(row)


def one_round(workshop: Workshop, language: str, engine: Engine) -> dict[str, float]:
    figures = {}
    work = workshop.work / "build"
    shutil.rmtree(work, ignore_errors=True)
    context = work / "payments"
    shutil.copytree(workshop.service(language, bases(language)[0]), context, symlinks=True)
    # The bases are in a registry before the clock starts.
    workshop.prepare(context)
    changes = {"line": change_line, "dependency": add_dependency}
    with engine(workshop.lab) as (build, publish):
        for step in STEPS:
            if step in changes:
                changes[step](context, language)
            if step == "debug":
                publish()
            begun = time.monotonic()
            build(context, "debug" if step == "debug" else "release")
            figures[step] = time.monotonic() - begun
    shutil.rmtree(work)
    return figures


@contextmanager
def buildkit(lab: Lab) -> Iterator[tuple[Builder, Publisher]]:
    """BuildKit with a cache of its own."""

    def build(context: Path, target: str) -> None:
        lab.build(context, target, BUILD_ARGS).oci_archive.unlink()

    with lab.cold():
        yield build, lambda: None


@contextmanager
def kaniko(lab: Lab, *, cached: bool = False) -> Iterator[tuple[Builder, Publisher]]:
    """Kaniko without a cache, or with one in a registry that begins empty."""
    out = lab.work / "bench-kaniko"
    with lab.empty_registry() as registry:
        release = f"{registry.address}/release"
        cache = ["--cache=true", f"--cache-repo={registry.address}/cache"] if cached else []

        def build(context: Path, target: str) -> None:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            arguments = BUILD_ARGS | ({"DEBUG_FROM": release} if target == "debug" else {})
            flags = [
                *lab.kaniko.flags(), *cache, "--dockerfile=image/Dockerfile",
                f"--target={target}", "--no-push", "--tar-path=/kaniko/out/image.tar",
                f"--destination={release}",
                *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            ]  # fmt: skip
            lab.kaniko.run(context, flags, out, f"Kaniko: {context.name}")

        def publish() -> None:
            push = [str(install.crane()), "push", "--insecure", str(out / "image.tar"), release]
            run_program(push, what="crane push")

        yield build, publish


ENGINES: dict[str, Engine] = {
    "buildkit": buildkit,
    "kaniko": kaniko,
    "kaniko-cache": partial(kaniko, cached=True),
}


def engines(lab: Lab) -> list[str]:
    try:
        _ = lab.kaniko
    except Missing:
        return ["buildkit"]
    return list(ENGINES)


def change_line(service: Path, language: str) -> None:
    """Change one line of the source: what the service says."""
    for path in sorted(service.rglob(f"*{SUFFIXES[language]}")):
        below = path.relative_to(service).parts
        text = path.read_text()
        if GREETING in text and not re.search("test", "/".join(below), re.I) and below[0] != "ci":
            path.write_text(text.replace(GREETING, "Good day, ", 1))
            return
    raise LabError(f"{language}: no source file says {GREETING!r}")


def add_dependency(service: Path, language: str) -> None:
    if language == "java":
        pom = service / "pom.xml"
        head, mark, rest = pom.read_text().partition("<dependencies>\n")
        if not mark:
            raise LabError("pom.xml has no <dependencies>")
        artifact = "<groupId>org.slf4j</groupId><artifactId>slf4j-api</artifactId>"
        pom.write_text(f"{head}{mark}    <dependency>{artifact}</dependency>\n{rest}")
        return
    tools = toolchain(language)
    done = run(*DEPENDENCY[language], cwd=service, env=tools)
    if done.returncode == 0 and language == "rust":
        done = run("cargo", "update", "--quiet", "--workspace", cwd=service, env=tools)
    if done.returncode:
        raise LabError(f"{' '.join(DEPENDENCY[language])} failed:\n{tail(done)}")
