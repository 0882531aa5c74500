"""Entry point of `python3 ci/conformance`; needs Python 3.9 or newer and no install."""

import os
import sys

if sys.version_info < (3, 9):  # noqa: UP036 - said before anything fails to parse
    print("conformance: this is Python {}.{}, it needs 3.9 or newer".format(*sys.version_info), file=sys.stderr)
    sys.exit(2)

HERE = os.path.dirname(os.path.abspath(__file__))

sys.dont_write_bytecode = True  # of all but this file, whose bytecode is kept already
# A file of the service, such as ci/queue.py, must not stand in for a module of Python.
sys.path[:] = [place for place in sys.path if os.path.abspath(place) != HERE]

from importlib.machinery import FileFinder, SourceFileLoader  # noqa: E402
from types import CodeType, ModuleType  # noqa: E402


class FromSource(SourceFileLoader):
    """Loads the source alone: bytecode committed beside it would run in its place."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


# The package by its place, not by a search; its modules by the loader above.
sys.path_importer_cache[HERE] = FileFinder(HERE, (FromSource, [".py"]))
package = sys.modules["conformance"] = ModuleType("conformance")
package.__path__ = [HERE]

from conformance.model import Unusable  # noqa: E402

try:
    from conformance.cli import main
except Unusable as error:  # of a check of the house
    print(f"conformance: {error}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
