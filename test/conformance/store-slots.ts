// What keeps instances apart: which accounts are whose, and that nobody works on what is another one's.

import type { Test } from 'tap'
import { ALL_SLOTS, slotOf, type Store } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, deliveryOf, HERE, NOW, one, place, put, startStep } from './store-rows.ts'

const LEASE_MS = 30_000
const ALWAYS = { known_until: Number.MAX_SAFE_INTEGER }
const time = { lease_ms: LEASE_MS, now: NOW }

/** Another instance, as the database sees one. */
async function joined (store: Store): Promise<number> {
  return (await one(store, 'join_instances', { now: NOW })).rows[0]?.owner as number
}

export async function slots (t: Test, open: Open): Promise<void> {
  await t.test('a slot has one owner: it is renewed, given up, taken with another epoch, and not taken while its lease lasts (R24)', async t => {
    const { store } = await open(t)
    const mine = { owner: store.owner, ...time }
    t.equal((await one(store, 'renew_slots', mine)).rows.length, 256)
    const other = await joined(store)
    t.not(other, store.owner)
    const take = (limit: number) => one(store, 'take_slots', { owner: other, limit, ...time })
    t.strictSame((await take(256)).rows, [], 'all are leased')
    t.equal((await one(store, 'give_slots', { owner: other, slots: HERE, ...ALWAYS })).changes, 0, 'nobody gives up what is not his')
    t.strictSame((await one(store, 'give_slots', { owner: store.owner, slots: '[3,4,5]', ...ALWAYS })).rows.map(row => row.slot as number).toSorted((a, b) => a - b), [3, 4, 5])
    t.equal((await take(2)).rows.length, 2)
    const [last] = (await take(2)).rows
    const epoch = store.slots.epoch(last?.slot as number) as number
    t.ok((last?.epoch as number) > epoch)
    t.strictSame((await one(store, 'renew_slots', mine)).rows.map(row => row.slot as number).toSorted((a, b) => a - b), ALL_SLOTS.filter(slot => ![3, 4, 5].includes(slot)))
    t.equal((await one(store, 'renew_slots', { ...mine, owner: other })).rows.length, 3)
  })

  await t.test('a slot that is given up late, when its lease was renewed since, stays (R24)', async t => {
    const { store } = await open(t)
    const renewed = async (leaseMs: number): Promise<number> => {
      const { rows } = await one(store, 'renew_slots', { owner: store.owner, ...time, lease_ms: leaseMs })
      return Math.max(...rows.map(row => row.expires_at as number))
    }
    const known = await renewed(LEASE_MS)
    const again = await renewed(2 * LEASE_MS)
    t.ok(again > known)
    const give = (until: number) => one(store, 'give_slots', { owner: store.owner, slots: '[3,4,5]', known_until: until })
    t.strictSame((await give(known)).rows, [])
    t.equal((await give(again)).rows.length, 3)
  })

  await t.test('an instance counts while its time lasts, and again after it was taken for dead', async t => {
    const { store } = await open(t)
    const renew = (owner: number) => one(store, 'renew_instance', { owner, ...time })
    const live = async (now: number) => (await store.read('live_instances', { now }))[0]?.live as number
    const before = await live(NOW)
    const other = await joined(store)
    t.equal(await live(NOW), before, 'it has not started yet, and could take nothing')
    await renew(other)
    t.equal(await live(NOW), before + 1)
    t.equal((await one(store, 'renew_instance', { owner: other, lease_ms: -1, now: NOW })).changes, 1)
    t.equal(await live(NOW), before, 'its time has run out')
    t.equal((await one(store, 'forget_instances', { lease_ms: LEASE_MS, now: NOW })).changes, 0, 'but it may be back')
    await one(store, 'renew_instance', { owner: other, lease_ms: -20 * LEASE_MS, now: NOW })
    t.equal((await one(store, 'forget_instances', { lease_ms: LEASE_MS, now: NOW })).changes, 1)
    t.equal((await renew(other)).changes, 1)
    t.equal(await live(NOW), before + 1)
    t.equal((await one(store, 'leave_instances', { owner: other })).changes, 1)
    t.equal(await live(NOW), before)
  })

  await t.test('who does not have the slot of an account, or had it in another epoch, claims nothing of it (R25)', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const event = await put(store, at)
    t.strictSame(await claim(store, at, { owner: store.owner + 1 }), [])
    const slot = slotOf(at.accountKey)
    await one(store, 'give_slots', { owner: store.owner, slots: `[${slot}]`, ...ALWAYS })
    t.strictSame(await claim(store, at), [], 'the slot was given up')
    t.match(await deliveryOf(store, event), { owner: null, due_at: NOW })
  })

  await t.test('what an instance has claimed is found by it, and is an orphan as soon as the slot has another epoch', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const [waiting, sending] = [await put(store, at), await put(store, at)]
    await claim(store, at)
    await store.commit([startStep(store, sending.deliveryKey, { accountKey: at.accountKey })])
    const owned = async () => (await store.read('owned', { owner: store.owner })).map(row => row.delivery_key as number).toSorted((a, b) => a - b)
    t.strictSame(await owned(), [waiting.deliveryKey, sending.deliveryKey])
    for (const { deliveryKey } of [waiting, sending]) t.equal((await one(store, 'disown_finished', { delivery_key: deliveryKey, owner: store.owner, epoch: store.epoch })).changes, 0, 'it has not ended')
    const slot = slotOf(at.accountKey)
    const orphans = async (owner: number, slots = [slot]) => (await store.read('orphans', { slots: JSON.stringify(slots), owner, limit: 10 })).length
    t.equal(await orphans(store.owner), 0)
    const other = await joined(store)
    await one(store, 'give_slots', { owner: store.owner, slots: `[${slot}]`, ...ALWAYS })
    await one(store, 'take_slots', { owner: other, limit: 256, ...time })
    t.strictSame([await orphans(other), await orphans(other, [slot + 1]), await orphans(store.owner)], [2, 0, 2], 'also to the one that had it')
  })

  await t.test('claims of an instance that died are found in the slot their account has now, and those of a live one are not', async t => {
    const { store } = await open(t)
    const at = await place(store)
    await put(store, at)
    const dies = await joined(store)
    await one(store, 'renew_instance', { owner: dies, ...time })
    const slot = slotOf(at.accountKey)
    const move = async (owner: number, to: number) => {
      await one(store, 'give_slots', { owner, slots: `[${slot}]`, ...ALWAYS })
      return (await one(store, 'take_slots', { owner: to, limit: 256, ...time })).rows[0]?.epoch as number
    }
    const epoch = await move(store.owner, dies)
    t.equal((await one(store, 'claim_deliveries', { queue_key: at.queueKey, account_key: at.accountKey, owner: dies, epoch, now: NOW, limit: 1 })).changes, 1)
    await move(dies, store.owner)
    const found = async (slots = [slot], owner = store.owner) => (await store.read('orphans_of_dead', { slots: JSON.stringify(slots), owner, limit: 10, now: NOW })).map(row => row.owner)
    t.strictSame(await found(), [], 'it lives, and settles what it claimed')
    await one(store, 'leave_instances', { owner: dies })
    t.strictSame([await found(), await found([slot + 1]), await found([slot], dies)], [[dies], [], []])
    t.strictSame(await found([slot], dies + 1), [], 'who only believes that it has the slot takes nothing over')
  })

  await t.test('a change of a shop that was made from what it was before another change fails as a whole', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const version = async () => (await store.read('shop', { id: at.shop }))[0]?.version as number
    const before = await version()
    const change = (from: number | null) => store.commit([
      { name: 'upsert_shop', params: { id: at.shop, name: `from ${from}`, domain: at.shop, plan: 'pro', active: 1, now: NOW } },
      { name: 'touch_shop', params: { id: at.shop, version: from } }
    ])
    await change(before)
    t.equal(await version(), before + 1)
    await t.rejects(change(before), { code: 'GW_STORE_FAILED' })
    t.match(await store.read('shop', { id: at.shop }), [{ name: `from ${before}`, version: before + 1 }])
    await change(null)
    t.equal(await version(), before + 2, 'one that was made from nothing')
  })
}
