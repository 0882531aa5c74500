import { isIPv6 } from 'node:net'
import type { CommonSettings } from './settings.ts'

/** Asks the running service for /livez; resolves to the exit code. */
export async function healthcheck({ HOST, PORT }: CommonSettings): Promise<number> {
  const host = HOST === '0.0.0.0' ? '127.0.0.1' : HOST === '::' ? '::1' : HOST
  const url = `http://${isIPv6(host) ? `[${host}]` : host}:${PORT}/livez`
  const answer = await fetch(url, { signal: AbortSignal.timeout(2_000), redirect: 'error' }).then(
    ({ status }) => status,
    (error) => error.cause ?? error,
  )
  if (answer === 200) return 0
  console.error(`healthcheck: ${url}: ${answer}`)
  return 1
}
