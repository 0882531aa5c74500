"""Where the process is between its start and its end."""

from dataclasses import dataclass


@dataclass(slots=True)
class Lifecycle:
    draining: bool = False
