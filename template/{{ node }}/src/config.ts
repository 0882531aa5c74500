import { isIP } from 'node:net'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export interface Config {
  host: string
  port: number
  logLevel: LogLevel
  drainDelayMs: number
  shutdownTimeoutMs: number
}

export type Environment = Readonly<Record<string, string | undefined>>

/** A variable with a value that the service cannot use. */
export class ConfigError extends Error {
  override name = 'ConfigError'

  constructor(variable: string, got: string, want: string) {
    super(`configuration error: ${variable}: got ${JSON.stringify(got)}, want ${want}`)
  }
}

/** Reads and checks the environment; throws a ConfigError for the first wrong variable. */
export function readConfig(env: Environment): Config {
  const host = env.HOST ?? '0.0.0.0'
  if (isIP(host) === 0) {
    throw new ConfigError('HOST', host, 'an IP address')
  }

  const port = readInteger(env, 'PORT', 8080, 1, 65535)

  const logLevel = env.LOG_LEVEL ?? 'info'
  if (!isLogLevel(logLevel)) {
    throw new ConfigError('LOG_LEVEL', logLevel, `one of ${logLevels.join(', ')}`)
  }

  const drainDelay = readInteger(env, 'DRAIN_DELAY_SECONDS', 5, 0, 20)
  const shutdownTimeout = readInteger(env, 'SHUTDOWN_TIMEOUT_SECONDS', 25, 1, 29, {
    name: 'DRAIN_DELAY_SECONDS',
    value: drainDelay,
  })

  return {
    host,
    port,
    logLevel,
    drainDelayMs: drainDelay * 1000,
    shutdownTimeoutMs: shutdownTimeout * 1000,
  }
}

function readInteger(
  env: Environment,
  variable: string,
  fallback: number,
  min: number,
  max: number,
  greaterThan?: { name: string; value: number },
): number {
  const text = env[variable] ?? String(fallback)
  const value = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN
  const inRange = value >= min && value <= max
  if (!inRange || (greaterThan !== undefined && value <= greaterThan.value)) {
    const bound = greaterThan === undefined ? '' : `, greater than ${greaterThan.name}`
    throw new ConfigError(variable, text, `an integer from ${min} to ${max}${bound}`)
  }
  return value
}

function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text)
}
