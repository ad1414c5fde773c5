// The job that erases and gathers, on the store itself: cut off at any point, beside a source's own tables, on an account of two shops.

import t, { type Test } from 'tap'
import type { PrivacyHooks, Row, Runtime, Step, Store } from '../../gateway/contract.ts'
import { STATE } from '../../gateway/contract.ts'
import { digest } from '../../gateway/events/accept.ts'
import { retention } from '../../gateway/jobs/retention.ts'
import { privacyConsumers, redactSteps } from '../../gateway/privacy/ask.ts'
import { privacyJob } from '../../gateway/privacy/job.ts'
import { redactedBy } from '../../gateway/privacy/open.ts'
import type { WorkTools } from '../../gateway/privacy/work.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { createVault } from '../../gateway/shops/vault.ts'
import { noticed, noticeId } from '../../gateway/subscribers/notices.ts'
import { claim, deliveryOf, eventOf, NOW, one, place, put, sent, type Place } from '../conformance/store-rows.ts'
import { DAY_MS, key32 } from '../helpers/make.ts'
import { newPlace, openAlone, query } from '../helpers/stores.ts'

t.jobs = 2

const ADA = '+12015550123'
const BEN = '+12015550124'

interface World { store: Store, shop: Place, tools: WorkTools, at (ms: number): void, place: string, person (phone: string): Uint8Array, ask (customer: object, orders?: string[]): Promise<void>, run (): Promise<number> }

async function world (t: Test, { hooks = [] as PrivacyHooks[] } = {}): Promise<World> {
  let now = NOW + 1000
  const where = await newPlace(t)
  const store = await openAlone(t, where, () => now)
  const runtime: Runtime = { ...systemRuntime(), now: () => now }
  const vault = createVault([{ id: 'k1', key: key32() }], key32())
  const shop = await place(store)
  const tools: WorkTools = { store, runtime, vault, digest, hooks: () => hooks, noticeId: (accountKey, phone) => noticeId({ accountKey, phone, ref: null }, vault), disconnect: async () => {}, changed () {} }
  return {
    store, shop, tools, place: where,
    at (ms) { now = ms },
    person: phone => vault.fingerprint('person', phone),
    async ask (customer, orders = []) { await store.commit(redactSteps({ customer, orders }, { shop: { key: shop.shopKey, id: shop.shop }, at: now, eventKey: null, actor: 'x' }, { store, runtime, vault }).steps) },
    async run () {
      let cursor: string | null = null
      for (let turns = 1; ; turns++) {
        const result = await privacyJob({ uniqueKey: String(shop.shopKey), cursor }, tools)
        if (result === null) return turns
        cursor = result.cursor
        if (result.dueAt > now) now = result.dueAt
      }
    }
  }
}

const dataOf = (phone: string): string => JSON.stringify({ customer: { phone, name: 'Somebody' } })

t.test('#92: cut off after any commit, and run again from what was on disk, it ends the same', async t => {
  const { store, shop, tools, person, ask, run, place } = await world(t)
  const ada = []
  for (let i = 0; i < 25; i++) {
    ada.push(await sent(store, shop, { person: i % 2 === 0 ? person(ADA) : null, data: dataOf(ADA) }))
    await sent(store, shop, { person: person(BEN), data: dataOf(BEN) })
  }
  await ask({ phone: ADA })
  const job = async (): Promise<number> => {
    let cursor: string | null = null
    for (let n = 0; ; n++) {
      const result = await privacyJob({ uniqueKey: String(shop.shopKey), cursor }, tools)
      if (result === null) return n
      cursor = result.cursor
    }
  }
  const commit = store.commit.bind(store)
  let died = 0
  for (let allowed = 0; ; allowed++) {
    let left = allowed
    store.commit = async (unit: Step[]) => {
      if (left-- === 0) throw new Error('cut off')
      return await commit(unit)
    }
    try {
      await job()
      break
    } catch { died++ }
  }
  store.commit = commit
  t.ok(died > 2, `it was cut off ${died} times`)
  await run()
  const left = await query(place, 'select data from events where data is not null')
  t.equal(left.length, 25)
  t.notOk(left.some(({ data }) => String(data).includes(ADA)))
  for (const one of ada) t.match(await deliveryOf(store, one), { state: STATE.delivered, data: null, request_body: null, answer: null, status: 202 })
  t.match(await query(place, 'select sealed, found from privacy where done_at is not null'), [{ sealed: null }])
})

t.test('#92: by order ids and customer id alone, and only what was before', async t => {
  const { store, shop, ask, run, at } = await world(t)
  const order = (id: string, customer: string) => JSON.stringify({ customer: { id: customer, phone: ADA }, order: { id } })
  const [first, second, other, later] = [await put(store, shop, { data: order('9001', '1') }), await put(store, shop, { data: order('9002', '6001') }), await put(store, shop, { data: order('9003', '2') }), await put(store, shop, { data: order('9001', '6001'), at: NOW + 5000 })]
  await ask({ id: '6001' }, ['9001'])
  at(NOW + 9000)
  await run()
  t.strictSame(await Promise.all([first, second, other, later].map(async one => (await deliveryOf(store, one)).data === null)), [true, true, false, false])
})

t.test('#92: who is looked for and not found yet is not sent to either, by address alone', async t => {
  const { store, shop, tools, ask, run } = await world(t)
  const mail = (email: string): string => JSON.stringify({ customer: { email } })
  const [ada, ben] = [await put(store, shop, { data: mail('Ada@example.com') }), await put(store, shop, { data: mail('ben@example.com') })]
  await ask({ email: 'ada@example.com' })
  const rows = await store.read('claimed', { keys: JSON.stringify(await claim(store, shop)) })
  const redacted = redactedBy(tools)
  t.strictSame(await Promise.all(rows.map(async row => [row.id, row.redacted, row.redacting, await redacted(row)])), [[ada.id, 0, 1, true], [ben.id, 0, 1, false]])
  await run()
  t.match(await deliveryOf(store, ada), { state: STATE.rejected, reason: 'redacted', owner: null }, 'the claim is taken from whoever had it')
  t.match(await deliveryOf(store, ben), { state: STATE.waiting, owner: store.owner })
  t.strictSame((await store.read('claimed', { keys: JSON.stringify([ada.deliveryKey]) })).map(row => [row.redacted, row.redacting]), [[1, 0]])
})

t.test('#92: while many are being erased, whom each is about is opened once, and who is done is not asked for any more', async t => {
  const { store, shop, tools, ask, run } = await world(t)
  const mail = (email: string): string => JSON.stringify({ customer: { email } })
  for (let i = 0; i < 20; i++) await put(store, shop, { data: mail(`p${i % 5}@example.com`) })
  for (let i = 0; i < 3; i++) await ask({ email: `p${i}@example.com` })
  const rows = await store.read('claimed', { keys: JSON.stringify(await claim(store, shop, { limit: 20 })) })
  let opened = 0
  const redacted = redactedBy({ store, vault: { ...tools.vault, open (...given) { opened++; return tools.vault.open(...given) } } })
  const found = async (): Promise<number> => (await Promise.all(rows.map(redacted))).filter(Boolean).length
  t.equal(await found(), 12)
  t.equal(opened, 3)
  await run()
  t.equal(await found(), 0)
})

t.test('#92: one that came before by this clock, and happened after by its own, is not sent while it is looked for', async t => {
  const { store, shop, tools, ask } = await world(t)
  const event = eventOf(store, shop, { data: JSON.stringify({ customer: { email: 'ada@example.com' } }) })
  const ahead = event.steps.map(step => step.name === 'insert_event' ? { ...step, params: { ...step.params, time_at: NOW + 60_000 } } : step)
  await store.commit(ahead)
  await ask({ email: 'ada@example.com' })
  const [row] = await store.read('claimed', { keys: JSON.stringify(await claim(store, shop)) })
  t.equal(await redactedBy(tools)(row as Row), true)
})

t.test('#92: a person leaves the list of an account, and word about them, unless another shop of the account has them', async t => {
  const { store, shop, tools, person, ask, run } = await world(t)
  const other = await place(store, { shop: 'globex.example' })
  t.equal(other.accountKey, shop.accountKey)
  for (const phone of [ADA, BEN]) {
    await one(store, 'learn_subscriber', { account_key: shop.accountKey, person: person(phone), standing: 'subscribed', now: NOW, ref: null, due_at: null, wants: 0, before: 0 })
    await store.commit(noticed({ accountKey: shop.accountKey, phone, ref: null, state: null, at: NOW }, tools))
    await put(store, shop, { person: person(phone), data: dataOf(phone) })
  }
  await put(store, other, { person: person(BEN), data: dataOf(BEN) })
  await ask({ phone: ADA })
  await ask({ phone: BEN })
  await run()
  t.strictSame((await store.read('list_subscribers', { account_key: shop.accountKey, shop_key: shop.shopKey, after_person: new Uint8Array(0), limit: 9 })).map(row => Buffer.from(row.person as Uint8Array).toString('hex')), [Buffer.from(person(BEN)).toString('hex')])
  t.strictSame((await store.read('notices_due', { account_key: shop.accountKey, now: NOW + DAY_MS, limit: 9 })).map(({ id }) => id), [noticeId({ accountKey: shop.accountKey, phone: BEN, ref: null }, tools.vault)])
})

t.test('the phone that a test went to goes with its owner, and the test is looked for no more', async t => {
  const { store, shop, ask, run } = await world(t)
  const row = { shop_key: shop.shopKey, provider: 'alpha', step: 'test', state: 'done', reason: null, detail: null, action: null, asked_at: NOW, done_at: NOW, checked_at: NOW }
  const given = (phone: string) => JSON.stringify({ event_id: 't', sent: { event_id: 't', phone } })
  for (const [subject, phone] of [['a', ADA], ['b', BEN]] as const) await one(store, 'put_setup', { ...row, subject, given: given(phone), found: '{"arrival":{"state":"awaited"},"seen":1}' })
  await ask({ phone: ADA })
  await run()
  t.match((await store.read('setup_of_shop', { shop_key: shop.shopKey })).map(({ given, found }) => [given, found]).toSorted(), [
    [given(BEN), '{"arrival":{"state":"awaited"},"seen":1}'], ['{"event_id":"t"}', '{"seen":1,"arrival":{"state":"not_looked","reason":"redacted"}}']
  ])
})

t.test('what sources keep is erased, gathered and forgotten by them; one that fails is asked again', async t => {
  const asked: unknown[] = []
  let fails = 1
  const hook: PrivacyHooks = {
    id: 'waits',
    async redact (who, shopKey) {
      asked.push(['redact', who.emails, who.customerIds, who.orderIds, who.persons.length, shopKey])
      if (fails-- > 0) throw new Error('not now')
    },
    export: async who => who.emails.length > 0 ? [{ waits_for: 'a shirt' }] : [],
    async forgetShop (shopKey) { asked.push(['forget', shopKey]) }
  }
  const { store, shop, tools, ask, run, place: where } = await world(t, { hooks: [hook] })
  await ask({ phone: ADA, email: 'Ada@example.com', id: '6001' }, ['9001'])
  await t.rejects(run(), { message: 'not now' })
  t.equal((await store.read('open_redactions', { shop_key: shop.shopKey })).length, 1, 'it is open still')
  await run()
  const said = ['redact', ['ada@example.com'], ['6001'], ['9001'], 1, shop.shopKey]
  t.strictSame(asked, [said, said])
  const entering = { key: 0, id: 'evt_1', shop: { key: shop.shopKey, id: shop.shop }, type: '', source: 'x', sourceId: 'x', timeAt: NOW, receivedAt: NOW + 1000, person: null }
  const consumers = privacyConsumers(tools)
  const { eventKey } = await put(store, shop)
  await store.commit(consumers.get('customer.data_request')?.({ ...entering, key: eventKey, data: { customer: { email: 'ada@example.com' }, orders: [] } }) as Step[])
  await run()
  t.strictSame((await query(where, 'select part from privacy_parts')).map(({ part }) => part), ['sources waits'])
  await store.commit(consumers.get('shop.redact')?.({ ...entering, key: eventKey, data: { at: new Date(NOW).toISOString() } }) as Step[])
  await run()
  t.strictSame(asked.at(-1), ['forget', shop.shopKey])
})

t.test('#93: what came, what was sent and what was gathered goes after its term, by a clock that is moved', async t => {
  const { store, shop, tools, person, at, place, run } = await world(t)
  await sent(store, shop, { person: person(ADA), data: dataOf(ADA) })
  const inboxKey = store.nextKey('inbox')
  await one(store, 'insert_inbox', { inbox_key: inboxKey, id: 'inb_1', source: 'hook', topic: 't', shop: shop.shop, subject: null, headers: '{}', body: dataOf(ADA), received_at: NOW, state: 3, reason: 'read', detail: null, due_at: null, settled_at: NOW, keys: '["k"]' })
  await one(store, 'insert_inbox_keys', { source: 'hook', keys: '["k"]', received_at: NOW, inbox_key: inboxKey })
  const { eventKey } = await put(store, shop, { data: '{}' })
  await store.commit(privacyConsumers(tools).get('customer.data_request')?.({ key: eventKey, id: 'e', shop: { key: shop.shopKey, id: shop.shop }, type: '', source: 'x', sourceId: 'x', timeAt: NOW, receivedAt: NOW, person: null, data: { customer: { phone: ADA }, orders: [] } }) as Step[])
  await run()
  const sweep = retention({ store, runtime: tools.runtime, payloadMs: 7 * DAY_MS, identityMs: 20 * DAY_MS, digest })
  const job = { key: 1, kind: 'retention', uniqueKey: 'retention', accountKey: null, deliveryKey: null, attempts: 1, cursor: null }
  const left = async (ms: number): Promise<number[]> => {
    at(ms)
    for (let i = 0; i < 3; i++) await sweep(job)
    return await Promise.all(['events where data is not null and person is not null', 'deliveries where request_body is not null', 'inbox', 'inbox_keys', 'events where person is not null or data is null', 'privacy_parts'].map(async table => (await query(place, `select 1 as n from ${table}`)).length))
  }
  const term = NOW + 1000
  t.strictSame(await left(term + 6 * DAY_MS), [1, 1, 1, 1, 1, 2], 'all is there')
  t.strictSame(await left(term + 7 * DAY_MS), [0, 0, 0, 1, 1, 2], 'payloads and bodies are gone, what tells a repeat stays')
  t.strictSame(await left(term + 20 * DAY_MS), [0, 0, 0, 0, 0, 2])
  t.strictSame(await left(term + 31 * DAY_MS), [0, 0, 0, 0, 0, 0])
})
