FROM docker.io/library/debian:trixie-slim AS alternative
# hadolint ignore=DL3008
RUN apt-get update \
 && mkdir -p /usr/share/man/man1 \
 && apt-get install -y --no-install-recommends openjdk-25-jre-headless \
 && rm -rf /var/lib/apt/lists/*
COPY --from=builder /out/dependencies/ /app/
COPY --from=builder /out/application/ /app/
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["java", "-jar", "/app/payments.jar"]
