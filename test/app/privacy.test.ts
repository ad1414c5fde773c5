// F7, #92: a customer is erased and a customer's data are handed out, whatever is under way at that moment.

import t, { type Test } from 'tap'
import { movable, startApp, until, type App, type Body } from '../helpers/app.ts'
import { about, ADA, BEN, found, OTHER, redact, settled, SHOP, startPrivacyApp, tell, withPrivacy, wordsOf } from '../helpers/privacy.ts'
import { configWith, HOOK, hooked, rowOf, settled as boxed, TOKENS, writeSource } from '../sources/hook.ts'
import { tempDir } from '../helpers/tmp.ts'

t.jobs = 2

const REQUESTS = `/v1/shops/${SHOP}/privacy/requests`
const DAY_MS = 24 * 3_600_000

async function withHook (t: Test): Promise<App> {
  const dir = tempDir(t)
  writeSource(dir, 'hook')
  return await startApp(t, { dir, config: withPrivacy(configWith(HOOK)), env: TOKENS })
}

const requests = async (app: App): Promise<Body[]> => (await app.ask('GET', REQUESTS)).body.items as Body[]

t.test('#92: of a customer nothing is left in any table, by phone, e-mail or ids; others stay', async t => {
  const app = await withHook(t)
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  await app.delivered(await app.post(about(BEN, 'alert-2')))
  await hooked(app, { is: 'recorded', reason: 'read', detail: `for ${ADA.email}`, customer: ADA }, { topic: 'ada' })
  await hooked(app, { is: 'parked', reason: 'odd', detail: 'x', who: '(201) 555-0124' }, { topic: 'ben' })
  await Promise.all([boxed(app, 'ada'), boxed(app, 'ben')])
  t.strictSame(await found(app, wordsOf(ADA)), ['deliveries.request_body', 'events.data', 'inbox.body', 'inbox.detail'])
  await redact(app, { id: ADA.id, email: 'ADA@example.com', phone: '(201) 555-0123', country: 'US' })
  t.strictSame(await found(app, wordsOf(ADA)), [])
  t.strictSame(await found(app, wordsOf(BEN)), ['deliveries.request_body', 'events.data'])
  t.match(await app.delivery('alert-1'), { state: 'delivered', event: { data: null }, calls: [{ request: null, answer: null, status: 202 }] }, 'that it went, is known')
  t.match(await app.delivery('alert-2'), { state: 'delivered', event: { data: { customer: { name: BEN.name } } } })
  const row = await rowOf(app, 'ada')
  t.match(row, { state: 'recorded', reason: 'redacted', body: null, headers: {} })
  t.match(await app.ask('POST', `/v1/inbox/${String(row.id)}/retry`), { status: 409, body: { error: { message: /erased/ } } })
  t.match(await rowOf(app, 'ben'), { state: 'parked', body: /0124/ })
  t.match(await requests(app), [{ kind: 'redaction', state: 'done', found: { events: 2, webhooks: 1 } }])
  const { id } = await app.delivery('alert-1')
  for (const [path, body] of [['retry', {}], ['send-again', { mode: 'send', reason: 'x', may_have_been_sent: true }]] as const) t.match(await app.ask('POST', `/v1/deliveries/${String(id)}/${path}`, { body }), { status: 409, body: { error: { message: /erased/ } } })
  t.match((await app.post(about(ADA, 'alert-1'))).body, { status: 'duplicate' }, 'what was, is known by its digest')
  t.match((await app.post({ ...about(ADA, 'alert-1'), data: about(BEN, 'x').data })).status, 409)
  t.notOk(app.lines.some(line => wordsOf(ADA).some(word => line.includes(word))), 'nothing of it was ever in the log')
})

t.test('#92: an unknown customer is nobody, and is done; a repeat of the event is nothing new', async t => {
  const app = await startPrivacyApp(t)
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  await redact(app, { id: '700100200', email: 'nobody@example.com', phone: '+12015550199' }, { id: 'r-1' })
  t.match(await requests(app), [{ kind: 'redaction', state: 'done', found: { events: 1, webhooks: 0 } }], 'the request itself was all there was')
  t.match(await app.delivery('alert-1'), { event: { data: { customer: { name: ADA.name } } } })
  const again = await app.post({ id: 'r-1', shop: SHOP, type: 'customer.redact', data: { customer: { id: '700100200', email: 'nobody@example.com', phone: '+12015550199' }, orders: [] } })
  t.match(again.body, { status: 'duplicate' })
  await settled(app)
  t.equal((await requests(app)).length, 1)
  await redact(app, {}, { id: 'r-2' })
  t.match(await app.delivery('alert-1'), { event: { data: { customer: { name: ADA.name } } } }, 'who is nobody names nobody')
})

t.test('#92: what waits, is held, or is doubtful is not sent from that moment on; what comes later is another life', async t => {
  const app = await startPrivacyApp(t)
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'free' } })
  await app.post([about(ADA, 'held'), about(BEN, 'other')])
  await redact(app, { email: ADA.email })
  t.match(await app.delivery('held'), { state: 'rejected', reason: 'redacted', event: { data: null }, sentence: 'The customer\'s data were erased, as asked for; nothing is sent.' })
  await app.post([about(ADA, 'new'), about(ADA, 'late', { time: new Date(Date.now() - 3_600_000).toISOString() })])
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'pro' } })
  await until(async () => (await app.query('select 1 from deliveries where finished_at is null')).length === 0)
  t.match(await app.delivery('other'), { state: 'delivered' })
  t.match(await app.delivery('new'), { state: 'delivered' })
  t.match(await app.delivery('late'), { state: 'delivered' }, 'by e-mail alone nobody is known again')
  await redact(app, { phone: ADA.phone })
  await app.post(about(ADA, 'later', { time: new Date(Date.now() - 3_600_000).toISOString() }))
  await until(async () => (await app.delivery('later')).state === 'rejected')
  t.match(await app.delivery('later'), { reason: 'redacted', attempts: 0, event: { data: null } }, 'it happened before, and came after')
  t.equal((await app.received('courier')).length, 3)
})

t.test('#92: what is on the wire ends as it does, and is not repeated; nothing of it stays', async t => {
  const app = await startPrivacyApp(t)
  for (const [i, fault] of [{ kind: 'delay' }, { kind: 'status', status: 503, body: { about: ADA.name } }, { kind: 'cut_after' }].entries()) {
    const id = `wire-${i}`
    await app.fault('courier', { ...fault, delay_ms: 700 })
    await app.post(about(ADA, id))
    await until(async () => (await app.query('select 1 from deliveries where state = 2')).length === 1)
    await redact(app, { phone: ADA.phone })
    await app.heal('courier')
    const { state, reason, event, attempts } = await app.delivery(id)
    t.match({ state, reason, event, attempts }, i === 0 ? { state: 'delivered', reason: null } : { state: 'unknown', reason: 'redacted', event: { data: null }, attempts: 1 }, fault.kind)
    t.strictSame(await found(app, wordsOf(ADA)), [], fault.kind)
    t.strictSame(await app.query('select 1 from deliveries where finished_at is null'), [], fault.kind)
  }
  t.equal((await app.received('courier')).length, 2)
})

t.test('#92: two shops with the same customer: what one erases stays with the other', async t => {
  const app = await startPrivacyApp(t)
  for (const shop of [SHOP, OTHER]) await app.delivered(await app.post(about(ADA, `alert-${shop}`, { shop })))
  await redact(app, { phone: ADA.phone, email: ADA.email, id: ADA.id })
  t.match(await app.delivery(`alert-${SHOP}`), { event: { data: null } })
  t.match(await app.delivery(`alert-${OTHER}`), { event: { data: { customer: { phone: ADA.phone } } } })
  await app.delivered(await app.post(about(ADA, 'more', { shop: OTHER, time: new Date(Date.now() - 60_000).toISOString() })))
})

t.test('#92: the key of another shop reads nothing and erases nobody', async t => {
  const app = await startPrivacyApp(t)
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  t.equal((await app.ask('POST', `/v1/shops/${SHOP}/privacy/redactions`, { key: 'globex', body: { customer: { phone: ADA.phone } } })).status, 404)
  t.equal((await app.ask('GET', REQUESTS, { key: 'globex' })).status, 404)
  t.equal((await app.ask('POST', `/v1/shops/${SHOP}/privacy/redactions`, { key: 'reader', body: { customer: { phone: ADA.phone } } })).status, 403)
  t.match(await app.post({ id: 'r', shop: SHOP, type: 'customer.redact', data: { customer: { phone: ADA.phone }, orders: [] } }, { key: 'globex' }), { status: 403 })
  for (const [type, data] of [['customer.redact', { customer: { phone: ADA.phone }, orders: [] }], ['customer.data_request', { customer: { phone: ADA.phone }, orders: [] }], ['shop.redact', { at: '2026-01-01T00:00:00Z' }], ['shop.updated', { status: 'uninstalled', at: '2026-01-01T00:00:00Z' }]] as const) {
    t.match(await app.post({ id: `r-${type}`, shop: SHOP, type, data }, { key: 'events' }), { status: 403, body: { error: { code: 'GW_FORBIDDEN', message: /shops:write/ } } }, 'who may send events alone')
  }
  t.match(await app.ask('POST', `/v1/shops/${SHOP}/privacy/redactions`, { body: { customer: {} } }), { status: 422 })
  t.match(await app.delivery('alert-1'), { event: { data: { customer: { phone: ADA.phone } } } })
  const asked = await app.ask('POST', `/v1/shops/${SHOP}/privacy/redactions`, { key: 'acme', body: { customer: { phone: ADA.phone }, orders: ['9001'] } })
  t.match(asked, { status: 202, body: { kind: 'redaction', state: 'open' } })
  await settled(app)
  t.match(await app.ask('GET', `${REQUESTS}/${String(asked.body.id)}`, { key: 'acme' }), { status: 200, body: { state: 'done', found: { events: 1 }, document: null } })
  t.equal((await app.ask('GET', `/v1/shops/${OTHER}/privacy/requests/${String(asked.body.id)}`)).status, 404, 'of another shop there is none of this id')
  t.match(await app.query("select actor, shop from audit where action = 'privacy.redact'"), [{ actor: 'acme', shop: SHOP }])
})

t.test('F7: what is stored of a customer is gathered, kept for 30 days, and who reads it is on record', async t => {
  const { runtime, advance } = movable()
  const dir = tempDir(t)
  writeSource(dir, 'hook')
  const app = await startApp(t, { dir, config: withPrivacy(configWith(HOOK)), env: TOKENS, runtime })
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  await app.delivered(await app.post(about(BEN, 'alert-2')))
  await hooked(app, { is: 'recorded', reason: 'read', detail: 'x', customer: ADA }, { topic: 'ada' })
  await boxed(app, 'ada')
  await tell(app, 'customer.data_request', { customer: { phone: ADA.phone, email: ADA.email }, orders: [] })
  await settled(app)
  const [{ id } = {} as Body] = await requests(app)
  const { status, body } = await app.ask('GET', `${REQUESTS}/${String(id)}`, { key: 'acme' })
  const document = body.document as { events: Body[], webhooks: Body[], lists: Body[], sources: Body[] }
  t.match({ status, body }, { status: 200, body: { kind: 'data_request', state: 'done', found: { events: 2, webhooks: 1 }, document: { lists: [], sources: [] } } })
  const alert = document.events.find(({ source_id: source }) => source === 'alert-1')
  t.match(alert, { type: 'back_in_stock.alert', data: { customer: { name: ADA.name } }, deliveries: [{ provider: 'courier', state: 'delivered', attempts: 1, sent: /Floral Shirt/ }] })
  t.match(document.webhooks, [{ source: 'hook', topic: 'ada', body: /Ada Example/ }])
  t.notMatch(JSON.stringify(document), BEN.name)
  t.match(await app.query("select actor, subject from audit where action = 'privacy.read'"), [{ actor: 'acme', subject: id }])
  t.strictSame((await found(app, wordsOf(ADA))).filter(place => place.startsWith('privacy')), [], 'it is sealed')
  advance(29 * DAY_MS)
  const swept = async (): Promise<void> => {
    await app.query("update jobs set due_at = 1 where kind = 'retention' and owner is null")
    await until(async () => (await app.query("select 1 from jobs where kind = 'retention' and due_at > 1")).length === 1)
  }
  await swept()
  t.match((await app.ask('GET', `${REQUESTS}/${String(id)}`)).body, { document: { webhooks: [{}] } })
  advance(DAY_MS)
  await swept()
  t.match((await app.ask('GET', `${REQUESTS}/${String(id)}`)).body, { state: 'done', expires_at: null, document: null }, '#93')
  t.strictSame(await found(app, wordsOf(ADA)), [], '#93: nor is anything else of that age')
})

t.test('F7: of who wants no more messages the document says so, found by address alone too; erased, they are texted no more than before, and no reason is kept', async t => {
  const app = await startPrivacyApp(t)
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  const path = `/v1/shops/${SHOP}/opt-outs`
  for (const shop of [SHOP, OTHER]) await app.ask('PUT', `/v1/shops/${shop}/opt-outs`, { body: { phone: ADA.phone, reason: `${ADA.name} called.` } })
  await app.ask('PUT', path, { body: { phone: BEN.phone, reason: `${BEN.name} called.` } })
  for (const customer of [{ phone: ADA.phone }, { email: ADA.email }]) {
    await tell(app, 'customer.data_request', { customer, orders: [] })
    await settled(app)
    const [{ id } = {} as Body] = await requests(app)
    const { body } = await app.ask('GET', `${REQUESTS}/${String(id)}`)
    t.match((body.document as Body)['opt_outs'], [{ scope: 'shop', provider: null, at: /Z$/, via: 'api', reason: `${ADA.name} called.`, lifted_at: null }], JSON.stringify(customer))
    t.equal(((body.document as Body)['opt_outs'] as Body[]).length, 1)
  }
  await redact(app, { email: ADA.email })
  t.strictSame(await app.query("select shop, reason from audit where action = 'opt_out.put' order by audit_key"), [{ shop: SHOP, reason: null }, { shop: OTHER, reason: `${ADA.name} called.` }, { shop: SHOP, reason: `${BEN.name} called.` }])
  t.match((await app.ask('GET', `${path}?phone=${encodeURIComponent(ADA.phone)}`)).body, { opted_out: true, items: [{ reason: null }] })
  t.match((await app.ask('GET', `${path.replace(SHOP, OTHER)}?phone=${encodeURIComponent(ADA.phone)}`)).body, { items: [{ reason: /called/ }] }, 'of another shop')
  await app.post(about(ADA, 'anew'))
  await until(async () => (await app.delivery('anew'))?.state === 'rejected')
  t.match(await app.delivery('anew'), { reason: 'opted_out' })
  await tell(app, 'shop.redact', { at: new Date().toISOString() })
  await settled(app)
  t.strictSame((await app.query('select reason from opt_outs where reason is not null')), [{ reason: `${ADA.name} called.` }], 'of the shop that is left')
})

t.test('what was gathered of a customer goes when the customer is erased', async t => {
  const app = await startPrivacyApp(t)
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  for (const { phone } of [ADA, BEN]) await tell(app, 'customer.data_request', { customer: { phone }, orders: [] })
  await settled(app)
  await redact(app, { phone: ADA.phone })
  const documents = await Promise.all((await requests(app)).filter(({ kind }) => kind === 'data_request').map(async ({ id }) => (await app.ask('GET', `${REQUESTS}/${String(id)}`)).body.document))
  t.strictSame(documents.map(document => document === null), [false, true], 'newest first: Ben\'s, Ada\'s')
})
