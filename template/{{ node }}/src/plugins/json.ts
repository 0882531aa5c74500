import fp from 'fastify-plugin'
import { Problem } from '../problem.ts'

/** JSON in and out, and no other media type. */
export const json = fp(async (app) => {
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  // `__proto__` and `constructor` are members like any other that nobody asked for.
  const parse = app.getDefaultJsonParser('remove', 'remove')

  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request, body: Buffer, done) => {
      let text: string
      try {
        text = utf8.decode(body)
      } catch {
        done(new Problem(400, 'The request body is not valid UTF-8.'))
        return
      }
      parse(request, text, done)
    },
  )

  // Fastify adds a parameter that JSON does not have (RFC 8259, section 11).
  app.addHook('onSend', async (_request, reply) => {
    if (reply.getHeader('content-type') === 'application/json; charset=utf-8') {
      reply.header('content-type', 'application/json')
    }
  })
})
