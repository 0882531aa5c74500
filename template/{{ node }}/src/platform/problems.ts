import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

// An import of node:http would load its fetch, too, and slow every start by that.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

/** Answers an error as application/problem+json (RFC 9457); a 5xx says nothing of its inside. */
export function sendProblem(
  error: FastifyError | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const status = reply.statusCode >= 400 ? reply.statusCode : (error?.statusCode ?? 500)
  if (status >= 500 || error === undefined) {
    request.log.error({ err: error }, 'request failed')
    return problem(reply, status, 'The service could not answer this request.')
  }
  return problem(reply, status, error.message)
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
