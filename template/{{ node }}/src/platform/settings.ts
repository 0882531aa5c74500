import { isIP } from 'node:net'
import { Ajv, type ErrorObject, type SchemaObject } from 'ajv'
import addFormats from 'ajv-formats'
import type { FromSchema, JSONSchema } from 'json-schema-to-ts'

/** The settings that every service has. */
export const common = {
  HOST: { type: 'string', format: 'ip', default: '0.0.0.0' },
  PORT: { type: 'integer', minimum: 1, maximum: 65535, default: 8080 },
  LOG_LEVEL: { type: 'string', enum: ['debug', 'info', 'warn', 'error'], default: 'info' },
  DRAIN_DELAY_SECONDS: { type: 'integer', minimum: 0, maximum: 20, default: 5 },
  SHUTDOWN_TIMEOUT_SECONDS: { type: 'integer', minimum: 1, maximum: 29, default: 25 },
  IDLE_TIMEOUT_SECONDS: { type: 'integer', minimum: 1, maximum: 3600, default: 620 },
} as const satisfies Record<string, JSONSchema>

export type CommonSettings = FromSchema<{ type: 'object'; properties: typeof common }>

/** Says of every wrong variable what it wants, and never what it has: that may be a secret. */
export class SettingsError extends Error {
  override name = 'SettingsError'
}

/** Reads the variables that a schema names, as the types that it gives them. */
export function readEnvironment<S extends CommonSettings>(
  schema: SchemaObject,
  env: NodeJS.ProcessEnv,
): S {
  const ajv = new Ajv({
    allErrors: true,
    coerceTypes: true,
    removeAdditional: 'all',
    useDefaults: true,
  })
  addFormats.default(ajv)
  ajv.addFormat('ip', (host: string) => isIP(host) > 0)
  const settings: Record<string, unknown> = { ...env }
  if (!ajv.validate<S>(schema, settings)) {
    throw new SettingsError((ajv.errors ?? []).map(describe).join('\n'))
  }
  if (settings.SHUTDOWN_TIMEOUT_SECONDS <= settings.DRAIN_DELAY_SECONDS) {
    throw new SettingsError('SHUTDOWN_TIMEOUT_SECONDS must be greater than DRAIN_DELAY_SECONDS')
  }
  return settings
}

function describe({ instancePath, keyword, message, params }: ErrorObject): string {
  if (keyword === 'required') return `${params.missingProperty} must be set`
  const allowed = keyword === 'enum' ? `: ${params.allowedValues.join(', ')}` : ''
  return `${instancePath.slice(1)} ${message}${allowed}`
}
