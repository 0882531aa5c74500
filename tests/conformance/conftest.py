"""Puts the tool on the path before any test module imports a part of it."""

import conformance_tool  # noqa: F401
