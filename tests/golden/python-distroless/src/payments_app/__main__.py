"""The command `payments`, and `python -m payments_app`."""

import sys

from service_platform import cli

from .settings import load_settings


def main() -> int:
    return cli.main("payments", "payments_app.app:app", load_settings)


if __name__ == "__main__":
    sys.exit(main())
