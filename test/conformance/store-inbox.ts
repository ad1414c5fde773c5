// What every store must keep of the inbox.

import type { Test } from 'tap'
import type { Row, Step, Store, Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { eventOf, NOW, one, place } from './store-rows.ts'

const STATE = { received: 1, done: 2, parked: 4 }
const EVERY = { before: Number.MAX_SAFE_INTEGER, floor: 0, source: null, topic: null, subject: null, state: null, shop: null, shops: null, limit: 100 }

interface Put { key: number, id: string, steps: Step[] }

function arrivalOf (store: Store, { keys = [] as string[], ...facts }: { keys?: string[] } & Record<string, Value | string[]> = {}): Put {
  const key = store.nextKey('inbox')
  const params = {
    inbox_key: key, id: `inb_${key}`, source: 'hook', topic: 'thing', shop: 'acme.example', subject: null, headers: '{}', body: '{}', received_at: NOW,
    state: STATE.received, reason: null, detail: null, due_at: NOW, settled_at: null, ...facts as Record<string, Value>, keys: JSON.stringify(keys)
  }
  const { source, keys: known, received_at: receivedAt } = params
  return { key, id: params.id, steps: [{ name: 'insert_inbox', params }, { name: 'insert_inbox_keys', params: { source, keys: known, received_at: receivedAt, inbox_key: key } }] }
}

async function put (store: Store, facts: Parameters<typeof arrivalOf>[1] = {}): Promise<Put> {
  const made = arrivalOf(store, facts)
  await store.commit(made.steps)
  return made
}

async function claim (store: Store, { source = 'hook', now = NOW, limit = 10 } = {}): Promise<Row[]> {
  return (await one(store, 'claim_inbox', { source, now, limit, owner: store.owner, epoch: store.epoch })).rows.toSorted((a, b) => Number(a.inbox_key) - Number(b.inbox_key))
}

const keysOf = (rows: Row[]): unknown[] => rows.map(row => row.inbox_key)
const rowOf = async (store: Store, { id }: Put): Promise<Row> => (await store.read('inbox_by_id', { id }))[0] as Row
const settleOf = (store: Store, { key }: Put, more: Record<string, Value> = {}): Step =>
  ({ name: 'settle_inbox', params: { inbox_key: key, owner: store.owner, epoch: store.epoch, state: STATE.done, reason: null, detail: null, events: '[]', settled_at: NOW, ...more } })

export async function inbox (t: Test, open: Open): Promise<void> {
  await t.test('what has a key that was seen is not kept, and leaves none of its keys behind', async t => {
    const { store } = await open(t)
    const all = ['a', 'b'].map(own => arrivalOf(store, { keys: ['same', own] }))
    const results = await Promise.all(all.map(({ steps }) => store.commit(steps)))
    t.strictSame(results.map(([inserted, keys]) => [inserted?.changes, keys?.changes]), [[1, 2], [0, 0]])
    for (const [key, changes] of [['a', 0], ['b', 1], ['same', 0]] as const) t.equal((await store.commit(arrivalOf(store, { keys: [key] }).steps))[0]?.changes, changes, key)
    t.equal((await store.commit(arrivalOf(store, { source: 'other', keys: ['same'] }).steps))[0]?.changes, 1, 'another source has keys of its own')
    for (const _ of [1, 2]) t.equal((await store.commit(arrivalOf(store).steps))[0]?.changes, 1, 'without keys all is new')
  })

  await t.test('the oldest first, each once, and settled by who claimed it', async t => {
    const { store } = await open(t)
    const [third, first, second] = [await put(store, { due_at: NOW - 1 }), await put(store, { due_at: NOW - 3 }), await put(store, { due_at: NOW - 2 })]
    const later = await put(store, { due_at: NOW + 1 })
    await put(store, { source: 'other' })
    t.strictSame(keysOf(await claim(store, { limit: 1 })), [first.key])
    t.strictSame(keysOf(await claim(store, { limit: 2 })), [third.key, second.key])
    t.strictSame(await claim(store), [])
    t.strictSame(await store.read('inbox_is_due', { source: 'hook', now: NOW }), [])
    t.equal((await store.read('inbox_is_due', { source: 'hook', now: NOW + 1 })).length, 1)
    t.equal((await store.commit([settleOf(store, later)]))[0]?.changes, 0, 'nobody claimed it')
    t.equal((await store.commit([settleOf(store, first, { epoch: store.epoch - 1 })]))[0]?.changes, 0)
    t.equal((await store.commit([settleOf(store, first)]))[0]?.changes, 1)
    t.equal((await store.commit([settleOf(store, first)]))[0]?.changes, 0)
    t.match(await rowOf(store, first), { state: STATE.done, settled_at: NOW, due_at: null, events: '[]' })
    const deferred = { inbox_key: second.key, owner: store.owner, epoch: store.epoch, due_at: NOW + 9, paid: 1, reason: 'failed', detail: 'why' }
    t.equal((await one(store, 'defer_inbox', { ...deferred, owner: store.owner + 1 })).changes, 0)
    t.equal((await one(store, 'defer_inbox', deferred)).changes, 1)
    t.match(await rowOf(store, second), { state: STATE.received, due_at: NOW + 9, attempts: 1, reason: 'failed' })
    t.equal((await one(store, 'release_inbox', { owner: store.owner, epoch: store.epoch })).changes, 1)
    t.strictSame(keysOf(await claim(store, { now: NOW + 1 })), [third.key, later.key])
  })

  await t.test('a claim of his own that nobody works on is found by who claimed it, and given back as if it had not been claimed', async t => {
    const { store } = await open(t)
    const [first, second] = [await put(store), await put(store)]
    await claim(store)
    t.strictSame((await store.read('owned_inbox', { owner: store.owner })).map(row => row.inbox_key as number).toSorted((a, b) => a - b), [first.key, second.key])
    t.strictSame(await store.read('owned_inbox', { owner: store.owner + 1 }), [])
    const release = async (owner: number) => (await one(store, 'release_owned_inbox', { owner, keys: `[${first.key}]` })).changes
    t.strictSame([await release(store.owner + 1), await release(store.owner), await release(store.owner)], [0, 1, 0])
    t.match(await rowOf(store, first), { state: STATE.received, due_at: NOW, attempts: 0 })
    t.strictSame(keysOf(await claim(store)), [first.key])
  })

  await t.test('events of a row and its end are one unit: an identity that is taken lets nothing of it in', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const row = await put(store)
    await claim(store)
    const strictly = ({ steps }: ReturnType<typeof eventOf>): Step[] => steps.map(step => step.name === 'insert_event' ? { ...step, name: 'insert_event_together' } : step)
    await store.commit(strictly(eventOf(store, at, { sourceId: 'taken' })))
    const fresh = eventOf(store, at, { sourceId: 'fresh' })
    await t.rejects(store.commit([...strictly(fresh), ...strictly(eventOf(store, at, { sourceId: 'taken' })), settleOf(store, row)]), { code: 'GW_STORE_FAILED' })
    t.match(await rowOf(store, row), { state: STATE.received })
    t.strictSame(await store.read('deliveries_of_event', { event_key: fresh.eventKey }), [])
    t.equal(store.healthy(), true)
  })

  await t.test('what somebody was working on when he died is in front; the third time it is set aside', async t => {
    const opened = await open(t)
    let { store } = opened
    const first = await put(store)
    const adopt = () => one(store, 'adopt_inbox', { owner: store.owner, claims_max: 3, parked: STATE.parked, reason: 'crashed_gateway', detail: 'why', now: NOW + 5 })
    for (const times of [1, 2, 3]) {
      t.strictSame(keysOf(await claim(store, { now: NOW + times, limit: 1 })), [first.key])
      await put(store, { received_at: NOW - 1, due_at: NOW - 1 })
      t.strictSame((await adopt()).rows, [], 'his own are left to him')
      store = await opened.reopen()
      t.match((await adopt()).rows, [{ id: first.id, source: 'hook', state: times === 3 ? STATE.parked : STATE.received }])
    }
    t.match(await rowOf(store, first), { state: STATE.parked, reason: 'crashed_gateway', settled_at: NOW + 5, due_at: null })
    t.equal((await claim(store)).length, 3)
    const [which, audit] = [{ inbox_key: first.key, received: STATE.received }, { at: NOW, actor: 'ops' }]
    const retry = { ...which, now: NOW + 6 }
    t.equal((await one(store, 'audit_inbox_retry', { ...which, ...audit })).changes, 1)
    t.equal((await one(store, 'retry_inbox', retry)).changes, 1)
    t.equal((await one(store, 'retry_inbox', retry)).changes, 0, 'it is to be worked on already')
    t.equal((await one(store, 'audit_inbox_retry', { ...which, ...audit })).changes, 0)
    t.match(await rowOf(store, first), { state: STATE.received, due_at: NOW + 6, reason: null, attempts: 0, settled_at: null })
    const bodiless = await put(store, { state: STATE.parked, body: null, due_at: null, settled_at: NOW })
    t.equal((await one(store, 'retry_inbox', { ...retry, inbox_key: bodiless.key })).changes, 0)
    t.equal((await one(store, 'audit_inbox_retry', { ...which, ...audit, inbox_key: bodiless.key })).changes, 0)
  })

  await t.test('lists, newest first, by every filter; forgets what is settled, and keys by their own age', async t => {
    const { store } = await open(t)
    const [a, b, c] = [await put(store, { keys: ['a'] }), await put(store, { source: 'other', topic: 'else', shop: null, subject: 'order-1' }), await put(store, { shop: 'b.example', state: STATE.parked, due_at: null, settled_at: NOW, received_at: NOW + 5, keys: ['c'] })]
    const list = async (filters: Record<string, Value>) => keysOf(await store.read('list_inbox', { ...EVERY, ...filters }))
    t.strictSame(await list({}), [c.key, b.key, a.key])
    for (const [filters, found] of [
      [{ source: 'other' }, [b]], [{ topic: 'thing' }, [c, a]], [{ state: STATE.parked }, [c]], [{ subject: 'order-1' }, [b]], [{ shop: 'b.example' }, [c]], [{ shops: '["acme.example"]' }, [a]],
      [{ shops: '[]' }, []], [{ before: c.key, limit: 1 }, [b]], [{ floor: b.key }, [c, b]]
    ] as const) t.strictSame(await list(filters), found.map(({ key }) => key), JSON.stringify(filters))
    t.match(await store.read('newest_inbox_before', { before: c.key }), [{ inbox_key: b.key }])
    t.match(await store.read('newest_parked_inbox_before', { before: EVERY.before }), [{ inbox_key: c.key }])
    t.match(await store.read('newest_parked_inbox_before', { before: c.key }), [{ inbox_key: null }])
    t.match(await store.read('newest_inbox_of_subject_before', { subject: 'order-1', before: EVERY.before }), [{ inbox_key: b.key }])
    t.match(await store.read('newest_inbox_of_subject_before', { subject: 'order-2', before: EVERY.before }), [{ inbox_key: null }])
    t.equal((await one(store, 'forget_inbox', { before: NOW - 1, limit: 10 })).changes, 0)
    t.equal((await one(store, 'forget_inbox', { before: NOW, limit: 10 })).changes, 1)
    t.strictSame(await list({}), [b.key, a.key], 'what is still to be done stays')
    t.equal((await one(store, 'forget_inbox_keys', { before: NOW, limit: 10 })).changes, 1)
    for (const [key, changes] of [['a', 1], ['c', 0]] as const) t.equal((await store.commit(arrivalOf(store, { keys: [key] }).steps))[0]?.changes, changes, `${key}: the key outlives the row`)
  })
}
