"""docs/benchmark.md and the table of docs/choosing-a-base.md, from the figures alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .budgets import judge
from .stats import median, ratio, spread

LINK = 100_000_000  # bits a second
MARKS = ("<!-- Written by make bench. -->", "<!-- As far as here. -->")
LANGUAGES = {"go": "Go", "rust": "Rust", "java": "Java", "python": "Python", "node": "Node"}
KINDS = {
    "slim": "Debian slim",
    "toolchain": "toolchain image, one stage",
    "alpine": "Alpine",
    "artifact": "the artifact alone",
    "static-artifact": "the static artifact alone",
}
HEAD = """\
# The benchmark's figures

Written by `make bench` from [benchmark.json](benchmark.json); an edit would be lost.
[How to read and repeat it](benchmarking.md).
"""


def page(data: dict[str, Any]) -> str:
    sections = data["sections"]
    parts = [HEAD, _targets(data)]
    for name, write in (
        ("images", _images),
        ("runtime", _runtime),
        ("twins", _twins),
        ("build", _build),
        ("template", _template),
    ):
        if sections.get(name, {}).get("rows"):
            parts.append(write(data))
    return "\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns of figures are set to the right."""
    body = list(rows)
    figures = [
        bool(body) and all(re.match(r"[*≤≥ ]*[\d-]", row[at]) for row in body)
        for at in range(len(head))
    ]
    align = ["---:" if right else "---" for right in figures]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, align, *body])


def title(row: dict[str, Any]) -> str:
    language = LANGUAGES[row["language"]]
    return f"{language}, {row['base'] if row['kind'] == 'release' else KINDS[row['kind']]}"


def measured_on(section: dict[str, Any], times: bool = True) -> str:
    """When, and on what: the figures mean little without it."""
    machine = section["machine"]
    days = sorted({row["measured"] for row in section["rows"].values() if "measured" in row})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    bases = {
        "real": "on the real base images",
        "stand-ins": "on the lab's stand-ins for the base images",
    }[machine["bases"]]
    text = (
        f"Measured {when} on {machine['processor']}, {cores}, {machine['memory_gb']} GB, "
        f"{machine['system']}, {bases}."
    )
    if times and any(row.get("shared") for row in section["rows"].values()):
        text += " **Other work ran on the machine meanwhile: trust the ratios, not the times.**"
    return text + "\n"


def ordered(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Language by language; releases, the default base first, before alternatives."""
    kinds = ["release", *KINDS]
    languages = list(LANGUAGES)
    return sorted(
        rows.values(),
        key=lambda row: (
            languages.index(row["language"]), kinds.index(row["kind"]), row["base"] != "distroless",
            row["base"],
        ),
    )  # fmt: skip


def mega(size: float) -> str:
    return f"{size / 1e6:.1f}"


def timed(samples: Sequence[float], digits: int = 2) -> str:
    """A median and its spread."""
    share = f" ± {100 * spread(samples):.0f} %" if len(samples) > 1 else ""
    return f"{median(samples):.{digits}f}{share}"


def _targets(data: dict[str, Any]) -> str:
    rows = []
    for verdict in judge(data):
        unit = f" {verdict.unit}" if verdict.unit else ""
        digits = 1 if verdict.unit == "MB" else 2
        limit = f"{'≥' if verdict.least else '≤'} {verdict.limit:g}{unit}"
        state = (
            "ok" if verdict.ok else f"**over**: {verdict.cause}" if verdict.cause else "**over**"
        )
        rows.append(
            (
                f"{verdict.what}: {verdict.subject}",
                f"{verdict.value:.{digits}f}{unit}",
                limit,
                state,
            )
        )
    over = sum(not verdict.ok for verdict in judge(data))
    return f"## Targets\n\n{len(rows)} targets, {over} not reached.\n\n" + table(
        ("target", "measured", "wanted", "state"), rows
    )


def _images(data: dict[str, Any]) -> str:
    section = data["sections"]["images"]
    rows = section["rows"]
    default: dict[str, dict[str, Any]] = {}
    for row in ordered(rows):
        default.setdefault(row["language"], row)
    cells = []
    for row in ordered(rows):
        packages = row.get("packages", {})
        looked = "packages" in row
        release = default[row["language"]]
        cells.append((
            title(row), mega(row["compressed"]),
            f"{row['compressed'] / release['compressed']:.2f}",
            f"{row['compressed'] * 8 / LINK:.1f} s", mega(row["unpacked"]), str(row["files"]),
            *(str(row.get(key, "-")) for key in ("shells", "package_managers", "setuid")),
            "-" if not looked else "not scanned" if packages is None
            else str(sum(packages.values())),
        ))  # fmt: skip
    head = (
        "image", "compressed MB", "of release", "pull at 100 Mbit/s", "unpacked MB", "files",
        "shells", "package managers", "setuid, setgid", "SBOM packages",
    )  # fmt: skip
    inside = [
        (
            title(row), mega(row["base_compressed"]),
            mega(row["compressed"] - row["base_compressed"]),
            mega(row["debug_compressed"] - row["compressed"]),
            mega(row["shadowed_bytes"]), mega(row["duplicate_bytes"]),
            f"{row['largest'][0][0]} ({mega(row['largest'][0][1])})",
        )
        for row in ordered(rows) if row["kind"] == "release"
    ]  # fmt: skip
    text = (
        f"## Images\n\n{measured_on(section, times=False)}\n"
        "![Compressed sizes](benchmark/images.svg)\n\n" + table(head, cells)
        + "\nWhat the release images are made of, in MB: compressed, then unpacked.\n\n"
        + table(
            ("release image", "base", "service", "debug adds", "overwritten", "twice",
             "largest file"), inside,
        )
    )  # fmt: skip
    if not any(row["kind"] == "alpine" for row in rows.values()):
        text += "\nAlpine was not measured: its packages could not be had on this machine.\n"
    return text


def _runtime(data: dict[str, Any]) -> str:
    section = data["sections"]["runtime"]
    cells, failed = [], []
    for row in ordered(section["rows"]):
        if not row.get("ready_ms"):
            failed.append(f"{title(row)} was not run: {row.get('not_run', 'not measured')}.\n")
            continue
        cells.append((
            title(row), timed(row["ready_ms"], 0), mega(median(row["idle_rss"])),
            mega(median(row["idle_pss"])), mega(median(row["loaded_rss"])),
            timed(row["requests_per_second"], 0), timed(row["p50_ms"]), timed(row["p99_ms"]),
            str(len(row["ready_ms"])),
        ))  # fmt: skip
    head = (
        "image", "ready, ms", "idle RSS, MB", "idle PSS, MB", "RSS after load, MB", "requests/s",
        "p50, ms", "p99, ms", "rounds",
    )  # fmt: skip
    return (
        f"## Start, memory, load\n\n{measured_on(section)}\n"
        "![Time to ready and idle memory](benchmark/runtime.svg)\n\n"
        + table(head, cells)
        + "".join(f"\n{line}" for line in failed)
    )


def _twins(data: dict[str, Any]) -> str:
    section = data["sections"]["twins"]
    rows = sorted(section["rows"].values(), key=lambda row: list(LANGUAGES).index(row["language"]))
    cells = []
    for row in rows:
        cpu, ready, memory = row["twin_cpu"], row["twin_ready_ms"], row["twin_idle_rss"]
        cells.append((
            LANGUAGES[row["language"]], timed(cpu, 0),
            f"{ratio(row['quiet_cpu'], cpu):.2f}", f"{ratio(row['logged_cpu'], cpu):.2f}",
            timed(ready, 0), f"{ratio(row['quiet_ready_ms'], ready):.2f}",
            mega(median(memory)), f"{ratio(row['quiet_idle_rss'], memory):.2f}", str(len(cpu)),
        ))  # fmt: skip
    head = (
        "bare framework", "processor a request, µs", "service", "service, with a line", "ready, ms",
        "service", "idle RSS, MB", "service", "rounds",
    )  # fmt: skip
    return (
        f"## Beside the bare framework\n\n{measured_on(section)}\n"
        "The figures are of the twin; the service's are times as much.\n\n" + table(head, cells)
    )


def _build(data: dict[str, Any]) -> str:
    section = data["sections"]["build"]
    order = list(LANGUAGES)
    cells = []
    for row in sorted(
        section["rows"].values(), key=lambda r: (order.index(r["language"]), r["builder"])
    ):
        if not row.get("cold"):
            continue
        steps = ("line", "dependency", "debug")
        cells.append((
            f"{LANGUAGES[row['language']]}, {row['builder']}", timed(row["cold"], 1),
            *(timed(row[step], 1) for step in steps),
            *(f"{ratio(row[step], row['cold']):.2f}" for step in steps), str(len(row["cold"])),
        ))  # fmt: skip
    head = (
        "build", "cold, s", "changed line, s", "added dependency, s", "debug twin, s",
        "line, of cold", "dependency, of cold", "twin, of cold", "rounds",
    )  # fmt: skip
    text = (
        f"## Builds\n\n{measured_on(section)}\n"
        "![Build times as shares of the cold build](benchmark/build.svg)\n\n" + table(head, cells)
    )
    if not any(row["builder"].startswith("kaniko") for row in section["rows"].values()):
        text += "\nKaniko was not measured: there was no executor on this machine.\n"
    return text


def _template(data: dict[str, Any]) -> str:
    section = data["sections"]["template"]
    rows = section["rows"]
    text = f"## Template\n\n{measured_on(section)}"
    copies = [row for name, row in rows.items() if name.startswith("copy/") and row["copy"]]
    if copies:
        cells = [
            (
                LANGUAGES.get(row["language"], "an empty template"), str(row["files"]),
                str(row["compiles"]), timed(row["copy"]),
                f"{ratio(row['copy'], row['empty']):.2f}",
                timed(row["update"]), f"{ratio(row['update'], row['copy']):.2f}",
                timed(row["copy_wall"]), timed(row["update_wall"]),
                str(len(row["copy"])),
            )
            for row in sorted(copies, key=lambda r: ["empty", *LANGUAGES].index(r["language"]))
        ]  # fmt: skip
        text += "\n![copier copy and update](benchmark/template.svg)\n\n" + table(
            ("service", "files", "Jinja compiles", "copy, CPU s", "of empty", "update, CPU s",
             "of own copy", "copy by the clock, s", "update by the clock, s", "rounds"), cells,
        )  # fmt: skip
    checked = [
        row for name, row in rows.items() if name.startswith("conformance/") and row.get("image")
    ]
    if checked:
        text += "\n" + table(
            ("conformance", "repository, CPU s", "image, CPU s", "image, MB"),
            [
                (
                    LANGUAGES[row["language"]],
                    timed(row["repo"]),
                    timed(row["image"]),
                    mega(row["image_bytes"]),
                )
                for row in sorted(checked, key=lambda r: list(LANGUAGES).index(r["language"]))
            ],
        )
    tiers = [row for name, row in rows.items() if name.startswith("suite/")]
    if tiers:
        text += "\n" + table(
            ("test tier", "directory", "tests", "seconds of all tests"),
            [(row["tier"], f"tests/{row['directory']}", str(row["tests"]), f"{row['seconds']:.0f}")
             for row in sorted(tiers, key=lambda r: (r["tier"], r["directory"]))],
        )  # fmt: skip
    return text


def bases_table(data: dict[str, Any]) -> str:
    """The sizes that docs/choosing-a-base.md shows."""
    section = data["sections"].get("images", {"rows": {}})
    rows = section["rows"]
    cells = []
    for row in ordered(rows):
        if row["kind"] == "release":
            others = [
                mega(other["compressed"])
                if (other := rows.get(f"{row['language']}/{kind}"))
                else "-"
                for kind in ("slim", "toolchain")
            ]
            cells.append((
                title(row), mega(row["base_compressed"]), f"**{mega(row['compressed'])}**", *others
            ))  # fmt: skip
    text = table(
        ("release image", "the base alone", "with the service", "on Debian slim",
         "on the toolchain image"), cells,
    )  # fmt: skip
    return text + (f"\n{measured_on(section, times=False)}" if rows else "")


def size_bars(data: dict[str, Any]) -> str:
    """The sizes that README.md shows, as bars: each language's default base, and Debian slim."""
    rows = data["sections"].get("images", {"rows": {}})["rows"]
    shown = [
        row
        for row in ordered(rows)
        if row["kind"] == "slim" or (row["kind"] == "release" and row["base"] == "distroless")
    ]
    if not shown:
        return ""
    names = ", ".join(f'"{title(row)}"' for row in shown)
    sizes = ", ".join(mega(row["compressed"]) for row in shown)
    return (
        "```mermaid\nxychart-beta horizontal\n"
        f'    x-axis [{names}]\n    y-axis "MB, compressed"\n    bar [{sizes}]\n```\n'
    )


def fill(text: str, content: str) -> str:
    """Put a table between the marks of a page that people write."""
    start, end = MARKS
    pattern = f"{re.escape(start)}.*?{re.escape(end)}"
    filled, count = re.subn(
        pattern, lambda _: f"{start}\n\n{content}\n{end}", text, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"want one {start} … {end}, found {count}")
    return filled


def write(data: dict[str, Any], docs: Path) -> None:
    """Write the pages; in the order of the file, not in that of the measuring."""
    data = json.loads(json.dumps(data, sort_keys=True))
    (docs / "benchmark.md").write_text(page(data), encoding="utf-8")
    choosing = docs / "choosing-a-base.md"
    if choosing.exists():
        text = fill(choosing.read_text(encoding="utf-8"), bases_table(data))
        choosing.write_text(text, encoding="utf-8")
    readme = docs.parent / "README.md"
    if readme.exists() and MARKS[0] in readme.read_text(encoding="utf-8"):
        text = fill(readme.read_text(encoding="utf-8"), size_bars(data))
        readme.write_text(text, encoding="utf-8")
