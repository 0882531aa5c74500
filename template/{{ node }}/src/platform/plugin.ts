import { readFileSync } from 'node:fs'
import { Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import { collectDefaultMetrics, Histogram, register } from 'prom-client'
import { traceIdOf } from './logging.ts'

export interface PlatformOptions {
  /** How long requests are still served once the service is to end, in milliseconds. */
  drainDelay: number
}

// Every 100 ms: the default of 10 ms wakes an idle process ten times as often.
collectDefaultMetrics({ eventLoopMonitoringPrecision: 100 })

const duration = new Histogram({
  name: 'http_server_request_duration_seconds',
  help: 'Duration of HTTP server requests.',
  labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
})

const polled = new Set(['/livez', '/readyz', '/metrics'])

/** The sample and the line of a request that ended: with its answer, or with its connection. */
function record(request: FastifyRequest, { raw, statusCode, elapsedTime }: FastifyReply): void {
  const route = request.routeOptions.url ?? ''
  // As proxies have it: the client was gone before it got an answer.
  const status = raw.headersSent ? statusCode : 499
  duration.observe(
    { http_request_method: request.method, http_route: route, http_response_status_code: status },
    elapsedTime / 1000,
  )
  const level = polled.has(route) ? 'debug' : status >= 500 ? 'error' : 'info'
  const log = request.log as Logger
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      method: request.method,
      path: request.url.split('?', 1)[0], // without the query: that may hold a secret
      status,
      duration_ms: Math.round(elapsedTime * 1000) / 1000,
    },
    raw.writableFinished ? 'request' : 'request aborted',
  )
}

/** What the platform asks of a service: probes, metrics, request ids and a drain. */
export default fp<PlatformOptions>(async (app, { drainDelay }) => {
  let draining = false
  let unanswered = 0
  let onAllAnswered = () => {}

  app.addHook('onRequest', (request, reply, done) => {
    unanswered += 1
    reply.raw.once('close', () => {
      record(request, reply)
      unanswered -= 1
      if (unanswered === 0) onAllAnswered()
    })
    reply.header('x-request-id', request.id)
    const traceId = traceIdOf(request)
    if (traceId) request.log = reply.log = request.log.child({ trace_id: traceId })
    done()
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
    if (unanswered > 0) {
      await new Promise<void>((resolve) => {
        onAllAnswered = resolve
      })
    }
    app.server.closeAllConnections()
  })

  app.addHook('onClose', async () => app.log.info('stopped'))
})
