// Time that passes only when it is told to, for all timers of this process; and virtual processes, whose timers stop with
// them. What a process awaits goes on only by its own timers, so one that is dead or paused does nothing at all.

import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { createClock, type Clock } from '@sinonjs/fake-timers'

const running = new AsyncLocalStorage<VirtualProcess | null>()
const timersPromises = createRequire(import.meta.url)('node:timers/promises') as Record<string, unknown>
const REAL = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate }
const REAL_PROMISES = { setTimeout: timersPromises.setTimeout, setImmediate: timersPromises.setImmediate }

/** One gateway, seen by the system it runs on. */
export class VirtualProcess {
  dead = false
  #paused = false
  /** What would have run while it was paused. */
  #missed: Array<() => void> = []

  /** Runs it as this process; later, when it is paused; never, when it is dead. */
  run (task: () => void): void {
    if (this.dead) return
    if (this.#paused) this.#missed.push(task)
    else running.run(this, task)
  }

  /** As `run`, for a process that is certainly running; with what it gives. */
  within<T> (task: () => T): T { return running.run(this, task) }

  get paused (): boolean { return this.#paused }

  pause (): void { this.#paused = true }

  /** What came due meanwhile runs now, in its order. */
  resume (): void {
    this.#paused = false
    for (const task of this.#missed.splice(0)) this.run(task)
  }

  kill (): void {
    this.dead = true
    this.#missed = []
  }
}

type Task = (...args: unknown[]) => void

export class VirtualTime {
  #clock: Clock = createClock(0, Infinity)

  /** Milliseconds since it began: the time that is true for everybody. */
  get now (): number { return this.#clock.now }

  /** Takes the place of the timers of Node until the function that is returned is called. */
  install (): () => void {
    const clock = this.#clock
    const owned = (task: Task, args: unknown[]): (() => void) => {
      const process = running.getStore()
      return process ? () => { process.run(() => { task(...args) }) } : () => { task(...args) }
    }
    const fake = {
      setTimeout: (task: Task, ms?: number, ...args: unknown[]) => clock.setTimeout(owned(task, args), ms ?? 0),
      setInterval: (task: Task, ms?: number, ...args: unknown[]) => clock.setInterval(owned(task, args), ms ?? 0),
      setImmediate: (task: Task, ...args: unknown[]) => clock.setTimeout(owned(task, args), 0),
      clearTimeout: (timer: number) => { clock.clearTimeout(timer) },
      clearInterval: (timer: number) => { clock.clearInterval(timer) },
      clearImmediate: (timer: number) => { clock.clearTimeout(timer) }
    }
    Object.assign(globalThis, fake)
    Object.assign(timersPromises, {
      setTimeout: (ms: number, value?: unknown) => new Promise(resolve => { fake.setTimeout(resolve as Task, ms, value) }),
      setImmediate: (value?: unknown) => new Promise(resolve => { fake.setImmediate(resolve as Task, value) })
    })
    syncBuiltinESMExports()
    return () => {
      Object.assign(globalThis, REAL)
      Object.assign(timersPromises, REAL_PROMISES)
      syncBuiltinESMExports()
    }
  }

  /** Calls it after that time, whatever becomes of any process. */
  after (ms: number, task: () => void): void { this.#clock.setTimeout(() => { running.run(null, task) }, ms) }

  /** So much time passes in which nobody runs; what came due meanwhile runs once, late. */
  async doze (ms: number): Promise<void> {
    this.#clock.jump(ms)
    await rest()
  }

  /** Fires the next timer, and lets all that follows from it come to rest. False: there is none. */
  async step (): Promise<boolean> {
    if (this.#clock.countTimers() === 0) return false
    this.#clock.next()
    await rest()
    return true
  }
}

/** All microtasks run before a real immediate does. */
export function rest (): Promise<void> { return new Promise(resolve => { REAL.setImmediate(resolve) }) }
