"""The command `payments`, and `python -m payments_app`."""

import sys

from service_platform import cli

from .settings import get_settings


def main() -> int:
    return cli.main("payments", "payments_app.app:app", get_settings)


if __name__ == "__main__":
    sys.exit(main())
