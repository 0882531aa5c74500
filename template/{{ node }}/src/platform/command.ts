import { healthcheck } from './healthcheck.ts'
import { type CommonSettings, SettingsError } from './settings.ts'

export interface Commands<S extends CommonSettings> {
  service: string
  version: string
  readSettings: (env: NodeJS.ProcessEnv) => S
  serve: (settings: S) => Promise<void>
}

/** Runs what the command line asks for: nothing (serve), `version` or `healthcheck`. */
export async function run<S extends CommonSettings>(commands: Commands<S>): Promise<void> {
  const { service, version, readSettings, serve } = commands
  try {
    switch (process.argv.slice(2).join(' ')) {
      case '': {
        const settings = readSettings(process.env)
        // Until it serves: the kernel drops a signal that a container's first process
        // has no handler for.
        const exit = () => process.exit()
        process.on('SIGTERM', exit)
        await serve(settings)
        process.off('SIGTERM', exit)
        break
      }
      case 'version':
        console.log(`${service} ${version}`)
        break
      case 'healthcheck':
        process.exitCode = await healthcheck(readSettings(process.env))
        break
      default:
        console.error(`usage: ${service} [version | healthcheck]`)
        process.exitCode = 2
    }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    console.error(error.message)
    process.exitCode = 2
  }
}
