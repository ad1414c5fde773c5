// Looking on while a provider misbehaves: by the gateway's own clock, which a test moves.

import { until } from '../helpers/fake-runtime.ts'
import type { Exchange } from '../helpers/fault-server.ts'
import type { World } from '../delivery/world.ts'

/** What the provider of a test world gets. */
export interface Sent { key: string, shop: string }

export function sentOf ({ request }: Pick<Exchange, 'request'>): Sent { return JSON.parse(request.body) as Sent }

/** Two looks for what is due: whatever may go has gone. */
export async function quiet (w: World): Promise<void> {
  const from = w.runtime.mono()
  await until('two looks are over', () => w.runtime.mono() - from > 600)
}

/** Skips what they wait for, time after time, until all of them are so. */
export async function inTime (w: World, ids: readonly string[], state: string, stepMs: number, steps = 20): Promise<void> {
  for (let i = 0; i < steps; i++) {
    await quiet(w)
    await until('nothing is on the wire', () => w.deliver.working === 0) // whose deadline would be skipped as well
    if (await areAll(w, ids, state)) return
    w.runtime.skip(stepMs)
  }
  throw new Error(`after ${steps} times ${stepMs} ms not all are ${state}: ${JSON.stringify(await Promise.all(ids.map(id => w.shown(id))))}`)
}

/** One question at a time, and none after the first that is not so. */
async function areAll (w: World, ids: readonly string[], state: string): Promise<boolean> {
  for (const id of ids) if ((await w.shown(id)).state !== state) return false
  return true
}

/** Notes when requests arrived, and for which shop. */
export class Arrivals {
  #all: Array<Sent & { at: number }> = []
  #world: () => World

  constructor (world: () => World) { this.#world = world }

  note (exchange: Exchange): void { this.#all.push({ ...sentOf(exchange), at: this.#world().runtime.mono() }) }

  of (shop: string): number[] { return this.#all.filter(one => one.shop === shop).map(({ at }) => at) }

  /** How often each delivery was sent. */
  times (): Map<string, number> {
    return new Map([...Map.groupBy(this.#all, ({ key }) => key)].map(([key, all]) => [key, all.length]))
  }

  /** The most that arrived for a shop within so many milliseconds. */
  most (withinMs: number, shop: string): number {
    const all = this.of(shop)
    return Math.max(0, ...all.map(at => all.filter(other => other >= at && other < at + withinMs).length))
  }
}
