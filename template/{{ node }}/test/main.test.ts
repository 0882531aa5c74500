import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { service, version } from '../src/service.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

function start(args: string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, [main, ...args], { env })
}

test('prints its version', async () => {
  const child = start(['version'])
  assert.equal(await text(child.stdout), `${service} ${version}\n`)
})

test('does not start with a wrong setting', async () => {
  const child = start([], { PORT: 'http' })
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  assert.deepEqual([code, stdout, stderr], [2, '', 'PORT must be integer\n'])
})

test('ends well on SIGTERM', async () => {
  const child = start([], {
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    DRAIN_DELAY_SECONDS: '0',
  })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
