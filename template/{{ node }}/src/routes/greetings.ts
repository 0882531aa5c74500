import type { FastifyPluginAsyncJsonSchemaToTs } from '@fastify/type-provider-json-schema-to-ts'

const schema = {
  body: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string', minLength: 1, maxLength: 100 } },
  },
  response: {
    200: {
      type: 'object',
      required: ['message'],
      properties: { message: { type: 'string' } },
    },
  },
} as const

const greetings: FastifyPluginAsyncJsonSchemaToTs = async (fastify) => {
  fastify.post('/v1/greetings', { schema }, async (request) => ({
    message: `Hello, ${request.body.name}!`,
  }))
}

export default greetings
