import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { register } from 'prom-client'
import { build } from './helper.ts'

test('is alive and ready', async (t) => {
  const server = build(t)
  for (const url of ['/livez', '/readyz']) {
    assert.equal((await server.inject(url)).statusCode, 200, url)
  }
})

test('counts requests by route', async (t) => {
  const server = build(t)
  await server.inject({ method: 'POST', url: '/v1/greetings', payload: { name: 'Ada' } })
  const { body } = await server.inject('/metrics')
  assert.match(
    body,
    /^http_server_request_duration_seconds_count{.*http_route="\/v1\/greetings".*} \d+$/m,
  )
})

test('answers with the id that the request came with', async (t) => {
  const server = build(t)
  const response = await server.inject({ url: '/nope', headers: { 'x-request-id': 'abc' } })
  assert.equal(response.statusCode, 404)
  assert.equal(response.headers['x-request-id'], 'abc')
})

test('counts a request whose client went away', async (t) => {
  const server = build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const client = connect((server.server.address() as AddressInfo).port, '127.0.0.1')
  client.write('GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(client, 'data')
  const head = 'Host: a\r\nContent-Type: application/json\r\nContent-Length: 9'
  client.write(`POST /v1/greetings HTTP/1.1\r\n${head}\r\n\r\n{`)
  await once(server.server, 'request')
  client.destroy()
  await server.close()
  const counted = await register.getSingleMetricAsString('http_server_request_duration_seconds')
  assert.match(counted, /_count{.*http_route="\/v1\/greetings".*="499"} 1$/m)
})
