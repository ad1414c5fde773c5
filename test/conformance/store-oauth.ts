// What every store must keep of connections by OAuth: tokens replaced once, merchants on their way, grants to be ended.

import type { Test } from 'tap'
import type { Row, Store, Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { NOW, one, place } from './store-rows.ts'

const MINUTES_10 = 600_000
const WAY = { provider: 'alpha', step: 'allow', actor: 'app', return_url: null }
const within = (now: number) => ({ now, since: now - MINUTES_10, until: now + 5000 })

const hexOf = (row: Row | undefined): string => Buffer.from((row?.sealed ?? '') as Uint8Array).toString('hex')

export async function oauth (t: Test, open: Open): Promise<void> {
  await t.test('a token is replaced by whoever read the one before, and by nobody else; a connection given anew has none', async t => {
    const { store, reopen } = await open(t)
    const { shopKey, provider } = await place(store)
    const at = { shop_key: shopKey, provider }
    const [connection] = await store.read('connections', { shop_key: shopKey })
    const id = String(connection?.id)
    t.equal(connection?.oauth, null)
    await one(store, 'put_grant', { ...at, oauth: '{"version":1}' })
    await one(store, 'put_secret', { ...at, field: 'access_token', key_id: 'k1', version: 1, sealed: Uint8Array.of(1) })
    t.match(await store.read('grant', { id }), [{ id, shop_key: shopKey, provider, oauth: '{"version":1}', connection_key: connection?.connection_key as number, account_key: connection?.account_key as number, account_id: connection?.account_id as string }])
    const renew = async (from: Store, before: string, now: string, byte: number): Promise<number[]> => {
      const results = await from.commit([
        { name: 'renew_grant', params: { id, oauth: now, oauth_before: before } },
        { name: 'renew_secret', params: { id, oauth: now, field: 'access_token', key_id: 'k2', version: 1, sealed: Uint8Array.of(byte) } }
      ])
      return results.map(({ changes }) => changes)
    }
    t.strictSame(await renew(store, '{"version":1}', '{"version":2}', 2), [1, 1])
    t.strictSame(await renew(store, '{"version":1}', '{"version":2,"other":true}', 3), [0, 0], 'who comes second writes nothing')
    const again = await reopen()
    const token = async () => (await again.read('secrets', { connection_key: connection?.connection_key as number })).find(({ field }) => field === 'access_token')
    t.match(await token(), { key_id: 'k2' })
    t.equal(hexOf(await token()), '02')
    await one(again, 'upsert_connection', { id: 'con_new', ...at, auth: 'key', account_id: 'A1', account: 'A1', name: '', settings: '{}', ready: '[]', set_up: '[]', now: NOW })
    t.equal((await again.read('connections', { shop_key: shopKey }))[0]?.oauth, null)
    t.strictSame(await again.read('grant', { id: 'con_nobody' }), [])
  })

  await t.test('a ticket is used once and in time, and so is the state that follows from it', async t => {
    const { store } = await open(t)
    const { shopKey } = await place(store)
    const put = (hash: string) => one(store, 'put_flow', { hash, shop_key: shopKey, ...WAY, now: NOW })
    const use = async (hash: string, state: string, now = NOW + 1, provider = 'alpha'): Promise<number[]> => (await store.commit([
      { name: 'use_ticket', params: { hash, state_hash: state, provider, ...within(now) } },
      { name: 'put_state', params: { hash, state_hash: state, now } }
    ])).map(({ changes }) => changes)
    const finish = async (hash: string, now = NOW + 2, provider = 'alpha'): Promise<Array<Record<string, Value>>> => (await one(store, 'use_state', { hash, provider, ...within(now) })).rows.map(row => ({ ...row }))
    const lookAt = async (hash: string, now = NOW + 1, provider = 'alpha'): Promise<Array<Record<string, Value>>> => (await store.read('ticket', { hash, provider, since: now - MINUTES_10, until: now + 5000 })).map(row => ({ ...row }))
    await put('t1')
    for (let n = 0; n < 2; n++) t.strictSame(await lookAt('t1'), [{ shop_key: shopKey, return_url: null }], 'to look at it uses nothing up')
    t.strictSame([await lookAt('t1', NOW + 1, 'beta'), await lookAt('t1', NOW + MINUTES_10), await lookAt('t1', NOW - 5001), await lookAt('t9')], [[], [], [], []])
    t.strictSame(await use('t1', 's1', NOW + 1, 'beta'), [0, 0], 'at another provider')
    t.strictSame(await use('t1', 's1', NOW + MINUTES_10), [0, 0], 'late')
    t.strictSame(await use('t1', 's1', NOW - 5001), [0, 0], 'made later than now')
    t.strictSame(await use('t1', 's1'), [1, 1])
    t.strictSame(await use('t1', 's2'), [0, 0], 'again')
    t.strictSame([await lookAt('t1'), await lookAt('s1')], [[], []], 'used, and no ticket')
    t.strictSame(await finish('t1'), [], 'a ticket is no state')
    t.strictSame(await use('s1', 's3'), [0, 0], 'nor is a state a ticket')
    t.strictSame(await finish('s1', NOW + 2, 'beta'), [])
    t.strictSame(await finish('s1', NOW + 1 + MINUTES_10), [])
    t.strictSame(await finish('s1'), [{ shop_key: shopKey, step: 'allow', actor: 'app', return_url: null }])
    t.strictSame(await finish('s1'), [], 'again')
    await put('t2')
    const both = await Promise.all([use('t2', 's4'), use('t2', 's5')])
    t.strictSame(both.map(String).toSorted(), ['0,0', '1,1'], 'of two at once one')
    t.equal((await one(store, 'forget_flows', { before: NOW - 1 })).changes, 0)
    t.equal((await one(store, 'forget_flows', { before: NOW + 1 })).changes, 4)
  })

  await t.test('a grant to be ended waits until it is, later after each try', async t => {
    const { store, reopen } = await open(t)
    const put = (id: string, now: number) => one(store, 'put_revocation', { id, shop: 'a.example', provider: 'alpha', account_id: 'A1', key_id: 'k1', version: 1, sealed: Uint8Array.of(7), now })
    const due = async (from: Store, now: number) => (await from.read('revocations_due', { now, limit: 10 })).map(({ id, tries }) => [id, tries])
    await put('r2', NOW + 1)
    await put('r1', NOW)
    t.strictSame(await due(store, NOW + 1), [['r1', 0], ['r2', 0]])
    t.match(await store.read('revocations_open', {}), [{ provider: 'alpha', grants: 2 }])
    await one(store, 'delay_revocation', { id: 'r1', paid: 1, due_at: NOW + 100 })
    const again = await reopen()
    t.strictSame(await due(again, NOW + 99), [['r2', 0]])
    t.strictSame(await due(again, NOW + 100), [['r2', 0], ['r1', 1]])
    const [first] = await again.read('revocations_due', { now: NOW + 1, limit: 1 })
    t.match(first, { shop: 'a.example', provider: 'alpha', account_id: 'A1', key_id: 'k1', version: 1, created_at: NOW + 1 })
    t.equal(hexOf(first), '07')
    await one(again, 'delay_revocation', { id: 'r1', paid: 0, due_at: NOW + 200 })
    t.strictSame(await due(again, NOW + 200), [['r2', 0], ['r1', 1]], 'put off without a try')
    await one(again, 'end_revocation', { id: 'r2' })
    t.strictSame(await due(again, NOW + 200), [['r1', 1]])
  })

  await t.test('who is connected to an account by tokens: any shop, and of an account that was never told the shop itself', async t => {
    const { store } = await open(t)
    const { shopKey, provider } = await place(store)
    const [shop] = await store.read('shop_by_key', { shop_key: shopKey })
    const [connection] = await store.read('connections', { shop_key: shopKey })
    const beside = async (accountId: string, who = 'other.example', where = provider): Promise<number> => (await store.read('grants_beside', { shop: who, provider: where, account_id: accountId })).length
    t.equal(await beside(String(connection?.account_id), String(shop?.id)), 0, 'not by tokens')
    const connected = async (accountId: string): Promise<void> => {
      await one(store, 'upsert_connection', { id: 'con_new', shop_key: shopKey, provider, auth: 'oauth', account_id: accountId, account: connection?.account as string, name: '', settings: '{}', ready: '[]', set_up: '[]', now: NOW })
      await one(store, 'put_grant', { shop_key: shopKey, provider, oauth: '{"version":1}' })
    }
    const self = String(shop?.id)
    await connected('A1')
    t.match(await store.read('grants_beside', { shop: 'other.example', provider, account_id: 'A1' }), [{ oauth: '{"version":1}', shop_key: shopKey, provider, account_key: connection?.account_key as number }])
    t.strictSame([await beside('A2'), await beside('A2', self), await beside('A1', self, 'beta'), await beside(''), await beside('', self)], [0, 0, 0, 0, 1])
    await connected('')
    t.strictSame([await beside('A1'), await beside('A1', self), await beside(''), await beside('', self)], [0, 1, 1, 1], 'nobody knows whose this one is')
  })

  await t.test('who may be connected in a moment: a shop on its way, any that has just come back, tokens that wait for their check', async t => {
    const { store } = await open(t)
    const { shopKey, provider } = await place(store)
    const self = String((await store.read('shop_by_key', { shop_key: shopKey }))[0]?.id)
    const coming = async (shop = self, now = NOW + 10, where = 'alpha'): Promise<number> => (await store.read('merchants_coming', { shop, provider: where, since: now - 15, after: now - MINUTES_10 })).length
    await one(store, 'put_flow', { hash: 't1', shop_key: shopKey, ...WAY, now: NOW })
    t.equal(await coming(), 0, 'a ticket is no way yet')
    await store.commit([
      { name: 'use_ticket', params: { hash: 't1', state_hash: 's1', provider: 'alpha', ...within(NOW + 1) } },
      { name: 'put_state', params: { hash: 't1', state_hash: 's1', now: NOW + 1 } }
    ])
    t.strictSame([await coming(), await coming('other.example'), await coming(self, NOW + 10, 'beta'), await coming(self, NOW + 1 + MINUTES_10)], [1, 0, 0, 0])
    await one(store, 'use_state', { hash: 's1', provider: 'alpha', ...within(NOW + 5) })
    t.strictSame([await coming(), await coming('other.example'), await coming(self, NOW + 20)], [1, 1, 0])
    await one(store, 'put_setup_secret', { shop_key: shopKey, provider, step: 'allow', field: 'access_token', key_id: 'k1', version: 1, sealed: Uint8Array.of(1) })
    t.equal(await coming('other.example', NOW + 99_999, provider), 0)
    await one(store, 'put_setup_secret', { shop_key: shopKey, provider, step: 'allow', field: 'refresh_token', key_id: 'k1', version: 1, sealed: Uint8Array.of(1) })
    t.equal(await coming('other.example', NOW + 99_999, provider), 1)
  })
}
