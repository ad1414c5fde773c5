// What goes wrong while customers are looked up and added: nobody is lost, and nobody is asked to opt in more often than there were lost answers.

import t, { type Test } from 'tap'
import { until, type Body } from '../../test/helpers/app.ts'
import { POSTSCRIPT, SHOP, KEYWORD, MINUTE_MS, PEOPLE, started, type World } from './subscribers.test-world.ts'

t.jobs = 2 // each has a gateway and a sandbox of its own, and mostly waits

const ADA = '+12015550123'
const BEN = '+12015550124'
const lookUps = { match: { method: 'GET', path: PEOPLE } }
const creates = { match: { method: 'POST', path: PEOPLE } }

/** All requests of a kind that came, those that were cut off among them. */
const count = async ({ asked }: World, method: string): Promise<number> => (await asked(method, PEOPLE)).length

t.test('many sign-ups and alerts of one customer at once: asked to opt in once', async t => {
  const world = await started(t)
  const { signUp, send, becomes, added, order, texted, check } = world
  await Promise.all([...[1, 2, 3, 4].map(n => signUp(`sign-${n}`, ADA)), ...[1, 2, 3].map(n => send(`alert-${n}`, ADA))])
  await Promise.all([1, 2, 3, 4].map(n => becomes(`sign-${n}`, 'delivered')))
  await Promise.all([1, 2, 3].map(n => becomes(`alert-${n}`, 'waiting', 'opt_in_pending')))
  t.strictSame([await added(), await count(world, 'POST')], [[ADA], 1])
  await order('opt_ins', { phone_number: ADA })
  await check(ADA)
  await Promise.all([1, 2, 3].map(n => becomes(`alert-${n}`, 'delivered')))
  t.strictSame(await texted(), [ADA, ADA, ADA])
})

t.test('a customer who is subscribed already, though we did not know: found out, and texted', async t => {
  const { app, order, send, becomes, added, texted, standing, signUp, check } = await started(t)
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'delivered')
  await order('opt_ins', { phone_number: ADA })
  await app.query('delete from subscribers')
  await send('alert-1', ADA)
  await signUp('sign-2', ADA)
  await becomes('alert-1', 'delivered')
  t.match(await becomes('sign-2', 'delivered', 'already_on_list'), { calls: [] })
  t.strictSame([await added(), await texted(), await standing(ADA)], [[ADA], [ADA], 'subscribed'])
  await order('opt_outs', { phone_number: ADA })
  t.match(await check(ADA), { state: 'opted_out' })
})

t.test('an add that is answered 5xx may have been acted on: asked once more after a look, then a person decides, and nobody is asked again for weeks', async t => {
  const world = await started(t)
  const { app, advance, signUp, becomes } = world
  await app.fault('postscript', { kind: 'status', status: 503, ...creates })
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'unknown')
  await until(async () => {
    advance(7 * MINUTE_MS)
    return (await app.delivery('sign-1')).finished_at !== null
  })
  for (let n = 0; n < 5; n++) advance(2 * 60 * MINUTE_MS)
  t.match(await app.delivery('sign-1'), { state: 'unknown' })
  t.equal(await app.heal('postscript'), 2, 'each may be a text that asks the customer to opt in')
})

t.test('another account is connected while an alert waits: the customer is asked there too, once', async t => {
  const { app, advance, send, becomes, added, asked } = await started(t)
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await until(async () => (await added()).length === 1)
  await app.ask('PUT', `${POSTSCRIPT}/connection`, { body: { secrets: { shop_key: 'sk_another_0123456789' }, settings: { keyword_id: 'kw_unknown' }, ready: ['back_in_stock', 'preorder'] } })
  await until(async () => {
    advance(16 * MINUTE_MS)
    return (await app.query("select 1 from events where source = '/sources/_subscribers'")).length === 2
  })
  t.ok((await asked('GET', PEOPLE)).length >= 2, 'looked up at the new account')
})

t.test('a customer who signed up without agreeing to be texted is not asked for an alert either', async t => {
  const { signUp, send, becomes, added } = await started(t)
  await signUp('sign-1', ADA, { sms: false })
  await becomes('sign-1', 'delivered', 'nothing_to_tell')
  await send('alert-1', ADA)
  t.match(await becomes('alert-1', 'rejected', 'not_subscribed'), { detail: 'The customer signed up without agreeing to be texted.' })
  await signUp('sign-2', ADA)
  await becomes('sign-2', 'delivered')
  await send('alert-2', ADA)
  await becomes('alert-2', 'waiting', 'opt_in_pending')
  t.strictSame(await added(), [ADA], 'the newest sign-up counts')
})

for (const [kind, what] of [['cut_after', 'was acted on'], ['cut_before', 'was not']] as const) {
  t.test(`an add without an answer that ${what}: looked up, then asked once more, and never a third time`, async t => {
    const world = await started(t)
    const { app, advance, signUp, send, becomes, added, standing, order, check } = world
    await app.fault('postscript', { kind, ...creates, times: 1 })
    await signUp('sign-1', ADA)
    t.match(await becomes('sign-1', 'unknown'), { reason: /no_answer|looking_up/, finished_at: null })
    await send('alert-1', ADA)
    await becomes('alert-1', 'waiting', 'opt_in_pending')
    t.equal(await standing(ADA), 'pending')
    const looked = await count(world, 'GET')
    advance(7 * MINUTE_MS)
    await becomes('sign-1', 'delivered')
    t.ok(await count(world, 'GET') >= looked)
    t.match(await app.delivery('sign-1'), { attempts: 2, calls: [{ outcome: 'unknown' }, { outcome: 'delivered', status: kind === 'cut_after' ? 409 : 200 }] })
    t.strictSame(await added(), [ADA])
    await order('opt_ins', { phone_number: ADA })
    t.match(await check(ADA), { state: 'subscribed' })
    await becomes('alert-1', 'delivered')
  })
}

t.test('an add without an answer whose customer opts in meanwhile is not made again', async t => {
  const world = await started(t)
  const { app, advance, signUp, becomes, order } = world
  await app.fault('postscript', { kind: 'cut_after', ...creates, times: 1 })
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'unknown')
  await order('opt_ins', { phone_number: ADA })
  advance(7 * MINUTE_MS)
  t.match(await becomes('sign-1', 'delivered', 'already_on_list'), { attempts: 1 })
  t.equal(await app.heal('postscript'), 1)
})

t.test('two adds without an answer: a person decides, the customer is taken to be pending, and nothing is sent a third time', async t => {
  const world = await started(t)
  const { app, advance, signUp, send, becomes, standing } = world
  await app.fault('postscript', { kind: 'cut_before', ...creates, times: 5 })
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'unknown')
  advance(7 * MINUTE_MS)
  await until(async () => (await app.delivery('sign-1')).finished_at !== null)
  t.match(await app.delivery('sign-1'), { state: 'unknown', attempts: 2 })
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  advance(60 * MINUTE_MS)
  t.equal(await standing(ADA), 'pending')
  t.equal(await app.heal('postscript'), 2)
})

t.test('an add that is refused: the alert that waited for it is told at once, and the refusal is named', async t => {
  const { app, send, becomes, standing } = await started(t)
  await app.fault('postscript', { kind: 'status', ...creates, status: 400, body: { errors: [{ loc: [], msg: 'number is not valid', type: 'v2.invalid_request' }] } })
  await send('alert-1', ADA)
  t.match(await becomes('alert-1', 'rejected', 'not_subscribed'), { detail: 'Postscript refused the message.' })
  const { body: { items } } = await app.ask('GET', '/v1/deliveries?type=waitlist.joined')
  t.match(items, [{ state: 'rejected', reason: 'payload_refused', detail: 'number is not valid' }])
  t.equal(await standing(ADA), 'not_found')
  t.match((await app.ask('GET', `${POSTSCRIPT}/subscribers?state=not_found`)).body.items, [{ reason: 'payload_refused', sentence: 'Postscript refused the message.' }])
})

t.test('429 to a look-up: it waits as Postscript asks, pays no attempt, and others that need none are sent', async t => {
  const world = await started(t)
  const { app, advance, signUp, send, becomes, order, check } = world
  await signUp('sign-1', BEN)
  await becomes('sign-1', 'delivered')
  await order('opt_ins', { phone_number: BEN })
  await check(BEN)
  await app.fault('postscript', { kind: 'status', ...lookUps, times: 1, status: 429, headers: { 'retry-after': '2' }, body: { error_code: 3002, error_message: 'Rate limit exceeded', success: false } })
  await send('alert-1', ADA)
  await until(async () => await limitedOnce(app))
  await send('alert-2', BEN)
  t.match(await app.delivery('alert-1'), { state: 'waiting', reason: 'looking_up', attempts: 0 })
  advance(6 * MINUTE_MS) // the look-up's own distance; the pause of the lane goes by another clock
  await becomes('alert-2', 'delivered')
  await becomes('alert-1', 'waiting', 'opt_in_pending')
})

async function limitedOnce (app: World['app']): Promise<boolean> {
  return (await app.query('select status from calls where status = 429')).length === 1
}

t.test('look-ups that fail are put again in growing distances, and what waits for them goes when they work', async t => {
  const world = await started(t)
  const { app, advance, send, becomes, added } = world
  await app.fault('postscript', { kind: 'status', ...lookUps, times: 3, status: 503, body: {} })
  await send('alert-1', ADA)
  const failed = async (): Promise<number> => (await app.query('select status from calls where status = 503')).length
  for (const n of [1, 2, 3]) {
    await until(async () => await failed() === n)
    t.match(await app.delivery('alert-1'), { state: 'waiting', reason: 'looking_up', attempts: 0 })
    advance(6 * MINUTE_MS)
  }
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await until(async () => (await added()).length === 1)
})

t.test('credentials that a look-up is refused for hold the account, and all goes on with others', async t => {
  const { app, signUp, becomes, added, advance } = await started(t, { key: 'sk_revoked_0123456789' })
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'held', 'credentials_refused')
  await app.ask('PUT', `${POSTSCRIPT}/connection`, { body: { secrets: { shop_key: 'sk_0123456789abcdef' }, settings: { keyword_id: KEYWORD }, ready: ['back_in_stock', 'preorder'] } })
  advance(20 * MINUTE_MS)
  await becomes('sign-1', 'delivered')
  t.strictSame(await added(), [ADA])
})

t.test('another provider is chosen: who waited for an opt-in is texted there', async t => {
  const { app, signUp, send, becomes, advance } = await started(t)
  await signUp('sign-1', ADA)
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'courier' } })
  advance(20 * MINUTE_MS)
  t.match(await becomes('alert-1', 'delivered'), { provider: 'courier' })
})

t.test('a gateway that ends between the look-up and the opt-in goes on with it; what is known is kept', async t => {
  const world = await started(t)
  const { app, signUp, send, becomes, standing } = world
  await signUp('sign-1', ADA)
  await send('alert-1', ADA)
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await app.restart() // and the sandbox with it, which knows nobody any more
  t.equal(await standing(ADA), 'pending')
  t.match(await app.delivery('alert-1'), { state: 'waiting', reason: 'opt_in_pending' })
})

t.test('lists: by state, in pages, and for those only who may see them', async t => {
  const { app, send, becomes, signUp, check } = await started(t)
  const phones = [1, 2, 3, 4, 5].map(n => `+1201555014${n}`)
  for (const [i, phone] of phones.entries()) await send(`order-${i}`, phone, { type: 'preorder.confirmed' })
  for (const i of phones.keys()) await becomes(`order-${i}`, 'rejected', 'not_subscribed')
  await signUp('sign-1', ADA)
  await becomes('sign-1', 'delivered')
  const list = `${POSTSCRIPT}/subscribers`
  const pages: Body[][] = []
  let cursor: unknown = null
  do {
    const { body } = await app.ask('GET', `${list}?state=not_found&limit=2${cursor === null ? '' : `&cursor=${String(cursor)}`}`)
    t.match(body.counts, { pending: 1, subscribed: 0, transactional_only: 0, opted_out: 0, not_found: 5 })
    pages.push(body.items as Body[])
    cursor = body.next_cursor
  } while (cursor !== null)
  t.strictSame(pages.map(page => page.length), [2, 2, 1])
  t.equal(new Set(pages.flat().map(({ delivery }) => delivery)).size, 5, 'each once')
  t.notMatch(JSON.stringify(pages), '1201555', 'no phone number is shown')
  t.match((await app.ask('GET', list)).body.items, { length: 6 })
  await refusals(t, app, list, (await app.ask('GET', `${list}?state=not_found&limit=2`)).body.next_cursor)
  for (let i = 0; i < 5; i++) await check(ADA)
  t.match(await app.ask('POST', `${list}/check`, { body: { phone: ADA } }), { status: 429, body: { error: { code: 'GW_TOO_OFTEN' } } })
})

async function refusals (t: Test, app: World['app'], list: string, cursor: unknown): Promise<void> {
  t.match(await app.ask('GET', `${list}?cursor=${String(cursor)}`), { status: 422 }, 'a cursor of another list')
  t.match(await app.ask('GET', `${list}?state=unknown`), { status: 422 })
  t.match(await app.ask('GET', `${list}?phone=2015550123`), { status: 422 })
  t.match(await app.ask('GET', list, { key: 'globex' }), { status: 404 })
  t.match(await app.ask('GET', list, { key: 'events' }), { status: 403 })
  t.match(await app.ask('POST', `${list}/check`, { key: 'reader', body: { phone: ADA } }), { status: 403 })
  t.match(await app.ask('GET', `/v1/shops/${SHOP}/providers/courier/subscribers`), { status: 404, body: { error: { message: /no list of subscribers/ } } })
  t.match(await app.ask('GET', '/v1/shops/globex.example/providers/postscript/subscribers'), { status: 404, body: { error: { message: /no connection/ } } })
}
