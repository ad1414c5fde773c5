// Judges a run from outside: what the client was promised, what the provider received, and where the gateway
// says the rest is. Set comparisons of files; the gateway's own counters are not asked.

import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import type { Arrival } from './stand-in.ts'

/** A delivery as the API lists it, joined to the client's event by the event's own id. `againOf`: a person had that one sent again. */
export interface Listed { id: string, state: string, sourceId: string, againOf?: string | null, reason?: string | null, dueAt?: string | null }

export interface Finding {
  accepted: number
  received: number
  /** Accepted, never received, and not in a state that a person can see and act on. */
  lost: string[]
  /** Accepted and not received; the gateway says `unknown`. */
  unknown: string[]
  /** Accepted and not received: three processes ended while they had it in hand, so it is rejected until a person sends it. */
  setAside: string[]
  /** Accepted and not received; still waiting. */
  waiting: string[]
  /** Keys received more than once. */
  repeatedKeys: string[]
  /** Events that went out under two keys: two deliveries were made of one event, and no person asked for the second. */
  doubled: string[]
  /** Delivered by the gateway's word, never received: a lie. */
  claimedOnly: string[]
  /** Received, though the client was never promised it and the gateway does not list it. */
  unexplained: string[]
}

/** Every delivery of the gateway, page by page. */
export async function listDeliveries (target: { url: string, apiKey: string }, query: Record<string, string> = {}): Promise<Listed[]> {
  const found: Listed[] = []
  let cursor: string | null = null
  do {
    const params = new URLSearchParams({ limit: '200', ...query, ...(cursor !== null && { cursor }) })
    const page = await get(target, `/v1/deliveries?${params}`) as { items: Array<{ id: string, state: string, reason: string | null, again_of: string | null, due_at: string | null, event: { source_id: string } }>, next_cursor: string | null }
    for (const { id, state, reason, again_of: againOf, due_at: dueAt, event } of page.items) found.push({ id, state, reason, sourceId: event.source_id, againOf, dueAt })
    cursor = page.next_cursor
  } while (cursor !== null)
  return found
}

export async function get ({ url, apiKey }: { url: string, apiKey: string }, path: string): Promise<unknown> {
  const response = await request(url + path, { headers: { authorization: `Bearer ${apiKey}` } })
  const body = await response.body.json()
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${JSON.stringify(body)}`)
  return body
}

/** Resolves when nothing is waiting and nothing is on its way. Rejects after `withinMs`. */
export async function drained (target: { url: string, apiKey: string }, withinMs: number): Promise<void> {
  const endsAt = performance.now() + withinMs
  for (;;) {
    const left = await Promise.all(['waiting', 'sending'].map(async state => await get(target, `/v1/deliveries?limit=3&state=${state}`) as { items: Array<{ id: string, state: string, due_at: string | null }> }))
    if (left.every(({ items }) => items.length === 0)) return
    if (performance.now() > endsAt) throw new Error(`at ${new Date().toISOString()}, after ${withinMs} ms, something is still waiting or sending: ${left.flatMap(({ items }) => items.map(({ id, state, due_at: dueAt }) => `${id} ${state} ${dueAt}`)).join(', ')}`)
    await wait(100)
  }
}

export function readAccepted (file: string): Set<string> {
  return new Set(readFileSync(file, 'utf8').split('\n').filter(line => line !== ''))
}

export function readArrivals (file: string): Arrival[] {
  return readFileSync(file, 'utf8').split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Arrival)
}

export function judge (accepted: ReadonlySet<string>, arrivals: readonly Arrival[], listed: readonly Listed[]): Finding {
  const taken = arrivals.filter(({ status }) => status < 300)
  const refs = new Set(taken.map(({ ref }) => ref))
  const states = Map.groupBy(listed, ({ sourceId }) => sourceId)
  const asked = new Set(listed.filter(({ againOf }) => typeof againOf === 'string').map(({ id }) => id))
  const missing = [...accepted].filter(id => !refs.has(id))
  const isIn = (id: string, ...wanted: string[]): boolean => states.get(id)?.some(({ state }) => wanted.includes(state)) ?? false
  const setAside = missing.filter(id => states.get(id)?.some(({ reason }) => reason === 'crashed_gateway'))
  const others = missing.filter(id => !setAside.includes(id))
  const inState = (state: string): string[] => others.filter(id => isIn(id, state))
  const keysOf = Map.groupBy(taken, ({ ref }) => ref)
  return {
    accepted: accepted.size,
    received: refs.size,
    lost: others.filter(id => !isIn(id, 'unknown', 'waiting', 'held')),
    setAside,
    unknown: inState('unknown'),
    waiting: inState('waiting'),
    repeatedKeys: [...Map.groupBy(taken, ({ key }) => key)].filter(([, times]) => times.length > 1).map(([key]) => key),
    doubled: [...keysOf].filter(([, times]) => new Set(times.map(({ key }) => key).filter(key => !asked.has(key))).size > 1).map(([ref]) => ref),
    claimedOnly: listed.filter(({ sourceId, state }) => state === 'delivered' && !refs.has(sourceId)).map(({ sourceId }) => sourceId),
    unexplained: [...refs].filter(ref => !states.has(ref))
  }
}
