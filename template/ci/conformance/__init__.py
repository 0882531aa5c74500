"""Conformance checks of the platform: `python3 ci/conformance --help`."""
