// D5: customers who sign up are added at Postscript with the keyword chosen, and nobody is sent a message that cannot be texted.

import t from 'tap'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { until, type Body } from '../../test/helpers/app.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { KEY, KEYWORD, MINUTE_MS, PEOPLE, POSTSCRIPT, SHOP, started } from './subscribers.test-world.ts'

t.jobs = 2 // each has a gateway and a sandbox of its own, and mostly waits

const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const ADA = '+12015550123'
const BEN = '+12015550124'

t.test('a sign-up is passed on, its alert waits for the opt-in, and is sent once when the customer has answered (D5)', async t => {
  const { app, signUp, send, becomes, added, texted, order, check, standing, asked } = await started(t)
  await signUp('sign-1', ADA)
  const signed = await becomes('sign-1', 'delivered', null)
  t.match(signed, { attempts: 1, calls: [{ request: { method: 'POST', path: PEOPLE, body: { phone_number: ADA, keyword_id: KEYWORD, origin: 'website' } }, status: 200 }] })
  t.equal(await standing(ADA), 'pending')
  await send('alert-1', ADA)
  t.match(await becomes('alert-1', 'waiting', 'opt_in_pending'), { attempts: 0, sentence: 'The customer has not answered Postscript\'s opt-in yet; the message waits for it.', calls: [] })
  t.match(await check(ADA), { state: 'pending' }, 'who has not answered is not found, and still pending')
  t.strictSame([await added(), await texted()], [[ADA], []])
  await order('opt_ins', { phone_number: ADA })
  t.match(await check(ADA), { state: 'subscribed' })
  await becomes('alert-1', 'delivered')
  await send('alert-2', ADA)
  await becomes('alert-2', 'delivered')
  t.strictSame([await added(), await texted()], [[ADA], [ADA, ADA]], 'asked to opt in once, texted once for each message')
  t.equal((await asked('GET', PEOPLE)).length, 3, 'once before the sign-up, and at each check: who is subscribed is not asked about again')
  t.match((await app.ask('GET', `${POSTSCRIPT}/subscribers`)).body, { counts: { subscribed: 1, pending: 0, opted_out: 0, not_found: 0 }, items: [{ state: 'subscribed' }], next_cursor: null })
})

t.test('what Postscript tells by itself counts at once: the alert goes when the customer opts in, and none goes after an opt-out (D5)', async t => {
  const { app, signUp, send, becomes, added, texted, order, standing } = await started(t, { told: true })
  await until(async () => ((await app.ask('GET', POSTSCRIPT)).body.connection as { webhooks?: { state: string } }).webhooks?.state === 'on')
  await signUp('sign-1', ADA)
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await order('opt_ins', { phone_number: ADA })
  await becomes('alert-1', 'delivered')
  await order('opt_outs', { phone_number: ADA })
  await until(async () => await standing(ADA) === 'opted_out')
  await send('alert-2', ADA)
  await becomes('alert-2', 'rejected', 'opted_out')
  t.strictSame([await added(), await texted()], [[ADA], [ADA]])
  t.match((await app.ask('GET', '/v1/inbox')).body['items'], [{ topic: 'shop.subscriber.opt_out', reason: 'noticed' }, { topic: 'shop.subscriber.opt_in', reason: 'noticed' }])
})

t.test('a demo shop can be tried without a keyword: the customer of the examples is subscribed there', async t => {
  const { send, becomes } = await started(t, { key: 'sk_sandbox_0123456789', keyword: null })
  await send('alert-1', ADA)
  await becomes('alert-1', 'delivered')
  await send('alert-2', BEN)
  await becomes('alert-2', 'waiting', 'keyword_missing')
})

t.test('a customer who waited before the switch is added for the alert; one who ordered in advance is named as unreachable (D5)', async t => {
  const { app, advance, send, becomes, added, texted, order } = await started(t)
  await Promise.all([send('alert-1', ADA), send('reminder-1', ADA, { type: 'back_in_stock.reminder' }), send('preorder-1', BEN, { type: 'preorder.confirmed' })])
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await becomes('reminder-1', 'waiting', 'opt_in_pending')
  t.match(await becomes('preorder-1', 'rejected', 'not_subscribed'), { attempts: 0, sentence: 'The customer is not among the subscribers of Postscript, and cannot be texted.' })
  await until(async () => (await added()).length > 0)
  const { body: { items } } = await app.ask('GET', '/v1/deliveries?type=waitlist.joined&view=full')
  await until(async () => ((await app.ask('GET', '/v1/deliveries?type=waitlist.joined')).body.items as Body[]).every(({ state }) => state === 'delivered'))
  t.match(items, [{ event: { source: '/sources/_subscribers', data: { customer: { phone: ADA }, consent: { sms: true }, product: {}, variant: {} } } }])
  t.strictSame((items as Body[]).flatMap(({ event }) => Object.keys((event as { data: object }).data)).filter(name => name === 'stage'), [], 'and nothing that a sign-up does not have')
  t.strictSame([await added(), await texted()], [[ADA], []], 'asked to opt in once for both')
  const { body } = await app.ask('GET', `${POSTSCRIPT}/subscribers`)
  t.match(body, { counts: { pending: 1, not_found: 1, subscribed: 0 } })
  const [unreachable] = (await app.ask('GET', `${POSTSCRIPT}/subscribers?state=not_found`)).body.items as Body[]
  t.equal(unreachable?.delivery, (await app.delivery('preorder-1')).id, 'named by the delivery')
  await order('opt_ins', { phone_number: ADA })
  advance(16 * MINUTE_MS)
  await Promise.all(['alert-1', 'reminder-1'].map(id => becomes(id, 'delivered')))
  t.strictSame([await added(), await texted()], [[ADA], [ADA, ADA]])
})

t.test('who opted out is never added and never texted, and is when that is not so any more (C11, D5)', async t => {
  const { app, advance, signUp, send, becomes, added, texted, order, check, standing } = await started(t)
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'delivered')
  await order('opt_ins', { phone_number: ADA })
  await order('opt_outs', { phone_number: ADA })
  t.match(await check(ADA), { state: 'opted_out' })
  await signUp('sign-2', ADA)
  await send('alert-1', ADA)
  for (const id of ['sign-2', 'alert-1']) t.match(await becomes(id, 'rejected', 'opted_out'), { calls: [] })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body, { causes: [{ code: 'opt_in_missing', certain: true }] })
  await order('opt_ins', { phone_number: ADA })
  await send('alert-2', ADA)
  await becomes('alert-2', 'rejected', 'opted_out')
  advance(DAY_MS + MINUTE_MS)
  await send('alert-3', ADA)
  await becomes('alert-3', 'delivered')
  t.strictSame([await added(), await texted(), await standing(ADA)], [[ADA], [ADA], 'subscribed'])
})

t.test('a customer who does not answer: the alert expires, and says what it waited for (D5)', async t => {
  const { app, advance, signUp, send, becomes, texted, asked } = await started(t)
  await signUp('sign-1', ADA)
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body, { healthy: false, causes: [{ code: 'opt_in_missing', certain: true, sentence: /has not answered/ }] })
  const before = (await asked('GET', PEOPLE)).length
  advance(16 * MINUTE_MS)
  await until(async () => (await asked('GET', PEOPLE)).length === before + 1)
  advance(DAY_MS)
  t.match(await becomes('alert-1', 'expired', 'expired_opt_in_pending'), { sentence: 'The customer did not answer Postscript\'s opt-in in time.', attempts: 0 })
  t.strictSame(await texted(), [])
  await signUp('sign-2', ADA)
  t.match(await becomes('sign-2', 'delivered', 'already_on_list'), { calls: [], sentence: 'Postscript knows the customer already; nothing was sent.' })
})

t.test('without consent to be texted nobody is told, and neither is a provider that need not know (C11)', async t => {
  const { app, signUp, becomes, added, asked, standing } = await started(t)
  await signUp('sign-1', ADA, { sms: false })
  t.match(await becomes('sign-1', 'delivered', 'nothing_to_tell'), { calls: [] })
  t.strictSame([await added(), (await asked('GET', PEOPLE)).length, await standing(ADA)], [[], 0, null])
  t.match((await app.ask('GET', `/v1/deliveries/${(await app.delivery('sign-1')).id}/send-again`)).body, { modes: { record: { allowed: false } } })
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'courier' } })
  await signUp('sign-2', ADA)
  await becomes('sign-2', 'delivered', 'nothing_to_tell')
  t.match((await app.ask('GET', `/v1/deliveries/${(await app.delivery('sign-2')).id}/send-again`)).body, { modes: { send: { allowed: false, reason: 'nothing_to_tell' } } })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body, { healthy: true })
})

t.test('until a keyword is chosen, sign-ups and those who must be added wait, and say so; whoever is subscribed is texted (D2)', async t => {
  const { app, advance, signUp, send, becomes, added, texted, order } = await started(t, { keyword: null })
  await signUp('sign-1', ADA)
  t.match(await becomes('sign-1', 'waiting', 'keyword_missing'), { sentence: 'Choose a keyword of Postscript: customers are added with it.' })
  await send('alert-1', BEN)
  await becomes('alert-1', 'waiting', 'keyword_missing')
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body, { causes: [{ code: 'no_keywords', certain: true }] })
  await app.ask('PUT', `${POSTSCRIPT}/connection`, { body: { secrets: { shop_key: KEY }, settings: { keyword_id: KEYWORD }, ready: ['back_in_stock', 'preorder'] } })
  advance(7 * MINUTE_MS)
  await becomes('sign-1', 'delivered')
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await until(async () => (await added()).length === 2)
  for (const phone_number of [ADA, BEN]) await order('opt_ins', { phone_number })
  advance(16 * MINUTE_MS)
  await becomes('alert-1', 'delivered')
  t.strictSame([(await added()).toSorted(), await texted()], [[ADA, BEN], [BEN]])
})

t.test('a keyword that is not active any more: nobody is added until another one is chosen, and no sign-up is lost (D2)', async t => {
  const { app, advance, signUp, send, becomes, added, order, asked, standing } = await started(t)
  await order('keywords/deactivate', { shop_key: KEY, keyword: 'BACKINSTOCK' })
  await signUp('sign-1', ADA)
  t.match(await becomes('sign-1', 'waiting', 'selection_gone'), { detail: 'Keyword is not active', calls: [{ status: 400, outcome: 'retry' }] })
  t.equal(await standing(ADA), 'not_found', 'nobody was asked to opt in')
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'selection_gone')
  t.match(await app.ask('GET', POSTSCRIPT), { body: { connection: { settings: { send_customer_name: true, send_customer_phone: true } } } }, 'and no setting is changed for it')
  await order('keywords', { shop_key: KEY, keyword: 'BACKINSTOCK' })
  advance(8 * HOUR_MS)
  await becomes('sign-1', 'delivered')
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  t.strictSame([await added(), (await asked('POST', PEOPLE)).length], [[ADA], 2])
})

t.test('a person is read from the list and by Postscript\'s own id alike; a state that only transactional messages have is one of its own', async t => {
  const postscript = await loadOne(entry('postscript', import.meta.dirname))
  const sandbox = await startSandbox({ providers: [postscript], port: 0 })
  t.teardown(() => sandbox.close())
  const { find, findByRef } = postscript.subscribers ?? {}
  const about = { account_id: 'shop_1', settings: postscript.settingsDefaults }
  const ask = async (lookUp: typeof find, person: Record<string, string>): Promise<unknown> => {
    const map = lookUp?.map.render({ connection: about, person: { phone: '', digits: '', ref: '', ...person } })
    const prepared = postscript.request(lookUp?.request ?? '', { connection: about, map })
    if (!prepared.ok) throw new Error(prepared.detail)
    const answer = await fetch(`${sandbox.url}/postscript${prepared.request.path}`, { headers: { authorization: `Bearer ${KEY}` } })
    return answer.ok ? lookUp?.read(await answer.text()) : answer.status
  }
  t.strictSame(await ask(find, { digits: ADA.slice(1) }), [])
  await fetch(`${sandbox.url}/postscript/_sandbox/subscribers`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ shop_key: KEY, phone_number: ADA }) })
  const [person] = await ask(find, { digits: ADA.slice(1) }) as Array<{ ref: string, digits: string, state: string }>
  t.match(person, { digits: ADA.slice(1), ref: /^s_/, state: 'subscribed' })
  t.strictSame(await ask(findByRef ?? undefined, { ref: person?.ref ?? '' }), [person])
  t.equal(await ask(findByRef ?? undefined, { ref: 's_0' }), 400)
  const one = (promotional: boolean, transactional: boolean): unknown => findByRef?.read(JSON.stringify({ id: 's_1', phone_number: '12015550123', subscriptions: { promotional: { can_send: promotional }, transactional: { can_send: transactional } } }))?.[0]?.state
  t.strictSame([one(true, true), one(true, false), one(false, true), one(false, false)], ['subscribed', 'subscribed', 'transactional_only', 'opted_out'])
})
