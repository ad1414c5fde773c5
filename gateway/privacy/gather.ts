// Gathers what is stored of a customer of a shop, sealed, a part for each thing that was found; and puts the parts together again.

import type { Row, Step } from '../contract.ts'
import { sentence, stateOfRow } from '../reasons.ts'
import { matcher } from './match.ts'
import { sealed, unsealed, type Person, type Sealing } from './who.ts'
import { isBefore, type Request, type Work, type WorkTools } from './work.ts'

const DIGITS = 16
/** The first word of a part's name: where in the document it belongs. */
const LISTS = ['events', 'webhooks', 'lists', 'opt_outs', 'sources'] as const
type List = typeof LISTS[number]

export function gathering (request: Request & { person: Person }, tools: WorkTools): Work {
  const { store, runtime, vault } = tools
  const { id, shop, person, at } = request
  const names = matcher(person)
  const own = new Set(person.persons.map(hexOf))
  const isOwn = (hash: unknown): boolean => hash !== null && own.has(hexOf(hash))
  const part = (list: List, name: string | number, value: unknown): Step => {
    const called = `${list} ${typeof name === 'number' ? String(name).padStart(DIGITS, '0') : name}`
    return { name: 'put_part', params: { id, part: called, ...sealed(shop.id, `${id} ${called}`, value, vault), now: runtime.now() } }
  }
  const standings = async (hash: Uint8Array): Promise<Step[]> => {
    const of = { shop_key: shop.key, person: hash }
    const [listed, out] = await Promise.all([store.read('standings_of_person', of), store.read('opt_outs_seen', of)])
    const place = hexOf(hash)
    return [
      ...listed.map((row, n) => part('lists', `${place} ${n}`, { provider: row.provider, state: row.standing, since: iso(row.since), asked_at: iso(row.asked_at), checked_at: iso(row.checked_at) })),
      ...out.map((row, n) => part('opt_outs', `${place} ${n}`, { scope: row.scope, provider: row.provider, at: iso(row.at), via: row.via, reason: row.reason, lifted_at: iso(row.lifted_at), lifted_via: row.lifted_via, lift_reason: row.lift_reason }))
    ]
  }
  const keep = async (parts: Step[]): Promise<void> => { for (const one of parts) await store.commit([one]) } // a body may be large

  return {
    async events (rows) {
      const theirs = rows.filter(row => row.data !== null && isBefore(row, at) && (isOwn(row.person) || names(String(row.data))))
      const parts: Step[] = []
      for (const row of theirs) {
        const of = { event_key: row.event_key as number }
        parts.push(part('events', of.event_key, eventView(row, await store.read('deliveries_of_person', of), await store.read('calls_of_event', of))))
      }
      for (const hash of new Map(theirs.flatMap(({ person }) => person === null || isOwn(person) ? [] : [[hexOf(person), person as Uint8Array]])).values()) parts.push(...await standings(hash))
      await keep(parts)
      return { found: theirs.length, open: [] }
    },
    async inbox (rows) {
      const theirs = rows.filter(row => names(String(row.body)))
      await keep(theirs.map(row => part('webhooks', row.inbox_key as number, { id: row.id, source: row.source, topic: row.topic, received_at: iso(row.received_at), body: row.body })))
      return { found: theirs.length, wait: false }
    },
    async again () { return [] },
    async rest () {
      for (const hash of person.persons) await keep(await standings(hash))
      for (const hook of tools.hooks()) {
        const known = await hook.export(person, shop.key)
        if (known !== undefined && !(Array.isArray(known) && known.length === 0)) await keep([part('sources', hook.id, { source: hook.id, data: known })])
      }
    }
  }
}

/** The parts as one document; lists of what there is, empty where there is nothing. */
export function documentOf (shop: string, id: string, rows: readonly Row[], vault: Pick<Sealing, 'open'>): Record<List, unknown[]> {
  const document: Record<List, unknown[]> = { events: [], webhooks: [], lists: [], opt_outs: [], sources: [] }
  for (const row of rows) document[String(row.part).split(' ')[0] as List].push(unsealed(shop, `${id} ${String(row.part)}`, row, vault))
  return document
}

function eventView (row: Row, deliveries: readonly Row[], calls: readonly Row[]): object {
  return {
    id: row.id,
    type: row.type,
    source: row.source,
    source_id: row.source_id,
    time: iso(row.time_at),
    received_at: iso(row.received_at),
    data: JSON.parse(String(row.data)) as unknown,
    deliveries: deliveries.map(delivery => {
      const { state, reason } = stateOfRow(delivery)
      const provider = (delivery.provider ?? delivery.queue_provider) as string | null
      return {
        id: delivery.id,
        channel: delivery.channel,
        provider,
        state,
        reason,
        sentence: reason && sentence(reason, provider ?? ''),
        attempts: delivery.attempts,
        created_at: iso(delivery.created_at),
        finished_at: iso(delivery.finished_at),
        carrier: delivery.carrier_status === null ? null : { status: delivery.carrier_status, at: iso(delivery.carrier_at) },
        sent: delivery.request_body,
        answer: delivery.answer
      }
    }),
    earlier_calls: calls.map(call => ({ at: iso(call.reserved_at), sent: call.request_body, answer: call.answer }))
  }
}

function hexOf (hash: unknown): string { return Buffer.from(hash as Uint8Array).toString('hex') }

function iso (ms: unknown): string | null { return typeof ms === 'number' ? new Date(ms).toISOString() : null }
