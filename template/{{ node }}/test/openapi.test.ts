import { test } from 'node:test'
import swagger from '@fastify/swagger'
import { fastify } from 'fastify'
import app from '../src/app.ts'
import { service } from '../src/service.ts'
import { readSettings } from '../src/settings.ts'
import { environment } from './helper.ts'

test('openapi.json describes the routes (make openapi writes it)', async (t) => {
  const server = fastify()
  await server.register(swagger, { openapi: { info: { title: service, version: '1' } } })
  await server.register(app, { settings: readSettings(environment) })
  await server.ready()
  t.assert.fileSnapshot(server.swagger(), 'openapi.json', {
    serializers: [(document) => `${JSON.stringify(document, null, 2)}\n`],
  })
})
