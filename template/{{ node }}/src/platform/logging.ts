import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'

export interface LoggingOptions {
  service: string
  version: string
  level: string
}

/** Fastify's options for the log: its keys, the request's id and trace, one line a request. */
export function logging({ service, version, level }: LoggingOptions) {
  return {
    logger: {
      level,
      base: { service, version },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    genReqId: requestId,
    childLoggerFactory: (logger, bindings, options, { headers }) => {
      const traceId = traceparent.exec(String(headers.traceparent))?.[1]
      return logger.child(traceId ? { ...bindings, trace_id: traceId } : bindings, options)
    },
    logController: new RequestLog({ requestIdLogLabel: 'request_id' }),
  } satisfies FastifyServerOptions
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const traceparent = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-|$)/

/** The caller's id where it is well formed, else a new one. */
function requestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const id = headers['x-request-id']
  return typeof id === 'string' && /^[\w.-]{1,128}$/.test(id) ? id : randomUUID()
}

const polled = new Set<string | undefined>(['/livez', '/readyz', '/metrics'])

class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(_error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const status = reply.statusCode
    const level = polled.has(request.routeOptions.url) ? 'debug' : status >= 500 ? 'error' : 'info'
    request.log[level](
      {
        method: request.method,
        path: request.url.split('?', 1)[0],
        status,
        duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
      },
      'request',
    )
  }
}
