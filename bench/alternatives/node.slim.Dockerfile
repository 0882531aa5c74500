FROM docker.io/library/node:24-trixie-slim AS alternative
ENV NODE_ENV=production
COPY --from=builder /app/node_modules /app/node_modules
COPY --from=builder /app/package.json /app/openapi.json /app/
COPY --from=builder /src/dist /app/dist
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["node", "/app/dist/main.js"]
