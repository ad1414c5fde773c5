// What every store must keep of what providers tell by themselves: one registration per account, secrets that go with it, and what is
// to be taken back.

import type { Test } from 'tap'
import type { Row, Store, Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { HERE, NOW, one, place } from './store-rows.ts'

const ALPHA = { provider: 'alpha' }
const SEALED = { key_id: 'k1', version: 1, sealed: Uint8Array.of(1) }

const put = (store: Store, id: string, accountKey: number) => one(store, 'put_webhooks', { id, account_key: accountKey, ...ALPHA, hash: `h-${id}`, now: NOW })
const secret = (store: Store, id: string, field: string, byte = 1) => one(store, 'put_webhook_secret', { id, field, ...SEALED, sealed: Uint8Array.of(byte) })
const disconnect = (store: Store, shopKey: number) => one(store, 'delete_connection', { shop_key: shopKey, ...ALPHA })
const at = async (store: Store, hash: string, provider = 'alpha'): Promise<Row | undefined> => (await store.read('webhooks_at', { hash, provider }))[0]
const byteOf = (row: Row | undefined): number | undefined => (row?.sealed as Uint8Array | null | undefined)?.[0]

export async function webhooks (t: Test, open: Open): Promise<void> {
  await t.test('an account that is connected has one registration, known by its hash at its provider alone', async t => {
    const { store, reopen } = await open(t)
    const { accountKey } = await place(store)
    t.equal((await one(store, 'lock_account', { account_key: accountKey })).changes, 1)
    t.equal((await put(store, 'w1', accountKey)).changes, 1)
    t.equal((await put(store, 'w2', accountKey)).changes, 0, 'a second one')
    t.equal((await put(store, 'w3', accountKey + 1)).changes, 0, 'an account without a connection')
    await secret(store, 'w1', 'address', 7)
    t.equal((await secret(store, 'w2', 'address')).changes, 0, 'of one that is not there')
    t.match(await at(store, 'h-w1'), { id: 'w1', account_key: accountKey, shop: 'acme.example', sealed: null })
    await secret(store, 'w1', 'signature', 2)
    await secret(store, 'w1', 'signature', 3)
    const again = await reopen()
    t.equal(byteOf(await at(again, 'h-w1')), 3)
    t.strictSame([await at(again, 'h-w1', 'beta'), await at(again, 'h-w2')], [undefined, undefined])
    const [own] = await again.read('webhooks_of', { account_key: accountKey })
    t.match(own, { id: 'w1', hash: 'h-w1', url: null, reason: null, checked_at: null })
    t.equal(byteOf(own), 7)
    t.match(await again.read('webhooks_by_id', { id: 'w1' }), [{ account_key: accountKey, provider: 'alpha' }])
    await place(again, { shop: 'globex.example' })
    t.match(await at(again, 'h-w1'), { shop: null }, 'of several shops it is nobody\'s in particular')
  })

  await t.test('it ends with the last connection of its account: its secrets go, the credentials wait, and its hash stays known', async t => {
    const { store } = await open(t)
    const { shopKey, accountKey } = await place(store)
    const other = await place(store, { shop: 'globex.example' })
    await put(store, 'w1', accountKey)
    await secret(store, 'w1', 'address')
    const end = async (id: string): Promise<number[]> => (await store.commit([
      { name: 'end_webhooks', params: { account_key: accountKey, now: NOW + 1 } },
      { name: 'drop_webhook_secrets', params: { account_key: accountKey } },
      { name: 'put_webhook_removal', params: { id, account_key: accountKey, shop: 'acme.example', ...ALPHA, ...SEALED, now: NOW } }
    ])).map(({ changes }) => changes)
    await disconnect(store, shopKey)
    t.strictSame(await end('r0'), [0, 0, 0], 'another shop has it still')
    await disconnect(store, other.shopKey)
    t.strictSame(await end('r1'), [1, 1, 1])
    t.equal(await at(store, 'h-w1'), undefined)
    t.strictSame((await store.read('known_webhooks', { hashes: '["h-w1","h-none"]' })).map(row => ({ ...row })), [{ hash: 'h-w1', id: 'w1', ended_at: NOW + 1 }])
    t.match(await store.read('webhook_removals', { account_key: accountKey }), [{ id: 'r1', shop: 'acme.example', key_id: 'k1', version: 1 }])
    await place(store)
    t.equal((await put(store, 'w2', accountKey)).changes, 1, 'connected again it is another one')
    t.strictSame(await end('r2'), [0, 0, 0])
    await one(store, 'drop_webhook_removal', { id: 'none' })
    t.equal((await store.read('webhook_removals', { account_key: accountKey })).length, 1)
    await one(store, 'drop_webhook_removal', { id: 'r1' })
    t.strictSame(await store.read('webhook_removals', { account_key: accountKey }), [])
    await disconnect(store, shopKey)
    await end('r3')
    t.equal((await one(store, 'drop_webhook_removals', { account_key: accountKey })).changes, 0, 'while it is not connected')
    await place(store)
    t.equal((await one(store, 'drop_webhook_removals', { account_key: accountKey })).changes, 1)
    await put(store, 'w4', accountKey)
    await one(store, 'give_up_webhooks', { id: 'w4', now: NOW })
    t.strictSame(await store.read('webhooks_of', { account_key: accountKey }), [])
  })

  await t.test('a wrong token is told once in a while; how it stands is kept', async t => {
    const { store } = await open(t)
    const { accountKey } = await place(store)
    await put(store, 'w1', accountKey)
    await secret(store, 'w1', 'address')
    const refuse = async (now: number): Promise<number> => (await one(store, 'refuse_webhooks', { id: 'w1', now, before: now - 600_000 })).changes
    t.strictSame([await refuse(NOW), await refuse(NOW + 599_999), await refuse(NOW + 600_000)], [1, 0, 1])
    const settle = async (url: string | null, reason: string | null): Promise<Record<string, Value>> => {
      await one(store, 'settle_webhooks', { id: 'w1', url, reason, now: NOW })
      const { url: kept, reason: said, checked_at } = (await store.read('webhooks_of', { account_key: accountKey }))[0] as Row
      return { url: kept as Value, reason: said as Value, checked_at: checked_at as Value }
    }
    t.strictSame(await settle(null, 'rate_limited'), { url: null, reason: 'rate_limited', checked_at: NOW })
    t.strictSame(await settle('https://a.example', null), { url: 'https://a.example', reason: null, checked_at: NOW })
    t.strictSame(await settle(null, 'credentials_refused'), { url: 'https://a.example', reason: 'credentials_refused', checked_at: NOW })
  })

  await t.test('its job is one per account, made by the account\'s name, and never later than it was asked for', async t => {
    const { store } = await open(t)
    const { accountKey, account } = await place(store)
    const ask = (key: number, now: number) => one(store, 'put_webhooks_job', { job_key: store.nextKey('jobs'), id: `job_${key}`, ...ALPHA, account, now })
    const claim = async (now: number): Promise<Row[]> => (await one(store, 'claim_jobs', { now, slots: HERE, owner: store.owner, epoch: store.epoch, limit: 5 })).rows
    await ask(1, NOW + 500)
    await ask(2, NOW)
    await ask(3, NOW + 900)
    const [job, ...others] = await claim(NOW)
    t.match(job, { kind: 'webhooks', unique_key: String(accountKey), account_key: accountKey })
    t.equal(others.length, 0)
    await ask(4, NOW + 1) // while it runs
    const mine = { job_key: job?.job_key as number, owner: store.owner, epoch: store.epoch }
    await store.commit([{ name: 'end_job', params: mine }, { name: 'restart_job', params: mine }])
    t.equal((await claim(NOW + 1)).length, 1, 'it starts over')
    t.equal((await one(store, 'put_webhooks_job', { job_key: store.nextKey('jobs'), id: 'job_9', ...ALPHA, account: 'none', now: NOW })).changes, 0)
  })

  await t.test('what is not registered where the gateway is reached is found, a page at a time', async t => {
    const { store } = await open(t)
    const here = await place(store)
    const other = await place(store, { shop: 'globex.example', account: 'A2' })
    await place(store, { shop: 'globex.example', provider: 'beta', account: 'B1' })
    const missing = async (url: string, { before = NOW - 1, after = 0, limit = 10 } = {}): Promise<Value[]> => (await store.read('webhooks_missing', { after, providers: '["alpha"]', url, before, limit })).map(row => row.account as Value)
    t.strictSame((await missing('https://a.example')).toSorted(), ['A1', 'A2'])
    t.equal((await missing('https://a.example', { limit: 1 })).length, 1)
    await put(store, 'w1', here.accountKey)
    await one(store, 'settle_webhooks', { id: 'w1', url: 'https://a.example', reason: null, now: NOW })
    t.strictSame(await missing('https://a.example'), ['A2'])
    t.strictSame((await missing('https://b.example')).toSorted(), ['A1', 'A2'], 'registered elsewhere')
    t.strictSame((await missing('https://a.example', { before: NOW })).toSorted(), ['A1', 'A2'], 'not looked after since')
    t.strictSame(await missing('https://a.example', { after: Number.MAX_SAFE_INTEGER }), [])
    t.match(await store.read('connections_at', { account_key: other.accountKey, ...ALPHA, limit: 5 }), [{ shop_key: other.shopKey, version: /^\d+$/ }])
  })
}
