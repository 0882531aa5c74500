import type { FromSchema } from 'json-schema-to-ts'
import { common, readEnvironment } from './platform/settings.ts'

const schema = {
  type: 'object',
  required: [],
  properties: {
    ...common,
  },
} as const

export type Settings = FromSchema<typeof schema>

/** The settings in the environment; throws a SettingsError that names every wrong one. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return readEnvironment<Settings>(schema, env)
}
