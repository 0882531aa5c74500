import assert from 'node:assert/strict'
import { test } from 'node:test'
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
