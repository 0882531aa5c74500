import closeWithGrace from 'close-with-grace'
import { type FastifyInstance, fastify } from 'fastify'
import app from './app.ts'
import { logging } from './platform/logging.ts'
import platform from './platform/plugin.ts'
import { sendNotFound, sendProblem } from './platform/problems.ts'
import { service, version } from './service.ts'
import type { Settings } from './settings.ts'

/** The service without its socket, for `serve` and for the tests. */
export function buildServer(settings: Settings): FastifyInstance {
  const server = fastify({
    ...logging({ service, version, level: settings.LOG_LEVEL }),
    requestTimeout: 60_000,
    keepAliveTimeout: settings.IDLE_TIMEOUT_SECONDS * 1000,
    http: { headersTimeout: 15_000 },
    // What still comes in during the drain is served.
    return503OnClosing: false,
  })

  server.setErrorHandler(sendProblem)
  server.setNotFoundHandler(sendNotFound)
  server.register(platform, { drainDelay: settings.DRAIN_DELAY_SECONDS * 1000 })
  server.register(app, { settings })
  return server
}

/** Serves until a signal comes; the drain is in the platform's preClose hook. */
export async function serve(settings: Settings): Promise<void> {
  const server = buildServer(settings)

  closeWithGrace(
    // SIGUSR2 is for Node's own heap snapshots and reports.
    { delay: settings.SHUTDOWN_TIMEOUT_SECONDS * 1000, logger: server.log, skip: ['SIGUSR2'] },
    async ({ err }) => {
      if (err) server.log.error(err)
      await server.close()
    },
  )

  try {
    await server.listen({ host: settings.HOST, port: settings.PORT })
  } catch (err) {
    server.log.error(err)
    process.exit(1)
  }
}
