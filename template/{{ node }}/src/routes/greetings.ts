import type { FastifyInstance } from 'fastify'

interface Greeting {
  name: string
}

const schema = {
  body: {
    type: 'object',
    required: ['name'],
    // JSON Schema counts code points.
    properties: { name: { type: 'string', minLength: 1, maxLength: 100 } },
  },
  response: {
    200: {
      type: 'object',
      required: ['message'],
      properties: { message: { type: 'string' } },
    },
  },
}

export async function greetings(app: FastifyInstance): Promise<void> {
  app.post<{ Body: Greeting }>('/v1/greetings', { schema }, async (request) => ({
    message: `Hello, ${request.body.name}!`,
  }))
}
