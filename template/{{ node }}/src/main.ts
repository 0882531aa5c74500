import { run } from './platform/command.ts'
import { service, version } from './service.ts'
import { readSettings } from './settings.ts'

await run({
  service,
  version,
  readSettings,
  serve: async (settings) => {
    const { serve } = await import('./server.ts')
    await serve(settings)
  },
})
