"""Write the golden services: what each combination of answers renders.

tests/golden/<combination>/ has MANIFEST, which names every path of the service with its mode
and SHA-256 sum, and every file that Jinja rendered, whole, unless a combination further up
in the matrix has the same one; a verbatim file is read in template/ itself. `--check` writes
nothing, prints the difference and exits 1 when there is one.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from copier import run_copy
from matrix import combinations

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"


def rendered_names(template: Path) -> set[str]:
    """File names, below any directory, that a .jinja file of the template may give."""
    return {
        path.with_suffix("").name for path in template.rglob("*.jinja") if "{{" not in path.name
    } | {".copier-answers.yml"}


def golden_files(root: Path, answers: dict[str, str]) -> dict[str, str]:
    """Path to text of a combination's golden files, MANIFEST among them."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        template = Path(scratch, "template")
        template.mkdir()
        shutil.copy2(root / "copier.yml", template)
        for name in ("partials", "template"):
            shutil.copytree(
                root / name, template / name, symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__", ".*_cache"),
            )  # fmt: skip
        service = Path(scratch, "service")
        run_copy(str(template), service, data=answers, defaults=True, quiet=True)
        names = rendered_names(template / "template")
        verbatim = {
            (path.name, path.read_bytes())
            for path in (template / "template").rglob("*")
            if path.is_file() and path.suffix != ".jinja"
        }
        files = {}
        manifest = []
        for path in sorted(service.rglob("*")):
            name = path.relative_to(service).as_posix()
            if path.is_symlink():
                manifest.append(f"link {os.readlink(path)}  {name}\n")
            elif path.is_file():
                data = path.read_bytes()
                if name == ".copier-answers.yml":
                    # Where the template lay when it was copied is not an answer.
                    lines = data.decode().splitlines(keepends=True)
                    data = "".join(line for line in lines if line[:5] != "_src_").encode()
                mode = "755" if os.access(path, os.X_OK) else "644"
                manifest.append(f"{mode}  {hashlib.sha256(data).hexdigest()}  {name}\n")
                if path.name in names and (path.name, data) not in verbatim:
                    files[name] = data.decode("utf-8")
        files["MANIFEST"] = "".join(manifest)
        return files


def existing_files(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in directory.rglob("*")
        if path.is_file()
        and not any(part.endswith("cache__") or part.endswith("_cache") for part in path.parts)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only print the difference")
    parser.add_argument("--root", type=Path, default=ROOT, help="the template's checkout")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="where the golden services are")
    arguments = parser.parse_args()
    wanted: dict[str, str] = {}
    shown: set[tuple[str, str]] = set()
    for name, answers in combinations().items():
        files = golden_files(arguments.root, answers)
        wanted |= {
            f"{name}/{path}": text for path, text in files.items() if (path, text) not in shown
        }
        shown |= files.items()
    golden: Path = arguments.golden
    found = existing_files(golden)
    if wanted == found:
        return 0
    if arguments.check:
        for path in sorted(wanted.keys() | found.keys()):
            sys.stdout.writelines(
                difflib.unified_diff(
                    found.get(path, "").splitlines(keepends=True),
                    wanted.get(path, "").splitlines(keepends=True),
                    f"golden/{path}", f"rendered/{path}",
                )
            )  # fmt: skip
        print("The golden services differ; if that is meant, run: make golden", file=sys.stderr)
        return 1
    shutil.rmtree(golden, ignore_errors=True)
    for path, text in wanted.items():
        (golden / path).parent.mkdir(parents=True, exist_ok=True)
        (golden / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
