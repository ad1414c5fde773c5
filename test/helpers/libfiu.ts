// Calls of a process that fail by chance, switched on and off while it runs (libfiu, Debian's fiu-utils).

import { spawnSync } from 'node:child_process'

export const hasLibfiu = process.platform === 'linux' && spawnSync('fiu-ctrl', ['-h']).error === undefined

const POINTS = { fsync: 'posix/io/sync/fsync', pwrite: 'posix/io/rw/pwrite' } as const
export type FailingCall = keyof typeof POINTS

/** A command in front of a program; `prefix` is a path under which it is found again. */
export function failable (prefix: string): string[] { return ['fiu-run', '-x', '-f', prefix] }

/** From now on so many of these calls fail, 0 < share ≤ 1. */
export function failByChance (prefix: string, pid: number, call: FailingCall, share: number): void {
  control(prefix, pid, `enable_random name=${POINTS[call]},probability=${share}`)
}

export function failNoMore (prefix: string, pid: number, call: FailingCall): void {
  control(prefix, pid, `disable name=${POINTS[call]}`)
}

function control (prefix: string, pid: number, command: string): void {
  const { status, stderr } = spawnSync('fiu-ctrl', ['-f', prefix, '-c', command, String(pid)], { encoding: 'utf8', timeout: 10_000 })
  if (status !== 0) throw new Error(`fiu-ctrl ${command}: ${stderr.trim()}`)
}
