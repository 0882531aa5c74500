"""What this service is called, and which build of it this is."""

from importlib.resources import files
from importlib.resources.abc import Traversable

SERVICE = "payments"


def read_version(package: Traversable) -> str:
    """The version that the image build wrote beside the code; `dev` in a checkout."""
    try:
        return package.joinpath("VERSION").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "dev"


VERSION = read_version(files(__package__))
