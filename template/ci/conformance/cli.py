"""The command line: `image`, `repo`, `manifests`, `vulnerabilities`, `list`, `explain`."""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import records, report
from .model import Finding, Result, Unusable, printable
from .registry import CHECKS

if TYPE_CHECKING:  # each command imports what it needs: most runs check a repository
    from . import oci
    from .content import Inspector
    from .rootfs import RootFS

PASS, FINDINGS, UNUSABLE = 0, 1, 2
OWN_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except Unusable as error:
        print(f"conformance: {error}", file=sys.stderr)
        return UNUSABLE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS
    except Exception as error:  # a fault of this tool must not look like findings
        print(f"conformance: {_internal(error)}", file=sys.stderr)
        return UNUSABLE


def _internal(error: Exception) -> str:
    """Say in one line what broke and where, for a report to those who maintain the tool."""
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = printable(f"{type(error).__name__}: {error}"[:300])
    return f"internal error, please report it: {what} ({os.path.basename(frame.filename)}:{frame.lineno})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conformance",
        description="Checks a service's repository and its images against the platform's decisions.",
        epilog="exit code: 0 no finding, 1 findings, 2 the input cannot be checked",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    image = commands.add_parser(
        "image", help="check a built image", description="Checks a built image without running it."
    )
    image.add_argument("file", metavar="FILE", help="OCI layout (directory or tar) or docker archive")
    image.add_argument("--twin", metavar="RELEASE", help="FILE is the debug image of this release image")
    image.add_argument("--debug", action="store_true", help="FILE is a debug image: /busybox is allowed")
    image.add_argument(
        "--language", choices=("go", "rust", "java", "python", "node"), help="default: told from the repository"
    )
    image.add_argument("--name", metavar="IMAGE", help="what the report calls the image; default: FILE")
    image.add_argument("--platform", metavar="OS/ARCH", help="which image of an index; default: this machine's")
    image.add_argument(
        "--repo", metavar="DIR", default=OWN_REPOSITORY, help="the service's repository; default: the tool's own"
    )
    image.add_argument("--max-bytes", metavar="N", type=_size, help="refuse an image that unpacks to more")
    image.add_argument("--strict", action="store_true", help="empty labels are findings too")
    _add_common(image)
    image.set_defaults(run=_image)

    repo = commands.add_parser("repo", help="check a repository", description="Checks a service's repository.")
    repo.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        help="default: the nearest folder upwards with .copier-answers.yml, else git's top level, else the current one",
    )
    repo.add_argument("--strict", action="store_true", help="a check that cannot run is a failure")
    _add_common(repo)
    repo.set_defaults(run=_repo)

    rendered = commands.add_parser(
        "manifests",
        help="check rendered Kubernetes manifests",
        description="Checks what is applied: kubectl kustomize deploy/overlays/production | … manifests -",
    )
    rendered.add_argument("file", metavar="FILE", help="YAML documents, or - for standard input")
    rendered.add_argument(
        "--repo", metavar="DIR", default=OWN_REPOSITORY, help="the service's repository; default: the tool's own"
    )
    _add_common(rendered)
    rendered.set_defaults(run=_manifests)

    flaws = commands.add_parser(
        "vulnerabilities",
        help="say what to do about the flaws of a scan",
        description="Reads what `grype --output json` found in an image, and says what to do about it.",
    )
    flaws.add_argument("file", metavar="FILE", help="the scan of an image")
    flaws.add_argument("--source", metavar="DIR", help="the files that it was built from; default: the repository")
    flaws.add_argument(
        "--bases", metavar="FILE", action="append", default=[], help="a scan of one of today's bases and builders"
    )
    flaws.add_argument(
        "--max-age", metavar="HOURS", type=_size, default=120, help="of the scanner's database; default: 120"
    )
    flaws.add_argument(
        "--repo", metavar="DIR", default=OWN_REPOSITORY, help="where the records are; default: the tool's own"
    )
    _add_format(flaws)
    flaws.set_defaults(run=_vulnerabilities)

    listing = commands.add_parser(
        "list", help="list every check", description="Lists id, title, decision and rule of every check."
    )
    listing.add_argument("--format", choices=("text", "json"), default="text")
    listing.set_defaults(run=_list)

    explain = commands.add_parser(
        "explain", help="explain a check", description="Says why a check exists and what to do."
    )
    explain.add_argument("id", metavar="ID", type=str.upper, help="a check, such as IMG-001")
    explain.set_defaults(run=_explain)

    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--today", metavar="DATE", type=_date, help="the day on which deviations are judged; default: today in UTC"
    )
    _add_format(parser)


def _date(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise argparse.ArgumentTypeError(f'got "{text}", want a date such as 2026-03-20') from None


def _today(options: argparse.Namespace) -> datetime.date:
    given: datetime.date | None = options.today
    return given or datetime.datetime.now(datetime.timezone.utc).date()


def _add_format(parser: argparse.ArgumentParser) -> None:
    what = "gitlab: a code-quality report; github: annotations"
    parser.add_argument("--format", choices=report.FORMATS, default="text", help=what)


def _size(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,15}", text):
        raise argparse.ArgumentTypeError(f'got "{text}", want a number of bytes')
    return int(text)


def _image(options: argparse.Namespace) -> int:
    from . import image_checks, language, oci, repo, twin_checks
    from .content import Inspector
    from .rootfs import RootFS

    chosen = options.language or language.detect(options.repo)
    if chosen is None:
        raise Unusable(f"cannot tell the service's language from {options.repo}: pass --language")
    limits = oci.Limits(unpacked=options.max_bytes or oci.Limits.unpacked)
    debug = bool(options.debug or options.twin)
    with _open(options.file, options.platform, limits) as image:
        rootfs = RootFS()
        checked = [check for check in CHECKS if check.startswith("IMG")]
        findings: list[Finding] = []
        if options.twin:
            with _open(options.twin, options.platform, limits) as release:
                common = twin_checks.common_layers(image, release)
                _read(options.file, image, rootfs, Inspector(), common)
                findings += twin_checks.run(image, release, rootfs)
            checked += [check for check in CHECKS if check.startswith("TWN")]
        else:
            _read(options.file, image, rootfs, Inspector(), None)
        findings += image_checks.ImageChecks(image, rootfs, chosen, debug, options.strict).run()
    findings.sort(key=lambda item: (item.check, item.path))
    findings = repo.deviations_of(options.repo, _today(options)).apply(findings)
    result = Result(f"{printable(options.name or options.file)} ({image.platform})", findings, checked)
    print(report.render(result, options.format))
    return FINDINGS if result.open_findings else PASS


def _repo(options: argparse.Namespace) -> int:
    from . import adoption, repo

    root = adoption.repository(os.getcwd()) if options.directory is None else options.directory
    if os.path.isdir(root) and not adoption.is_service(root):
        found = adoption.look_at(root)
        print(report.adoption(found, options.format))
        return PASS if found.complete else FINDINGS
    result = repo.check(root, _today(options), options.strict)
    print(report.render(result, options.format))
    return FINDINGS if result.open_findings or result.failed else PASS


def _manifests(options: argparse.Namespace) -> int:
    from . import manifests, pipeline, repo

    if not pipeline.available():
        raise Unusable("manifests are read with PyYAML, which is not installed: python3-yaml")
    try:
        text = sys.stdin.read() if options.file == "-" else records.read_text(options.file)
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{printable(options.file)}: cannot read it: {error}") from None
    where = "stdin" if options.file == "-" else printable(options.file)
    findings = list(dict.fromkeys(manifests.rendered(text, where, options.repo)))
    findings = repo.deviations_of(options.repo, _today(options)).apply(findings)
    result = Result(where, findings, [check for check in CHECKS if check.startswith("KUB")])
    print(report.render(result, options.format))
    return FINDINGS if result.open_findings else PASS


def _vulnerabilities(options: argparse.Namespace) -> int:
    from . import repo, vulnerabilities

    now = datetime.datetime.now(datetime.timezone.utc)
    greatest = datetime.timedelta(hours=options.max_age)
    scan, *today = vulnerabilities.read_fresh([options.file, *options.bases], now, greatest)
    deviations = repo.deviations_of(options.repo, now.date())
    verdicts = list(vulnerabilities.judge(scan, options.source or options.repo, today))
    result = vulnerabilities.result(printable(options.file), verdicts, deviations)
    result.notes.insert(0, f"the database of flaws was built at {scan.built:%Y-%m-%dT%H:%MZ}")
    print(report.render(result, options.format))
    return FINDINGS if result.open_findings else PASS


def _list(options: argparse.Namespace) -> int:
    print(report.listing(options.format))
    return PASS


def _explain(options: argparse.Namespace) -> int:
    if options.id not in CHECKS:
        raise Unusable(f"no check {printable(options.id)}; `python3 ci/conformance list` names them all")
    print(report.explanation(CHECKS[options.id], OWN_REPOSITORY))
    return PASS


def _open(path: str, platform: str | None, limits: oci.Limits) -> oci.Image:
    from . import oci

    try:
        return oci.open_image(path, platform, limits)
    except Unusable as error:
        raise Unusable(f"{printable(path)}: {error}") from None


def _read(path: str, image: oci.Image, rootfs: RootFS, inspector: Inspector, record_from: int | None) -> None:
    try:
        rootfs.apply(image, inspector, record_from)
    except Unusable as error:
        raise Unusable(f"{printable(path)}: {error}") from None
    except OSError as error:
        raise Unusable(f"{printable(path)}: cannot read it: {error.strerror}") from None
