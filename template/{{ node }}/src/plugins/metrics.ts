import fp from 'fastify-plugin'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { service, version } from '../service.ts'

export interface Metrics {
  inFlight: Gauge
  observe(method: string, route: string | undefined, status: number, seconds: number): void
}

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

const standardMethods = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
])

/** The service's metrics, on GET /metrics. Every app has a registry of its own. */
export const metrics = fp(async (app) => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })

  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests answered.',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['method', 'route'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  })
  const inFlight = new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests that are being answered.',
    registers: [registry],
  })
  new Gauge({
    name: 'build_info',
    help: 'The build that is running; always 1.',
    labelNames: ['service', 'version'],
    registers: [registry],
  }).set({ service, version }, 1)

  app.decorate('metrics', {
    inFlight,
    observe(method, route, status, seconds) {
      // Labels come from closed sets: a client cannot make new series.
      const labels = {
        method: standardMethods.has(method) ? method : 'other',
        route: route ?? 'unmatched',
      }
      requests.inc({ ...labels, status })
      durations.observe(labels, seconds)
    },
  })

  app.get('/metrics', { config: { poll: 'scrape' } }, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
})
