// The gateway's door as a whole: what the machine says, what is in flight, how many may be connected.

import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { dirname } from 'node:path'
import { Capacity } from './capacity.ts'
import type { Config, Runtime } from './contract.ts'
import type { Logger } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import { createRefusals } from './observe/refusals.ts'
import { Pressure, type FreeBytes } from './pressure.ts'

/** Kept for the store, the requests to providers, the log and the command line. */
const DESCRIPTORS_KEPT = 128
/** However few descriptors there are. */
const CONNECTIONS_LEAST = 16
/** Within this after a signal what was asked is answered. */
const STOP_REQUESTS_MS = 5000
const STOP_IDLE_MS = 50

export interface IntakeOptions {
  config: Config
  runtime: Runtime
  log: Logger
  /** There by the first request. */
  metrics (): Metrics
  freeBytes?: FreeBytes
}

export class Intake {
  readonly pressure: Pressure
  readonly capacity: Capacity
  #max = Infinity
  #open = 0

  constructor ({ config: { server, store }, runtime, log, metrics, freeBytes }: IntakeOptions) {
    this.pressure = new Pressure({
      disk: store.driver === 'sqlite' ? { folder: dirname(store.path), intakeFreeBytes: store.intakeFreeBytes, sendFreeBytes: store.sendFreeBytes } : null,
      onDisk: change => {
        if (change.intake) log.warn(change, 'there is room on the disk again: what comes in is taken')
        else log.error(change, change.sends ? 'the disk is nearly full: nothing is taken in until there is room' : 'the disk is nearly full: nothing is taken in and nothing sent until there is room')
      },
      onError: error => { log.error({ error }, 'the free space of the disk could not be asked for') },
      ...(freeBytes && { freeBytes })
    })
    const told = createRefusals(runtime.now, ({ source, count }) => { log.warn({ lane: source, count }, 'overloaded: requests were refused, to be sent again') })
    this.capacity = new Capacity({
      marks: server.overload,
      pressure: this.pressure,
      connections: () => ({ open: this.#open, max: this.#max }),
      onShed: (lane, reason) => {
        metrics().shed(lane, reason)
        told({ source: lane, status: 503 })
      }
    })
  }

  /** Takes no more connections than there are descriptors for; beyond that idle ones make room. */
  attach (server: Server, descriptors: number | null = descriptorLimit()): void {
    if (descriptors !== null) server.maxConnections = this.#max = Math.max(descriptors - DESCRIPTORS_KEPT, CONNECTIONS_LEAST)
    server.on('connection', socket => {
      this.#open++
      socket.once('close', () => { this.#open-- })
    })
    server.on('drop', () => { server.closeIdleConnections() })
  }
}

/** Requests in flight are answered first; a connection without one is closed. */
export async function closeGently (server: Server): Promise<void> {
  const idle = setInterval(() => { server.closeIdleConnections() }, STOP_IDLE_MS)
  const cut = setTimeout(() => { server.closeAllConnections() }, STOP_REQUESTS_MS)
  await new Promise<void>(resolve => { server.close(() => { resolve() }) })
  clearInterval(idle)
  clearTimeout(cut)
}

/** How many files this process may have open; null where the system does not say. */
function descriptorLimit (): number | null {
  try {
    const soft = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
    return Number.isNaN(soft) ? null : soft
  } catch {
    return null
  }
}
