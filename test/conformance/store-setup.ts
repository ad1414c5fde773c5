// What every store must keep of set-ups: how each step stands, credentials that wait for their check, and what is counted of both.

import type { Test } from 'tap'
import type { Step, Store, Value } from '../../gateway/contract.ts'
import type { Open } from './store.ts'
import { HERE, NOW, one, place, type Place } from './store-rows.ts'

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
    const times = async (since: number, action = 'setup.connect', until = NOW + 1) => Number((await store.read('audit_since', { shop: 'acme.example', action, since, until }))[0]?.times)
    t.equal(await times(0), 0)
    for (const [offset, action, shop] of [[0, 'setup.connect', 'acme.example'], [1, 'setup.connect', 'acme.example'], [1, 'setup.send', 'acme.example'], [1, 'setup.connect', 'other.example']] as const) {
      await one(store, 'audit', { at: NOW + offset, actor: 'me', action, shop, subject: 'alpha key' })
    }
    t.strictSame([await times(NOW - 1), await times(NOW), await times(NOW + 1), await times(NOW - 1, 'setup.send')], [2, 1, 0, 1])
    t.equal(await times(NOW - 1, 'setup.connect', NOW), 1, 'what is later than now was done before the clock was set back')
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

  await t.test('a step\'s job is put by the account\'s name, whose row may be made with it, and one at a time', async t => {
    const { store } = await open(t)
    const { accountKey } = await place(store)
    const ask = (account: string, now: number): Step => ({ name: 'put_setup_job', params: { job_key: store.nextKey('jobs'), id: `job_${account}_${now}`, unique_key: '1/alpha/key/', provider: 'alpha', account, now } })
    const claim = async (now: number) => (await one(store, 'claim_jobs', { now, slots: HERE, owner: store.owner, epoch: store.epoch, limit: 5 })).rows
    t.equal((await store.commit([ask('new', NOW)]))[0]?.changes, 0, 'an account that is not there')
    await store.commit([{ name: 'ensure_account', params: { provider: 'alpha', account: 'new', slot: 8 } }, ask('new', NOW + 5)])
    const [made] = await store.read('account_called', { provider: 'alpha', account: 'new' })
    await store.commit([ask('new', NOW + 9)])
    t.strictSame(await claim(NOW + 4), [])
    const [job, ...others] = await claim(NOW + 5)
    t.match(job, { kind: 'setup', unique_key: '1/alpha/key/', account_key: made?.account_key, delivery_key: null, attempts: 1 })
    t.equal(others.length, 0)
    await store.commit([ask('A1', NOW + 6)]) // while it runs
    const mine = { job_key: job?.job_key as number, owner: store.owner, epoch: store.epoch }
    await store.commit([{ name: 'end_job', params: mine }, { name: 'restart_job', params: mine }])
    t.match(await claim(NOW + 6), [{ account_key: accountKey }], 'it starts over, at the account it is about now')
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
