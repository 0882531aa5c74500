"""Real images with a fault of each kind: conformance names it by its id."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from services import BUILD_ARGS, Service

from lab import Lab
from rendering import Render

# Lines for the end of the release or the debug stage, and the checks that must fire.
RELEASE_FAULTS = {
    "shell": ("COPY --from=builder /bin/dash /bin/sh", {"IMG-001"}),
    "renamed shell": ("COPY --from=builder /bin/dash /app/helper", {"IMG-001"}),
    "renamed busybox": (
        "COPY --from=gcr.io/distroless/static-debian13:debug-nonroot /busybox/busybox /app/x",
        {"IMG-001"},
    ),
    "package manager": ("COPY --from=builder /usr/bin/dpkg /usr/bin/dpkg", {"IMG-002"}),
    "interpreter": ("COPY --from=builder /usr/bin/perl /usr/bin/perl", {"IMG-003"}),
    "setuid file": ("COPY --from=planted /setuid /app/setuid", {"IMG-004"}),
    "world-writable file": ("COPY --from=planted /writable /app/writable", {"IMG-005"}),
    "root": ("USER 0:0", {"IMG-006"}),
    "named user": ("USER nonroot", {"IMG-006"}),
    "missing entrypoint": ('ENTRYPOINT ["/app/nothing"]', {"IMG-007"}),
    "shell form": ("ENTRYPOINT /app/payments", {"IMG-008"}),
    "secret file": ("COPY --from=planted /id_rsa /home/nonroot/.ssh/id_rsa", {"IMG-010"}),
    "secret value": ("ENV DATABASE_PASSWORD=hunter2hunter2", {"IMG-011"}),
}
DEBUG_FAULTS = {
    "extra file": ("COPY --from=builder /etc/hostname /etc/extra", {"TWN-002"}),
    "another start": ('CMD ["/busybox/sh"]', {"TWN-005"}),
    "another user": ("USER 0:0", {"TWN-003"}),
}
PLANTED = """\
RUN install -m 4755 /bin/true /setuid && install -m 0666 /dev/null /writable \\
 && printf '%s\\n' '-----BEGIN OPENSSH PRIVATE KEY-----' 'AAAA' \\
      '-----END OPENSSH PRIVATE KEY-----' > /id_rsa
"""


@pytest.fixture(scope="module")
def service(lab: Lab, render: Render) -> Service:
    return Service(lab, render(language="go", runtime_base="distroless"), {"language": "go"})


def plant(service: Service, destination: Path, stage: str, line: str) -> Path:
    """A copy of the service whose Dockerfile has one line more at the end of a stage."""
    shutil.copytree(service.directory, destination, symlinks=True)
    path = destination / "image/Dockerfile"
    text = path.read_text(encoding="utf-8")
    following = {"release": "# The release image and a shell", "debug": "# A build without"}[stage]
    assert text.count(following) == 1
    text = text.replace(following, f"{line}\n\n{following}")
    first = text.index("FROM ${RELEASE_IMAGE}")
    text = f"{text[:first]}FROM builder AS planted\n{PLANTED}\n{text[first:]}"
    path.write_text(text, encoding="utf-8")
    return destination


def found(output: str) -> set[str]:
    return {line.split()[0] for line in output.splitlines() if line[:4] in ("IMG-", "TWN-")}


@pytest.mark.parametrize("fault", RELEASE_FAULTS)
def test_release_faults_are_named(fault: str, service: Service, tmp_path: Path) -> None:
    line, ids = RELEASE_FAULTS[fault]
    directory = plant(service, tmp_path / "planted", "release", line)
    result = service.conformance(service.lab.build(directory, "release", BUILD_ARGS))
    assert (result.returncode, found(result.stdout)) == (1, ids), result.stdout + result.stderr


@pytest.mark.parametrize("fault", DEBUG_FAULTS)
def test_twin_faults_are_named(fault: str, service: Service, tmp_path: Path) -> None:
    line, ids = DEBUG_FAULTS[fault]
    directory = plant(service, tmp_path / "planted", "debug", line)
    debug = service.lab.build(directory, "debug", BUILD_ARGS)
    result = service.conformance(debug, "--twin", service.release.oci_archive)
    assert result.returncode == 1, result.stdout + result.stderr
    assert ids <= found(result.stdout), result.stdout
