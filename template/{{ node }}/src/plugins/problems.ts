import type { FastifyError, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { Problem, problemDocument, problemType, title } from '../problem.ts'

/** What Fastify's own errors mean to a client, by code. */
const details: Record<string, string> = {
  FST_ERR_BAD_URL: 'The path is not validly percent-encoded.',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The request body is larger than 1 MiB.',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The request body is empty.',
  FST_ERR_CTP_INVALID_JSON_BODY: 'The request body is not valid JSON.',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The request body must be application/json.',
}

/** Every error answer is application/problem+json. */
export const problems = fp(async (app) => {
  // Ahead of the body: a path that does not exist is a 404, whatever is sent to it.
  app.addHook('onRequest', async (request) => {
    if (request.raw.httpVersion === '1.1' && request.raw.headersDistinct.host?.length !== 1) {
      throw new Problem(400, 'The request needs one Host header.')
    }
    if (request.is404) throw new Problem(404, 'There is nothing at this path.')
  })

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    // Fastify would close the connection while the client still sends its body,
    // and the client might never see the answer.
    if (reply.hasHeader('connection')) reply.removeHeader('connection')

    if (statusOf(error) >= 500) request.failure = error
    return sendProblem(reply, error)
  })

  app.setSchemaErrorFormatter(
    ([error], part) =>
      new Error(
        `The request does not match its schema: ${part}${error?.instancePath} ${error?.message}.`,
      ),
  )
})

/** Answers with the problem that an error stands for; a 5xx says nothing of its inside. */
export function sendProblem(reply: FastifyReply, error: FastifyError): FastifyReply {
  const status = statusOf(error)
  const detail =
    status >= 500
      ? 'The service could not answer this request.'
      : (details[error.code] ?? (error.message || title(status)))
  reply.raw.statusMessage = title(status)
  // With a serializer of its own, the type is sent as it stands here.
  return reply
    .code(status)
    .type(problemType)
    .serializer(JSON.stringify)
    .send(problemDocument(status, detail))
}

// Only a Problem and Fastify's own errors are meant for the client. Any other is a
// fault: an HTTP client's, say, carries the status that its own server answered.
function statusOf(error: Partial<FastifyError> | null | undefined): number {
  const { code, statusCode = 500 } = error ?? {}
  const meant = error instanceof Problem || String(code).startsWith('FST_')
  return meant && statusCode >= 400 && statusCode <= 599 ? statusCode : 500
}
