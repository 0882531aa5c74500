import type { FastifyInstance } from 'fastify'

/*
 * OpenTelemetry, loaded ahead of the service by node's --import. It is on where
 * OTEL_EXPORTER_OTLP_ENDPOINT is set, and everything else is for OTEL_* to say, too.
 */
if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) {
  const { subscribe } = await import('node:diagnostics_channel')
  const { FastifyOtelInstrumentation } = await import('@fastify/otel')
  const { UndiciInstrumentation } = await import('@opentelemetry/instrumentation-undici')
  const { NodeSDK } = await import('@opentelemetry/sdk-node')

  const polled = ['/livez', '/readyz', '/metrics']
  const sdk = new NodeSDK({
    instrumentations: [
      new FastifyOtelInstrumentation({
        registerOnInitialization: true,
        instrumentHooks: false,
        ignorePaths: ({ url }) => polled.includes(url),
        requestHook: (span, request) => {
          span.updateName(`${request.method} ${request.routeOptions.url ?? ''}`.trimEnd())
          span.setAttribute('url.path', request.url.split('?', 1)[0] as string)
          // A trace that begins here: the caller sent none.
          if (request.headers.traceparent === undefined) {
            const { traceId } = span.spanContext()
            request.log = request.log.child({ trace_id: traceId })
          }
        },
      }),
      new UndiciInstrumentation(),
    ],
  })
  sdk.start()
  subscribe('fastify.initialization', (message) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onClose', () =>
      sdk.shutdown().catch((err) => fastify.log.warn({ err }, 'traces not sent')),
    )
  })
}
