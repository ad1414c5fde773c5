// The door without HTTP: what it writes, whom it tells, what it remembers.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Config, EventTypeConfig, Store } from '../../gateway/contract.ts'
import { Door, digest, type DoorOptions, type Receipt, type Route } from '../../gateway/events/accept.ts'
import { loadEventSchemas } from '../../gateway/events/schemas.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { one, place, type Place } from '../conformance/store-rows.ts'
import { filesIn } from '../helpers/source-file.ts'
import { anEvent, ROOT } from '../helpers/app.ts'
import { shippedConfig } from '../helpers/providers.ts'
import { newPlace, openAlone } from '../helpers/stores.ts'

const HOUR_MS = 3_600_000
const typeOf = (type: string, kind: EventTypeConfig['kind']): EventTypeConfig => ({
  type, schema: join(ROOT, 'schemas/events', `${type}.schema.json`), channel: 'sms', setupGroup: 'things', kind, expiresAfterMs: 24 * HOUR_MS, person: '/customer/phone'
})
const eventTypes = { 'back_in_stock.alert': typeOf('back_in_stock.alert', 'marketing'), 'preorder.confirmed': typeOf('preorder.confirmed', 'transactional') }
const recordedTypes = { 'back_in_stock.reminder': { type: 'back_in_stock.reminder', schema: join(ROOT, 'schemas/events/back_in_stock.reminder.schema.json'), person: '/customer/phone' } }
const { schemas, faults } = loadEventSchemas({ ...eventTypes, ...recordedTypes }, filesIn(ROOT), shippedConfig())
t.strictSame(faults, [])

interface Setting { store: Store, door: Door, at: Place, woken: number[], receipts: string[], post (event: unknown): Promise<Receipt> }

const caller = { mode: 'plain' as const, defaultSource: '/api-keys/test', mayUse: () => true }
const person = (phone: string): Buffer => createHash('sha256').update(phone).digest().subarray(0, 16)

async function setting (t: Test, more: Partial<DoorOptions> = {}, held: Route['held'] = null): Promise<Setting> {
  const store = await openAlone(t, await newPlace(t), Date.now)
  const at = await place(store, { held })
  const woken: number[] = []
  const receipts: string[] = []
  const route = (shop: string): Route | null => shop === at.shop ? { shopKey: at.shopKey, queueKey: at.queueKey, provider: 'alpha', accountKey: at.accountKey, held } : null
  const door = new Door({
    store, runtime: systemRuntime(), config: { shopIdPattern: '^[a-z.]+$', eventTypes, recordedTypes } as unknown as Config, schemas, person, route,
    shopKey: shop => shop === at.shop ? at.shopKey : null,
    wake: key => { woken.push(key) },
    onReceipt: (type, status) => { receipts.push(`${type} ${status}`) },
    ...more
  })
  return { store, door, at, woken, receipts, post: async event => (await door.accept([event], caller))[0] as Receipt }
}

t.test('an accepted event is on disk with its delivery, due now, and its account is woken once', async t => {
  const { store, door, at, woken, receipts } = await setting(t)
  const accepted = await door.accept([anEvent('a-1'), anEvent('a-2', { type: 'preorder.confirmed' }), { ...anEvent('a-3'), time: '2026-01-02T03:04:05+01:00' }], caller)
  t.strictSame(accepted.map(({ id, status }) => [id, status]), [['a-1', 'accepted'], ['a-2', 'accepted'], ['a-3', 'accepted']])
  t.strictSame(woken, [at.accountKey])
  t.strictSame(receipts, ['back_in_stock.alert accepted', 'preorder.confirmed accepted', 'back_in_stock.alert accepted'])
  t.match(await store.read('ready_queues', { account_key: at.accountKey, groups: '["things"]', limit: 1 }), [{ priority: 1 }], 'the most urgent of them')
  const rows = await Promise.all(accepted.map(async ({ deliveries }) => (await store.read('delivery_by_id', { id: deliveries[0]?.id as string }))[0]))
  t.strictSame(rows.map(row => row?.priority), [2, 1, 2])
  t.strictSame(JSON.parse(rows[0]?.data as string), anEvent('a-1').data, 'the data as it came')
  t.equal(rows[2]?.time_at, Date.parse('2026-01-02T02:04:05Z'))
  t.equal(rows[2]?.expires_at, Date.parse('2026-01-03T02:04:05Z'), 'it expires by its own time')
  t.ok(rows.every(row => row?.due_at === row?.received_at && row?.finished_at === null))
})

t.test('a person is kept as a fingerprint', async t => {
  const { store, post } = await setting(t)
  await post(anEvent('p-1'))
  const list = { before: Number.MAX_SAFE_INTEGER, floor: 0, shop: null, shops: null, state: null, held: null, type: null, provider: null, event_id: null, source_id: null, limit: 10 }
  t.equal((await store.read('list_deliveries', { ...list, person: person('+12015550123') })).length, 1)
  t.equal((await store.read('list_deliveries', { ...list, person: person('+12015550124') })).length, 0)
})

t.test('what is held wakes nobody', async t => {
  const { post, woken } = await setting(t, {}, 'plan_too_low')
  t.match(await post(anEvent('h-1')), { status: 'accepted', deliveries: [{ state: 'held', reason: 'plan_too_low' }] })
  t.strictSame(woken, [])
})

t.test('a repeat is told from another event, also when the payload is gone', async t => {
  const { store, post } = await setting(t)
  const event = anEvent('r-1')
  const first = await post(event)
  const purge = async () => {
    const [known] = await store.read('event_by_identity', { shop_key: 1, source: '/api-keys/test', source_id: 'r-1' })
    await one(store, 'drop_payload', { event_key: known?.event_key as number, digest: digest(event.data) })
  }
  const shuffled = { ...event, data: Object.fromEntries(Object.entries(event.data).toReversed()) }
  const changed = { ...event, data: { ...event.data, customer: { name: 'Bea', phone: '+12015550124', country: 'US' } } }
  for (const when of ['with its payload', 'without']) {
    for (const same of [event, shuffled]) t.match(await post(same), { status: 'duplicate', deliveries: first.deliveries }, when)
    t.match(await post(changed), { status: 'refused', deliveries: [], error: { code: 'GW_EVENT_CONFLICT' } }, when)
    t.match(await post(anEvent('r-1', { type: 'preorder.confirmed' })), { error: { code: 'GW_EVENT_CONFLICT' } }, when)
    await purge()
  }
})

t.test('a repeat that only tells another time is the same event', async t => {
  const { post } = await setting(t)
  await post({ ...anEvent('t-1'), time: '2026-01-02T03:04:05Z' })
  t.match(await post({ ...anEvent('t-1'), time: '2026-01-02T03:04:06Z' }), { status: 'duplicate' })
})

t.test('what the store does not take is not accepted, and wakes nobody', async t => {
  const { store, door, woken, receipts } = await setting(t)
  await store.close()
  await t.rejects(door.accept([anEvent('s-1')], caller), { code: 'GW_STORE_FAILED' })
  t.strictSame([woken, receipts], [[], []])
})

t.test('a batch of refused events writes nothing', async t => {
  const { store, door } = await setting(t)
  const refused = await door.accept([null, 7, [], {}, { ...anEvent('x'), data: [] }, { ...anEvent('x'), shop: 'nobody' }], caller)
  t.ok(refused.every(({ status, deliveries, error }) => status === 'refused' && deliveries.length === 0 && error))
  t.match(await store.read('newest_delivery_before', { before: Number.MAX_SAFE_INTEGER }), [{ delivery_key: null }])
})

t.test('an event\'s size is counted in bytes', async t => {
  const roomy = new Map(schemas)
  const any = schemas.get('back_in_stock.alert')
  if (any) roomy.set('back_in_stock.alert', { ...any, valid: () => true })
  const { post } = await setting(t, { schemas: roomy })
  const sized = (text: string) => post({ ...anEvent(`z-${text.length}-${text[0]}`), data: { text } })
  t.match(await sized('x'.repeat(65_536 - 11)), { status: 'accepted' }, 'exactly 64 KiB')
  t.match(await sized('x'.repeat(65_536 - 10)), { error: { code: 'GW_TOO_LARGE' } })
  t.match(await sized('\u20ac'.repeat(22_000)), { error: { code: 'GW_TOO_LARGE' } }, 'three bytes each')
})

t.test('a type that is none of ours is counted under one name', async t => {
  const { post, receipts } = await setting(t)
  await post({ ...anEvent('u-1'), type: 'made.up.1' })
  await post({ ...anEvent('u-2'), type: '__proto__' })
  await post({ ...anEvent('u-3'), type: 'constructor' })
  t.strictSame(receipts, ['unknown refused', 'unknown refused', 'unknown refused'])
})
