FROM docker.io/library/debian:trixie-slim AS alternative
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /out/payments /app/payments
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/app/payments"]
