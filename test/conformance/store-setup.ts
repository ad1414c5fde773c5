// What every store must keep of set-ups: how each step stands, credentials that wait for their check, and what is counted of both.

import type { Test } from 'tap'
import type { Store, Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { NOW, one, place, type Place } from './store-rows.ts'

const TRIED = { step: 'flow', subject: 'thing.happened', state: 'failed', reason: 'not_verified', detail: 'a word', given: '{"name":"A"}', found: '{}', action: null, asked_at: NOW, done_at: null, checked_at: NOW + 1 }

const at = ({ shopKey, provider }: Place) => ({ shop_key: shopKey, provider })

async function rows (store: Store, where: Place): Promise<Array<Record<string, Value>>> {
  return (await store.read('setup_rows', at(where))).map(row => ({ ...row })).toSorted((a, b) => `${a.step} ${a.subject}` < `${b.step} ${b.subject}` ? -1 : 1)
}

export async function setup (t: Test, open: Open): Promise<void> {
  await t.test('a step keeps how it stands, for each subject, until it is forgotten', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    const other = await place(store, { shop: 'other.example', account: 'A2' })
    t.strictSame(await rows(store, where), [])
    await one(store, 'put_setup', { ...at(where), ...TRIED })
    await one(store, 'put_setup', { ...at(where), ...TRIED, subject: 'thing.urgent', action: 'verify' })
    await one(store, 'put_setup', { ...at(other), ...TRIED })
    await one(store, 'put_setup', { ...at(where), provider: 'beta', ...TRIED })
    t.strictSame(await rows(store, where), [TRIED, { ...TRIED, subject: 'thing.urgent', action: 'verify' }])
    const done = { ...TRIED, state: 'done', reason: null, detail: null, given: '{"name":"B"}', found: '{"near":["A"]}', asked_at: NOW + 2, done_at: NOW + 3, checked_at: NOW + 3 }
    await one(store, 'put_setup', { ...at(where), ...done })
    const again = await reopen()
    t.strictSame(await rows(again, where), [done, { ...TRIED, subject: 'thing.urgent', action: 'verify' }], 'the latest word counts, of this subject alone')
    t.equal((await one(again, 'forget_setup', { ...at(where), step: 'flow', subject: 'thing.happened' })).changes, 1)
    t.equal((await one(again, 'forget_setup', { ...at(where), step: 'flow', subject: 'thing.happened' })).changes, 0)
    t.strictSame((await rows(again, where)).map(({ subject }) => subject), ['thing.urgent'])
    t.equal((await rows(again, other)).length, 1, 'another shop\'s is its own')
  })

  await t.test('that a step was checked is forgotten, and nothing else of it', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const key = { ...TRIED, step: 'key', subject: '' }
    for (const row of [key, TRIED, { ...key, subject: 'thing.happened' }]) await one(store, 'put_setup', { ...at(where), ...row })
    t.equal((await one(store, 'uncheck_setup', { ...at(where), step: 'key' })).changes, 1)
    t.strictSame(await rows(store, where), [TRIED, { ...key, checked_at: null }, { ...key, subject: 'thing.happened' }])
  })

  await t.test('credentials that wait for their check are kept by field, replaced whole, and dropped', async t => {
    const { store, reopen } = await open(t)
    const where = await place(store)
    const waiting = { ...at(where), step: 'key' }
    const kept = async (from: Store) => (await from.read('setup_secrets', waiting)).map(({ field, key_id: keyId, version, sealed }) => [field, keyId, version, Buffer.from(sealed as Uint8Array).toString('hex')]).toSorted()
    const give = (field: string, bytes: number[], keyId = 'k1') => one(store, 'put_setup_secret', { ...waiting, field, key_id: keyId, version: 1, sealed: Uint8Array.from(bytes) })
    await give('key', [0, 255, 7])
    await give('token', [1])
    await give('key', [9, 8], 'k2')
    await one(store, 'put_setup_secret', { ...waiting, step: 'other', field: 'key', key_id: 'k1', version: 1, sealed: Uint8Array.of(3) })
    t.strictSame(await kept(store), [['key', 'k2', 1, '0908'], ['token', 'k1', 1, '01']])
    const again = await reopen()
    t.strictSame(await kept(again), [['key', 'k2', 1, '0908'], ['token', 'k1', 1, '01']])
    t.equal((await one(again, 'drop_setup_secrets', waiting)).changes, 2)
    t.strictSame(await kept(again), [])
    t.equal((await again.read('setup_secrets', { ...waiting, step: 'other' })).length, 1, 'of this step only')
  })

  await t.test('a connection keeps what the account is called and which groups are set up', async t => {
    const { store } = await open(t)
    const where = await place(store)
    const connection = async () => (await store.read('connections', { shop_key: where.shopKey }))[0]
    t.match(await connection(), { name: '', set_up: '[]', ready: '["things"]' })
    t.equal((await one(store, 'set_up', { ...at(where), set_up: '["urgent"]', ready: '[]' })).changes, 1)
    t.match(await connection(), { name: '', set_up: '["urgent"]', ready: '[]', account: 'A1' })
    t.equal((await one(store, 'set_up', { ...at(where), provider: 'beta', set_up: '[]', ready: '[]' })).changes, 0, 'where there is no connection nothing is made')
    const params = { id: 'con_new', ...at(where), auth: 'other', account_id: 'A1', account: 'A1', name: 'Acme Inc.', settings: '{"a":1}', ready: '["things"]', set_up: '["things"]', now: NOW + 5 }
    await one(store, 'upsert_connection', params)
    t.match(await connection(), { name: 'Acme Inc.', set_up: '["things"]', ready: '["things"]', auth: 'other', settings: '{"a":1}' })
    await one(store, 'adjust_connection', { id: 'con_x', ...at(where), auth: 'other', account_id: 'A1', account: 'A1', settings: '{"b":2}', ready: '[]', now: NOW + 6 })
    t.match(await connection(), { name: 'Acme Inc.', set_up: '["things"]' }, 'a setting changes nothing of it')
  })

  await t.test('an account is found by what it is called', async t => {
    const { store } = await open(t)
    const where = await place(store)
    t.match(await store.read('account_called', { provider: 'alpha', account: 'A1' }), [{ account_key: where.accountKey }])
    t.strictSame(await store.read('account_called', { provider: 'beta', account: 'A1' }), [])
  })

  await t.test('how often a shop did something lately is counted, others and other things aside', async t => {
    const { store } = await open(t)
    const times = async (since: number, action = 'setup.connect') => Number((await store.read('audit_since', { shop: 'acme.example', action, since }))[0]?.times)
    t.equal(await times(0), 0)
    for (const [offset, action, shop] of [[0, 'setup.connect', 'acme.example'], [1, 'setup.connect', 'acme.example'], [1, 'setup.send', 'acme.example'], [1, 'setup.connect', 'other.example']] as const) {
      await one(store, 'audit', { at: NOW + offset, actor: 'me', action, shop, subject: 'alpha key' })
    }
    t.strictSame([await times(NOW - 1), await times(NOW), await times(NOW + 1), await times(NOW - 1, 'setup.send')], [2, 1, 0, 1])
  })

  await t.test('a job that is asked for again goes to whoever has the account it is about then', async t => {
    const { store } = await open(t)
    const [first, second] = [await place(store), await place(store, { account: 'A2', group: 'second' })]
    const put = (accountKey: number) => one(store, 'put_job', { job_key: store.nextKey('jobs'), id: `job_${accountKey}`, kind: 'setup', unique_key: '1/alpha/key/', account_key: accountKey, delivery_key: null, due_at: NOW, now: NOW })
    await put(first.accountKey)
    await put(second.accountKey)
    const due = async (accountKey: number) => (await store.read('jobs_are_due', { now: NOW, slots: JSON.stringify([accountKey % 256]) })).length
    t.strictSame([await due(first.accountKey), await due(second.accountKey)], [0, 1])
  })

  await t.test('connections are found in pages, each once', async t => {
    const { store } = await open(t)
    const shops = await Promise.all(['a', 'b', 'c'].map(name => place(store, { shop: `${name}.example`, account: name })))
    const found = []
    for (let after = 0; ;) {
      const page = await store.read('connections_after', { after, limit: 2 })
      found.push(...page)
      if (page.length < 2) break
      after = page.at(-1)?.connection_key as number
    }
    t.strictSame(found.map(row => [row.shop_key, row.provider, row.account_key]).toSorted(), shops.map(shop => [shop.shopKey, 'alpha', shop.accountKey]).toSorted())
  })
}
