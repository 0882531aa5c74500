"""A change of the source compiles no dependency again."""

from __future__ import annotations

import re
from pathlib import Path

from lab import Lab
from rendering import COMBINATIONS, Render

# Go says itself what a build would compile.
NOT_COMPILED = """\
RUN CGO_ENABLED=0 GOPROXY=off go list -trimpath -deps \\
      -f '{{if .Stale}}{{.ImportPath}}{{end}}' ./cmd/payments > /not-compiled

FROM scratch
COPY --from=builder /not-compiled /
"""


def not_compiled(lab: Lab, service: Path, dockerfile: str) -> list[str]:
    """The packages that the Go service's last build step finds not compiled."""
    before = dockerfile.partition("ARG VERSION=dev\n")[0]
    (service / "layer.Dockerfile").write_text(before + NOT_COMPILED)
    image = lab.build(service, dockerfile="layer.Dockerfile")
    return image.read("/not-compiled").decode().split()


def test_go_compiles_its_dependencies_in_a_layer_of_their_own(lab: Lab, scaffold: Render) -> None:
    service = scaffold(**COMBINATIONS["go-distroless"])
    dockerfile = (service / "image/Dockerfile").read_text()
    left = not_compiled(lab, service, dockerfile)
    assert "example.com/platform/payments/cmd/payments" in left
    module = "example.com/platform/payments"
    assert [p for p in left if p != module and not p.startswith(f"{module}/")] == []


def test_a_dependency_without_its_layer_is_seen(lab: Lab, scaffold: Render) -> None:
    service = scaffold(**COMBINATIONS["go-distroless"])
    dockerfile = (service / "image/Dockerfile").read_text()
    without, count = re.subn(r" \\\n && .*go build -trimpath \./internal/platform", "", dockerfile)
    assert count == 1
    assert "net/http" in not_compiled(lab, service, without)
