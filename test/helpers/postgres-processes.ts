// Which processes there are, and signals to a whole family of them.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

interface Process { pid: number, parent: number, ended: boolean }

/** Whether such a process exists, whoever it belongs to. */
export function exists (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Nothing happens where it is gone already. */
export function signal (pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function all (): Process[] {
  return process.platform === 'linux' ? fromProc() : fromPs()
}

function fromProc (): Process[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).flatMap(name => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return [{ pid: Number(name), parent: Number(parent), ended: state === 'Z' }]
    } catch {
      return [] // gone between the two looks
    }
  })
}

function fromPs (): Process[] {
  return spawnSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' }).stdout.trim().split('\n').map(line => {
    const [pid, parent, state] = line.trim().split(/\s+/)
    return { pid: Number(pid), parent: Number(parent), ended: state?.startsWith('Z') === true }
  })
}

/** Stops a process and its children where they are; a stopped one starts no further child. Tells all their ids. */
export function freeze (pid: number): number[] {
  signal(pid, 'SIGSTOP')
  const family = [pid, ...all().filter(({ parent }) => parent === pid).map(child => child.pid)]
  for (const member of family) signal(member, 'SIGSTOP')
  return family
}

/** Waits until none of them runs. A dead one that nobody has asked about does not count. */
export async function ended (pids: readonly number[]): Promise<void> {
  const wanted = new Set(pids)
  while (all().some(({ pid, ended }) => wanted.has(pid) && !ended)) await sleep(5)
}
