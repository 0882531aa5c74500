# Wheels with compiled code are other ones for musl, so it has a builder of its own.
FROM docker.io/library/python:3.13-alpine AS alpine-builder
RUN pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
ENV UV_LINK_MODE=copy
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY src src
RUN printf '1.2.3\n' > src/payments/VERSION \
 && uv sync --locked --no-dev --no-editable

FROM docker.io/library/python:3.13-alpine AS alternative
COPY --from=alpine-builder /app/.venv /app/.venv
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/app/.venv/bin/python", "-m", "payments"]
