// What a source's code gave, looked at before anything is made of it: it is code, but not ours.

import type { Translated } from '../contract.ts'

const REASON = /^[a-z][a-z0-9_]{0,59}$/
const EVENTS_MAX = 200

/** Not yet: it is worked on again, and pays no attempt. */
export interface Later { is: 'later', afterMs: number }

/** The same value. Throws TypeError, saying what is wrong, where it is not what a source may give. */
export function checkTranslated (value: Translated | Later): Translated | Later {
  if (value?.is === 'later' && value.afterMs > 0) return value
  const given = value as unknown as Record<string, unknown> | null | undefined
  if (typeof given !== 'object' || given === null) throw new TypeError('translate gave nothing')
  const { is, events, reason, detail, steps } = given
  if (is !== 'events' && is !== 'recorded' && is !== 'parked') throw new TypeError('translate must say { is: events, recorded or parked }')
  if (reason === undefined ? is !== 'events' : typeof reason !== 'string' || !REASON.test(reason)) throw new TypeError('translate must give a reason in snake_case')
  if (detail === undefined ? is !== 'events' : typeof detail !== 'string') throw new TypeError('translate must give a detail, a sentence')
  if (steps !== undefined && !(Array.isArray(steps) && (steps as unknown[]).every(isStep))) throw new TypeError('translate must give steps as a list of statements with their parameters')
  if (is !== 'events') return value
  if (!Array.isArray(events) || events.length > EVENTS_MAX) throw new TypeError(`translate must give a list of at most ${EVENTS_MAX} events`)
  for (const event of events as unknown[]) checkEvent(event)
  return value
}

function isStep (value: unknown): boolean {
  const { name, params } = (value ?? {}) as Record<string, unknown>
  return typeof name === 'string' && typeof params === 'object' && params !== null
}

function checkEvent (event: unknown): void {
  const { id, type, timeAt, data } = (event ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || typeof type !== 'string' || typeof data !== 'object' || data === null) throw new TypeError('an event of translate has id, type and data')
  if (typeof timeAt !== 'number' || Number.isNaN(new Date(timeAt).getTime())) throw new TypeError('an event of translate has timeAt in epoch milliseconds')
}
