import { get } from 'node:http'
import { isIPv6, SocketAddress } from 'node:net'
import type { Config } from './config.ts'

const timeoutMs = 2_000

/** Asks the running service for /livez; resolves to the exit code. */
export async function healthcheck(config: Config): Promise<number> {
  const host = loopbackFor(config.host)
  const url = `http://${isIPv6(host) ? `[${host}]` : host}:${config.port}/livez`
  try {
    const status = await fetchStatus(host, config.port)
    if (status !== 200) {
      throw new Error(`answered ${status}, want 200`)
    }
    return 0
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    console.error(`healthcheck: ${url}: ${reason.replace(/\s+/g, ' ')}`)
    return 1
  }
}

/** The address to call for a service that listens on `host`. */
export function loopbackFor(host: string): string {
  const family = isIPv6(host) ? 'ipv6' : 'ipv4'
  const [address, zone] = host.split('%', 2) as [string, string?]
  const canonical = new SocketAddress({ address, family }).address
  if (zone === undefined && canonical === '::') return '::1'
  if (canonical === '0.0.0.0') return '127.0.0.1'
  return host
}

function fetchStatus(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path: '/livez', agent: false }, (response) => {
      response.on('error', reject)
      response.on('end', () => {
        clearTimeout(timer)
        resolve(response.statusCode ?? 0)
      })
      response.resume()
    })
    request.on('error', reject)
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`))
    }, timeoutMs)
  })
}
