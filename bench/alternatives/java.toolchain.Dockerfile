# A single stage: the image that compiled the service runs it.
FROM builder AS alternative
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["java", "-jar", "/src/target/payments.jar"]
