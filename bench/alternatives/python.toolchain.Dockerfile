# A single stage: the image that built the service runs it.
FROM builder AS alternative
ENV PYTHONPATH=/app/lib/python3.13/site-packages:/service
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python3.13", "-m", "payments"]
