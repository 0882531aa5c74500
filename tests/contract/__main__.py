"""Check a service that runs as a native process.

PYTHONPATH=tests python -m contract --service-name payments --version dev -- ./bin/payments
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from contract import (
    ADDITION_CHECKS,
    ADDITION_ENV,
    ADDITION_ROUTES,
    CHECKS,
    ROUTES,
    TRACING_CHECKS,
    ProcessLauncher,
    Suite,
)

LISTS = {"plain": CHECKS, "additions": ADDITION_CHECKS, "tracing": TRACING_CHECKS}


def main() -> int:
    parser = argparse.ArgumentParser(prog="contract", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    ids = [f"{name}: {check.id}" for name, checks in LISTS.items() for check in checks]
    one_id: dict[str, Any] = {"action": "append", "default": [], "metavar": "ID"}
    parser.add_argument("--service-name", required=True)
    parser.add_argument("--version", default="dev", help="what the build was given (default: dev)")
    parser.add_argument("--checks", choices=LISTS, default="plain", help="which list (plain)")
    parser.add_argument("--route", action="append", default=[], help="one more: 'GET /v1/x'")
    parser.add_argument("--fast", action="store_true", help="leave out the checks that take time")
    parser.add_argument("--only", help="run this check only; may be repeated", **one_id)
    parser.add_argument("--without", help="leave this check out; may be repeated", **one_id)
    parser.add_argument("--list", action="version", version="\n".join(ids), help="list the checks")
    parser.add_argument("command", nargs="+", help="the service, after --")
    options = parser.parse_args()

    checks = [
        check
        for check in LISTS[options.checks]
        if (not options.only or check.id in options.only) and not (check.slow and options.fast)
    ]
    added = options.checks == "additions"
    failed = 0
    with Suite(
        ProcessLauncher(options.command),
        options.service_name,
        options.version,
        routes=[*(ADDITION_ROUTES if added else ROUTES), *options.route],
        env=None if options.checks == "plain" else ADDITION_ENV,
        lacks=dict.fromkeys(options.without, "by --without"),
    ) as suite:
        suite.begin(checks)
        for check in checks:
            begun = time.monotonic()
            try:
                reason = suite.run(check)
            except AssertionError as error:
                failed += 1
                print(f"FAIL  {check.id}: {check.title}\n      {error}", flush=True)
            else:
                took = f"({time.monotonic() - begun:.1f} s)"
                print(f"{'left ' if reason else 'ok   '} {check.id} {reason or took}", flush=True)
    print(f"{len(checks) - failed} ok, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
