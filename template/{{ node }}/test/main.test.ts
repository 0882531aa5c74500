import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { service, version } from '../src/service.ts'
import { environment } from './helper.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

function start(args: string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, [main, ...args], { env: { ...environment, ...env } })
}

test('prints its version', async () => {
  const child = start(['version'])
  assert.equal(await text(child.stdout), `${service} ${version}\n`)
})

test('does not start with a wrong setting', async () => {
  const child = start([], { PORT: 'http' })
  const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr)])
  assert.deepEqual([code, stderr], [2, 'PORT must be integer\n'])
})

test('serves, and ends well on SIGTERM', async (t) => {
  const port = await freePort()
  const child = start([], { LOG_LEVEL: 'info', HOST: '127.0.0.1', PORT: String(port) })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')

  // The first line of the log says that it listens.
  await Promise.race([once(child.stdout, 'data'), ended])
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200)

  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
