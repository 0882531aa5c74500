# A single stage: the image that compiled the service runs it, with all that it took.
FROM ${BUILDER_IMAGE} AS alternative
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
COPY src/tracing/package.json src/tracing/
RUN npm ci
COPY tsconfig.json tsconfig.build.json openapi.json ./
COPY src src
RUN npm run build && echo 1.2.3 > dist/VERSION
ENV NODE_ENV=production
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["node", "dist/main.js"]
