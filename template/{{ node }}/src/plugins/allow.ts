import { METHODS } from 'node:http'
import type { FastifyContextConfig } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../problem.ts'

/** Answers 405 with Allow where a path has routes, but none for the method. */
export const allow = fp(async (app) => {
  const routes = new Map<string, { methods: Set<string>; poll: FastifyContextConfig['poll'] }>()

  // CONNECT has no path and never gets to the router.
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method)
  }

  app.addHook('onRoute', ({ url, method, config }) => {
    const route = routes.get(url) ?? { methods: new Set(), poll: config?.poll }
    for (const one of [method].flat()) route.methods.add(one)
    routes.set(url, route)
  })

  app.decorate('refuseOtherMethods', () => {
    for (const [url, { methods, poll }] of [...routes]) {
      const allowed = [...methods].sort().join(', ')
      app.route({
        url,
        method: app.supportedMethods.filter((method) => !methods.has(method)),
        // A refusal is logged like the path's other answers.
        config: { poll },
        // Ahead of the body, which is not looked at.
        onRequest: async (request, reply) => {
          reply.header('allow', allowed)
          throw new Problem(405, `This path does not answer ${request.method}.`)
        },
        handler: async () => undefined,
      })
    }
  })
})

declare module 'fastify' {
  interface FastifyInstance {
    /** Call this once, after the last route. */
    refuseOtherMethods(): void
  }
}
