import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from '../src/settings.ts'

test('every setting has a default', () => {
  assert.deepEqual(readSettings({}), {
    HOST: '0.0.0.0',
    PORT: 8080,
    LOG_LEVEL: 'info',
    DRAIN_DELAY_SECONDS: 5,
    SHUTDOWN_TIMEOUT_SECONDS: 25,
    IDLE_TIMEOUT_SECONDS: 620,
  })
})

test('settings come from the environment', () => {
  const settings = readSettings({ PORT: '9090', LOG_LEVEL: 'debug' })
  assert.equal(settings.PORT, 9090)
  assert.equal(settings.LOG_LEVEL, 'debug')
})

test('every wrong setting is named, without its value', () => {
  assert.throws(() => readSettings({ PORT: 'hunter2', LOG_LEVEL: 'hunter2' }), {
    name: 'SettingsError',
    message:
      'PORT must be integer\n' +
      'LOG_LEVEL must be equal to one of the allowed values: debug, info, warn, error',
  })
})
