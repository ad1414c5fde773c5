// The gateway as a process of its own, and any other program that tells on which port it listens.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const ROOT = join(import.meta.dirname, '..', '..')
const LISTENING = /listening on (http:\/\/[\w.:[\]-]+)/
const LINES_KEPT = 500
const READY_WITHIN_MS = 30_000

export type Environment = Record<string, string | undefined>

export interface Exit { code: number | null, signal: NodeJS.Signals | null }

/** A program that has said where it listens. */
export interface Listening {
  readonly url: string
  readonly pid: number
  /** The last lines of its output, stdout and stderr as they came. */
  readonly lines: readonly string[]
  /** From the start of the process to the line that tells the address. */
  readonly readyMs: number
  readonly exited: Promise<Exit>
  /** Sends the signal and waits for the end. */
  kill (signal: NodeJS.Signals): Promise<Exit>
}

export interface ProcessOptions {
  /** Arguments of node: the script first. */
  args: readonly string[]
  env?: Environment
  cwd?: string
  /** Processor it is bound to, where `taskset` exists. */
  core?: number
  /** A command in front of node, which must become it in the end, so that signals reach it. */
  through?: readonly string[]
}

const running = new Set<ChildProcess>()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(1) }) // so that `exit` comes

/** Whether processes can be bound to a processor here. */
export const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0

/** A node program, bound to a processor where that is possible. The caller watches over it. */
export function spawnNode ({ args, env = {}, cwd = ROOT, core, through = [] }: ProcessOptions): ChildProcess {
  const pin = core !== undefined && canPin ? ['taskset', '-c', String(core)] : []
  const [command, ...all] = [...pin, ...through, process.execPath, ...args] as [string, ...string[]]
  const child = spawn(command, all, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.once('exit', () => { running.delete(child) })
  return child
}

/** Starts a node program and waits for its line "listening on http://…". Rejects with its output when it ends before. */
export async function startListening (options: ProcessOptions): Promise<Listening> {
  const startedAt = performance.now()
  const child = spawnNode(options)
  const lines: string[] = []
  const exited = new Promise<Exit>(resolve => { child.once('close', (code, signal) => { resolve({ code, signal }) }) })
  const url = await listeningUrl(child, lines, exited, options.args.join(' '))
  return {
    url,
    pid: child.pid as number,
    lines,
    readyMs: performance.now() - startedAt,
    exited,
    kill (signal) {
      child.kill(signal)
      return exited
    }
  }
}

function listeningUrl (child: ChildProcess, lines: string[], exited: Promise<Exit>, what: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => { fail('did not say where it listens') }, READY_WITHIN_MS)
    const fail = (why: string): void => {
      clearTimeout(tooLate)
      child.kill('SIGKILL')
      reject(new Error(`${what} ${why}:\n${lines.join('\n')}`))
    }
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', line => { read(line) })
    }
    const read = (line: string): void => {
      if (lines.push(line) > LINES_KEPT) lines.shift()
      const url = LISTENING.exec(line)?.[1]
      if (url === undefined) return
      clearTimeout(tooLate)
      resolve(url)
    }
    void exited.then(({ code, signal }) => { fail(`ended with ${code ?? signal}`) })
  })
}

export interface GatewayOptions {
  /** Path of a configuration; or its text, which is written into the folder. */
  config: { file: string } | { text: string }
  /** The gateway's own folder; GATEWAY_DATA names it. */
  dataDir: string
  env?: Environment
  core?: number
  /** Further arguments of node, before the script. */
  nodeArgs?: readonly string[]
  /** A command in front of node, which must become it in the end. */
  through?: readonly string[]
}

/** What is another way at one start: `env` is added to what there is, the others replace it. */
export type StartChange = Pick<GatewayOptions, 'env' | 'nodeArgs' | 'through'>

/** A gateway that may be killed and started again on the same data. Its port changes with each start. */
export interface GatewayProcess extends Listening {
  /** Starts it again after it ended; `url`, `pid`, `lines` and `exited` are then those of the new process. `change` is for this start alone. */
  restart (change?: StartChange): Promise<void>
}

/** Starts the gateway on any free port and waits until it is ready. */
export async function startGatewayProcess (options: GatewayOptions): Promise<GatewayProcess> {
  const file = configFile(options)
  const start = ({ env = {}, nodeArgs = options.nodeArgs ?? [], through = options.through ?? [] }: StartChange = {}): Promise<Listening> => startListening({
    args: ['--max-semi-space-size=16', '--heap-growing-percent=100', ...nodeArgs, 'gateway/cli.ts', 'start', '-c', file], // as npm start does
    env: { PORT: '0', LOG_LEVEL: 'warn', GATEWAY_DATA: options.dataDir, ...options.env, ...env },
    through,
    ...(options.core !== undefined && { core: options.core })
  })
  let current = await start()
  return {
    get url () { return current.url },
    get pid () { return current.pid },
    get lines () { return current.lines },
    get readyMs () { return current.readyMs },
    get exited () { return current.exited },
    kill: signal => current.kill(signal),
    async restart (change) { current = await start(change) }
  }
}

function configFile ({ config, dataDir }: GatewayOptions): string {
  if ('file' in config) return config.file
  const file = join(dataDir, 'gateway.config.yaml')
  writeFileSync(file, config.text)
  return file
}
