// Time that runs as it does outside and can be pushed ahead, and waiting for what must come true.

import type { Runtime } from '../../gateway/contract.ts'
import { systemRuntime } from '../../gateway/runtime.ts'

export interface FakeRuntime extends Runtime {
  /** Lets both clocks jump ahead. */
  skip (ms: number): void
  /** Sets the wall clock, on or back; the monotonic one notices nothing. */
  setClock (ms: number): void
  /** What `random` answers from now on. */
  dice: number
}

/** Both clocks run on, so that deadlines pass; what would take minutes is skipped. Dice fall in the middle: no spread. */
export function fakeRuntime (): FakeRuntime {
  const system = systemRuntime()
  let skippedMs = 0
  let setMs = 0
  return {
    dice: 0.5,
    skip (ms) { skippedMs += ms },
    setClock (ms) { setMs += ms },
    now: () => system.now() + skippedMs + setMs,
    mono: () => system.mono() + skippedMs,
    random () { return this.dice },
    id: system.id
  }
}

/** Waits until the condition gives something truthy and returns that; fails with what it waited for. */
export async function until<T> (what: string, condition: () => T | Promise<T>, withinMs = 10_000): Promise<NonNullable<T>> {
  const endAt = performance.now() + withinMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > endAt) throw new Error(`waited ${withinMs} ms in vain until ${what}`)
    await new Promise(resolve => { setTimeout(resolve, 5) })
  }
}
