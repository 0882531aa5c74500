FROM docker.io/library/eclipse-temurin:25-jre-alpine AS alternative
COPY --from=builder /out/dependencies/ /app/
COPY --from=builder /out/application/ /app/
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["java", "-jar", "/app/payments.jar"]
