import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '../helper.ts'

test('greets by name', async (t) => {
  const server = build(t)
  const response = await server.inject({
    method: 'POST',
    url: '/v1/greetings',
    payload: { name: 'Ada' },
  })
  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json(), { message: 'Hello, Ada!' })
})

for (const name of ['', 'a'.repeat(101), undefined]) {
  test(`refuses a name of ${name?.length ?? 'no'} characters`, async (t) => {
    const server = build(t)
    const response = await server.inject({
      method: 'POST',
      url: '/v1/greetings',
      payload: { name },
    })
    assert.equal(response.statusCode, 400)
    assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
    assert.equal(response.json().title, 'Bad Request')
  })
}
