import { readFileSync } from 'node:fs'

export const service = 'payments'

/** What the build wrote beside the compiled code; `dev` when the sources run as they are. */
export const version = readVersion()

function readVersion(): string {
  try {
    return readFileSync(new URL('./VERSION', import.meta.url), 'utf8').trim()
  } catch {
    return 'dev'
  }
}
