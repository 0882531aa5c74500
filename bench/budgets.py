"""What the figures must reach: each target judged by the figures that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .stats import median, ratio

# Compressed, with the service.
MEGABYTES = {"go": 12, "rust": 15, "java": 80, "python": 40, "node": 65}
COMPILED = ("go", "rust")
FLOOR = 1.1
TOOLCHAIN = 3
SLIM = 0.8
LINE = 1 / 5
TWIN = 1 / 10
COPY = 1.9
UPDATE = 2.6
REPO_SECONDS = 0.5
IMAGE_SECONDS = 2
# What a service may cost beside its bare framework.
TWINS = {
    "processor a request, no line logged": ("quiet_cpu", "twin_cpu", 1.25),
    "processor a request, one line logged": ("logged_cpu", "twin_cpu", 1.5),
    "start": ("quiet_ready_ms", "twin_ready_ms", 1.25),
    "idle memory": ("quiet_idle_rss", "twin_idle_rss", 1.3),
}
# Where a service costs more, and it is known what of.
CAUSES = {
    "processor a request, no line logged": {
        "go": "net/http renews the deadlines of each request (2 µs); middleware 0.6 µs",
        "rust": "the span is 0.5 µs; no other layer alone is more",
        "java": "not taken apart",
        "node": "the hooks 1.7 µs, the histogram 0.8 µs; options that the twin does without",
    },
    "processor a request, one line logged": {
        "go": "a line is 2 µs, and its write to the engine's pipe some 15 µs",
        "rust": "a line is 2 µs, before it is written to the engine's pipe",
        "java": "not taken apart",
        "node": "a line is 6 µs, before it is written to the engine's pipe",
    },
    "start": {
        "go": "not taken apart; the code that runs before main takes 2 ms",
        "java": "not taken apart; the twin loads no Actuator, metrics or validation",
        "node": "not taken apart; the twin loads no prom-client, which takes 12 ms",
    },
    "idle memory": {"go": "client_golang and its registry: 3 MB, of 6 MB bare"},
}


@dataclass(frozen=True)
class Verdict:
    """A target, what was measured, and why it is over if that is known."""

    what: str
    subject: str
    value: float
    limit: float
    unit: str = ""
    least: bool = False
    cause: str = ""

    @property
    def ok(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit


def judge(data: dict[str, Any]) -> list[Verdict]:
    sections = data["sections"]
    rows = {name: section["rows"] for name, section in sections.items()}
    return [
        *_images(rows.get("images", {})),
        *_build(rows.get("build", {})),
        *_twins(rows.get("twins", {})),
        *_template(rows.get("template", {})),
    ]


def _images(rows: dict[str, Any]) -> Iterator[Verdict]:
    for name, row in rows.items():
        if row["kind"] != "release":
            continue
        language, size = row["language"], row["compressed"]
        cause = cause_of(row)
        yield Verdict(
            "release image, compressed", name, size / 1e6, MEGABYTES[language], "MB", cause=cause
        )
        others = {
            kind: rows.get(f"{language}/{kind}") for kind in ("artifact", "slim", "toolchain")
        }
        if language == "rust" and row["base"] != "distroless":
            others["artifact"] = rows.get("rust/static-artifact")
        if language in COMPILED and (artifact := others["artifact"]):
            floor = artifact["compressed"] + row["base_compressed"]
            yield Verdict("release, of artifact and base", name, size / floor, FLOOR, cause=cause)
        if language not in COMPILED and (toolchain := others["toolchain"]):
            times = toolchain["compressed"] / size
            yield Verdict(
                "toolchain image, of release", name, times, TOOLCHAIN, least=True, cause=cause
            )
        if slim := others["slim"]:
            share = size / slim["compressed"]
            yield Verdict("release, of Debian slim", name, share, SLIM, cause=cause)


def cause_of(row: dict[str, Any]) -> str:
    """What a release image carries that it may not need."""
    base = row["base_compressed"]
    causes = [f"the base alone is {base / 1e6:.1f} of {row['compressed'] / 1e6:.1f} MB"]
    if row["with_symbols"]:
        causes.append("symbols in " + ", ".join(row["with_symbols"][:3]))
    for key, what in (
        ("shadowed_bytes", "overwritten by a later layer"),
        ("duplicate_bytes", "twice"),
    ):
        if row[key] > 500_000:
            causes.append(f"{row[key] / 1e6:.1f} MB {what}")
    path, size = row["largest"][0]
    causes.append(f"largest file {path} ({size / 1e6:.1f} MB)")
    return "; ".join(causes)


def _build(rows: dict[str, Any]) -> Iterator[Verdict]:
    for name, row in rows.items():
        if row.get("cold"):
            yield Verdict(
                "build after a changed line, of cold", name, ratio(row["line"], row["cold"]), LINE
            )
            yield Verdict("debug twin, of cold", name, ratio(row["debug"], row["cold"]), TWIN)


def _twins(rows: dict[str, Any]) -> Iterator[Verdict]:
    for name, row in rows.items():
        for what, (service, twin, limit) in TWINS.items():
            if row.get(twin):
                yield Verdict(
                    f"{what}, of the bare framework",
                    name,
                    ratio(row[service], row[twin]),
                    limit,
                    cause=CAUSES[what].get(name, ""),
                )


def _template(rows: dict[str, Any]) -> Iterator[Verdict]:
    for name, row in rows.items():
        kind, _, subject = name.partition("/")
        if kind == "copy" and subject != "empty" and row["copy"]:
            yield Verdict(
                "copier copy, of an empty template",
                subject,
                ratio(row["copy"], row["empty"]),
                COPY,
            )
            yield Verdict(
                "copier update, of the own copy", subject, ratio(row["update"], row["copy"]), UPDATE
            )
        if kind == "conformance" and row.get("image"):
            yield Verdict(
                "conformance of the repository", subject, median(row["repo"]), REPO_SECONDS, "s"
            )
            yield Verdict(
                "conformance of the image", subject, median(row["image"]), IMAGE_SECONDS, "s"
            )
