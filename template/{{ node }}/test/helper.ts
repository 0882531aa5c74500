import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { buildServer } from '../src/server.ts'
import { readSettings } from '../src/settings.ts'

/** The environment of a test; a setting that is required belongs here, too. */
export const environment = { LOG_LEVEL: 'error', DRAIN_DELAY_SECONDS: '0' }

/** The whole service without a socket, for `inject`; closed when the test ends. */
export function build(t: TestContext): FastifyInstance {
  const server = buildServer(readSettings(environment))
  t.after(() => server.close())
  return server
}
