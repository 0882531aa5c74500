import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { service, version } from '../src/service.ts'
import { freePort, type LogLine } from './support.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

describe('commands', () => {
  test('version reads no configuration', async (t) => {
    const { code, stdout, stderr } = await run(t, ['version'], { PORT: 'http' })
    assert.deepEqual([code, stdout, stderr], [0, `${service} ${version}\n`, ''])
  })

  for (const args of [['serve'], ['--help'], [''], ['version', 'now']]) {
    test(`${JSON.stringify(args)} is a mistake`, async (t) => {
      const { code, stdout, stderr } = await run(t, args)
      const usage = `usage: ${service} [version | healthcheck]\n`
      assert.deepEqual([code, stdout, stderr], [2, '', usage])
    })
  }

  for (const args of [[], ['healthcheck']]) {
    test(`${JSON.stringify(args)} with a wrong variable`, async (t) => {
      const { code, stdout, stderr } = await run(t, args, { PORT: 'http' })
      const problem = 'configuration error: PORT: got "http", want an integer from 1 to 65535\n'
      assert.deepEqual([code, stdout, stderr], [2, '', problem])
    })
  }
})

describe('serving', () => {
  test('fails where it cannot listen', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    t.after(() => taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo

    const { code, stdout, stderr } = await run(t, [], { HOST: '127.0.0.1', PORT: String(port) })
    assert.deepEqual([code, stderr], [1, ''])
    const line = JSON.parse(stdout)
    assert.deepEqual([line.level, line.msg], ['error', 'cannot listen'])
    assert.match(line.error, /address already in use/)
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`finishes what is in flight on ${signal}`, async (t) => {
      const running = await start(t, { DRAIN_DELAY_SECONDS: '0' })
      const silent = connect(running.port, '127.0.0.1')
      const slow = await upload(running.port, '{"name":')
      running.child.kill(signal)
      assert.equal((await running.logged('draining')).signal, signal)

      await refused(running.port)
      slow.end('"Ada"}')
      const [answer] = (await once(slow, 'response')) as [IncomingMessage]
      assert.equal(answer.statusCode, 200)
      assert.equal(answer.headers.connection, 'close')
      assert.equal(await text(answer), '{"message":"Hello, Ada!"}')

      assert.equal(await running.exit, 0)
      assert.deepEqual(
        running.lines.map(({ msg }) => msg),
        ['listening', 'draining', 'request', 'stopped'],
      )
      silent.destroy()
    })
  }

  for (const [signals, code] of [
    [['SIGTERM'], 0],
    [['SIGINT', 'SIGTERM'], 1],
  ] as const) {
    test(`ends with ${code} on ${signals.join(' and ')} while it starts`, async (t) => {
      const ended = await run(t, [], {
        NODE_OPTIONS: `--import ${atFirstImportOfFastify(signals)}`,
        HOST: '127.0.0.1',
        PORT: String(await freePort()),
        DRAIN_DELAY_SECONDS: '0',
      })
      assert.deepEqual([ended.code, ended.stderr], [code, ''])
    })
  }

  test('cuts off what is left at the deadline', async (t) => {
    const running = await start(t, { DRAIN_DELAY_SECONDS: '0', SHUTDOWN_TIMEOUT_SECONDS: '1' })
    await upload(running.port, '{"name":')
    running.child.kill('SIGTERM')
    assert.equal(await running.exit, 1)
    const last = running.lines.at(-1)
    assert.deepEqual([last?.level, last?.msg], ['error', 'shutdown deadline exceeded'])
    assert.equal(last?.error, '1 request unanswered 1 s after SIGTERM')
  })

  test('is not ready while it drains, and ends at once on a second signal', async (t) => {
    const running = await start(t, { DRAIN_DELAY_SECONDS: '20' })
    running.child.kill('SIGTERM')
    await running.logged('draining')

    const ready = await fetch(`http://127.0.0.1:${running.port}/readyz`)
    assert.equal(ready.status, 503)
    assert.equal(ready.headers.get('connection'), 'close')
    assert.equal(await ready.text(), 'draining\n')

    running.child.kill('SIGINT')
    assert.equal(await running.exit, 1)
    assert.equal(running.lines.at(-1)?.msg, 'draining')
  })
})

function launch(t: TestContext, args: string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

async function run(t: TestContext, args: string[], env: Record<string, string> = {}) {
  const child = launch(t, args, env)
  const exit = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await exit
  return { code, stdout, stderr }
}

/** A module with which the process sends itself signals before Fastify is loaded. */
function atFirstImportOfFastify(signals: readonly NodeJS.Signals[]): string {
  const source = `
    import { registerHooks } from 'node:module'
    const signals = ${JSON.stringify(signals)}
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier === 'fastify') {
          for (const signal of signals.splice(0)) process.kill(process.pid, signal)
        }
        return next(specifier, context)
      },
    })`
  return `data:text/javascript,${encodeURIComponent(source)}`
}

/** Starts the service on a free port, and waits until it listens. */
async function start(t: TestContext, env: Record<string, string>) {
  const port = await freePort()
  const child = launch(t, [], { ...env, HOST: '127.0.0.1', PORT: String(port) })
  const exit = once(child, 'close').then(([code]) => code)
  const lines: LogLine[] = []
  const output = createInterface(child.stdout)
  output.on('line', (line) => lines.push(JSON.parse(line)))

  async function logged(msg: string): Promise<LogLine> {
    for (;;) {
      const found = lines.find((line) => line.msg === msg)
      if (found !== undefined) return found
      await once(output, 'line')
    }
  }
  await logged('listening')
  return { child, port, lines, logged, exit }
}

/** A greeting of which only the beginning has arrived. */
async function upload(port: number, beginning: string): Promise<ClientRequest> {
  const slow = request({
    port,
    host: '127.0.0.1',
    path: '/v1/greetings',
    method: 'POST',
    headers: { 'content-type': 'application/json', expect: '100-continue' },
  })
  slow.on('error', () => undefined)
  slow.flushHeaders()
  // The service has seen the head when it asks for the body.
  await once(slow, 'continue')
  slow.write(beginning)
  return slow
}

/** Waits until the port accepts no more connections. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
    } catch {
      return
    } finally {
      socket.destroy()
    }
  }
}
