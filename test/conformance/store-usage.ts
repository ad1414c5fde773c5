// What every store must keep of what messages cost that the platform pays for: within the limit, counted once.

import type { Test } from 'tap'
import { STATE, type Row, type StepResult, type Store, type Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { ALL, claim, NOW, one, place, put, settleStep, startStep, type Place } from './store-rows.ts'

const MONTH = '2026-11'

const of = ({ shopKey }: Place, deliveryKey: number, more: Record<string, Value> = {}) => ({ shop_key: shopKey, provider: 'alpha', month: MONTH, delivery_key: deliveryKey, ...more })
const reserve = (store: Store, where: Place, key: number, segments: number, limit: number | null, more: Record<string, Value> = {}): Promise<StepResult> =>
  one(store, 'reserve_usage', { ...of(where, key), country: 'US', segments, limit, ...more })
const ended = (key: number) => [{ name: 'count_usage', params: { delivery_key: key } }, { name: 'free_usage', params: { delivery_key: key } }]
const standing = async (store: Store, where: Place, limit: number | null = 10): Promise<Row> => ({ ...(await store.read('usage_standing', of(where, 0, { limit })))[0] as Row })
const counted = async (store: Store, { shopKey }: Place, month = MONTH) => (await store.read('usage_of_shop', { shop_key: shopKey, month })).map(row => ({ ...row }))
const underWay = async (store: Store, { shopKey }: Place) => (await store.read('reserved_of_shop', { shop_key: shopKey, month: MONTH })).map(row => ({ ...row }))

/** One that is claimed, and begun where that is wanted. */
async function begun (store: Store, where: Place, start = true): Promise<number> {
  const { deliveryKey } = await put(store, where)
  await claim(store, where)
  if (start) await store.commit([startStep(store, deliveryKey, { accountKey: where.accountKey })])
  return deliveryKey
}

export async function usage (t: Test, open: Open): Promise<void> {
  await t.test('what is on its way counts for the limit, and a message is counted once, whoever says so', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    const [first, second, third] = [await begun(store, where), await begun(store, where), await begun(store, where)] as [number, number, number]
    t.match(await reserve(store, where, first, 4, 10), { changes: 1 })
    t.match(await reserve(store, where, second, 6, 10, { country: 'CA' }), { changes: 1 })
    t.match(await reserve(store, where, third, 1, 10), { changes: 0 }, 'the limit is not passed')
    t.match(await reserve(store, where, first, 4, 10), { changes: 1 }, 'its own does not count against it')
    t.match(await reserve(store, where, third, 1, 10, { month: '2026-12' }), { changes: 1 }, 'another month')
    t.match(await standing(store, where), { counted: 0, reserved: 10, warned: null })
    t.strictSame(await underWay(store, where), [{ provider: 'alpha', messages: 2, segments: 10 }])
    await store.commit([settleStep(store, first), ...ended(first)])
    await store.commit(ended(first))
    await store.commit([settleStep(store, third, { state: STATE.rejected }), settleStep(store, second, { state: STATE.unknown, finished_at: null }), ...ended(second)])
    t.match(await standing(store, where), { counted: 4, reserved: 0, unsure: 6 }, 'what may have been sent stays')
    t.match(await reserve(store, where, 998, 1, 10), { changes: 0 })
    await store.commit([{ name: 'adopt_answer', params: { delivery_key: second, account_key: where.accountKey, call_no: 1, state: STATE.delivered, reason: null, detail: null, receipt: 'm-2', now: NOW } }, ...ended(second)])
    await store.commit(ended(second))
    t.strictSame(await counted(await reopen(), where), [{ provider: 'alpha', country: 'CA', messages: 1, segments: 6 }, { provider: 'alpha', country: 'US', messages: 1, segments: 4 }])
  })

  await t.test('what others found to be delivered is given back, and no more', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const proved = await begun(store, where)
    await reserve(store, where, proved, 3, null)
    await store.commit([settleStep(store, proved)])
    t.strictSame([(await one(store, 'free_counted', { delivery_key: proved })).changes, (await one(store, 'free_counted', { delivery_key: proved })).changes], [1, 0])
  })

  await t.test('what was not sent takes nothing, nor what a crash left behind', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const [refused, later, left] = [await begun(store, where), await begun(store, where), await begun(store, where, false)] as [number, number, number]
    for (const key of [refused, later, left]) await reserve(store, where, key, 3, null)
    t.match(await standing(store, where), { reserved: 9 })
    for (const key of [refused, later, left]) t.equal((await one(store, 'free_counted', { delivery_key: key })).changes, 0, 'of what is being sent nothing is given back')
    await store.commit([settleStep(store, refused, { state: STATE.rejected }), ...ended(refused)])
    await store.commit([settleStep(store, later, { state: STATE.waiting, due_at: NOW, finished_at: null }), ...ended(later)])
    t.match(await standing(store, where), { counted: 0, reserved: 3 })
    await store.commit([{ name: 'release_claim', params: { delivery_key: left, owner: store.owner, epoch: store.epoch, state: STATE.waiting, reason: null, detail: null, due_at: NOW, finished_at: null } }])
    t.match(await standing(store, where), { counted: 0, reserved: 0, unsure: 0 }, 'nobody works on it')
    t.equal((await one(store, 'free_counted', { delivery_key: left })).changes, 0, 'it may be sent yet')
    t.strictSame(await underWay(store, where), [])
    t.strictSame(await counted(store, where), [])
    await reserve(store, where, 999, 1, null)
    t.match(await one(store, 'forget_reserved', {}), { changes: 1 }, 'of a delivery that is gone')
    t.equal((await store.read('list_deliveries', { ...ALL })).length, 3)
  })

  await t.test('what is found out about an earlier call frees nothing that is about to be sent', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const key = await begun(store, where, false)
    await reserve(store, where, key, 3, 10)
    await store.commit(ended(key))
    t.match(await standing(store, where), { counted: 0, reserved: 3 })
  })

  await t.test('a part of a limit is told of once, and written down with it', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const warn = (key: number, percent: number, threshold: number | null, limit = 10): Promise<StepResult[]> => {
      const params = of(where, key, { limit, percent, now: NOW + key })
      return store.commit([{ name: 'warn_usage', params: { ...params, threshold } }, { name: 'audit_usage', params: { ...params, shop: where.shop, subject: `alpha ${percent}` } }])
    }
    const key = await begun(store, where)
    await reserve(store, where, key, 8, 10)
    t.match(await warn(key, 80, 8), [{ changes: 0 }, { changes: 0 }], 'not counted yet')
    await store.commit([settleStep(store, key), ...ended(key)])
    t.match(await warn(key, 80, 8), [{ changes: 1 }, { changes: 1 }])
    t.match(await warn(key + 1, 80, 8), [{ changes: 0 }, { changes: 0 }], 'once')
    t.match(await standing(store, where), { counted: 8, warned: 80 })
    t.match(await warn(key + 1, 100, 10), [{ changes: 0 }, { changes: 0 }])
    t.match(await warn(key + 1, 100, null), [{ changes: 1 }, { changes: 1 }], 'a message did not fit')
    t.match(await standing(store, where), { warned: 100 })
    t.match(await standing(store, where, 20), { warned: null }, 'of another limit nothing was told')
  })

  await t.test('a setting goes back to what the platform has', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const settings = async () => (await store.read('connections', { shop_key: where.shopKey })).map(row => JSON.parse(row.settings as string) as unknown)
    await one(store, 'adjust_connection', { shop_key: where.shopKey, provider: 'alpha', id: 'con_x', auth: 'api_key', account_id: 'A1', account: 'A1', settings: '{"a.b":"x","c":1}', ready: '[]', now: NOW })
    t.match(await one(store, 'reset_setting', { shop_key: where.shopKey, provider: 'alpha', setting: 'a.b', now: NOW }), { changes: 1 })
    t.strictSame(await settings(), [{ c: 1 }])
    await one(store, 'reset_setting', { shop_key: where.shopKey, provider: 'alpha', setting: 'none', now: NOW })
    t.strictSame(await settings(), [{ c: 1 }])
  })
}
