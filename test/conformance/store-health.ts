// What every store must keep of how accounts do, and tell of how much waits.

import type { Test } from 'tap'
import { STATE, type Store } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { claim, NOW, one, place, put, sent, type Place } from './store-rows.ts'

async function waiting (store: Store, { queueKey }: Place, limit: number): Promise<number[]> {
  const counts: number[] = []
  for (let from = { due_at: -1, after: 0 }; ;) {
    const [slice] = await store.read('waiting_slice', { queue_key: queueKey, priority: 2, ...from, limit })
    if (!slice) return counts
    counts.push(slice.waiting as number)
    from = { due_at: slice.due_at as number, after: slice.delivery_key as number }
  }
}

export async function health (t: Test, open: Open): Promise<void> {
  await t.test('an account keeps the counts of its calls until it is released', async t => {
    const { store, reopen } = await open(t)
    const at = await place(store)
    const account = async (from = store) => (await from.read('account', { account_key: at.accountKey }))[0]
    t.match(await account(), { health: '[]' })
    await Promise.all([1, 2, 3].map(n => one(store, 'note_health', { owner: store.owner, account_key: at.accountKey, health: `[[${NOW},${n},${n}]]` })))
    t.match(await account(), { health: `[[${NOW},3,3]]` }, 'the latest word counts')
    await one(store, 'hold_account', { owner: store.owner, account_key: at.accountKey, held_reason: 'provider_not_answering', held_until: NOW + 1 })
    const again = await reopen()
    t.match(await account(again), { health: `[[${NOW},3,3]]`, held_reason: 'provider_not_answering' })
    await one(again, 'hold_account', { owner: null, account_key: at.accountKey, held_reason: null, held_until: null })
    t.match(await account(again), { health: '[]', held_reason: null })
    await one(again, 'note_health', { owner: again.owner, account_key: at.accountKey, health: '[[1,1,1]]' })
    await one(again, 'release_account', { provider: 'alpha', account: 'A1' })
    t.match(await account(again), { health: '[]' })
  })

  await t.test('who has lost an account says nothing of it any more', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const other = store.owner + 1
    t.equal((await one(store, 'hold_account', { owner: other, account_key: at.accountKey, held_reason: 'credentials_refused', held_until: NOW })).changes, 0)
    t.equal((await one(store, 'note_health', { owner: other, account_key: at.accountKey, health: '[[1,1,1]]' })).changes, 0)
    t.match((await store.read('account', { account_key: at.accountKey }))[0], { held_reason: null, health: '[]' })
  })

  await t.test('held accounts are counted by provider and reason', async t => {
    const { store } = await open(t)
    t.strictSame(await store.read('held_accounts', {}), [])
    const [first, second] = [await place(store), await place(store, { account: 'A2', group: 'second' })]
    for (const { accountKey } of [first, second]) await one(store, 'hold_account', { owner: store.owner, account_key: accountKey, held_reason: 'provider_not_answering', held_until: NOW })
    t.match(await store.read('held_accounts', {}), [{ provider: 'alpha', held_reason: 'provider_not_answering', accounts: 2 }])
  })

  await t.test('what waits is counted in slices, each delivery once, also of those that are due together', async t => {
    const { store } = await open(t)
    const at = await place(store)
    t.strictSame(await waiting(store, at, 3), [])
    for (let i = 0; i < 5; i++) await put(store, at, { dueAt: NOW })
    for (let i = 0; i < 3; i++) await put(store, at, { dueAt: NOW + i })
    await put(store, at, { priority: 1 })
    t.strictSame(await waiting(store, at, 3), [3, 3, 2])
    t.strictSame(await waiting(store, at, 8), [8])
    await claim(store, at, { limit: 2 })
    t.strictSame(await waiting(store, at, 100), [7], 'what is worked on does not wait')
  })

  await t.test('how long answers took is known of the latest ones', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const took = async (limit: number) => (await store.read('answer_times', { account_key: at.accountKey, since: NOW, limit }))[0]?.answer_ms
    t.equal(await took(10), null)
    for (const ms of [100, 200, 600]) await sent(store, at, { settledAt: NOW + ms })
    t.strictSame([await took(10), await took(2), await took(1)], [300, 400, 600])
  })

  await t.test('what became of a shop\'s latest messages is known by account, apart from other shops on it', async t => {
    const { store } = await open(t)
    const at = await place(store)
    const other = await place(store, { shop: 'other.example' })
    t.equal(other.accountKey, at.accountKey)
    const recent = async (limit: number, since = NOW) => (await store.read('recent_of_shop', { account_key: at.accountKey, shop_key: at.shopKey, since, limit })).map(row => ({ ...row, own: Boolean(row.own) })).toSorted((a, b) => Number(a.own) - Number(b.own))
    t.strictSame(await recent(10), [])
    await sent(store, at, { settledAt: NOW }) // too long ago
    for (const ms of [1, 2]) await sent(store, at, { settledAt: NOW + ms })
    await sent(store, other, { settledAt: NOW + 3 })
    const others = { own: false, state: STATE.delivered, reason: null, messages: 1, settled_at: NOW + 3 }
    t.strictSame(await recent(10), [others, { ...others, own: true, messages: 2, settled_at: NOW + 2 }])
    t.strictSame(await recent(2), [others, { ...others, own: true, settled_at: NOW + 2 }], 'the latest ones of the account')
  })
}
