FROM docker.io/library/python:3.13-slim-trixie AS alternative
ENV PYTHONPATH=/app/lib/python3.13/site-packages
COPY --from=builder /app/lib /app/lib
COPY --from=builder /service /app/lib/python3.13/site-packages
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python3.13", "-m", "payments"]
