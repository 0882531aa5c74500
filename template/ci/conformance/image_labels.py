"""The labels that lead from a container to its source and its base."""

REQUIRED_LABELS = ("title", "version", "revision", "created", "source", "base.name", "base.digest")
NEVER_EMPTY_LABELS = ("title", "version")
