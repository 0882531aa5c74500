# The image of the job template-update: git, and the Copier that this template
# is tested with, as uv.lock has it.
#
#   docker build --file scripts/template-update.Dockerfile --tag <registry>/template-update:1 .
FROM docker.io/library/python:3.13-slim-trixie AS builder
RUN pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /opt/copier
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-cache --no-python-downloads

FROM docker.io/library/python:3.13-slim-trixie
# Debian keeps one version of a package in its archive, so a pin would break.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/*
COPY --from=builder /opt/copier/.venv /opt/copier/.venv
ENV PATH=/opt/copier/.venv/bin:$PATH HOME=/tmp
USER 65532:65532
