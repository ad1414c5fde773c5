// R6: a write to disk or an fsync fails, by chance or exactly once. Nothing more is promised or sent by that process, it
// says so, and the next one on a healthy disk finds all that was promised before.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { failable, failByChance, type FailingCall, failNoMore } from '../helpers/libfiu.ts'
import { failingCall, traced } from '../helpers/strace.ts'
import { IN_FLIGHT, onTrial, type Trial, type Verdict } from './trial.ts'

/** A share of the calls from some moment on, or the nth since the start of the process and no other. */
export type DiskFault = { call: FailingCall, share: number } | { call: FailingCall, nth: number }

export interface IoOptions {
  /** An empty folder. */
  dir: string
  seed: number
  faults: readonly DiskFault[]
}

type Effect = 'stopped' | 'refused' | 'untold'

export interface IoReport extends Verdict {
  seed: number
  faults: number
  /** What the faults did: the process took nothing more; it ended at its start; SQLite told nobody (the sync of a folder). */
  seen: Record<Effect, number>
  allowed: number
}

const RATE = 250
const STOPPED_WITHIN_MS = 30_000
const POLL_MS = 20
/** Not ready so many times in a row is not ready for good. */
const LASTING = 5
/** What was on its way when the disk failed has arrived by then; after that, this long, nothing may. */
const SETTLED_MS = 300
const QUIET_MS = 600
/** Events that are accepted again before the next fault. */
const WELL_AGAIN = 50

export async function failDisk ({ dir, seed, faults }: IoOptions): Promise<IoReport> {
  const wrong: string[] = []
  const seen = { stopped: 0, refused: 0, untold: 0 }
  const verdict = await onTrial({ dir, seed, rate: RATE }, async trial => {
    const { gateway, load } = trial
    for (const [i, fault] of faults.entries()) {
      await gateway.kill('SIGKILL')
      const found = 'nth' in fault ? await failOnce(trial, fault, join(dir, `trace-${i}.txt`)) : await failOften(trial, fault, join(dir, 'fiu'))
      seen[found.effect]++
      wrong.push(...found.wrong.map(what => `${nameOf(fault)}: ${what}`))
      await gateway.kill('SIGKILL')
      await gateway.restart()
      const enough = load.accepted.length + WELL_AGAIN
      while (load.accepted.length < enough) await wait(POLL_MS)
    }
  })
  return { ...verdict, wrong: [...wrong, ...verdict.wrong], seed, faults: faults.length, seen, allowed: 2 * faults.length * IN_FLIGHT }
}

export function nameOf (fault: DiskFault): string {
  return 'nth' in fault ? `${fault.call} number ${fault.nth}` : `${fault.share * 100} % of ${fault.call}`
}

interface Found { effect: Effect, wrong: string[] }

async function failOften ({ gateway, load, standIn, random }: Trial, { call, share }: DiskFault & { share: number }, prefix: string): Promise<Found> {
  await gateway.restart({ through: failable(prefix) })
  await wait(200 + 300 * random())
  failByChance(prefix, gateway.pid, call, share)
  await notReady(gateway)
  // The disk is well again: what could not be synced is not to be trusted all the same.
  if (call === 'fsync') failNoMore(prefix, gateway.pid, call)
  return { effect: 'stopped', wrong: await noise({ load, standIn }) }
}

async function failOnce ({ gateway, load, standIn }: Trial, { call, nth }: DiskFault & { nth: number }, file: string): Promise<Found> {
  const kernelCall = call === 'pwrite' ? 'pwrite64' : call
  const refused = await gateway.restart({ through: failingCall(kernelCall, nth, file) }).then(() => null, (error: Error) => error.message)
  if (refused !== null) return { effect: 'refused', wrong: /ended with 1:\n[^]*\[GW_[A-Z_]+\]/.test(refused) ? [] : [`the start ended otherwise: ${refused}`] }
  if (FOLDER.test(failed(file) ?? '')) return { effect: 'untold', wrong: [] }
  await notReady(gateway)
  const loud = await noise({ load, standIn })
  await gateway.kill('SIGKILL')
  return { effect: 'stopped', wrong: [...loud, ...afterTheFault(file)] }
}

/** SQLite syncs the folder of a file it made and does not look at the result. */
const FOLDER = /fsync\(\d+<[^>]*\/[^>./]*>/

/** The line of the call that was made to fail. */
function failed (file: string): string | undefined {
  return readFileSync(file, 'utf8').split('\n').find(line => line.includes('(INJECTED)'))
}

async function notReady (gateway: { url: string, lines: readonly string[] }): Promise<void> {
  const giveUpAt = performance.now() + STOPPED_WITHIN_MS
  for (let times = 0; times < LASTING; await wait(POLL_MS)) {
    const { statusCode, body } = await request(`${gateway.url}/readyz`)
    await body.dump()
    times = statusCode === 503 ? times + 1 : 0
    if (performance.now() > giveUpAt) throw new Error(`the disk fails, and the gateway is ready:\n${gateway.lines.join('\n')}`)
  }
}

/** What is still promised or sent. */
async function noise ({ load, standIn }: Pick<Trial, 'load' | 'standIn'>): Promise<string[]> {
  await wait(SETTLED_MS)
  const [promised, sent] = [load.accepted.length, standIn.arrivals.length]
  await wait(QUIET_MS)
  const found = [[load.accepted.length - promised, 'answered 202'], [standIn.arrivals.length - sent, 'sent']] as const
  return found.flatMap(([count, what]) => count === 0 ? [] : [`${count} ${what} while not ready`])
}

/** By the kernel's account: after the call that failed no 202 is written, and the log is not synced once more. */
function afterTheFault (file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  const failedAt = lines.findIndex(line => line.includes('(INJECTED)'))
  if (failedAt < 0) return ['no call failed']
  const calls = lines.slice(failedAt + 1).flatMap(line => traced(line) ?? [])
  const answers = calls.filter(({ text }) => text.includes('"HTTP/1.1 202 ')).length
  const syncs = calls.filter(({ call, text }) => call === 'fsync' && text.includes('-wal>')).length
  return [...answers > 0 ? [`${answers} times 202 after the fault`] : [], ...syncs > 0 ? [`${syncs} fsyncs of the log after the fault`] : []]
}
