import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { destination, stdTimeFunctions } from 'pino'

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
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Synchronous, so that lines keep their order when the process exits.
      stream: destination({ dest: 1, sync: true }),
    },
    genReqId: requestId,
    logController: new RequestLog({ requestIdLogLabel: 'request_id' }),
  } satisfies FastifyServerOptions
}

// https://www.w3.org/TR/trace-context/#traceparent-header
const traceparent = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-|$)/

/** The trace that the caller's traceparent names. */
export function traceIdOf({ headers }: FastifyRequest): string | undefined {
  const header = headers.traceparent
  return typeof header === 'string' ? traceparent.exec(header)?.[1] : undefined
}

/** What was asked for, without the query: that may hold a secret. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] as string
}

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
        path: pathOf(request),
        status,
        duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
      },
      'request',
    )
  }
}
