"""The drawn graphs of the pages: Mermaid reads them, and they show the jobs as they are."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import Missing, install
from lab.system import write_atomically
from rendering import COMBINATIONS, ROOT, Render

HERE = Path(__file__).with_name("mermaid")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARROW = re.compile(r"\s*(?:-\.[^.]*\.->|--[^->]+-->|-->)\s*")


def graphs(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def mermaid() -> Path:
    """Where Mermaid and what it takes for a browser are, as package-lock.json says."""
    return install.npm_packages("mermaid", HERE).parent


def faults(named: dict[str, str]) -> dict[str, str]:
    """What Mermaid's own parser says of the graphs that it does not understand."""
    try:
        place, node = mermaid(), install.node_bin() / "node"
    except Missing as missing:
        pytest.skip(str(missing))
    # Modules are looked for beside the script.
    script = place / "parse.mjs"
    write_atomically(script, (HERE / "parse.mjs").read_text(encoding="utf-8"))
    done = subprocess.run(
        [node, script], input=json.dumps(named), capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_every_graph_parses(render: Render) -> None:
    services = [render(**answers) / "README.md" for answers in COMBINATIONS.values()]
    named = {
        f"{page}:{number}": graph
        for page in [*PAGES, *services]
        for number, graph in enumerate(graphs(page))
    }
    for page in (ROOT / "README.md", ROOT / "docs/pipeline.md", *services):
        assert f"{page}:0" in named, f"{page} has no graph"
    wrong = {
        "arrow": "flowchart LR\n    a --> \n",
        "bracket": 'flowchart LR\n    a["x --> b\n',
        "bars": "xychart-beta\n    bar [1, two]\n",
    }
    assert faults(named | wrong).keys() == wrong.keys()


def edges(graph: str) -> set[tuple[str, str]]:
    found = set()
    for line in graph.splitlines():
        parts = [
            [re.sub(r"\[.*", "", name).strip() for name in part.split(" & ")]
            for part in ARROW.split(line)
        ]
        for before, after in itertools.pairwise(parts):
            found |= {(a, b) for a in before for b in after}
    return found


def test_edges_are_read() -> None:
    graph = 'flowchart LR\n    a["A"] -- x y --> b & c --> d\n    d -. z .-> e\n    f\n'
    assert edges(graph) == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")}


def test_the_pipelines_graph_has_its_jobs_in_their_order(render: Render) -> None:
    service = render(language="go", ci="gitlab")
    text = [path.read_text(encoding="utf-8") for path in service.glob("ci/gitlab/*.yml")]
    files = [yaml.safe_load(content) for content in text]
    (stages,) = (file["stages"] for file in files if "stages" in file)
    jobs = {
        name: job
        for file in files
        for name, job in file.items()
        if isinstance(job, dict) and "stage" in job
    }
    (graph,) = graphs(ROOT / "docs/pipeline.md")
    shown = {
        name: stage
        for stage, body in re.findall(r"subgraph \w+ \[(\w+)\]\n(.*?)\n    end", graph, re.DOTALL)
        for name in re.findall(r"(?<![\w-])[a-z][a-z-]+", re.sub(r"-\..*\.->|-->", " ", body))
    }
    assert shown == {name: job["stage"] for name, job in jobs.items()}

    def waits_for(name: str) -> set[str]:
        job = jobs[name]
        if "needs" in job or job.get("extends") == ".in-ci-image":
            needs = job.get("needs", ["resolve", "ci-image"])
            direct = {n if isinstance(n, str) else n["job"] for n in needs}
        else:
            at = stages.index(job["stage"])
            direct = {other for other in jobs if stages.index(jobs[other]["stage"]) < at}
        return direct.union(*map(waits_for, direct))

    drawn = edges(graph)
    assert [(a, b) for a, b in drawn if a not in waits_for(b)] == []

    def leads_to(name: str) -> set[str]:
        before = {a for a, b in drawn if b == name}
        return before.union(*map(leads_to, before))

    for name in jobs:
        # Promotion waits for all that there is, in a schedule that watches as well.
        if "promote" not in {name, *waits_for(name)}:
            assert waits_for(name) <= leads_to(name), name
