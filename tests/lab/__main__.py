"""The lab for people: python -m lab up | status | down | env | bases."""

from __future__ import annotations

import argparse
import shlex
import sys

from . import Lab, LabError, Missing, bases, builders, registry
from .system import say


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="install what is missing, start the daemons and keep them")
    commands.add_parser("status", help="what runs, and what is missing")
    commands.add_parser("down", help="stop the daemons")
    commands.add_parser("env", help="shell exports for podman, buildah and skopeo")
    base = commands.add_parser("bases", help="build stand-ins, or list them")
    base.add_argument("names", nargs="*", metavar="IMAGE", help="as a Dockerfile names it; or all")
    base.add_argument("--refresh", action="store_true", help="build again with today's packages")
    chosen = parser.parse_args()
    try:
        with Lab() as lab:
            return {"up": up, "status": status, "down": down, "env": env, "bases": build_bases}[
                chosen.command
            ](lab, chosen)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def up(lab: Lab, _: argparse.Namespace) -> int:
    lab.up()
    lab.keep()
    say("up; `python -m lab env` prints the exports, `python -m lab down` stops it")
    return 0


def status(lab: Lab, _: argparse.Namespace) -> int:
    print(f"cache: {lab.cache}")
    print(f"containers: {lab.engine}")
    running = registry.running_shared(lab.runtime)
    print(f"registry: {'running at ' + running.address if running else 'not running'}")
    pid = builders.BuildKit.running(lab.runtime)
    print(f"buildkitd: {'running, process ' + str(pid) if pid else 'not running'}")
    try:
        print(f"kaniko: {lab.kaniko.executor}")
    except Missing as missing:
        print(f"kaniko: {missing}")
    return 0


def down(lab: Lab, _: argparse.Namespace) -> int:
    lab.down()
    say("the daemons stop when the last user has left")
    return 0


def env(lab: Lab, _: argparse.Namespace) -> int:
    for key, value in lab.env.items():
        print(f"export {key}={shlex.quote(value)}")
    return 0


def build_bases(lab: Lab, chosen: argparse.Namespace) -> int:
    if not chosen.names:
        print("\n".join(bases.names()))
        return 0
    names = bases.names() if chosen.names == ["all"] else chosen.names
    for name in names:
        print(f"{bases.canonical(name)}@{bases.ensure(name, lab.registry, chosen.refresh)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
