// #88, #92: who opts out, or is erased, at the very moment something is begun for them.

import t from 'tap'
import type { Provider, Step, Store, Subscribers } from '../../gateway/contract.ts'
import { put, type Put } from '../conformance/store-rows.ts'
import { eventType } from '../helpers/make.ts'
import { world, type World } from './world.ts'

const TYPE = 'thing.happened'
const ADDS = 'thing.urgent'
const ADA = Uint8Array.of(1, 255, 0)
const HOUR_MS = 3_600_000
const LOOK = { request: 'look', map: () => ({}) } as unknown as Subscribers['find']
const lists = (more: Partial<Subscribers>): Partial<Provider> => ({ subscribers: { find: LOOK, findByRef: null, add: [], gate: [], addFor: [], addData: data => data, ...more } })

/** What comes once, before the first unit that has a step of this name. */
function before (name: string, come: (store: Store) => Promise<unknown>): (store: Store) => Partial<Store> {
  let came = false
  return store => ({
    async commit (unit: Step[]) {
      if (!came && unit.some(step => step.name === name)) {
        came = true
        await come(store)
      }
      return await store.commit(unit)
    }
  })
}

/** A message to her, who is not on the list. */
async function toAda (w: World): Promise<Put> {
  const state = await w.state('a')
  const { key: queueKey, accountKey } = await w.shops.queue(state, eventType({ type: TYPE }))
  const now = w.runtime.now()
  await w.store.commit([{ name: 'learn_subscriber', params: { account_key: accountKey, person: ADA, standing: 'not_found', now, ref: null, due_at: null, wants: 0, before: 0 } }])
  return await put(w.store, { shop: 'a', shopKey: state.shop.key, provider: 'alpha', account: 'a', accountKey: accountKey as number, queueKey }, { person: ADA, type: TYPE, at: now, dueAt: now, expiresAt: now + HOUR_MS })
}

t.test('#88: who was about to be added to a list, and opted out before the request began, is not on record as asked', async t => {
  const w: World = await world(t, {
    start: false,
    providers: [lists({ add: [TYPE] })],
    between: before('start_call', async store => await store.commit([{ name: 'opt_out_shop', params: { person: ADA, shop_key: 1, at: w.runtime.now(), via: 'api', by_account_key: null, reason: null } }]))
  })
  const { id } = await toAda(w)
  await w.start()
  await w.becomes(id, 'rejected', 'opted_out')
  t.equal(w.server.received.length, 0)
  t.match(await w.query('select standing, adding from subscribers'), [{ standing: 'not_found', adding: null }])
  t.strictSame(w.errors, [])
})

t.test('#92: who is erased while the event is made that adds them is not added', async t => {
  let eventKey = 0
  const w = await world(t, {
    start: false,
    providers: [lists({ add: [ADDS], gate: [TYPE], addFor: [TYPE] })],
    between: before('insert_event_for', async store => await store.commit([{ name: 'redact_waiting', params: { event_key: eventKey, now: w.runtime.now() } }]))
  })
  const message = await toAda(w)
  eventKey = message.eventKey
  await w.start()
  await w.becomes(message.id, 'rejected', 'redacted')
  await w.stop()
  t.match(await w.query('select count(*) as n from events'), [{ n: /^1$/ }], 'no event of hers was made')
  t.equal(w.server.received.length, 0)
  t.strictSame(w.errors, [])
})
