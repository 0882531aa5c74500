"""python -m bench: measure, then write the page and the plots."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from lab import Lab, LabError  # noqa: E402

from . import build, images, plots, report, runtime, template, twin  # noqa: E402
from .budgets import judge  # noqa: E402
from .results import Results, machine  # noqa: E402
from .run import Options, say  # noqa: E402
from .subjects import Workshop, languages  # noqa: E402

SECTIONS = {
    "images": images.measure,
    "template": template.measure,
    "runtime": runtime.measure,
    "twins": twin.measure,
    "build": build.measure,
}
DOCS = ROOT / "docs"


def names(offered: Sequence[str], what: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        found = [name for name in text.replace(",", " ").split() if name]
        wrong = [name for name in found if name not in offered]
        if wrong:
            raise argparse.ArgumentTypeError(
                f"no {what} {', '.join(wrong)}; there are: {', '.join(offered)}"
            )
        return [name for name in offered if name in found] if found else list(offered)

    return parse


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'got "{text}", want a number of at least 1')
    return int(text)


def test_run(name: str) -> ElementTree.Element:
    try:
        return ElementTree.parse(name).getroot()
    except (OSError, ElementTree.ParseError) as problem:
        raise argparse.ArgumentTypeError(
            f"got {name!r}, want the XML of pytest --junit-xml: {problem}"
        ) from problem


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    offered = languages()
    parser.add_argument(
        "--only", type=names(list(SECTIONS), "section"), default=list(SECTIONS), metavar="SECTION,…"
    )
    parser.add_argument(
        "--languages", type=names(offered, "language"), default=offered, metavar="LANGUAGE,…"
    )
    parser.add_argument("--repeats", type=positive, default=5, help="rounds of what is timed")
    parser.add_argument(
        "--seconds", type=positive, default=10, help="length of the load of a round"
    )
    parser.add_argument("--again", action="store_true", help="measure what is known already, too")
    parser.add_argument(
        "--suite", nargs="+", type=test_run, default=[], metavar="FILE",
        help="the XML of pytest --junit-xml",
    )  # fmt: skip
    parser.add_argument(
        "--docs", type=Path, default=DOCS, help="where the figures and pages go, and are known from"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page")
    return parser.parse_args(arguments)


def main() -> int:
    chosen = parse()
    results = Results(chosen.docs / "benchmark.json")
    if not chosen.report:
        load = os.getloadavg()[0]
        options = Options(
            chosen.languages, chosen.repeats, chosen.seconds, chosen.again, chosen.suite
        )
        try:
            with Lab() as lab:
                work = Path(tempfile.mkdtemp(prefix="bench-", dir=lab.work))
                workshop = Workshop(lab, work)
                here = machine(workshop.bases)
                for section in chosen.only:
                    results.begin(section, here, load)
                    SECTIONS[section](workshop, results, options)
                    results.save()
                shutil.rmtree(work)
        except KeyboardInterrupt:
            print("bench: stopped; the same command goes on from here", file=sys.stderr)
            return 130
        except LabError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        finally:
            results.save()
    report.write(results.data, chosen.docs)
    plots.draw(results.data, chosen.docs / "benchmark")
    for verdict in judge(results.data):
        state = "ok  " if verdict.ok else "over"
        sign = "≥" if verdict.least else "≤"
        cause = f"  {verdict.cause}" if verdict.cause and not verdict.ok else ""
        say(
            f"{state} {verdict.what}: {verdict.subject}: {verdict.value:.2f} {verdict.unit} "
            f"(want {sign} {verdict.limit:g}){cause}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
