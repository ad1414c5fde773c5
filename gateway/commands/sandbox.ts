import { resolve } from 'node:path'
import { GatewayError } from '../errors.ts'
import { startSandbox, type Sandbox, type SandboxOptions } from '../providers/sandbox.ts'
import { playedSources } from '../sourcing.ts'
import type { Run } from './command.ts'
import { load } from './offline.ts'
import { stopSignal } from './stop.ts'

/** Runs the sandbox alone, until it is told to stop: a gateway elsewhere names it by `sandbox.url`. */
export const sandbox: Run = async call => {
  const { io } = call
  const stopped = stopSignal(io)
  const { config, providers, sources } = await load(call, true)
  const record = call.text('record')
  const port = call.integer('port') ?? config.sandbox.port
  const others = playedSources(sources.values())
  const running = await listening({ providers: [...providers.values(), ...others], port, ...(record === undefined ? {} : { recordTo: resolve(io.cwd, record) }) })
  const urls = (all: Iterable<{ id: string }>): Record<string, string> => Object.fromEntries([...all].map(({ id }) => [id, `${running.url}/${id}`]))
  const played = { providers: urls(providers.values()), sources: urls(others) }
  io.stdout.write(call.json ? `${JSON.stringify({ url: running.url, ...played })}\n` : `sandbox listening on ${running.url}\n${Object.values({ ...played.providers, ...played.sources }).map(url => `  ${url}\n`).join('')}`)
  await stopped
  await running.close()
  return { exit: 0, value: undefined, text: '' }
}

async function listening (options: SandboxOptions): Promise<Sandbox> {
  try {
    return await startSandbox(options)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || (error.code !== 'EADDRINUSE' && error.code !== 'EACCES')) throw error
    throw new GatewayError('GW_LISTEN', `Port ${options.port} cannot be listened on (${String(error.code)})`, { cause: error })
  }
}
