import type { FastifyReply, FastifyRequest } from 'fastify'

// An import of node:http would load its fetch, too, and slow every start by that.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

/** What Fastify and http-errors say in an error; anything may be thrown. */
type Thrown =
  | { message?: string; statusCode?: number; status?: number; headers?: Record<string, string> }
  | null
  | undefined

/** Answers an error as application/problem+json (RFC 9457); a 5xx says nothing of its inside. */
export function sendProblem(
  error: Thrown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const own = error?.statusCode ?? error?.status ?? 500
  const status = [reply.statusCode, own].find((code) => code >= 400 && code < 600) ?? 500
  if (error?.headers) reply.headers(error.headers)
  if (status >= 500 || !error) {
    request.log.error({ err: error }, 'request failed')
    return problem(reply, status, 'The service could not answer this request.')
  }
  return problem(reply, status, String(error.message))
}

export function sendNotFound(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return problem(reply, 404, 'There is nothing at this path.')
}

function problem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ title: STATUS_CODES[status], status, detail })
}
