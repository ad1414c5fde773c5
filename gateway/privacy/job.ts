// The job of a shop that does what was asked for with people's data, one request after the other, in slices. It may end at any
// point: what was done is done, and the rest is done from the last place on.

import { setImmediate } from 'node:timers/promises'
import { forgetting } from './forget.ts'
import { gathering } from './gather.ts'
import { redaction } from './redact.ts'
import { eventSlice, inboxSlice } from './scan.ts'
import { personOf, unsealed, type Subject } from './who.ts'
import type { Request, Work, WorkTools } from './work.ts'

/** After this others of the runner have their turn, and the place is on disk. */
const TURN_MS = 1000
/** Until what is on the wire, or worked on, is looked at again. */
const OPEN_AGAIN_MS = 1000

type Phase = 'inbox' | 'events' | 'open' | 'rest' | 'done'

/** How far a request is. No part of it names a person, but for ids of events. */
interface Place { id: string, phase: Phase, inbox: number, event: { id: string, source: string }, open: number[], found: { events: number, webhooks: number } }

export interface PrivacyJob { uniqueKey: string, cursor: string | null }

/** Null when nothing is asked for any more. */
export async function privacyJob ({ uniqueKey, cursor }: PrivacyJob, tools: WorkTools): Promise<{ dueAt: number, cursor: string | null } | null> {
  const { store, runtime } = tools
  const begun = cursor === null ? null : JSON.parse(cursor) as Place
  const request = await nextOf(Number(uniqueKey), begun?.id ?? null, tools)
  if (request === null) return null
  const work = workOf(request, tools)
  let place = begun?.id === request.id ? begun : beginOf(request.id)
  const until = runtime.mono() + TURN_MS
  while (runtime.mono() < until) {
    const { next, wait } = await slice(request, place, work, tools)
    place = next
    if (place.phase === 'done') {
      await store.commit([{ name: 'end_privacy', params: { id: request.id, found: JSON.stringify(place.found), now: runtime.now() } }])
      return { dueAt: runtime.now(), cursor: null }
    }
    if (wait) return { dueAt: runtime.now() + OPEN_AGAIN_MS, cursor: JSON.stringify(place) }
    await setImmediate()
  }
  return { dueAt: runtime.now(), cursor: JSON.stringify(place) }
}

async function nextOf (shopKey: number, begun: string | null, { store, vault }: WorkTools): Promise<Request | null> {
  const [row] = await store.read('open_privacy', { shop_key: shopKey, id: begun })
  const [shop] = row === undefined ? [] : await store.read('shop_by_key', { shop_key: shopKey })
  if (row === undefined || shop === undefined) return null
  const subject = unsealed(String(shop.id), String(row.id), row, vault) as Subject | null
  return {
    id: String(row.id),
    kind: row.kind as Request['kind'],
    at: Number(row.at),
    shop: { key: shopKey, id: String(shop.id) },
    person: subject && personOf(subject, vault),
    marks: JSON.parse(String(row.marks)) as string[]
  }
}

function workOf (request: Request, tools: WorkTools): Work {
  const { kind, person } = request
  if (kind === 'forget' || person === null) return forgetting(request, tools)
  return kind === 'redact' ? redaction({ ...request, person }, tools) : gathering({ ...request, person }, tools)
}

function beginOf (id: string): Place {
  return { id, phase: 'inbox', inbox: 0, event: { id: '', source: '' }, open: [], found: { events: 0, webhooks: 0 } }
}

/** What came first goes first: a webhook that is worked on just now makes an event that the look at the events still finds. */
async function slice (request: Request, place: Place, work: Work, { store }: WorkTools): Promise<{ next: Place, wait: boolean }> {
  const { shop, kind, at } = request
  switch (place.phase) {
    case 'inbox': {
      const { rows, until, more } = await inboxSlice({ shop: shop.id, at: kind === 'forget' ? Number.MAX_SAFE_INTEGER : at, after: place.inbox }, store)
      if (!more) return { next: { ...place, phase: 'events' }, wait: false }
      const { found, wait } = await work.inbox(rows, { after: place.inbox, until })
      return { next: { ...place, inbox: wait ? place.inbox : until, found: { ...place.found, webhooks: place.found.webhooks + found } }, wait }
    }
    case 'events': {
      const { rows, next } = await eventSlice(shop.key, place.event, store)
      const { found, open } = await work.events(rows)
      return { next: { ...place, ...(next ? { event: next } : { phase: 'open' as const }), open: [...new Set([...place.open, ...open])], found: { ...place.found, events: place.found.events + found } }, wait: false }
    }
    case 'open': {
      const open = await work.again(place.open)
      return { next: { ...place, open, phase: open.length === 0 ? 'rest' : 'open' }, wait: open.length > 0 }
    }
    default:
      await work.rest()
      return { next: { ...place, phase: 'done' }, wait: false }
  }
}
