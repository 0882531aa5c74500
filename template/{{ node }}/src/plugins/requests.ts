import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { describe } from '../logger.ts'
import { title } from '../problem.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Follows a request to the end of its answer; hooks do so for every route. */
    track(request: FastifyRequest, reply: FastifyReply): void
  }
  interface FastifyRequest {
    /** Why the answer is a 5xx, or was cut short. */
    failure: unknown
  }
  interface FastifyContextConfig {
    /** Asked all the time, so logged at debug level: a probe also when it fails. */
    poll?: 'probe' | 'scrape' | undefined
  }
}

const responseTimeoutMs = 15_000

/** A client's own request id where it is well formed, a random one otherwise. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const id = request.headers['x-request-id']
  return typeof id === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(id) ? id : randomUUID()
}

/** Request ids, one log line a request, metrics, and the limit on answering. */
export const requests = fp(async (app) => {
  app.decorateRequest('failure', undefined)

  app.decorate('track', (request, reply) => {
    reply.header('x-request-id', request.id)
    app.metrics.inFlight.inc()
    const start = performance.now()
    // Node limits how long a request may take to arrive, not its answer.
    const limit = setTimeout(() => {
      request.failure = new Error(`no answer within ${responseTimeoutMs / 1000} s`)
      reply.raw.destroy()
    }, responseTimeoutMs)

    // `close` comes for every request, also when the client has gone away.
    reply.raw.once('close', () => {
      clearTimeout(limit)
      app.metrics.inFlight.dec()
      finish(request, reply, performance.now() - start)
    })
  })

  app.addHook('onRequest', async (request, reply) => app.track(request, reply))

  function finish(request: FastifyRequest, reply: FastifyReply, elapsedMs: number): void {
    const { method } = request
    const status = reply.statusCode
    const fields = {
      method,
      path: request.url.split('?', 1)[0],
      duration_ms: Math.round(elapsedMs * 1000) / 1000,
    }
    if (!reply.raw.writableFinished) {
      if (request.failure === undefined) {
        request.log.debug(fields, 'request aborted')
      } else {
        request.log.error({ ...fields, ...describe(request.failure) }, 'answer cut short')
      }
      return
    }

    app.metrics.observe(method, request.routeOptions.url, status, elapsedMs / 1000)
    const { poll } = request.routeOptions.config
    if (status >= 500 && poll !== 'probe') {
      const reason = describe(request.failure ?? title(status))
      request.log.error({ ...fields, status, ...reason }, 'request')
    } else if (poll !== undefined) {
      request.log.debug({ ...fields, status }, 'request')
    } else {
      request.log.info({ ...fields, status }, 'request')
    }
  }
})
