"""What a service costs beside its bare framework: the same endpoint on the default server.

A twin is the rendered service with the files of bench/twins/<language>/ over it: its entry
point does without the platform's folder, logs, metrics and settings. So it has the service's
Dockerfile, base and lock file, and its framework at the service's version.

A round measures the service without a logged line, with one line a request, and the twin. A
request is counted in time of the processor, which other work on the machine hardly changes.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab import Image
from lab.runtime import Container
from lab.system import LabError

from . import runtime
from .results import Results, digest, tree_digest
from .run import Options, say
from .subjects import BUILD_ARGS, Subject, Workshop, bases, languages

SECTION = "twins"
TWINS = Path(__file__).parent / "twins"
# What is on a class path takes part: a twin in Java has no metrics there.
JAVA_WITHOUT = ("spring-boot-starter-actuator", "micrometer-registry-prometheus")
WARM = 0.95
WARM_RUNS = 20
# Name of the runs: what they have in their environment; a twin reads PORT only.
RUNS: dict[str, dict[str, str]] = {
    "quiet": {"LOG_LEVEL": "error", "DRAIN_DELAY_SECONDS": "0"},
    "logged": {"LOG_LEVEL": "info", "DRAIN_DELAY_SECONDS": "0"},
    "twin": {},
}


def measure(workshop: Workshop, results: Results, options: Options) -> None:
    runtime.prepare(workshop)
    results.keep(SECTION, languages())
    rows: dict[str, dict[str, Any]] = {}
    pairs: dict[str, dict[str, Image]] = {}
    for language in options.languages:
        subject = Subject(language, bases(language)[0])
        inputs = digest(workshop.inputs(subject), tree_digest(TWINS / language))
        row = results.row(SECTION, language, inputs, options.again)
        if len(row.get("twin_cpu", [])) >= options.repeats:
            continue
        say(f"twins: building {language}")
        row |= {"language": language, "base": subject.base}
        rows[language] = row
        service, bare = workshop.build(subject), build(workshop, language)
        pairs[language] = {"quiet": service, "logged": service, "twin": bare}
    for number in range(options.repeats):
        for language, row in rows.items():
            if len(row.get("twin_cpu", [])) > number:
                continue
            say(f"twins: round {number + 1}/{options.repeats}: {language}")
            for name, image in pairs[language].items():
                figures = one(workshop, image, RUNS[name], options.seconds)
                for key, value in figures.items():
                    row.setdefault(f"{name}_{key}", []).append(value)
            results.save(row)


def build(workshop: Workshop, language: str) -> Image:
    place = workshop.work / f"{language}-twin" / "payments"
    overlay(workshop.service(language, bases(language)[0]), language, place)
    return workshop.lab.build(place, "release", BUILD_ARGS)


def overlay(service: Path, language: str, place: Path) -> None:
    """Copy a service and put its twin's files over it."""
    shutil.copytree(service, place, symlinks=True)
    if language == "java":
        shutil.rmtree(place / "src/main")
        pom = place / "pom.xml"
        pom.write_text(without(pom.read_text(), JAVA_WITHOUT))
    for path in sorted((TWINS / language).rglob("*")):
        if path.is_file():
            target = place / path.relative_to(TWINS / language)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def without(pom: str, artifacts: Iterable[str]) -> str:
    """A pom.xml without some of its dependencies."""
    for artifact in artifacts:
        inside = r"(?:(?!</dependency>).)*"
        pattern = (
            rf"\s*<dependency>{inside}<artifactId>{artifact}</artifactId>{inside}</dependency>"
        )
        pom, found = re.subn(pattern, "", pom, flags=re.DOTALL)
        if not found:
            raise LabError(f"pom.xml has no dependency {artifact}")
    return pom


def one(
    workshop: Workshop, image: Image, environment: dict[str, str], seconds: int
) -> dict[str, float]:
    script = runtime.script(workshop)
    with workshop.lab.run(image, env=environment, ready=None) as container:
        ready = wait_answer(container)
        pid = container.pid
        figures: dict[str, float] = {"ready_ms": 1000 * (ready - runtime.started(pid))}
        time.sleep(runtime.IDLE_SECONDS)
        figures["idle_rss"] = runtime.memory(pid)["rss"]
        figures["cpu"] = warm_cost(lambda: cost(container.url, script, seconds, pid))
        return {key: round(value, 3) for key, value in figures.items()}


def cost(url: str, script: Path, seconds: int, pid: int) -> float:
    """Microseconds of the processor that a request takes, over some seconds of load."""
    before = processor_seconds(pid)
    done = runtime.load(url, script, seconds)
    if done["failed"]:
        raise LabError(f"{done['failed']} of {done['requests']} requests failed")
    return (processor_seconds(pid) - before) / done["requests"] * 1e6


def warm_cost(run: Callable[[], float]) -> float:
    """The cost of the first run that is hardly cheaper than the one before it.

    A compiler that works beside the requests, as Java's does, is done by then.
    """
    last = run()
    for _ in range(WARM_RUNS):
        this = run()
        if this > WARM * last:
            return this
        last = this
    return last


def wait_answer(container: Container) -> float:
    """The time since boot at which anything was answered: a twin has no probes."""
    deadline = time.monotonic() + runtime.START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(container.url + "/livez", timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            time.sleep(runtime.POLL_SECONDS)
            if not container.running:
                raise LabError(f"it ended: {container.stderr.strip()[-200:]}") from None
            continue
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    raise LabError(f"it did not answer within {runtime.START_SECONDS} s")


def processor_seconds(pid: int) -> float:
    """The time that a process has had of the processor, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
