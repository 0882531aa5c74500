"""What people and tools read of a service: pages, the portal's entry, the file for agents."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from rendering import COMBINATIONS, EXTREMES, Render

ALL = COMBINATIONS | {f"extreme-{name}": answers for name, answers in EXTREMES.items()}
ALL |= {"older": {"platform_code": False, "kubernetes": False}}
BIN = Path(sys.executable).parent
# Backstage's own rule for the name of an entity.
ENTITY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]")


def build_pages(service: Path, destination: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "mkdocs", "build", "--strict", "--site-dir", destination],
        cwd=service, capture_output=True, text=True,
    )  # fmt: skip


def test_pages_show_records_guideline_and_runbook(scaffold: Render, tmp_path: Path) -> None:
    service, site = scaffold(), tmp_path / "site"
    done = build_pages(service, site)
    assert done.returncode == 0, done.stderr
    records = sorted(path.stem for path in (service / "specs/ADRs").glob("ADR-*.md"))
    assert len(records) >= 8
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "payments" in home
    pages = ["guidelines/containerization", "guidelines/incident-debugging"]
    pages += [f"ADRs/{record}" for record in (*records, "service/SVC-0000-template")]
    for page in pages:
        assert (site / page / "index.html").is_file(), page
        assert f'href="{page}/"' in home, page

    with (service / "specs/README.md").open("a", encoding="utf-8") as file:
        file.write("\n[gone](ADRs/ADR-999-gone.md)\n")
    done = build_pages(service, site)
    assert done.returncode == 1
    assert "ADR-999-gone.md" in done.stderr


@pytest.mark.parametrize("name", ALL)
def test_pages_go_where_git_does_not_look(name: str, render: Render) -> None:
    service = render(**ALL[name])
    configured = yaml.safe_load((service / "mkdocs.yml").read_text(encoding="utf-8"))
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert configured["site_name"] == answers["service_name"]
    top = configured["site_dir"].split("/")[0]
    assert f"/{top}/\n" in (service / ".gitignore").read_text(encoding="utf-8")
    if top != "target":
        assert re.search(rf"^\trm -rf .*\b{top}\b", (service / "Makefile").read_text(), re.M)


def entity_faults(service: Path, entities: list[dict[str, Any]]) -> list[str]:
    """What a portal would refuse, or show without what it points to."""
    faults = []
    names = {(entity["kind"], entity["metadata"]["name"]) for entity in entities}
    for entity in entities:
        metadata, spec = entity["metadata"], entity["spec"]
        if entity["apiVersion"] != "backstage.io/v1alpha1":
            faults.append("apiVersion")
        for name in (metadata["name"], spec["owner"]):
            if not isinstance(name, str) or not ENTITY.fullmatch(name):
                faults.append(f"name {name!r}")
        faults += [
            f"no API {name}" for name in spec.get("providesApis", []) if ("API", name) not in names
        ]
        text = spec.get("definition", {}).get("$text")
        if entity["kind"] == "API" and not (text and (service / text).is_file()):
            faults.append(f"no file {text}")
    return faults


@pytest.mark.parametrize("name", ALL)
def test_the_portal_finds_what_the_entry_points_to(name: str, render: Render) -> None:
    service = render(**ALL[name])
    entities = list(yaml.safe_load_all((service / "catalog-info.yaml").read_text(encoding="utf-8")))
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert entity_faults(service, entities) == []
    component, *apis = entities
    assert component["metadata"]["description"] == answers["description"]
    assert component["metadata"]["name"] == answers["service_name"]
    assert bool(apis) == (service / "openapi.json").exists()
    annotations = component["metadata"]["annotations"]
    assert annotations["backstage.io/techdocs-ref"] == "dir:."
    selector = annotations.get("backstage.io/kubernetes-label-selector")
    if not answers["kubernetes"]:
        assert selector is None
        return
    key, _, value = selector.partition("=")
    base = yaml.safe_load((service / "deploy/base/kustomization.yaml").read_text(encoding="utf-8"))
    assert base["labels"][0]["pairs"][key] == value


def test_faults_of_an_entry_are_found(render: Render) -> None:
    service = render()
    text = (service / "catalog-info.yaml").read_text(encoding="utf-8")
    for before, after, fault in (
        ('owner: "platform"', 'owner: "acme/platform"', "name 'acme/platform'"),
        ('  name: "payments"', "  name: null", "name None"),
        ('    - "payments"', '    - "orders"', "no API orders"),
        ("./openapi.json", "./gone.json", "no file ./gone.json"),
    ):
        assert before in text
        assert fault in entity_faults(
            service, list(yaml.safe_load_all(text.replace(before, after)))
        )


def verbs_and_links(text: str) -> tuple[set[str], set[str]]:
    verbs = {
        verb
        for line in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", text)
        for verb in line.split()
    }  # fmt: skip
    links = {
        str(child.attrs["href"])
        for token in MarkdownIt().parse(text)
        for child in token.children or []
        if child.type == "link_open"
    }
    return verbs, links


@pytest.mark.parametrize("name", ALL)
def test_agents_are_told_what_is_there(name: str, render: Render) -> None:
    service = render(**ALL[name])
    text = (service / "AGENTS.md").read_text(encoding="utf-8")
    commands = [a or b for a, b in re.findall(r"`(make [^`]+)`|^(make .*)$", text, re.M)]
    verbs, _ = verbs_and_links("\n".join(commands))
    makefile = (service / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    assert {"lint", "test", "verify", "restore"} <= verbs <= known
    _, links = verbs_and_links(text)
    readme = (service / "README.md").read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", readme, re.M)
    }
    assert "README.md#updates-and-ownership" in links
    for link in links:
        path, _, anchor = link.partition("#")
        assert (service / path).exists(), link
        assert not anchor or anchor in anchors, link
