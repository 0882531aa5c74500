"""Write the locks of the platform files: the SHA-256 sum of every one of them.

Platform files have the same bytes in every service, so that one lock, itself a
platform file, finds every local edit (`make verify`). template/ci/platform.lock has
the files of all services; a folder that not every service has, that of a pipeline or
of a language, has its lock inside, and so has the house's. The format is that of
sha256sum. `--check` writes nothing and exits 1 when a lock is out of date.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

import pathspec
import yaml

ROOT = Path(__file__).resolve().parent.parent
LOCK = "ci/platform.lock"
HOUSE = "house"


def lock_text(tree: Path, patterns: list[str], lock: str) -> str:
    """Return what the lock of a tree of the template has to say."""
    spec = pathspec.GitIgnoreSpec.from_lines(patterns)
    # What a tool leaves there, git ignores.
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout
    files = {path: tree / path for path in listed.split("\0") if (tree / path).is_file()}
    return "".join(
        f"{hashlib.sha256(source.read_bytes()).hexdigest()}  {path}\n"
        for path, source in sorted(files.items())
        if path != lock and spec.match_file(path)
    )


def lock_texts(root: Path) -> dict[Path, str]:
    """Map each lock of the template below `root` to its text."""
    ownership = yaml.safe_load((root / "ownership.yml").read_text(encoding="utf-8"))
    template = root / "template"
    locks = {template / LOCK: lock_text(template, ownership["platform"]["all"], LOCK)}
    for name, folders in ownership["platform"].items():
        # template/{{ gitlab }}/ci/gitlab/… lands at ci/gitlab/…; the house's folder is in all.
        tree = template if name == HOUSE else template / f"{{{{ {name} }}}}"
        files = [path for path in folders if not path.endswith("/")]
        for folder in folders if name != "all" else []:
            lock = f"{folder.strip('/')}/{Path(LOCK).name}"
            if folder not in files and (tree / lock).parent.is_dir():
                # What has to lie elsewhere, as workflows of GitHub's do, is in the folder's lock.
                locks[tree / lock] = lock_text(tree, [folder, *files], lock)
    return locks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    parser.add_argument("--root", type=Path, default=ROOT, help="the template's checkout")
    arguments = parser.parse_args()
    stale = {
        path: text
        for path, text in lock_texts(arguments.root).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if arguments.check:
            print(f"{path} does not match the platform files; run: make lock", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
