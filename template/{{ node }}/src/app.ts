import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import { fastify, LogController } from 'fastify'
import { refuse, refuseTunnel } from './client-errors.ts'
import { allow } from './plugins/allow.ts'
import { json } from './plugins/json.ts'
import { metrics } from './plugins/metrics.ts'
import { problems, sendProblem } from './plugins/problems.ts'
import { requestId, requests } from './plugins/requests.ts'
import { greetings } from './routes/greetings.ts'
import { probes } from './routes/probes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    lifecycle: { draining: boolean }
  }
}

/** The service without its socket: plugins, limits and routes. */
export async function buildApp(
  loggerInstance: FastifyBaseLogger,
  routes: FastifyPluginAsync[] = [greetings],
): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'request_id',
    }),
    genReqId: requestId,
    bodyLimit: 1024 * 1024,
    requestTimeout: 15_000,
    keepAliveTimeout: 60_000,
    http: {
      headersTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16 * 1024,
      // The problems plugin checks it: Node's own answer has no body.
      requireHostHeader: false,
    },
    ajv: { customOptions: { coerceTypes: false } },
    frameworkErrors: (error, request, reply) => {
      // The request has no route yet, so no hook runs.
      app.track(request, reply)
      if (app.lifecycle.draining) reply.header('connection', 'close')
      sendProblem(reply, error)
    },
    clientErrorHandler: refuse,
    return503OnClosing: false,
  })

  app.server.on('connect', (_request, socket) => refuseTunnel(socket))
  // An expectation that the service does not know is no reason to refuse (RFC 9110, 10.1.1).
  app.server.on('checkExpectation', (request, response) =>
    app.server.emit('request', request, response),
  )

  app.decorate('lifecycle', { draining: false })
  app.addHook('onSend', async (_request, reply) => {
    if (app.lifecycle.draining) reply.header('connection', 'close')
  })

  app.register(allow)
  app.register(requests)
  app.register(problems)
  app.register(json)

  // From here on there are routes: they take the error handler that they find.
  app.register(metrics)
  app.register(probes)
  for (const route of routes) app.register(route)
  app.register(async () => app.refuseOtherMethods())

  await app.ready()
  return app
}
