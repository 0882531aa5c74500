import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigError, type Environment, readConfig } from '../src/config.ts'

describe('readConfig', () => {
  test('has a default for everything', () => {
    assert.deepEqual(readConfig({}), {
      host: '0.0.0.0',
      port: 8080,
      logLevel: 'info',
      drainDelayMs: 5_000,
      shutdownTimeoutMs: 25_000,
    })
  })

  test('takes what is set', () => {
    const env = {
      HOST: '::1',
      PORT: '00080',
      LOG_LEVEL: 'debug',
      DRAIN_DELAY_SECONDS: '0',
      SHUTDOWN_TIMEOUT_SECONDS: '29',
    }
    assert.deepEqual(readConfig(env), {
      host: '::1',
      port: 80,
      logLevel: 'debug',
      drainDelayMs: 0,
      shutdownTimeoutMs: 29_000,
    })
  })

  const wrong: [env: Environment, problem: string][] = [
    [{ HOST: 'localhost' }, 'HOST: got "localhost", want an IP address'],
    [{ HOST: '' }, 'HOST: got "", want an IP address'],
    [{ HOST: '[::1]' }, 'HOST: got "[::1]", want an IP address'],
    [{ PORT: 'http' }, 'PORT: got "http", want an integer from 1 to 65535'],
    [{ PORT: '' }, 'PORT: got "", want an integer from 1 to 65535'],
    [{ PORT: '0' }, 'PORT: got "0", want an integer from 1 to 65535'],
    [{ PORT: '65536' }, 'PORT: got "65536", want an integer from 1 to 65535'],
    [{ PORT: '008080' }, 'PORT: got "008080", want an integer from 1 to 65535'],
    [{ PORT: '+80' }, 'PORT: got "+80", want an integer from 1 to 65535'],
    [{ PORT: '80\n' }, 'PORT: got "80\\n", want an integer from 1 to 65535'],
    [{ PORT: '٨٠' }, 'PORT: got "٨٠", want an integer from 1 to 65535'],
    [{ LOG_LEVEL: 'INFO' }, 'LOG_LEVEL: got "INFO", want one of debug, info, warn, error'],
    [{ DRAIN_DELAY_SECONDS: '21' }, 'DRAIN_DELAY_SECONDS: got "21", want an integer from 0 to 20'],
    [
      { SHUTDOWN_TIMEOUT_SECONDS: '30' },
      'SHUTDOWN_TIMEOUT_SECONDS: got "30", want an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS',
    ],
    [
      { DRAIN_DELAY_SECONDS: '10', SHUTDOWN_TIMEOUT_SECONDS: '10' },
      'SHUTDOWN_TIMEOUT_SECONDS: got "10", want an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS',
    ],
    [{ LOG_LEVEL: '', PORT: 'x' }, 'PORT: got "x", want an integer from 1 to 65535'],
  ]
  for (const [env, problem] of wrong) {
    test(`refuses ${JSON.stringify(env)}`, () => {
      assert.throws(
        () => readConfig(env),
        (error) => {
          assert.ok(error instanceof ConfigError)
          assert.equal(error.message, `configuration error: ${problem}`)
          return true
        },
      )
    })
  }
})
