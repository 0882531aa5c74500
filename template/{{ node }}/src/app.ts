import type { FastifyPluginAsync } from 'fastify'
import greetings from './routes/greetings.ts'
import type { Settings } from './settings.ts'

export interface AppOptions {
  settings: Settings
}

/** The service itself: its plugins and routes. */
const app: FastifyPluginAsync<AppOptions> = async (fastify) => {
  fastify.register(greetings)
}

export default app
