import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics, Gauge, Histogram, register } from 'prom-client'

export interface PlatformOptions {
  service: string
  version: string
  /** How long /readyz answers 503 before the server closes, in milliseconds. */
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

/** What a platform asks of every service: probes, metrics, request ids, a drain. */
export default fp<PlatformOptions>(async (app, { service, version, drainDelay }) => {
  build.set({ service, version }, 1)

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })

  app.addHook('onResponse', (request, reply, done) => {
    duration.observe(
      {
        http_request_method: request.method,
        http_route: request.routeOptions.url ?? '',
        http_response_status_code: reply.statusCode,
      },
      reply.elapsedTime / 1000,
    )
    done()
  })

  let draining = false
  app.get('/livez', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) =>
    draining ? reply.code(503).send({ status: 'draining' }) : { status: 'ok' },
  )
  app.get('/metrics', async (_request, reply) =>
    reply.type(register.contentType).send(await register.metrics()),
  )
  const openapi = readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')
  app.get('/openapi.json', async (_request, reply) => reply.type('application/json').send(openapi))

  app.addHook('preClose', async () => {
    draining = true
    app.log.info('draining')
    await setTimeout(drainDelay)
  })
  closeConnections(app)
  app.addHook('onClose', async () => app.log.info('stopped'))
})

/**
 * Closes what is still open when the last answer is out. Node's close() ends the connections
 * that are idle at that moment, but none that falls idle later or has never sent a request:
 * https://github.com/fastify/fastify/issues/7044
 */
function closeConnections(app: FastifyInstance): void {
  let answering = 0
  let closing = false
  const closeIfIdle = () => {
    if (closing && answering === 0) app.server.closeAllConnections()
  }
  app.server.on('request', (_request, response) => {
    answering += 1
    response.once('close', () => {
      answering -= 1
      closeIfIdle()
    })
  })
  app.addHook('preClose', async () => {
    closing = true
    setImmediate(closeIfIdle)
  })
}
