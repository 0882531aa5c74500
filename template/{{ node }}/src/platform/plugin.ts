import { readFileSync } from 'node:fs'
import { Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics, Gauge, Histogram, register } from 'prom-client'
import { pathOf, traceIdOf } from './logging.ts'

export interface PlatformOptions {
  service: string
  version: string
  /** How long requests are still served once the service is to end, in milliseconds. */
  drainDelay: number
}

collectDefaultMetrics()

const build = new Gauge({
  name: 'build_info',
  help: 'The build that is running; always 1.',
  labelNames: ['service', 'version'],
})

const duration = new Histogram({
  name: 'http_server_request_duration_seconds',
  help: 'Duration of HTTP server requests.',
  labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
})

/** What the platform asks of a service: probes, metrics, request ids and a drain. */
export default fp<PlatformOptions>(async (app, { service, version, drainDelay }) => {
  build.set({ service, version }, 1)
  let draining = false

  app.addHook('onRequest', (request, reply, done) => {
    unanswered.add(request)
    reply.header('x-request-id', request.id)
    const traceId = traceIdOf(request)
    if (traceId) request.log = reply.log = request.log.child({ trace_id: traceId })
    done()
  })

  app.addHook('onResponse', (request, reply, done) => {
    answered(request)
    const labels = {
      http_request_method: request.method,
      http_route: request.routeOptions.url ?? '',
      http_response_status_code: reply.statusCode,
    }
    duration.observe(labels, reply.elapsedTime / 1000)
    done()
  })

  const unanswered = new Set<FastifyRequest>()
  let onAllAnswered = () => {}
  const answered = (request: FastifyRequest) => {
    unanswered.delete(request)
    if (unanswered.size === 0) onAllAnswered()
  }
  app.server.on('connection', (socket) => {
    socket.once('close', () => {
      for (const request of unanswered) {
        if (request.socket !== socket) continue
        request.log.info({ method: request.method, path: pathOf(request) }, 'request aborted')
        answered(request)
      }
    })
  })

  app.get('/livez', async () => 'ok\n')

  app.get('/readyz', async (_request, reply) =>
    draining ? reply.code(503).send('draining\n') : 'ok\n',
  )

  app.get('/metrics', async (_request, reply) =>
    reply.type(register.contentType).send(await register.metrics()),
  )

  const openapi = readFileSync(new URL('../../openapi.json', import.meta.url))
  app.get('/openapi.json', async (_request, reply) => reply.type('application/json').send(openapi))

  app.addHook('preClose', async () => {
    draining = true
    app.log.info('draining')
    await setTimeout(drainDelay)

    // Not http's own close(): that cuts off an answer that is not all sent yet, and waits
    // for connections on which no request ever began (fastify/fastify#7044).
    Server.prototype.close.call(app.server)
    if (unanswered.size > 0) {
      await new Promise<void>((resolve) => {
        onAllAnswered = resolve
      })
    }
    app.server.closeAllConnections()
  })

  app.addHook('onClose', async () => app.log.info('stopped'))
})
