"""Records what Grype says of a few packages, for the tests that have no Grype.

    python tests/pipeline/recording.py

writes database/flaws.tar.gz from database/main.go, and scans/*.json with it. What differs from
run to run, and what nothing reads, is left out; BUILT stands for when the database was built.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lab import install
from lab.system import run

HERE = Path(__file__).resolve().parent
SCANS, DATABASE = HERE / "scans", HERE / "database" / "flaws.tar.gz"
DEB = "pkg:deb/debian/{}@{}?arch=all&distro=debian-13"
TZDATA = DEB.format("tzdata", "2026a-0+deb13u1")
PACKAGES = {
    "base": [
        TZDATA,
        DEB.format("netbase", "6.5"),
        "pkg:golang/stdlib@1.26.4",
        "pkg:golang/go.opentelemetry.io/otel@v1.40.0",
    ],
    "clean": [DEB.format("base-files", "13.8+deb13u1")],
    "critical": [TZDATA, "pkg:golang/github.com/prometheus/client_golang@v1.22.0"],
    "stale": [DEB.format("base-files", "13.8+deb13u1")],
}
KEPT = {
    "vulnerability": ("id", "dataSource", "namespace", "severity", "fix"),
    "artifact": ("name", "version", "type", "language", "purl"),
}


def sbom(urls: list[str]) -> dict[str, Any]:
    """A list of packages in SPDX, as much of it as Grype reads."""
    packages = []
    for number, url in enumerate(urls):
        name, _, version = url.partition("?")[0].partition("@")
        name = name.removeprefix("pkg:deb/debian/").removeprefix("pkg:golang/")
        reference = {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": url,
        }
        packages.append(
            {
                "SPDXID": f"SPDXRef-Package-{number}",
                "name": name,
                "versionInfo": f"go{version}" if name == "stdlib" else version,
                "downloadLocation": "NOASSERTION",
                "externalRefs": [reference],
            }
        )
    return {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "release",
        "dataLicense": "CC0-1.0",
        "documentNamespace": "https://anchore.com/syft/image/release",
        "creationInfo": {"created": "2026-11-01T00:00:00Z", "creators": ["Tool: syft"]},
        "packages": packages,
    }


def trimmed(document: dict[str, Any]) -> dict[str, Any]:
    """A scan without what differs from run to run, and without what nothing reads."""
    matches = []
    for match in document["matches"]:
        found = {part: {key: match[part][key] for key in KEPT[part]} for part in KEPT}
        details = [
            {key: item[key] for key in ("type", "matcher", "fix") if key in item}
            for item in match["matchDetails"]
        ]
        related = [
            {key: item[key] for key in ("id", "namespace")}
            for item in match["relatedVulnerabilities"]
        ]
        matches.append({**found, "relatedVulnerabilities": related, "matchDetails": details})
    descriptor = document["descriptor"]
    status = {key: descriptor["db"]["status"][key] for key in ("schemaVersion", "built", "valid")}
    return {
        "matches": matches,
        "descriptor": {
            "name": descriptor["name"],
            "db": {"status": status},
        },
    }


def write_database(directory: Path) -> None:
    """Plant the flaws, on a day that is long ago on every day that comes."""
    source = DATABASE.with_name("main.go")
    tool = install.go_tool("flaws", "github.com/anchore/grype", [""], install.GRYPE, source)
    run([tool / "flaws", directory], what="flaws")
    with sqlite3.connect(directory / "vulnerability.db") as database:
        database.execute("UPDATE db_metadata SET build_timestamp = '2026-11-01 00:00:00+00:00'")
    with tarfile.open(DATABASE, "w:gz") as tar:
        tar.add(directory / "vulnerability.db", "vulnerability.db")


def recorded(names: list[str], directory: Path) -> dict[str, dict[str, Any]]:
    """What Grype says of each list today."""
    env = {
        "GRYPE_DB_CACHE_DIR": str(directory / "db"),
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_DB_VALIDATE_AGE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
    }
    grype = str(install.grype())
    run([grype, "--quiet", "db", "import", str(DATABASE)], what="grype db import", env=env)
    found = {}
    for name in names:
        (directory / "release.spdx.json").write_text(json.dumps(sbom(PACKAGES[name])))
        scan = [grype, "--quiet", "--output", "json", "sbom:release.spdx.json"]
        document = trimmed(json.loads(run(scan, what="grype", env=env, cwd=directory)))
        if name != "stale":
            document["descriptor"]["db"]["status"]["built"] = "BUILT"
        found[name] = document
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_database(Path(directory))
        for name, document in recorded(sorted(PACKAGES), Path(directory)).items():
            (SCANS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
            print(os.path.relpath(SCANS / f"{name}.json"))


if __name__ == "__main__":
    main()
