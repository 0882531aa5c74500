// The endpoint on Fastify alone.
import { fastify } from 'fastify'

const schema = {
  body: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string', minLength: 1, maxLength: 100 } },
  },
  response: {
    200: { type: 'object', required: ['message'], properties: { message: { type: 'string' } } },
  },
} as const

const server = fastify()
server.post<{ Body: { name: string } }>('/v1/greetings', { schema }, async (request) => ({
  message: `Hello, ${request.body.name}!`,
}))
await server.listen({ host: '0.0.0.0', port: Number(process.env.PORT) })
