# A floor: what the service itself is, on nothing. It does not have to run.
FROM scratch AS alternative
COPY --from=release /app /app
