FROM docker.io/library/alpine:3.23 AS alternative
COPY --from=builder /out/payments /app/payments
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/app/payments"]
