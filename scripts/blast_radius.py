"""Show what a release does to a service of every kind: `make blast-radius FROM=1.2.0`.

For each combination of answers a service is copied from FROM and
updated to TO by Copier itself; the diff of that update is the report, as Markdown and as an
HTML page. A diff that is the same for several services is shown once.
"""

from __future__ import annotations

import argparse
import html
import sys
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from copier import run_copy, run_update
from matrix import combinations
from releases import ROOT, Refused, all_changes, git, has_commit, read_releases

IDENTITY = [
    "-c",
    "user.name=blast-radius",
    "-c",
    "user.email=blast-radius@localhost",
    "-c",
    "commit.gpgSign=false",
]


@dataclass(frozen=True)
class Change:
    """What an update does to a file: `A`dded, `M`odified, `D`eleted, …, and the diff."""

    status: str
    path: str
    diff: str


def commit_of(root: Path, name: str) -> str:
    """The commit of a recorded version, with or without its v, or of any revision."""
    for release in read_releases(root):
        if name.removeprefix("v") == release.version:
            name = release.commit
    if not has_commit(root, name):
        known = ", ".join(release.version for release in read_releases(root)) or "none"
        raise Refused(f"there is no commit or release {name}; recorded releases: {known}")
    return git(root, "rev-parse", f"{name}^{{commit}}").strip()


def update_of(template: Path, before: str, after: str, answers: dict[str, str]) -> list[Change]:
    with tempfile.TemporaryDirectory() as scratch:
        service = Path(scratch, "service")
        run_copy(str(template), service, data=answers, defaults=True, quiet=True, vcs_ref=before)
        git(service, "init", "--quiet")
        git(service, "add", "--all")
        git(service, *IDENTITY, "commit", "--quiet", "--message", "Before")
        run_update(service, defaults=True, quiet=True, overwrite=True, vcs_ref=after)
        git(service, "add", "--all")
        listed = git(
            service, "diff", "--cached", "--no-renames", "--name-status", "-z", "HEAD"
        ).split("\0")
        show = ("diff", "--cached", "--no-renames", "HEAD", "--")
        return [
            Change(status, path, git(service, *show, path))
            for status, path in zip(listed[0:-1:2], listed[1:-1:2], strict=True)
            if path != ".copier-answers.yml"
        ]


def all_updates(
    root: Path, before: str, after: str, chosen: dict[str, dict[str, str]]
) -> tuple[dict[str, list[Change]], dict[str, str]]:
    """Map each combination to its changes, and to why it cannot be had before."""
    updates: dict[str, list[Change]] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        template = Path(scratch, "template")
        # Without tags Copier orders the two by their distance, whatever they are called.
        git(root, "clone", "--quiet", "--no-tags", "--shared", str(root), str(template))
        for name, answers in chosen.items():
            try:
                updates[name] = update_of(template, before, after, answers)
            except ValueError as problem:
                absent[name] = str(problem)
    return updates, absent


NAMES = {"A": "added", "M": "changed", "D": "removed", "T": "changed"}


def grouped(updates: dict[str, list[Change]]) -> list[tuple[Change, list[str]]]:
    """Each distinct change and the services that get it, by path."""
    groups: dict[Change, list[str]] = defaultdict(list)
    for name, found in updates.items():
        for change in found:
            groups[change].append(name)
    return sorted(groups.items(), key=lambda group: (group[0].path, group[1]))


def markdown(
    title: str,
    bumps: list[tuple[str, str]],
    updates: dict[str, list[Change]],
    absent: dict[str, str],
) -> str:
    lines = [
        f"# {title}",
        "",
        "| service | added | changed | removed |",
        "| --- | --- | --- | --- |",
    ]
    for name, found in updates.items():
        counts = [
            sum(NAMES[c.status] == kind for c in found) for kind in ("added", "changed", "removed")
        ]
        lines.append(f"| {name} | " + " | ".join(map(str, counts)) + " |")
    lines += [f"| {name} | not offered before | | |" for name in absent]
    if bumps:
        lines += [
            "",
            "## What sets the version",
            "",
            *(f"- {bump}: {what}" for bump, what in bumps),
        ]
    lines += ["", "## Changes"]
    for change, names in grouped(updates):
        services = "every service" if len(names) == len(updates) else ", ".join(names)
        body = change.diff.rstrip("\n")
        fence = "`" * max(3, 1 + longest_run(body, "`"))
        lines += [
            "",
            f"### `{change.path}` {NAMES[change.status]}: {services}",
            "",
            f"{fence}diff",
            body,
            fence,
        ]
    if not grouped(updates):
        lines += ["", "None: no service changes."]
    return "\n".join(lines) + "\n"


def longest_run(text: str, character: str) -> int:
    longest = run = 0
    for other in text:
        run = run + 1 if other == character else 0
        longest = max(longest, run)
    return longest


STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
th, td { border: 1px solid #8888; padding: .25rem .75rem; text-align: left }
summary { cursor: pointer; padding: .25rem 0 }
pre { overflow-x: auto; background: #8881; padding: .5rem; margin: 0 0 1rem }
ins { color: #1a7f37; text-decoration: none }
del { color: #d1242f; text-decoration: none }
"""


def page(
    title: str,
    bumps: list[tuple[str, str]],
    updates: dict[str, list[Change]],
    absent: dict[str, str],
) -> str:
    escape = html.escape
    out = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        "<table><thead><tr><th>service<th>added<th>changed<th>removed</tr></thead>",
        "<tbody>",
    ]
    for name, found in updates.items():
        counts = [
            sum(NAMES[c.status] == kind for c in found) for kind in ("added", "changed", "removed")
        ]
        out.append(
            f"<tr><td>{escape(name)}" + "".join(f"<td>{count}" for count in counts) + "</tr>"
        )
    out += [f'<tr><td>{escape(name)}<td colspan="3">not offered before</tr>' for name in absent]
    out.append("</tbody></table>")
    if bumps:
        out += [
            "<h2>What sets the version</h2><ul>",
            *(f"<li>{bump}: {escape(what)}" for bump, what in bumps),
            "</ul>",
        ]
    out.append("<h2>Changes</h2>")
    for change, names in grouped(updates):
        services = "every service" if len(names) == len(updates) else ", ".join(names)
        body = "\n".join(coloured(line) for line in change.diff.splitlines())
        out.append(
            f"<details><summary><code>{escape(change.path)}</code> {NAMES[change.status]}: "
            f"{escape(services)}</summary><pre>{body}</pre></details>"
        )
    if not grouped(updates):
        out.append("<p>None: no service changes.</p>")
    return "\n".join([*out, "</body>", "</html>"]) + "\n"


def coloured(line: str) -> str:
    if line.startswith(("+++", "---")):
        return html.escape(line)
    for sign, tag in (("+", "ins"), ("-", "del")):
        if line.startswith(sign):
            return f"<{tag}>{html.escape(line)}</{tag}>"
    return html.escape(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="before", required=True, help="a release or revision")
    parser.add_argument("--to", dest="after", default="HEAD", help="a release or revision: HEAD")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("blast-radius"),
        help="where to write, without .md and .html",
    )
    parser.add_argument("--only", nargs="*", help="only these combinations of answers")
    parser.add_argument("--root", type=Path, default=ROOT, help="the template's checkout")
    arguments = parser.parse_args()
    root: Path = arguments.root
    try:
        before, after = commit_of(root, arguments.before), commit_of(root, arguments.after)
        chosen = {
            name: answers
            for name, answers in combinations().items()
            if not arguments.only or name in arguments.only
        }
        updates, absent = all_updates(root, before, after, chosen)
        bumps = [(str(bump), what) for bump, what in all_changes(root, before, after)]
    except Refused as problem:
        print(f"blast-radius: {problem}", file=sys.stderr)
        return 1
    title = f"From {arguments.before} to {arguments.after}"
    for suffix, text in (
        (".md", markdown(title, bumps, updates, absent)),
        (".html", page(title, bumps, updates, absent)),
    ):
        path = arguments.output.with_name(arguments.output.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
