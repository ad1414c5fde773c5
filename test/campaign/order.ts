// R4: what the gateway asks of the kernel when it answers: the fsync that holds an event has returned before the first byte of its 202.

import { startWorld, targetOf } from '../e2e/world.ts'
import { careless } from '../failpoints/points.ts'
import { eventOf, post } from '../helpers/load.ts'
import { startStandIn } from '../helpers/stand-in.ts'
import { follow, type Traced } from '../helpers/strace.ts'

export interface OrderOptions {
  /** An empty folder. */
  dir: string
  requests: number
  /** The gateway does not sync, and that must be seen. */
  careless?: boolean
}

export interface OrderReport {
  requests: number
  /** Answers whose event was seen to be written before, and fsyncs of the log. */
  answers: number
  fsyncs: number
  /** Events answered before an fsync that began after they were written had returned. */
  early: string[]
}

const AT_ONCE = 4
const ID = /ordered-\d+(?=\\")/g

export async function orderOfCalls ({ dir, requests, careless: unsafe = false }: OrderOptions): Promise<OrderReport> {
  const standIn = await startStandIn()
  const gateway = await startWorld({
    dir, standIn, providers: [{ id: 'provider', uncertain: 'park', concurrency: AT_ONCE, windows: [{ max: 100_000, perMs: 1000 }] }],
    shops: [{ id: 'shop.example', provider: 'provider', account: 'account' }],
    ...(unsafe && { start: careless() })
  })
  try {
    const watch = new Watch()
    const trace = await follow(gateway.pid, ['pwrite64', 'fsync', 'fdatasync', 'write', 'writev', 'sendto', 'sendmsg'], line => { watch.see(line) })
    let next = 0
    const poster = async (): Promise<void> => {
      while (next < requests) {
        const answer = await post(targetOf(gateway), eventOf({ id: `ordered-${next++}`, shop: 'shop.example' }))
        if (answer?.status !== 202) throw new Error(`not accepted: ${JSON.stringify(answer)}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, poster))
    await standIn.until(() => standIn.arrivals.length >= requests)
    await trace.stop()
    return { requests, answers: watch.answers, fsyncs: watch.fsyncs, early: watch.early }
  } finally {
    await gateway.kill('SIGKILL')
    await standIn.close()
  }
}

/** Lines are counted; an fsync covers what was written before it began, from the line on which it returned. */
class Watch {
  answers = 0
  fsyncs = 0
  readonly early: string[] = []
  #line = 0
  #writtenAt = new Map<string, number>()
  #syncing = new Map<string, number>()
  #coveredUntil = 0

  see ({ thread, call, text, began, result }: Traced): void {
    this.#line++
    if (call === 'pwrite64') this.#written(text)
    else if (call === 'fsync' || call === 'fdatasync') this.#synced(thread, text, began, result)
    else if (began && text.includes('"HTTP/1.1 202 ')) this.#answered(text)
  }

  #written (text: string): void {
    if (!text.includes('-wal>')) return
    for (const [id] of text.matchAll(ID)) if (!this.#writtenAt.has(id)) this.#writtenAt.set(id, this.#line)
  }

  #synced (thread: string, text: string, began: boolean, result: string | null): void {
    if (began && text.includes('-wal>')) this.#syncing.set(thread, this.#line)
    const startedAt = this.#syncing.get(thread)
    if (result === null || startedAt === undefined) return
    this.#syncing.delete(thread)
    if (result !== '0') return
    this.fsyncs++
    this.#coveredUntil = Math.max(this.#coveredUntil, startedAt)
  }

  #answered (text: string): void {
    for (const id of new Set([...text.matchAll(ID)].map(([id]) => id))) {
      this.answers++
      const writtenAt = this.#writtenAt.get(id)
      if (writtenAt === undefined || writtenAt > this.#coveredUntil) this.early.push(id)
    }
  }
}
