"""Check a service that runs as a native process.

PYTHONPATH=tests python -m contract --service-name payments --version dev -- ./bin/payments
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from contract import CHECKS, ProcessLauncher, Suite


def main() -> int:
    parser = argparse.ArgumentParser(prog="contract", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    ids = [check.id for check in CHECKS]
    one_id: dict[str, Any] = {"action": "append", "default": [], "metavar": "ID", "choices": ids}
    parser.add_argument("--service-name", required=True)
    parser.add_argument("--version", default="dev", help="what the build was given (default: dev)")
    parser.add_argument("--fast", action="store_true", help="leave out the limits that take time")
    parser.add_argument("--only", help="run this check only; may be repeated", **one_id)
    parser.add_argument("--without", help="leave this check out; may be repeated", **one_id)
    parser.add_argument("--list", action="version", version="\n".join(ids), help="list the checks")
    parser.add_argument("command", nargs="+", help="the service, after --")
    options = parser.parse_args()

    checks = [
        check
        for check in CHECKS
        if check.id in (options.only or ids)
        and check.id not in options.without
        and not (check.slow and options.fast)
    ]
    failed = 0
    launcher = ProcessLauncher(options.command)
    with Suite(launcher, options.service_name, options.version) as suite:
        suite.begin(checks)
        for check in checks:
            begun = time.monotonic()
            try:
                suite.run(check)
            except AssertionError as error:
                failed += 1
                print(f"FAIL  {check.id}: {check.title}\n      {error}", flush=True)
            else:
                print(f"ok    {check.id} ({time.monotonic() - begun:.1f} s)", flush=True)
    print(f"{len(checks) - failed} ok, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
