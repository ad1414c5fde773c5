// A gateway as a process whose clock a test puts forward: by a minute at each SIGUSR2. Started with the path of its config.

import { startGateway } from '../../gateway/app.ts'
import { systemRuntime } from '../../gateway/runtime.ts'

const MINUTE_MS = 60_000

let ahead = Number(process.env['AHEAD_MS'] ?? 0)
const system = systemRuntime()
process.on('SIGUSR2', () => { ahead += MINUTE_MS })

const gateway = await startGateway({
  file: process.argv[2] as string,
  cwd: process.cwd(),
  env: process.env,
  sandbox: null,
  port: 0,
  runtime: { ...system, now: () => system.now() + ahead },
  out: () => {},
  log: line => { console.log(line) }
})
process.once('SIGTERM', () => { void gateway.close() })
console.log(`listening on ${gateway.url}`)
