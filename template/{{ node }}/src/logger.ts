import type { DestinationStream, Logger } from 'pino'
import { pino } from 'pino'
import type { LogLevel } from './config.ts'
import { service, version } from './service.ts'

/** One JSON object a line, on stdout unless a test brings its own destination. */
export function createLogger(level: LogLevel, destination = stdout()): Logger {
  const options = {
    level,
    base: { service, version },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: {
      level: (label: string) => ({ level: label }),
      // Fastify and pino log errors as `err`; dashboards look for `error`.
      log: ({ err, ...fields }: Record<string, unknown>) =>
        err === undefined ? fields : { ...fields, ...describe(err) },
    },
  }
  return pino(options, destination)
}

// Synchronous: lines keep their order when the process exits.
function stdout(): DestinationStream {
  return pino.destination({ dest: 1, sync: true })
}

/** The fields that describe an error in a log line. */
export function describe(error: unknown): { error: string; stack?: string } {
  if (!(error instanceof Error)) {
    return { error: oneLine(String(error)) }
  }
  const fields = { error: oneLine(error.message || error.name) }
  return error.stack === undefined ? fields : { ...fields, stack: error.stack }
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
