"""Start, memory, and what the example endpoint does under a fixed load, round by round.

Every round measures each image once, in turn, so what disturbs the machine for a while
disturbs all alike. The load is wrk's: a number of connections that each send the next
request when the last one is answered, over loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from lab import Image, install
from lab.runtime import Container
from lab.system import LabError

from .results import Results
from .run import Options, say
from .subjects import Subject, Workshop, bases, languages

SECTION = "runtime"
CONNECTIONS = 16
POLL_SECONDS = 0.002
START_SECONDS = 120
IDLE_SECONDS = 3
# Requests are not logged: the engine that keeps the lines would be measured as well.
ENVIRONMENT = {"LOG_LEVEL": "warn", "DRAIN_DELAY_SECONDS": "0"}
REQUESTS = """\
wrk.method = "POST"
wrk.body = '{"name":"Ada"}'
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def chosen(among: list[str]) -> list[Subject]:
    """Each release image, and the same service on Debian slim."""
    return [
        subject
        for language in among
        for subject in [
            *(Subject(language, base) for base in bases(language)),
            Subject(language, bases(language)[0], "slim"),
        ]
    ]


def measure(workshop: Workshop, results: Results, options: Options) -> None:
    prepare(workshop)
    results.keep(SECTION, [subject.name for subject in chosen(languages())])
    images: dict[str, Image] = {}
    rows: dict[str, dict[str, Any]] = {}
    for subject in chosen(options.languages):
        name = subject.name
        row = results.row(SECTION, name, workshop.inputs(subject), options.again)
        if len(row.get("ready_ms", [])) >= options.repeats:
            continue
        row.pop("not_run", None)
        say(f"runtime: building {name}")
        images[name] = workshop.build(subject)
        row |= {"language": subject.language, "kind": subject.kind, "base": subject.base}
        rows[name] = row
    for number in range(options.repeats):
        for name, image in images.items():
            row = rows[name]
            if row.get("not_run") or len(row.get("ready_ms", [])) > number:
                continue
            say(f"runtime: round {number + 1}/{options.repeats}: {name}")
            try:
                figures = one(workshop, image, options.seconds)
            except LabError as error:
                row["not_run"] = str(error).splitlines()[0]
                say(f"runtime: {name} does not run here: {row['not_run']}")
            else:
                for key, value in figures.items():
                    row.setdefault(key, []).append(value)
            results.save(row)


def prepare(workshop: Workshop) -> None:
    install.packages(["wrk"])
    script(workshop).write_text(REQUESTS)


def script(workshop: Workshop) -> Path:
    return workshop.work / "requests.lua"


def one(workshop: Workshop, image: Image, seconds: int) -> dict[str, float]:
    with workshop.lab.run(image, env=ENVIRONMENT, ready=None) as container:
        ready = wait_ready(container)
        pid = container.pid
        figures: dict[str, float] = {"ready_ms": 1000 * (ready - started(pid))}
        time.sleep(IDLE_SECONDS)
        figures |= {f"idle_{key}": value for key, value in memory(pid).items()}
        load(container.url, script(workshop), 1)
        done = load(container.url, script(workshop), seconds)
        if done["failed"]:
            raise LabError(f"{done['failed']} of {done['requests']} requests failed")
        figures["requests_per_second"] = done["requests"] / done["microseconds"] * 1e6
        figures["p50_ms"], figures["p99_ms"] = done["p50"] / 1000, done["p99"] / 1000
        figures["loaded_rss"] = memory(pid)["rss"]
        return {key: round(value, 3) for key, value in figures.items()}


def wait_ready(container: Container) -> float:
    """The time since boot at which /readyz answered."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(container.url + "/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return time.clock_gettime(time.CLOCK_BOOTTIME)
        except OSError:
            time.sleep(POLL_SECONDS)
        if not container.running:
            raise LabError(f"it ended before it was ready: {container.stderr.strip()[-200:]}")
    raise LabError(f"it was not ready after {START_SECONDS} s")


def started(pid: int) -> float:
    """The time since boot at which a process was started; the kernel rounds it to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, int]:
    """Resident bytes of a process: whole (RSS), and with shared pages counted in part (PSS)."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name.lower()] = int(rest.split()[0]) * 1024
    return found


def load(url: str, script: Path, seconds: int) -> dict[str, int]:
    command = [
        "wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s",
        "--timeout=10s", f"--script={script}", f"{url}/v1/greetings",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, int] = json.loads(line.removeprefix("RESULT "))
            return result
    raise LabError(f"wrk failed (exit code {done.returncode}): {done.stderr.strip()}")
