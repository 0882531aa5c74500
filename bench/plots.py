"""The figures as SVG: the same bytes from the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .report import LANGUAGES, ordered, title
from .stats import median, ratio

STYLE: Any = {
    "svg.hashsalt": "copier-service",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OURS, OTHERS, FLOOR, LIMIT = "#2f6f9f", "#c9ced4", "#8fb98f", "#b0413e"
COLOURS = {"release": OURS, "artifact": FLOOR, "static-artifact": FLOOR}


def draw(data: dict[str, Any], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, plot in (
        ("images", _images),
        ("runtime", _runtime),
        ("build", _build),
        ("template", _template),
    ):
        rows = data["sections"].get(name, {}).get("rows", {})
        figure = Figure(figsize=(8, 3), facecolor="white", layout="constrained")
        with mpl.rc_context(STYLE):
            if plot(figure, rows):
                figure.savefig(
                    directory / f"{name}.svg",
                    format="svg",
                    metadata={"Date": None, "Creator": None},
                )


def _bars(
    axes: Axes,
    labels: list[str],
    values: list[float],
    colours: list[str],
    what: str,
    digits: int = 1,
) -> None:
    places = range(len(labels))
    bars = axes.barh(places, values, color=colours)
    axes.bar_label(bars, [f"{value:.{digits}f}" for value in values], padding=3)
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title(what, loc="left", fontsize=10)


def _images(figure: Figure, rows: dict[str, Any]) -> bool:
    """Compressed sizes, on a logarithmic scale: they differ by a factor of a hundred."""
    shown = ordered(rows)
    if not shown:
        return False
    figure.set_size_inches(8, 0.8 + 0.24 * len(shown))
    axes = figure.add_subplot()
    _bars(
        axes, [title(row) for row in shown], [row["compressed"] / 1e6 for row in shown],
        [COLOURS.get(row["kind"], OTHERS) for row in shown], "Compressed, MB (logarithmic)",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(left=1)
    axes.xaxis.set_major_formatter("{x:g}")
    return True


def _runtime(figure: Figure, rows: dict[str, Any]) -> bool:
    shown = [row for row in ordered(rows) if row.get("ready_ms")]
    if not shown:
        return False
    figure.set_size_inches(9, 0.8 + 0.26 * len(shown))
    left, right = figure.subplots(1, 2, sharey=True)
    labels = [title(row) for row in shown]
    colours = [COLOURS.get(row["kind"], OTHERS) for row in shown]
    _bars(
        left, labels, [median(row["ready_ms"]) for row in shown], colours, "Start to ready, ms", 0
    )
    right.barh(range(len(shown)), [0] * len(shown))
    bars = right.barh(
        range(len(shown)), [median(row["idle_rss"]) / 1e6 for row in shown], color=colours
    )
    right.bar_label(bars, [f"{median(row['idle_rss']) / 1e6:.1f}" for row in shown], padding=3)
    right.margins(x=0.15)
    right.set_title("Idle memory (RSS), MB", loc="left", fontsize=10)
    return True


def _build(figure: Figure, rows: dict[str, Any]) -> bool:
    order = list(LANGUAGES)
    shown = sorted(
        (row for row in rows.values() if row.get("cold")),
        key=lambda row: (order.index(row["language"]), row["builder"]),
    )
    if not shown:
        return False
    figure.set_size_inches(9, 0.9 + 0.3 * len(shown))
    axes = figure.subplots(1, 3, sharey=True)
    labels = [f"{LANGUAGES[row['language']]}, {row['builder']}" for row in shown]
    for one, step, what, limit in zip(
        axes, ("line", "debug", "dependency"),
        ("Changed line, of cold", "Debug twin, of cold", "Added dependency, of cold"),
        (1 / 5, 1 / 10, None), strict=True,
    ):  # fmt: skip
        values = [ratio(row[step], row["cold"]) for row in shown]
        bars = one.barh(range(len(shown)), values, color=OURS)
        one.bar_label(bars, [f"{value:.2f}" for value in values], padding=3)
        one.set_title(what, loc="left", fontsize=10)
        one.margins(x=0.2)
        if limit:
            one.axvline(limit, color=LIMIT, linewidth=1)
    axes[0].set_yticks(range(len(shown)), labels)
    axes[0].invert_yaxis()
    return True


def _template(figure: Figure, rows: dict[str, Any]) -> bool:
    shown = [row for language in LANGUAGES if (row := rows.get(f"copy/{language}"))]
    if not shown:
        return False
    figure.set_size_inches(8, 0.9 + 0.3 * len(shown))
    axes = figure.subplots(1, 2, sharey=True)
    for one, values, what, limit in (
        (
            axes[0],
            [ratio(row["copy"], row["empty"]) for row in shown],
            "copy, of an empty template",
            1.9,
        ),
        (
            axes[1],
            [ratio(row["update"], row["copy"]) for row in shown],
            "update, of the own copy",
            2.6,
        ),
    ):
        bars = one.barh(range(len(shown)), values, color=OURS)
        one.bar_label(bars, [f"{value:.2f}" for value in values], padding=3)
        one.set_title(what, loc="left", fontsize=10)
        one.margins(x=0.15)
        one.axvline(limit, color=LIMIT, linewidth=1)
    axes[0].set_yticks(range(len(shown)), [LANGUAGES[row["language"]] for row in shown])
    axes[0].invert_yaxis()
    return True
