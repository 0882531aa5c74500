import { ConfigError, readConfig } from './config.ts'
import { service, version } from './service.ts'

process.exit(await main(process.argv.slice(2)))

/** Runs one command and resolves to the exit code. */
async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args
  try {
    // Each command imports what it needs: the health check starts without Fastify.
    if (command === undefined) {
      // Before it loads anything: the kernel drops the signals that a container's
      // first process has no handler for.
      const stop = firstSignal()
      const config = readConfig(process.env)
      const { serve } = await import('./server.ts')
      return await serve(config, stop)
    }
    if (command === 'version' && rest.length === 0) {
      console.log(`${service} ${version}`)
      return 0
    }
    if (command === 'healthcheck' && rest.length === 0) {
      const config = readConfig(process.env)
      const { healthcheck } = await import('./healthcheck.ts')
      return await healthcheck(config)
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    return 2
  }
  console.error(`usage: ${service} [version | healthcheck]`)
  return 2
}

/** Resolves with the first SIGTERM or SIGINT; the next one ends the process. */
function firstSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let received = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (received) process.exit(1)
      received = true
      resolve(signal)
    })
  }
  return promise
}
