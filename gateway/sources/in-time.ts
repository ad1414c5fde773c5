// Waiting for work no longer than it may take.

import { setTimeout as wait } from 'node:timers/promises'

/** When it is done, or after this long. */
export async function atMost (work: Promise<unknown>, ms: number): Promise<void> {
  const done = new AbortController()
  await Promise.race([work, wait(ms, undefined, { signal: done.signal, ref: false }).catch(() => {})])
  done.abort()
}

/** The value, unless it takes too long. */
export async function inTime<T> (value: T | Promise<T>, ms: number): Promise<T> {
  if (!(value instanceof Promise)) return value
  const done = new AbortController()
  const late = wait(ms, undefined, { signal: done.signal, ref: false }).then(() => { throw new Error(`the translation took longer than ${ms / 1000} seconds`) })
  late.catch(() => {}) // ended by the value
  try {
    return await Promise.race([value, late])
  } finally {
    done.abort()
  }
}
