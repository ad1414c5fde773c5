// One postmaster on one data folder: started, stopped, killed, paused, and never left behind.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asPostgres } from './postgres-binaries.ts'
import { ended, freeze, signal } from './postgres-processes.ts'

/** fast: sessions are cut off. immediate: as in a crash, recovery at the next start. smart: sessions may end first. */
export type StopMode = 'fast' | 'immediate' | 'smart'

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', smart: 'SIGTERM' } as const
const READY_WITHIN_MS = 60_000
/** Lines of `postmaster.pid`. */
const SHARED_MEMORY_LINE = 6
const STATUS_LINE = 7

export interface Server {
  /** Resolves when connections are accepted. Rejects with the end of the log. */
  start (): Promise<void>
  stop (mode?: StopMode): Promise<void>
  /** SIGKILL to the postmaster and all its children; resolves when they are gone. */
  killHard (): Promise<void>
  /** Connections are accepted by the system, and nobody answers. */
  pause (): void
  resume (): void
  /** Stops it and removes its home. */
  close (): Promise<void>
}

/** Ends what is in the home, and removes it, when the guarded process is gone: also when that was killed. */
const WATCH = `
while [ -d "$2" ] && kill -0 "$1" 2>/dev/null; do sleep 1; done
[ -d "$2" ] || exit 0
postmaster=$(cat "$2/postmaster" 2>/dev/null)
if [ -n "$postmaster" ]; then
  kill -QUIT "$postmaster"; kill -CONT "$postmaster"; pkill -CONT -P "$postmaster"
  for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$postmaster" || break; sleep 1; done
  kill -KILL "$postmaster"
fi 2>/dev/null
ipcrm -m "$(sed -n '7s/.* //p' "$2/data/postmaster.pid")" 2>/dev/null
rm -rf "$2"
`

/** The server of `home`/data. It does not outlive the process `guard`. */
export function serverIn (home: string, bin: string, port: number, guard: number): Server {
  const data = join(home, 'data')
  const logFile = join(home, 'log')
  const pidFile = join(home, 'postmaster')
  let postmaster: ChildProcess | null = null
  let paused: number[] = []
  spawn('sh', ['-c', WATCH, 'sh', String(guard), home], { detached: true, stdio: 'ignore', cwd: '/' }).unref()
  return { start, stop, killHard, pause, resume, close }

  async function start (): Promise<void> {
    if (postmaster) throw new Error('This PostgreSQL runs already.')
    const log = openSync(logFile, 'a')
    const child = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port)], { ...asPostgres(home), detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    await once(child, 'spawn')
    postmaster = child
    child.once('exit', () => {
      postmaster = null
      rmSync(pidFile, { force: true })
    })
    child.unref()
    writeFileSync(pidFile, String(child.pid))
    await ready(child)
  }

  async function ready (child: ChildProcess): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS
    for (;;) {
      const [pid, ...rest] = postmasterFile()
      if (Number(pid) === child.pid && /^(ready|standby)/.test(rest[STATUS_LINE - 1] ?? '')) return
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`PostgreSQL ended while it started:\n${logEnd()}`)
      if (performance.now() > deadline) throw new Error(`PostgreSQL was not ready in ${READY_WITHIN_MS} ms:\n${logEnd()}`)
      await sleep(10)
    }
  }

  function postmasterFile (): string[] {
    try {
      return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
    } catch {
      return []
    }
  }

  function logEnd (): string {
    return readFileSync(logFile, 'utf8').split('\n').slice(-20).join('\n')
  }

  /** A test that waits for nothing else does not end meanwhile. */
  function exit (child: ChildProcess): Promise<unknown> {
    child.ref()
    return once(child, 'exit')
  }

  async function stop (mode: StopMode = 'fast'): Promise<void> {
    if (!postmaster) return
    const gone = exit(postmaster)
    signal(postmaster.pid as number, SIGNALS[mode])
    resume()
    await gone
  }

  async function killHard (): Promise<void> {
    if (!postmaster) return
    const gone = exit(postmaster)
    const family = freeze(postmaster.pid as number)
    for (const pid of family) signal(pid, 'SIGKILL')
    paused = []
    await gone
    await ended(family)
  }

  function pause (): void {
    if (postmaster) paused = freeze(postmaster.pid as number)
  }

  function resume (): void {
    for (const pid of paused.splice(0).toReversed()) signal(pid, 'SIGCONT')
  }

  async function close (): Promise<void> {
    await stop('immediate')
    const [, sharedMemory] = (postmasterFile()[SHARED_MEMORY_LINE] ?? '').trim().split(/\s+/)
    if (sharedMemory !== undefined) spawnSync('ipcrm', ['-m', sharedMemory]) // after a kill it would stay until the machine restarts
    rmSync(home, { recursive: true, force: true })
  }
}
