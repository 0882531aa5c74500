import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type FastifyRequest, type FastifyServerOptions, LogController } from 'fastify'
import { destination, stdTimeFunctions } from 'pino'

export interface LoggingOptions {
  service: string
  version: string
  level: string
}

/** Fastify's options for the log: its keys, and the request's id. */
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
    logController: new FailuresOnly({ requestIdLogLabel: 'request_id' }),
  } satisfies FastifyServerOptions
}

// https://www.w3.org/TR/trace-context/#traceparent-header
const traceparent = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-|$)/

/** The trace that the caller's traceparent names. */
export function traceIdOf({ headers }: FastifyRequest): string | undefined {
  const header = headers.traceparent
  return typeof header === 'string' ? traceparent.exec(header)?.[1] : undefined
}

// Counted from a random number: as good as a random one for each, for a tenth of the time.
const prefix = randomUUID().slice(0, 24)
let count = 0

/** The caller's id where it is well formed, else a new one. */
function requestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const id = headers['x-request-id']
  if (typeof id === 'string' && /^[\w.-]{1,128}$/.test(id)) return id
  count += 1
  return prefix + count.toString(16).padStart(12, '0')
}

/** Fastify's, without its two lines a request: the platform's plugin writes one. */
class FailuresOnly extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(): void {}
}
