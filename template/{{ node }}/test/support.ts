import { EventEmitter, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { buildApp } from '../src/app.ts'
import { createLogger } from '../src/logger.ts'

export type LogLine = Record<string, unknown>

export interface Served {
  app: FastifyInstance
  url: string
  /** Resolves to the first `count` log lines with this message, as soon as they are there. */
  logged(msg: string, count?: number): Promise<LogLine[]>
}

/** Serves the app on a free port until the test ends, and keeps its log. */
export async function serveApp(t: TestContext, routes?: FastifyPluginAsync[]): Promise<Served> {
  const log = new EventEmitter()
  const lines: LogLine[] = []
  const logger = createLogger('debug', {
    write(text) {
      lines.push(JSON.parse(text))
      log.emit('line')
    },
  })

  const app = await buildApp(logger, routes)
  t.after(async () => {
    app.server.closeAllConnections()
    await app.close()
  })
  app.server.listen(0, '127.0.0.1')
  await once(app.server, 'listening')
  const { port } = app.server.address() as AddressInfo

  return {
    app,
    url: `http://127.0.0.1:${port}`,
    async logged(msg, count = 1) {
      for (;;) {
        const found = lines.filter((line) => line.msg === msg)
        if (found.length >= count) return found.slice(0, count)
        await once(log, 'line')
      }
    },
  }
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
