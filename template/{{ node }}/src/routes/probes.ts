import type { FastifyInstance } from 'fastify'

export async function probes(app: FastifyInstance): Promise<void> {
  app.get('/livez', { config: { poll: 'probe' } }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send('ok\n'),
  )

  app.get('/readyz', { config: { poll: 'probe' } }, async (_request, reply) =>
    reply
      .code(app.lifecycle.draining ? 503 : 200)
      .type('text/plain; charset=utf-8')
      .send(app.lifecycle.draining ? 'draining\n' : 'ok\n'),
  )
}
