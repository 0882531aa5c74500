import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { buildServer } from '../src/server.ts'
import { readSettings } from '../src/settings.ts'

/** The settings of a test: the defaults, and what it sets itself. */
export function settings(env: NodeJS.ProcessEnv = {}) {
  return readSettings({ LOG_LEVEL: 'error', DRAIN_DELAY_SECONDS: '0', ...env })
}

/** The whole service without a socket, for `inject`; closed when the test ends. */
export function build(t: TestContext): FastifyInstance {
  const server = buildServer(settings())
  t.after(() => server.close())
  return server
}
