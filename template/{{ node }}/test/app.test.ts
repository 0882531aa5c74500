import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as rawRequest } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { Problem } from '../src/problem.ts'
import { service, version } from '../src/service.ts'
import { serveApp } from './support.ts'

const json = { 'content-type': 'application/json' }
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('probes', () => {
  test('are well, and not ready while draining', async (t) => {
    const { app, url } = await serveApp(t)
    for (const [draining, path, status, body] of [
      [false, '/livez', 200, 'ok\n'],
      [false, '/readyz', 200, 'ok\n'],
      [true, '/livez', 200, 'ok\n'],
      [true, '/readyz', 503, 'draining\n'],
    ] as const) {
      app.lifecycle.draining = draining
      const answer = await fetch(url + path)
      assert.equal(answer.status, status, path)
      assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.equal(answer.headers.get('connection'), draining ? 'close' : 'keep-alive')
      assert.equal(await answer.text(), body)
    }
  })
})

describe('POST /v1/greetings', () => {
  const good: [what: string, body: string, message: string][] = [
    ['a name', '{"name":"Ada"}', 'Hello, Ada!'],
    ['other members', '{"name":"Ada","age":36}', 'Hello, Ada!'],
    ['a member called __proto__', '{"name":"Ada","__proto__":{"name":"Eve"}}', 'Hello, Ada!'],
    ['100 code points', `{"name":"${'😀'.repeat(100)}"}`, `Hello, ${'😀'.repeat(100)}!`],
  ]
  for (const [what, body, message] of good) {
    test(`greets ${what}`, async (t) => {
      const { url } = await serveApp(t)
      const answer = await fetch(`${url}/v1/greetings`, { method: 'POST', headers: json, body })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('content-type'), 'application/json')
      assert.deepEqual(await answer.json(), { message })
    })
  }

  const bad: [what: string, body: string | Uint8Array<ArrayBuffer>][] = [
    ['no body', ''],
    ['no JSON', '{"name":'],
    ['two documents', '{"name":"Ada"} {}'],
    ['bytes that are not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['an array', '["Ada"]'],
    ['no name', '{}'],
    ['an inherited name', '{"__proto__":{"name":"Ada"}}'],
    ['a name that is a number', '{"name":36}'],
    ['an empty name', '{"name":""}'],
    ['101 code points', `{"name":"${'a'.repeat(101)}"}`],
  ]
  for (const [what, body] of bad) {
    test(`refuses ${what}`, async (t) => {
      const { url } = await serveApp(t)
      const answer = await fetch(`${url}/v1/greetings`, { method: 'POST', headers: json, body })
      await assertProblem(answer, 400, 'Bad Request')
    })
  }
})

describe('error answers', () => {
  test('404 for a path that does not exist, whatever is sent to it', async (t) => {
    const { url } = await serveApp(t)
    await assertProblem(await fetch(`${url}/livez/`), 404, 'Not Found')
    await assertProblem(await fetch(`${url}/v1/nope?x=1`), 404, 'Not Found')
    const posted = await fetch(`${url}/nope`, { method: 'POST', headers: json, body: '{' })
    await assertProblem(posted, 404, 'Not Found')
  })

  test('405 and what is allowed for a method that a path does not have', async (t) => {
    const { url } = await serveApp(t)
    for (const [method, path, allow] of [
      ['POST', '/livez', 'GET, HEAD'],
      ['OPTIONS', '/metrics', 'GET, HEAD'],
      ['GET', '/v1/greetings', 'POST'],
      ['PROPFIND', '/v1/greetings', 'POST'],
    ] as const) {
      const answer = await fetch(url + path, { method })
      assert.equal(answer.headers.get('allow'), allow)
      await assertProblem(answer, 405, 'Method Not Allowed')
    }
  })

  test('413 for a body over 1 MiB, declared or chunked', async (t) => {
    const { url } = await serveApp(t)
    const tooLarge = Buffer.alloc(1024 * 1024 + 1, ' ')
    const declared = await fetch(`${url}/v1/greetings`, {
      method: 'POST',
      headers: json,
      body: tooLarge,
    })
    await assertProblem(declared, 413, 'Content Too Large')
    const chunked = await fetch(`${url}/v1/greetings`, {
      method: 'POST',
      headers: json,
      body: new Blob([tooLarge]).stream(),
      duplex: 'half',
    })
    await assertProblem(chunked, 413, 'Content Too Large')
  })

  test('415 for anything but JSON', async (t) => {
    const { url } = await serveApp(t)
    for (const type of ['text/plain', 'application/jsonp', 'application/xml']) {
      const answer = await fetch(`${url}/v1/greetings`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: '{"name":"Ada"}',
      })
      await assertProblem(answer, 415, 'Unsupported Media Type')
    }
    const parameters = await fetch(`${url}/v1/greetings`, {
      method: 'POST',
      headers: { 'content-type': 'Application/JSON; charset=utf-8' },
      body: '{"name":"Ada"}',
    })
    assert.equal(parameters.status, 200)
  })

  test('500 says nothing of the inside, and the log does', async (t) => {
    const { url, logged } = await serveApp(t, [
      async (app) => {
        app.get('/fault', async () => {
          throw new Error('the secret\nis out')
        })
      },
    ])
    const answer = await fetch(`${url}/fault`)
    const problem = await assertProblem(answer, 500, 'Internal Server Error')
    assert.doesNotMatch(JSON.stringify(problem), /secret/)
    const [line] = await logged('request')
    assert.equal(line?.level, 'error')
    assert.equal(line?.error, 'the secret is out')
  })

  const thrown: [what: string, error: unknown, status: number][] = [
    ['a problem', new Problem(409, 'The name is taken.'), 409],
    ["an error with its upstream's status", upstreamError({ code: 'ERR_BAD_REQUEST' }), 500],
    ['an error with a number for a code', upstreamError({ code: 7 }), 500],
    ['nothing', undefined, 500],
  ]
  for (const [what, error, status] of thrown) {
    test(`${status} where a handler throws ${what}`, async (t) => {
      const { url, logged } = await serveApp(t, [
        async (app) => {
          app.get('/fault', async () => {
            throw error
          })
        },
      ])
      const answer = await fetch(`${url}/fault`)
      assert.equal(answer.status, status)
      assert.doesNotMatch(await answer.text(), /secret/)
      const [line] = await logged('request')
      assert.equal(line?.level, status === 500 ? 'error' : 'info')
    })
  }

  test('none at all when it takes longer than 15 seconds', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { url, logged } = await serveApp(t, [
      async (app) => {
        app.get('/slow', () => {
          t.mock.timers.tick(15_000)
          return new Promise(() => undefined)
        })
      },
    ])
    await assert.rejects(fetch(`${url}/slow`))
    const [line] = await logged('answer cut short')
    assert.deepEqual([line?.level, line?.error], ['error', 'no answer within 15 s'])
  })

  test('a path that cannot be decoded', async (t) => {
    const { url, logged } = await serveApp(t)
    await assertProblem(await fetch(`${url}/%zz`), 400, 'Bad Request')
    assert.equal((await logged('request'))[0]?.path, '/%zz')
  })

  const unreadable: [what: string, head: string, status: number][] = [
    ['no HTTP', 'nonsense\r\n\r\n', 400],
    ['no host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n', 400],
    ['too many headers', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(16_384)}\r\n\r\n`, 431],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 404],
  ]
  for (const [what, head, status] of unreadable) {
    test(`${status} for ${what}`, async (t) => {
      const { url } = await serveApp(t)
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      socket.write(head)
      const answer = await text(socket)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      assert.match(answer, /^content-type: application\/problem\+json\r$/im)
      assert.match(answer, /^x-request-id: [0-9a-f-]{36}\r$/im)
    })
  }
})

describe('what is not HTTP', () => {
  test('does not get into an answer that has begun', async (t) => {
    const { url } = await serveApp(t, [
      async (app) => {
        app.get('/endless', (_request, reply) => {
          reply.hijack().raw.write('the beginning')
        })
      },
    ])
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write('GET /endless HTTP/1.1\r\nHost: x\r\n\r\n')
    const [beginning] = await once(socket, 'data')
    assert.match(String(beginning), /^HTTP\/1.1 200 OK\r\n/)
    socket.write('nonsense\r\n\r\n')
    assert.doesNotMatch(await text(socket), /HTTP|problem/)
  })
})

describe('request ids', () => {
  test('a good one is kept, in the answer and in the log', async (t) => {
    const { url, logged } = await serveApp(t)
    const id = 'Trace_1.2-3'
    const answer = await fetch(`${url}/nope`, { headers: { 'x-request-id': id } })
    assert.equal(answer.headers.get('x-request-id'), id)
    assert.equal((await logged('request'))[0]?.request_id, id)
  })

  for (const bad of ['', 'a b', 'a,b', 'a'.repeat(129)]) {
    test(`"${bad.slice(0, 5)}" (${bad.length}) is replaced`, async (t) => {
      const { url } = await serveApp(t)
      const answer = await fetch(`${url}/livez`, { headers: { 'x-request-id': bad } })
      assert.match(answer.headers.get('x-request-id') ?? '', uuid)
    })
  }
})

describe('logs', () => {
  test('one line a request, with the same keys everywhere', async (t) => {
    const { url, logged } = await serveApp(t)
    await fetch(`${url}/v1/nope?password=x`)
    const [line] = await logged('request')
    const { time, duration_ms, request_id, ...rest } = line ?? {}
    assert.deepEqual(rest, {
      level: 'info',
      service,
      version,
      method: 'GET',
      path: '/v1/nope',
      status: 404,
      msg: 'request',
    })
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.equal(typeof duration_ms, 'number')
    assert.match(String(request_id), uuid)
  })

  test('probes at debug level, also when they fail', async (t) => {
    const { app, url, logged } = await serveApp(t)
    app.lifecycle.draining = true
    for (const path of ['/livez', '/readyz', '/metrics']) await fetch(url + path)
    assert.deepEqual(
      (await logged('request', 3)).map(({ level, path }) => [level, path]),
      [
        ['debug', '/livez'],
        ['debug', '/readyz'],
        ['debug', '/metrics'],
      ],
    )
  })

  test('a method that a probe does not have at debug level', async (t) => {
    const { url, logged } = await serveApp(t)
    for (const path of ['/livez', '/readyz', '/metrics', '/v1/greetings']) {
      await fetch(url + path, { method: 'PUT' })
    }
    assert.deepEqual(
      (await logged('request', 4)).map(({ level, path, status }) => [level, path, status]),
      [
        ['debug', '/livez', 405],
        ['debug', '/readyz', 405],
        ['debug', '/metrics', 405],
        ['info', '/v1/greetings', 405],
      ],
    )
  })

  test('metrics that fail at error level', async (t) => {
    t.mock.method(Registry.prototype, 'metrics', async () => {
      throw new Error('no metrics today')
    })
    const { url, logged } = await serveApp(t)
    await assertProblem(await fetch(`${url}/metrics`), 500, 'Internal Server Error')
    const [line] = await logged('request')
    assert.deepEqual([line?.level, line?.error], ['error', 'no metrics today'])
  })

  test('a client that goes away', async (t) => {
    const { app, url, logged } = await serveApp(t)
    const upload = rawRequest(`${url}/v1/greetings`, {
      method: 'POST',
      headers: { ...json, 'content-length': 10 },
    })
    upload.on('error', () => undefined)
    upload.write('{')
    await once(app.server, 'request')
    upload.destroy()
    const [line] = await logged('request aborted')
    assert.deepEqual([line?.level, line?.path], ['debug', '/v1/greetings'])
  })
})

describe('metrics', () => {
  test('count requests by route, never by path', async (t) => {
    const { url } = await serveApp(t)
    await fetch(`${url}/v1/greetings`, { method: 'POST', headers: json, body: '{"name":"Ada"}' })
    await fetch(`${url}/v1/greetings`)
    await fetch(`${url}/nope`)
    await fetch(`${url}/livez`, { method: 'PROPFIND' })
    const answer = await fetch(`${url}/metrics`)
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const metrics = await answer.text()
    for (const line of [
      'http_requests_total{method="POST",route="/v1/greetings",status="200"} 1',
      'http_requests_total{method="GET",route="/v1/greetings",status="405"} 1',
      'http_requests_total{method="GET",route="unmatched",status="404"} 1',
      'http_requests_total{method="other",route="/livez",status="405"} 1',
      'http_request_duration_seconds_count{method="POST",route="/v1/greetings"} 1',
      'http_requests_in_flight 1',
      `build_info{service="${service}",version="${version}"} 1`,
    ]) {
      assert.ok(metrics.split('\n').includes(line), `${line}\nis not in\n${metrics}`)
    }
  })
})

/** What an HTTP client throws where its server refuses. */
function upstreamError(fields: { code: unknown }): Error {
  return Object.assign(new Error('no access to the secret index'), { statusCode: 403, ...fields })
}

async function assertProblem(answer: Response, status: number, title: string): Promise<unknown> {
  assert.equal(answer.status, status)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.match(answer.headers.get('x-request-id') ?? '', uuid)
  const problem = (await answer.json()) as { detail: unknown }
  assert.deepEqual(problem, { title, status, detail: problem.detail })
  assert.equal(typeof problem.detail, 'string')
  return problem
}
