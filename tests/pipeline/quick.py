"""A service whose team compiles and checks nothing, so that a pipeline takes seconds."""

from __future__ import annotations

import struct
from pathlib import Path

from world import CI_BASE, unsigned


def program() -> bytes:
    """The smallest static program: it exits with 0."""
    code = b"\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"  # xor edi, edi; mov eax, 60; syscall
    start = 0x400000 + 64 + 56
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 64 + 56 + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + code


def quick(directory: Path) -> None:
    """Make the service one whose team compiles and checks nothing, so that a pipeline is quick.

    The platform's files are the template's; the image is the template's but for
    its builder stage, which copies a program instead of compiling one.
    """
    dockerfile = directory / "image" / "Dockerfile"
    text = dockerfile.read_text()
    before, _, rest = text.partition("FROM ${BUILDER_IMAGE} AS builder\n")
    release = rest[rest.index("FROM ${RELEASE_IMAGE}") :]
    dockerfile.write_text(
        f"{before}FROM ${{BUILDER_IMAGE}} AS builder\nWORKDIR /src\nCOPY cmd cmd\n"
        "RUN mkdir /out && cp cmd/payments/program /out/payments && chmod 755 /out/payments\n\n"
        f"{release}"
    )
    (directory / "cmd" / "payments" / "program").write_bytes(program())
    (directory / "ci" / "image" / "Dockerfile").write_text(
        f"FROM {CI_BASE}\nCOPY go.mod go.sum ./\nENV LANG=C.UTF-8\n"
    )
    _, _, ci = (directory / "Makefile").read_text().partition(".PHONY: ci\n")
    (directory / "Makefile").write_text(
        ".PHONY: lint test verify\n"
        "lint:\n\t! grep -rn LINT cmd\n"
        "test:\n\t! grep -rn BROKEN cmd\n"
        "verify:\n\tpython3 ci/conformance repo\n\n"
        f".PHONY: ci\n{ci}"
    )
    unsigned(directory)
