import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp } from './app.ts'
import type { Config } from './config.ts'
import { createLogger, describe } from './logger.ts'

// How long a connection that was opened before the socket closed may take to send a request.
const silenceMs = 1_000

/** Serves until `stop` brings a signal and the service is drained; resolves to the exit code. */
export async function serve(config: Config, stop: Promise<NodeJS.Signals>): Promise<number> {
  const logger = createLogger(config.logLevel)
  // Also for rejections that nobody handled: the state of the process is unknown.
  process.on('uncaughtException', (err) => {
    logger.error({ err }, 'uncaught exception')
    process.exit(1)
  })

  const app = await buildApp(logger)
  const inFlight = countRequests(app.server)

  try {
    // Not app.listen(), which logs a line an interface in its own words. So there
    // are no onListen hooks.
    app.server.listen({ host: config.host, port: config.port })
    await once(app.server, 'listening')
  } catch (err) {
    logger.error({ error: describe(err).error }, 'cannot listen')
    return 1
  }
  logger.info({ address: format(app.server.address() as AddressInfo) }, 'listening')

  const signal = await stop
  app.lifecycle.draining = true
  logger.info({ signal }, 'draining')
  const deadline = sleep(config.shutdownTimeoutMs, 'deadline' as const)
  const drained = sleep(config.drainDelayMs)
    .then(() => close(app.server, inFlight))
    .then(() => app.close())

  const outcome = await Promise.race([deadline, drained])
  if (outcome === 'deadline' && inFlight() > 0) {
    const left = inFlight() === 1 ? '1 request' : `${inFlight()} requests`
    const error = `${left} unanswered ${config.shutdownTimeoutMs / 1000} s after ${signal}`
    logger.error({ error }, 'shutdown deadline exceeded')
    return 1
  }
  logger.info('stopped')
  return 0
}

/** Counts the requests whose answer is not finished. */
function countRequests(server: Server): () => number {
  let count = 0
  server.on('request', (_request, response) => {
    count += 1
    response.once('close', () => {
      count -= 1
    })
  })
  return () => count
}

/** Stops listening, and waits for the requests in flight. */
async function close(server: Server, inFlight: () => number): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  const since = performance.now()
  // Node neither closes connections that become idle from now on, nor those on
  // which no request ever began.
  const sweep = setInterval(() => {
    server.closeIdleConnections()
    if (inFlight() === 0 && performance.now() - since > silenceMs) {
      server.closeAllConnections()
    }
  }, 50)
  await closed
  clearInterval(sweep)
}

function format({ address, family, port }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
}
