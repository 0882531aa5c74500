"""The benchmark's own parts, without a measurement: no test depends on a time or a size."""

from __future__ import annotations

import copy
import difflib
import json
import math
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from bench import build, images, plots, report, stats, subjects, template, twin
from bench.__main__ import parse
from bench.budgets import Verdict, judge
from bench.results import Results, tree_digest
from lab import Image, LabError
from lab.oci import Tree, write_image
from rendering import ROOT, Render

DOCS = ROOT / "docs"
SAMPLE: dict[str, Any] = json.loads(Path(__file__).with_name("sample.json").read_text())
HERE = {"cores": 2, "processor": "A processor", "bases": "stand-ins"}


@pytest.fixture
def data() -> dict[str, Any]:
    return copy.deepcopy(SAMPLE)


# Statistics


def test_a_ratio_is_of_rounds() -> None:
    """A round in which everything took ten times as long changes nothing."""
    assert stats.ratio([2, 20, 2.2], [10, 100, 11]) == pytest.approx(0.2)
    assert stats.ratio([2, 20, 2], [10, 10, 10]) == pytest.approx(0.2)
    assert math.isnan(stats.ratio([], []))


def test_spread_is_relative() -> None:
    assert stats.spread([10, 10, 10]) == 0
    assert stats.spread([5]) == 0
    assert stats.spread([8, 9, 10, 11, 12]) == pytest.approx(0.1)


# What is kept between runs


def filled(path: Path) -> Results:
    results = Results(path)
    results.begin("images", HERE, 0)
    for name in ("go/distroless", "go/slim"):
        row = results.row("images", name, "one")
        row["compressed"] = 1
        results.save(row)
    return Results(path)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    results = filled(tmp_path / "benchmark.json")
    results.begin("images", HERE, 0)
    assert results.row("images", "go/slim", "one")["compressed"] == 1
    assert results.row("images", "go/slim", "two") == {"inputs": "two"}
    assert results.row("images", "go/distroless", "one", again=True) == {"inputs": "one"}


def test_what_was_begun_and_not_measured_is_no_figure(tmp_path: Path) -> None:
    results = filled(tmp_path / "benchmark.json")
    results.begin("images", HERE, 0)
    results.row("images", "go/scratch", "one")
    results.save()
    assert sorted(Results(results.path).rows("images")) == ["go/distroless", "go/slim"]


def test_a_run_leaves_other_sections_alone(tmp_path: Path) -> None:
    results = filled(tmp_path / "benchmark.json")
    before = copy.deepcopy(results.sections["images"])
    results.begin("build", HERE, 0)
    results.save(results.row("build", "go/buildkit", "one"))
    assert Results(results.path).sections["images"] == before


def test_times_of_two_machines_do_not_mix(tmp_path: Path) -> None:
    results = filled(tmp_path / "benchmark.json")
    results.begin("images", HERE | {"cores": 64}, 0)
    assert results.rows("images") == {}


@pytest.mark.parametrize(("load", "shared"), [(0.1, False), (3.0, True)])
def test_a_busy_machine_is_noted(tmp_path: Path, load: float, shared: bool) -> None:
    results = Results(tmp_path / "benchmark.json")
    results.begin("runtime", HERE, load)
    row = results.row("runtime", "go/distroless", "one")
    results.save(row)
    assert row["shared"] is shared


def test_inputs_change_with_the_service(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text("package main\n")
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci/engine.sh").write_text("#!/bin/sh\n")
    before = tree_digest(tmp_path, subjects.NOT_BUILT)
    (tmp_path / "ci/engine.sh").write_text("#!/bin/bash\n")
    assert tree_digest(tmp_path, subjects.NOT_BUILT) == before
    (tmp_path / "main.go").write_text("package other\n")
    assert tree_digest(tmp_path, subjects.NOT_BUILT) != before


# Targets


def over(data: dict[str, Any]) -> list[str]:
    beside = ", of the bare framework"
    return [verdict.what.removesuffix(beside) for verdict in judge(data) if not verdict.ok]


def test_the_sample_reaches_every_target(data: dict[str, Any]) -> None:
    assert over(data) == []
    assert len(judge(data)) == 13


def test_either_side_of_a_limit() -> None:
    assert Verdict("", "", 3, 3).ok
    assert not Verdict("", "", 3.01, 3).ok
    assert Verdict("", "", 3, 3, least=True).ok
    assert not Verdict("", "", 2.99, 3, least=True).ok


@pytest.mark.parametrize(
    ("section", "row", "key", "value", "target"),
    [
        ("images", "go/distroless", "compressed", 12_100_000, "release image, compressed"),
        ("images", "go/artifact", "compressed", 4_000_000, "release, of artifact and base"),
        ("images", "go/slim", "compressed", 7_000_000, "release, of Debian slim"),
        ("twins", "go", "quiet_cpu", [39, 78, 41], "processor a request, no line logged"),
        ("twins", "go", "logged_cpu", [46, 92, 49], "processor a request, one line logged"),
        ("twins", "go", "quiet_ready_ms", [13, 26, 13], "start"),
        ("twins", "go", "quiet_idle_rss", [11_000_000], "idle memory"),
        ("build", "go/buildkit", "line", [9, 18, 9], "build after a changed line, of cold"),
        ("build", "go/buildkit", "debug", [5, 10, 5], "debug twin, of cold"),
        ("template", "copy/go", "copy", [2, 4, 2], "copier copy, of an empty template"),
        ("template", "copy/go", "update", [5, 10, 5], "copier update, of the own copy"),
        ("template", "conformance/go", "repo", [0.6], "conformance of the repository"),
        ("template", "conformance/go", "image", [2.1], "conformance of the image"),
    ],
)  # fmt: skip
def test_a_figure_over_its_target_is_found(
    data: dict[str, Any], section: str, row: str, key: str, value: Any, target: str
) -> None:
    data["sections"][section]["rows"][row][key] = value
    assert target in over(data)
    assert "**over**" in report.page(data)


def test_an_interpreted_language_is_held_against_its_toolchain(data: dict[str, Any]) -> None:
    rows = data["sections"]["images"]["rows"]
    for name in list(rows):
        rows[name.replace("go/", "python/")] = rows.pop(name) | {"language": "python"}
    rows["python/toolchain"] = rows["python/slim"] | {"kind": "toolchain", "compressed": 19_000_000}
    assert over(data) == ["toolchain image, of release"]


def test_a_cause_is_named(data: dict[str, Any]) -> None:
    row = data["sections"]["images"]["rows"]["go/distroless"]
    row |= {"compressed": 20_000_000, "with_symbols": ["/app/payments"], "shadowed_bytes": 900_000}
    cause = next(verdict.cause for verdict in judge(data) if not verdict.ok)
    assert cause == (
        "the base alone is 1.0 of 20.0 MB; symbols in /app/payments; "
        "0.9 MB overwritten by a later layer; "
        "largest file /app/payments (12.0 MB)"
    )


# Pages and plots


def tables(text: str) -> list[list[list[str]]]:
    """Every table of a page, as rows of cells, read by a Markdown parser."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level >= 4:
            found[-1][-1].append(token.content)
    return found


def test_the_page_has_the_figures(data: dict[str, Any]) -> None:
    targets, sizes, inside, running, *others = tables(report.page(data))
    beside, builds, copies, checks, tiers = others
    assert ["release image, compressed: go/distroless", "6.5 MB", "≤ 12 MB", "ok"] in targets
    assert sizes[1] == ["Go, distroless", "6.5", "1.00", "0.5 s", "14.0", "12", "0", "0", "0", "23"]
    assert sizes[2][:3] == ["Go, Debian slim", "35.0", "5.38"]
    assert sizes[2][-1] == "not scanned"
    assert inside[1][:4] == ["Go, distroless", "1.0", "5.5", "1.0"]
    assert running[1][0:3] == ["Go, distroless", "12 ± 21 %", "9.1"]
    assert beside[1] == [
        "Go", "32 ± 23 %", "1.20", "1.40", "10 ± 25 %", "1.20", "8.0", "1.25", "3"
    ]  # fmt: skip
    assert builds[1][5:] == ["0.10", "0.50", "0.03", "3"]
    assert copies[1][0] == "an empty template"
    assert copies[2][3:7] == ["1.50 ± 25 %", "1.50", "3.00 ± 25 %", "2.00"]
    assert checks[1] == ["Go", "0.31 ± 2 %", "0.50 ± 5 %", "6.5"]
    assert tiers[1] == ["fast", "tests/scaffold", "300", "812"]


def test_the_page_says_what_was_not_measured(data: dict[str, Any]) -> None:
    page = report.page(data)
    assert "Alpine was not measured" in page
    assert "Kaniko was not measured" in page
    assert "Go, Debian slim was not run: it ended before it was ready." in page


def test_the_page_says_when_and_on_what(data: dict[str, Any]) -> None:
    page = report.page(data)
    assert "Measured 2026-01-02 to 2026-01-03 on A processor, 2 cores" in page
    assert page.count("Other work ran on the machine") == 1


def test_the_page_of_no_figures_is_whole() -> None:
    assert tables(report.page({"sections": {}})) == [[["target", "measured", "wanted", "state"]]]


def test_a_table_goes_between_the_marks(data: dict[str, Any]) -> None:
    start, end = report.MARKS
    filled = report.fill(f"Before.\n\n{start}old{end}\n\nAfter.\n", report.bases_table(data))
    assert filled.startswith(f"Before.\n\n{start}")
    assert filled.endswith(f"{end}\n\nAfter.\n")
    assert tables(filled)[0][1] == ["Go, distroless", "1.0", "**6.5**", "35.0", "-"]
    with pytest.raises(ValueError, match="found 0"):
        report.fill("No marks.", "")


def words(svg: Path) -> list[str]:
    """Every text of a drawing."""
    root = ElementTree.parse(svg).getroot()
    return ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]


def test_plots_show_the_figures_and_are_the_same_each_time(
    data: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        plots.draw(data, tmp_path / name)
    drawn = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert drawn == ["build.svg", "images.svg", "runtime.svg", "template.svg"]
    for name in drawn:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert {"Go, distroless", "6.5", "35.0", "5.4"} <= set(words(tmp_path / "one/images.svg"))
    assert {"0.10", "0.03", "0.50"} <= set(words(tmp_path / "one/build.svg"))
    assert {"1.50", "2.00"} <= set(words(tmp_path / "one/template.svg"))


# What is committed


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return Results(DOCS / "benchmark.json").data


def agree(found: str, wanted: str, name: str) -> None:
    difference = difflib.unified_diff(
        found.splitlines(), wanted.splitlines(), name, "from the JSON"
    )
    assert found == wanted, "run: make bench REPORT=1\n" + "\n".join(difference)


def test_committed_pages_are_of_the_committed_figures(committed: dict[str, Any]) -> None:
    agree((DOCS / "benchmark.md").read_text(), report.page(committed), "docs/benchmark.md")
    choosing = (DOCS / "choosing-a-base.md").read_text()
    wanted = report.fill(choosing, report.bases_table(committed))
    agree(choosing, wanted, "docs/choosing-a-base.md")
    readme = (ROOT / "README.md").read_text()
    agree(readme, report.fill(readme, report.size_bars(committed)), "README.md")


def test_the_bars_are_written_into_the_readme(committed: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(["# a", *report.MARKS, "b\n"]))
    report.write(committed, tmp_path / "docs")
    size = committed["sections"]["images"]["rows"]["go/distroless"]["compressed"]
    assert '"Go, distroless", "Go, Debian slim", ' in readme.read_text()
    assert f"bar [{size / 1e6:.1f}, " in readme.read_text()
    readme.write_text("# a page without the marks\n")
    report.write(committed, tmp_path / "docs")
    assert readme.read_text() == "# a page without the marks\n"


def test_the_order_of_measuring_does_not_show(committed: dict[str, Any], tmp_path: Path) -> None:
    other = copy.deepcopy(committed)
    rows = other["sections"]["build"]["rows"]
    other["sections"]["build"]["rows"] = dict(reversed(rows.items()))
    assert report.page(other) != report.page(committed)
    report.write(other, tmp_path)
    agree((tmp_path / "benchmark.md").read_text(), report.page(committed), "docs/benchmark.md")


def test_committed_plots_are_of_the_committed_figures(
    committed: dict[str, Any], tmp_path: Path
) -> None:
    plots.draw(committed, tmp_path)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(path.name for path in (DOCS / "benchmark").glob("*"))
    for name in drawn:
        assert words(DOCS / "benchmark" / name) == words(tmp_path / name), name


def test_a_page_that_does_not_agree_is_found(committed: dict[str, Any]) -> None:
    page = report.page(committed)
    with pytest.raises(AssertionError, match="make bench REPORT=1"):
        agree(page.replace("targets", "goals"), page, "docs/benchmark.md")


def test_the_pages_name_every_base_that_is_offered() -> None:
    rows = tables((DOCS / "choosing-a-base.md").read_text())
    described = {row[0].split("`")[1] for row in rows[2][1:]}
    offered = {base for language in subjects.languages() for base in subjects.bases(language)}
    assert offered <= described


# What is measured


STATUS = b"Package: tzdata\nVersion: 2026f-0\nArchitecture: all\nMaintainer: Debian\n"


def small_image(tmp_path: Path, more: dict[str, bytes] | None = None) -> Image:
    """Two layers: a file that the second replaces, the same bytes under two names."""
    blobs = tmp_path / "blobs/sha256"
    layers = []
    for content in (
        {"app/a": b"a" * 20_000, "app/b": b"b" * 20_000, "app/c": b"b" * 20_000},
        {"app/a": b"c" * 30_000, **(more or {})},
    ):
        with Tree() as tree:
            for path, data in content.items():
                tree.file(path, data)
            layers.append((tree.write(blobs), "test"))
    digest = write_image(blobs, layers, {}, {}, "amd64")
    archive = tmp_path / "image.tar"
    (tmp_path / "index.json").write_bytes((blobs / digest.removeprefix("sha256:")).read_bytes())
    with tarfile.open(archive, "w") as tar:
        for name in ("index.json", "blobs"):
            tar.add(tmp_path / name, arcname=name)
    return Image(archive, load=lambda _: "")


def test_contents_of_an_image(tmp_path: Path) -> None:
    image = small_image(tmp_path)
    found = images.contents(image)
    assert found["files"] == 3
    assert found["unpacked"] == 90_000
    assert found["shadowed_bytes"] == 30_000
    assert found["duplicate_bytes"] == 20_000
    assert found["largest"][0] == ("/app/a", 30_000)
    assert found["layers"] == images.compressed(image)
    # gzip at the same level in the lab, so the sizes are the registry's but for the header.
    assert found["compressed"] == pytest.approx(image.size, abs=40)


def test_packages_are_found_below_directories_without_an_entry(tmp_path: Path) -> None:
    image = small_image(tmp_path, {"var/lib/dpkg/status.d/tzdata": STATUS})
    assert images.packages(image) == {"deb": 1}


def elf(section_type: int, name: bytes) -> bytes:
    """The least of a 64-bit ELF file: a header, two sections, their names."""
    names = b"\0" + name + b"\0"
    at = 64 + 2 * 64
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", header, 40, 64)
    struct.pack_into("<HHH", header, 58, 64, 2, 1)
    one = struct.pack("<IIQQQQ", 1, section_type, 0, 0, 0, 0).ljust(64, b"\0")
    two = struct.pack("<IIQQQQ", 0, 3, 0, 0, at, len(names)).ljust(64, b"\0")
    return bytes(header) + one + two + names


def test_symbols_are_seen() -> None:
    assert images.has_symbols(elf(2, b".symtab"))
    assert images.has_symbols(elf(1, b".debug_info"))
    assert not images.has_symbols(elf(1, b".text"))
    assert not images.has_symbols(b"#!/bin/sh\n")


@pytest.mark.parametrize("language", subjects.languages())
def test_one_line_is_changed(language: str, scaffold: Render) -> None:
    service = scaffold(language=language)
    before = {path: path.read_bytes() for path in service.rglob("*") if path.is_file()}
    build.change_line(service, language)
    changed = [path for path, data in before.items() if path.read_bytes() != data]
    assert len(changed) == 1
    pairs = zip(before[changed[0]].splitlines(), changed[0].read_bytes().splitlines(), strict=True)
    assert sum(old != new for old, new in pairs) == 1


@pytest.mark.parametrize("language", subjects.languages())
def test_a_twin_is_the_entry_point_of_the_service(
    language: str, render: Render, tmp_path: Path
) -> None:
    service = render(language=language)
    place = tmp_path / "payments"
    twin.overlay(service, language, place)
    own = twin.TWINS / language
    files = [path.relative_to(own) for path in own.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert (service / path).exists(), path
        assert (place / path).read_bytes() == (own / path).read_bytes()


def test_a_service_is_warm_when_a_request_gets_no_cheaper() -> None:
    assert twin.warm_cost(iter([900.0, 400.0, 200.0, 196.0, 100.0]).__next__) == 196
    assert twin.warm_cost(iter([20.0, 21.0]).__next__) == 21


def test_a_dependency_is_taken_out_whole() -> None:
    one = "\n<dependency>\n<artifactId>{}</artifactId>\n<scope>test</scope></dependency>"
    pom = "<a>" + "".join(one.format(name) for name in ("x", "y", "z")) + "</a>"
    assert twin.without(pom, ["y"]) == pom.replace(one.format("y"), "")
    with pytest.raises(LabError, match="no dependency w"):
        twin.without(pom, ["w"])


@pytest.mark.parametrize("language", subjects.languages())
def test_alternatives_are_dockerfiles(language: str, render: Render, tmp_path: Path) -> None:
    """Those too that no machine without a registry can build."""
    service = render(language=language)
    for kind in subjects.KINDS:
        text = subjects.alternative(language, kind)
        assert text.count(" AS alternative\n") == 1, kind
        dockerfile = tmp_path / f"{kind}.Dockerfile"
        dockerfile.write_text(f"{(service / 'image/Dockerfile').read_text()}\n{text}")
        done = subprocess.run(
            [Path(sys.executable).parent / "hadolint", "--config",
             ROOT / "tests/scaffold/hadolint.yaml", dockerfile],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--only", "image"],
            "no section image; there are: images, template, runtime, twins, build",
        ),
        (["--languages", "cobol"], "no language cobol"),
        (["--repeats", "0"], 'got "0", want a number of at least 1'),
        (["--suite", "none.xml"], "got 'none.xml', want the XML of pytest --junit-xml"),
        (["--suite", __file__], "want the XML of pytest --junit-xml: not well-formed"),
    ],
)
def test_a_wrong_word_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(arguments)
    assert refused.value.code == 2
    assert complaint in capsys.readouterr().err


def test_sections_and_languages_are_chosen() -> None:
    chosen = parse(["--only", "build,images", "--languages", "rust go"])
    assert chosen.only == ["images", "build"]
    assert chosen.languages == ["go", "rust"]
    assert parse([]).languages == subjects.languages()


def test_runs_of_tests_add_up(tmp_path: Path) -> None:
    paths = []
    for name, cases in {
        "fast": [("tests.update.test_matrix", 1.5), ("tests.pipeline.test_schema", 0.25)],
        "lab": [("tests.pipeline.test_faults", 2.25), ("tests.image.test_lab", 3)],
    }.items():
        suite = ElementTree.Element("testsuite")
        for module, seconds in cases:
            ElementTree.SubElement(suite, "testcase", classname=module, time=str(seconds))
        paths.append(str(tmp_path / f"{name}.xml"))
        ElementTree.ElementTree(suite).write(paths[-1])
    results = Results(tmp_path / "benchmark.json")
    results.begin(template.SECTION, HERE, 0)
    template.suite(results, parse(["--suite", *paths]).suite)
    rows = results.data["sections"][template.SECTION]["rows"]
    assert {
        name: (row["tier"], row["tests"], row["seconds"]) for name, row in rows.items()
    } == {
        "suite/update": ("fast", 1, 1.5), "suite/pipeline": ("pipeline", 2, 2.5),
        "suite/image": ("image", 1, 3.0),
    }  # fmt: skip
