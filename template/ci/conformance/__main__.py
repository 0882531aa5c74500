"""Entry point of `python3 ci/conformance`; needs Python 3.9 or newer and no install."""

import os
import sys

if sys.version_info < (3, 9):  # noqa: UP036 - said before anything fails to parse
    print("conformance: this is Python {}.{}, it needs 3.9 or newer".format(*sys.version_info), file=sys.stderr)
    sys.exit(2)

sys.dont_write_bytecode = True  # of all but this file, whose bytecode is kept already
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from conformance.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
