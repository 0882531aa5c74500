import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { readConfig } from '../src/config.ts'
import { healthcheck, loopbackFor } from '../src/healthcheck.ts'
import { freePort, serveApp } from './support.ts'

describe('healthcheck', () => {
  test('says nothing when the service is well', async (t) => {
    const { url } = await serveApp(t)
    assert.deepEqual(await check(t, Number(new URL(url).port)), { code: 0, said: [] })
  })

  test('says why when nothing listens', async (t) => {
    const port = await freePort()
    const { code, said } = await check(t, port)
    assert.equal(code, 1)
    assert.deepEqual(said, [
      `healthcheck: http://127.0.0.1:${port}/livez: connect ECONNREFUSED 127.0.0.1:${port}`,
    ])
  })

  test('says what came back instead of 200', async (t) => {
    const port = await listen(t, (_request, response) => response.writeHead(500).end())
    const { code, said } = await check(t, port)
    assert.equal(code, 1)
    assert.deepEqual(said, [`healthcheck: http://127.0.0.1:${port}/livez: answered 500, want 200`])
  })

  test('gives up when there is no answer', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const port = await listen(t, () => t.mock.timers.tick(2_000))
    const { code, said } = await check(t, port)
    assert.equal(code, 1)
    assert.deepEqual(said, [`healthcheck: http://127.0.0.1:${port}/livez: no answer within 2 s`])
  })
})

describe('loopbackFor', () => {
  for (const [host, address] of [
    ['0.0.0.0', '127.0.0.1'],
    ['::', '::1'],
    ['0:0:0:0:0:0:0:0', '::1'],
    ['127.0.0.1', '127.0.0.1'],
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::7', '2001:db8::7'],
  ] as const) {
    test(`${host} is called at ${address}`, () => {
      assert.equal(loopbackFor(host), address)
    })
  }
})

async function check(t: TestContext, port: number): Promise<{ code: number; said: unknown[] }> {
  const { mock } = t.mock.method(console, 'error', () => undefined)
  const code = await healthcheck(readConfig({ PORT: String(port) }))
  return { code, said: mock.calls.map((call) => call.arguments[0]) }
}

async function listen(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
