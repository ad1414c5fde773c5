import { startGateway } from '../app.ts'
import type { Run } from './command.ts'
import { stopSignal } from './stop.ts'

/** Runs until it is told to stop. A signal that comes while it starts is minded when it has started. */
export const start: Run = async call => {
  const { io, file } = call
  const stopped = stopSignal(io)
  const out = (line: string): void => { (call.json ? io.stderr : io.stdout).write(`${line}\n`) }
  const gateway = await startGateway({
    file, cwd: io.cwd, env: { ...io.env }, sandbox: call.choice('sandbox'), port: call.integer('port') ?? null, out,
    ...(call.json && { log: (line: string) => { io.stderr.write(`${line.trimEnd()}\n`) } })
  })
  if (call.json) io.stdout.write(`${JSON.stringify({ url: gateway.url, sandbox_url: gateway.sandboxUrl })}\n`)
  // One reload after the other: two at once would leave behind the one that ended last, not the newest.
  let reloading: Promise<unknown> = Promise.resolve()
  io.on('SIGHUP', () => {
    reloading = reloading.then(async () => {
      const used = await gateway.reload()
      call.remark(used ? 'the files were loaded again' : 'the files have faults, so nothing was changed; see the log, or: gateway validate')
    }).catch((error: unknown) => { call.remark(`the files could not be loaded again: ${error instanceof Error ? error.message : String(error)}`) })
  })
  await stopped
  await reloading
  await gateway.close()
  return { exit: 0, value: undefined, text: '' }
}
