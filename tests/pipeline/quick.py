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


# By language: where the program lies among the sources, what the CI image is made of, and the
# steps of the stages before the release, in place of those that compile.
GO = "RUN mkdir /out && cp {program} /out/payments && chmod 755 /out/payments\n"
QUICK = {
    "go": ("cmd/payments/program", "go.mod go.sum", GO),
    "rust": ("src/program", "Cargo.toml Cargo.lock", GO),
    "java": (
        "src/main/program", "pom.xml",
        "RUN mkdir -p /out/dependencies /out/application /rootfs/opt/java/bin"
        " /usr/lib/locale/C.utf8 \\\n"
        " && cp {program} /out/application/payments.jar \\\n"
        " && cp {program} /rootfs/opt/java/bin/java && chmod 755 /rootfs/opt/java/bin/java\n\n"
        "FROM builder AS jre\n",
    ),
    "python": (
        "src/program", "pyproject.toml uv.lock",
        "RUN mkdir -p /app/bin /service/payments_app"
        " && ln -s /usr/bin/python3.13 /app/bin/python\n",
    ),
    "node": (
        "src/program", "package.json package-lock.json",
        "RUN mkdir -p /app/node_modules dist && touch dist/main.js && echo '{}' >/app/package.json"
        " && cp /app/package.json /app/openapi.json\n",
    ),
}  # fmt: skip


def quick(directory: Path, language: str = "go") -> None:
    """Make the service one whose team compiles and checks nothing, so that a pipeline is quick.

    The platform's files are the template's; the image is the template's but for
    its builder stage, which copies a program instead of compiling one.
    """
    program_path, inputs, steps = QUICK[language]
    sources = program_path.partition("/")[0]
    dockerfile = directory / "image" / "Dockerfile"
    before, _, rest = dockerfile.read_text().partition("FROM ${BUILDER_IMAGE} AS builder\n")
    release = rest[rest.index("FROM ${RELEASE_IMAGE}") :]
    steps = steps.replace("{program}", program_path)
    dockerfile.write_text(
        f"{before}FROM ${{BUILDER_IMAGE}} AS builder\nWORKDIR /src\nCOPY {sources} {sources}\n"
        f"{steps}\n{release}"
    )
    (directory / program_path).write_bytes(program())
    (directory / "ci" / "image" / "Dockerfile").write_text(
        f"FROM {CI_BASE}\nCOPY {inputs} ./\nENV LANG=C.UTF-8\n"
    )
    _, _, ci = (directory / "Makefile").read_text().partition(".PHONY: ci\n")
    (directory / "Makefile").write_text(
        ".PHONY: lint test verify\n"
        f"lint:\n\t! grep -rn LINT {sources}\n"
        f"test:\n\t! grep -rn BROKEN {sources}\n"
        "verify:\n\tpython3 ci/conformance repo\n\n"
        f".PHONY: ci\n{ci}"
    )
    unsigned(directory)
