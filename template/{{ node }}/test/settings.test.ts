import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from '../src/settings.ts'
import { environment } from './helper.ts'

test('settings come from the environment, or have a default', () => {
  const settings = readSettings({ ...environment, PORT: '9090' })
  assert.equal(settings.PORT, 9090)
  assert.equal(settings.HOST, '0.0.0.0')
})

test('every wrong setting is named, without its value', () => {
  assert.throws(() => readSettings({ ...environment, PORT: 'hunter2', LOG_LEVEL: 'hunter2' }), {
    name: 'SettingsError',
    message:
      'PORT must be integer\n' +
      'LOG_LEVEL must be equal to one of the allowed values: debug, info, warn, error',
  })
})
