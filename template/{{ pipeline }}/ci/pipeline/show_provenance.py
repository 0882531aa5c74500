"""Shows in-toto statements, one a line: a provenance, or the kinds of packages of an SBOM."""

from __future__ import annotations

import collections
import json
import re
import sys
from typing import Any


def line(name: str, value: object) -> None:
    print(f"{name:<10} {value}")


def provenance(predicate: dict[str, Any]) -> None:
    build, details = predicate["buildDefinition"], predicate["runDetails"]
    line("source", build["externalParameters"]["source"])
    line("target", build["externalParameters"]["target"])
    line("built by", details["metadata"]["invocationId"])
    line("started", details["metadata"]["startedOn"])
    for item in build["resolvedDependencies"]:
        ((kind, digest),) = item["digest"].items()
        line("from", f"{item['uri'].removeprefix('docker://')} {kind}:{digest}")
    for item in details.get("byproducts", []):
        line(
            item["name"],
            f"{item['uri'].removeprefix('docker://')}@sha256:{item['digest']['sha256']}",
        )


def sbom(predicate: dict[str, Any]) -> None:
    found = re.findall(r'"pkg:(\w+)/', json.dumps(predicate))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(collections.Counter(found).items()))
    line("packages", kinds or "none")


for text in sys.stdin:
    if not text.strip():
        continue
    statement = json.loads(text)
    if "slsa.dev" in statement["predicateType"]:
        provenance(statement["predicate"])
    else:
        sbom(statement["predicate"])
