"""Write template/ci/platform.lock: the SHA-256 sum of every platform file.

Platform files have the same bytes in every service, so that one lock, itself a
platform file, finds every local edit (`make verify`). The format is that of
sha256sum. `--check` writes nothing and exits 1 when the lock is out of date.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import pathspec
import yaml

ROOT = Path(__file__).resolve().parent.parent
LOCK = Path("ci/platform.lock")


def platform_files(template: Path, patterns: list[str]) -> dict[Path, Path]:
    """Map each platform file of a service to the template's file that it is copied from."""
    spec = pathspec.GitIgnoreSpec.from_lines(patterns)
    files = {}
    for source in template.rglob("*"):
        path = source.relative_to(template)
        if not source.is_file() or "__pycache__" in path.parts:
            continue
        # template/{{ gitlab }}/ci/… lands at ci/…
        if path.parts[0].startswith("{{ ") and len(path.parts) > 1:
            path = Path(*path.parts[1:])
        if path != LOCK and spec.match_file(path):
            files[path] = source
    return files


def lock_text(root: Path) -> str:
    """Return what the lock has to say of the template below `root`."""
    ownership = yaml.safe_load((root / "ownership.yml").read_text(encoding="utf-8"))
    files = platform_files(root / "template", ownership["platform"])
    return "".join(
        f"{hashlib.sha256(source.read_bytes()).hexdigest()}  {path.as_posix()}\n"
        for path, source in sorted(files.items())
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    parser.add_argument("--root", type=Path, default=ROOT, help="the template's checkout")
    arguments = parser.parse_args()
    path = arguments.root / "template" / LOCK
    text = lock_text(arguments.root)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    if arguments.check:
        print(f"{path} does not match the platform files; run: make lock", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
