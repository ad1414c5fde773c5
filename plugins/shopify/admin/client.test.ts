// Questions of a shop: within its points, with a token that is good, and what is done where it is not.

import t, { type Test } from 'tap'
import type { Answer } from '../../../gateway/contract.ts'
import { SHOP, TOKEN, world, type World, type WorldOptions } from './admin.test-world.ts'
import { client, type Client, type Reply } from './client.ts'
import { CONSENT, STOCK, SUBSCRIBE, type Document } from './documents.ts'

const MINUTE_MS = 60_000
const CUSTOMER = { id: 'gid://shopify/Customer/7' }
const REFRESHABLE = { access_token: TOKEN, refresh_token: 'shprt_0123456789abcdef' }

async function start (t: Test, options: WorldOptions = {}): Promise<World & { client: Client, question (more?: object, document?: Document, variables?: Record<string, unknown>): Promise<Reply> }> {
  const there = await world(t, options)
  await there.data({ customers: [{ id: '7', phone: '+12015550107', state: 'SUBSCRIBED' }] })
  const asker = client(there.context, there.sleep)
  return { ...there, client: asker, question: (more = {}, document = CONSENT, variables = CUSTOMER) => asker.ask(SHOP, document, variables, { withinMs: 20_000, ...more }) }
}

const access = ({ rows }: World) => rows('select * from shopify_access')[0]
const faultOf = (reply: Reply) => reply.is === 'failed' ? reply.fault : null

t.test('without a token nothing is asked', async t => {
  const there = await start(t)
  t.match(faultOf(await there.question()), { code: 'not_connected', next: 'reconnect' })
  t.strictSame(await there.asked(), [])
})

t.test('a token is kept sealed, goes along in the header, and is told to nobody', async t => {
  const there = await start(t)
  await there.give()
  t.match(await there.question(), { is: 'answered', data: { customer: { defaultPhoneNumber: { marketingState: 'SUBSCRIBED' } } } })
  t.notOk(JSON.stringify(await there.asked()).includes(TOKEN))
  t.strictSame(there.warnings, [])
})

t.test('only ….myshopify.com is asked: a shop of another id never leads anywhere else', async t => {
  const sent: string[] = []
  const there = await start(t, { live: true, async send (base): Promise<Answer> { sent.push(base); return { kind: 'no_answer', code: 'NOT_REAL', message: '' } } })
  for (const id of ['acme.example', 'localhost', 'evil.example/.myshopify.com', 'a.b.myshopify.com', 'x.myshopify.com.evil.example', '169.254.169.254', 'EXAMPLE.myshopify.com']) {
    const shop = { ...SHOP, id }
    await there.give({ access_token: TOKEN }, null, shop)
    t.match(faultOf(await there.client.ask(shop, CONSENT, CUSTOMER, { withinMs: 100 })), { code: 'not_a_platform_shop', next: 'never' }, id)
  }
  t.strictSame(sent, [])
  await there.give()
  await there.question({ withinMs: 100 })
  t.strictSame(sent, ['https://example-shop.myshopify.com'])
})

t.test('the shop\'s points are never asked beyond: a hundred questions are throttled not once', async t => {
  const there = await start(t)
  await there.give()
  await there.data({ points: { maximum: 200, per_second: 100 } })
  await there.question()
  const ids = Array.from({ length: 30 }, (_, i) => `gid://shopify/ProductVariant/${i + 1}`)
  const replies = await Promise.all(Array.from({ length: 100 }, () => there.question({ withinMs: 600_000 }, STOCK, { ids })))
  t.ok(replies.every(({ is }) => is === 'answered'))
  const asked = await there.asked()
  t.equal(asked.length, 101, 'each was asked once')
  t.ok(there.slept.reduce((sum, ms) => sum + ms, 0) >= 80_000, 'about 90 points each, a hundred a second')
})

t.test('THROTTLED, as a 200 and as a 429, is asked again when there are points; beyond the time there is it is told', async t => {
  for (const status of [200, 429] as const) {
    const there = await start(t)
    await there.give()
    await there.data({ points: { maximum: 100, per_second: 10, status } })
    const ids = Array.from({ length: 30 }, (_, i) => `gid://shopify/ProductVariant/${i + 1}`)
    t.match(await there.question({}, STOCK, { ids }), { is: 'answered' }, 'all at once is there')
    const other = client(there.context, there.sleep) // another instance, which does not know of it
    t.match(await other.ask(SHOP, STOCK, { ids }, { withinMs: 30_000 }), { is: 'answered' })
    t.equal((await there.asked()).length, 3, 'one of them was throttled')
    t.match(faultOf(await client(there.context, there.sleep).ask(SHOP, STOCK, { ids }, { withinMs: 3000 })), { code: 'throttled', next: 'later' })
  }
})

t.test('trouble that passes is waited for; a shop that is frozen, locked or gone is not asked again until its time', async t => {
  const there = await start(t)
  await there.give()
  await there.fault({ kind: 'status', status: 502, body: '<html>', times: 2 })
  t.match(await there.question(), { is: 'answered' })
  await there.fault({ kind: 'status', status: 402, body: { errors: 'Unavailable Shop' }, times: 1 })
  t.match(faultOf(await there.question()), { code: 'shop_frozen', next: 'pause', afterMs: 60 * MINUTE_MS })
  const before = (await there.asked()).length
  for (let i = 0; i < 20; i++) t.match(faultOf(await there.question()), { code: 'shop_frozen', next: 'pause' })
  t.equal((await there.asked()).length, before, 'none of them was asked')
  t.match(access(there), { standing: 'paused', error: 'shop_frozen' })
  there.advance(61 * MINUTE_MS)
  t.match(await there.question(), { is: 'answered' })
  t.match(access(there), { standing: 'connected', error: null, error_text: null, resume_at: null })
})

t.test('a token that is refused is asked with once, and a person is to act: no storm', async t => {
  const there = await start(t)
  await there.give()
  await there.data({ revoked: [TOKEN] })
  t.match(faultOf(await there.question()), { code: 'token_refused', next: 'reconnect' })
  const before = (await there.asked()).length
  for (let i = 0; i < 50; i++) t.match(faultOf(await there.question()), { code: 'token_refused', next: 'reconnect' })
  t.equal((await there.asked()).length, before)
  t.match(access(there), { standing: 'reconnect', error: 'token_refused' })
  t.match(there.warnings, [/Give the gateway a new one/])
  await there.give({ access_token: 'shpat_fedcba9876543210' })
  t.match(await there.question(), { is: 'answered' }, 'a new one is asked with at once')
})

t.test('a token that ends is renewed before it does, once, whoever asks at that moment', async t => {
  const there = await start(t)
  await there.give(REFRESHABLE, there.context.now() + 60 * MINUTE_MS)
  t.match(await there.question(), { is: 'answered' })
  t.match(access(there), { grant_no: 1 })
  there.advance(56 * MINUTE_MS)
  const others = client(there.context, there.sleep)
  const replies = await Promise.all([...Array.from({ length: 20 }, () => there.question()), others.ask(SHOP, CONSENT, CUSTOMER, { withinMs: 20_000 })])
  t.ok(replies.every(({ is }) => is === 'answered'))
  t.match(access(there), { grant_no: 2, standing: 'connected', refreshing_until: null, scopes: 'read_products read_inventory read_orders read_customers' })
  t.equal((await there.asked()).filter(({ path }) => path.endsWith('access_token')).length, 1)
  there.advance(70 * MINUTE_MS)
  t.match(await there.question(), { is: 'answered' }, 'and again, with the refresh token that came with it')
  t.match(access(there), { grant_no: 3 })
})

t.test('a token that ended early is renewed, and the question asked once more', async t => {
  const there = await start(t)
  await there.give(REFRESHABLE, there.context.now() + 60 * MINUTE_MS)
  await there.data({ revoked: [TOKEN] })
  const replies = await Promise.all(Array.from({ length: 4 }, () => there.question()))
  t.ok(replies.every(({ is }) => is === 'answered'))
  t.match(access(there), { grant_no: 2, standing: 'connected' })
  t.equal((await there.asked()).filter(({ path }) => path.endsWith('access_token')).length, 1)
})

t.test('a refresh that fails for the moment leaves the token to be used while it is good, and is tried again later', async t => {
  const there = await start(t)
  await there.give(REFRESHABLE, there.context.now() + 4 * MINUTE_MS)
  await there.fault({ kind: 'status', status: 503, match: { path: `/${SHOP.id}/admin/oauth/access_token` }, times: 1 })
  t.match(await there.question(), { is: 'answered' })
  t.match(access(there), { grant_no: 1, error: 'unavailable' })
  t.match(await there.question(), { is: 'answered' }, 'within ten seconds nobody tries')
  there.advance(11_000)
  t.match(await there.question(), { is: 'answered' })
  t.match(access(there), { grant_no: 2, error: null })
})

t.test('an answer to a refresh that is lost costs nothing: the same refresh token is taken again', async t => {
  const there = await start(t)
  await there.give(REFRESHABLE, there.context.now() - MINUTE_MS)
  await there.fault({ kind: 'cut_after', match: { path: `/${SHOP.id}/admin/oauth/access_token` }, times: 1 })
  t.match(faultOf(await there.question({ withinMs: 1000 })), { code: 'no_answer', next: 'later' })
  there.advance(11_000)
  t.match(await there.question(), { is: 'answered' })
})

t.test('an instance that died with a refresh in its hands is waited for, a minute at most', async t => {
  const there = await start(t)
  await there.give(REFRESHABLE, there.context.now() - 1)
  await there.context.commit([{ name: 'shopify_claim_refresh', params: { shop_key: 1, grant_no: 1, now: there.context.now(), refreshing_until: there.context.now() + MINUTE_MS } }])
  t.match(faultOf(await there.question({ withinMs: 1000 })), { code: 'unavailable', next: 'later' })
  t.strictSame(await there.asked(), [])
  there.advance(MINUTE_MS)
  t.match(await there.question(), { is: 'answered' })
})

t.test('a refresh token that ended, or none at all, is for a person; an app that is refused gives up no shop', async t => {
  const there = await start(t)
  await there.give({ access_token: TOKEN, refresh_token: 'shprt_revoked0123456789' }, there.context.now() - 1)
  t.match(faultOf(await there.question()), { code: 'token_refused', next: 'reconnect', text: /refresh token/ })
  t.match(access(there), { standing: 'reconnect' })
  await there.give({ access_token: TOKEN }, there.context.now() - 1)
  t.match(faultOf(await there.question()), { code: 'token_ended', next: 'reconnect' })
  const wrong = await start(t, { options: { client_id: 'wrong_client' } })
  await wrong.give(REFRESHABLE, wrong.context.now() - 1)
  t.match(faultOf(await wrong.question({ withinMs: 10 })), { next: 'later', text: /client_id/ })
  t.match(access(wrong), { standing: 'connected', error: 'query_refused' })
})

t.test('what was found out about a token says nothing of the one that replaced it meanwhile', async t => {
  const there = await start(t)
  await there.give()
  const asker = there.client.access
  await there.give({ access_token: 'shpat_fedcba9876543210' })
  await asker.failed(SHOP, 1, { code: 'token_refused', next: 'reconnect', afterMs: 0, text: 'The old one.' })
  t.match(access(there), { standing: 'connected', grant_no: 2, error: null })
})

t.test('a change whose answer is lost is not asked for again by itself', async t => {
  const there = await start(t)
  await there.give()
  await there.fault({ kind: 'cut_after', times: 1 })
  const reply = await there.question({}, SUBSCRIBE, { topic: 'ORDERS_PAID', subscription: { uri: 'https://gateway.example/webhooks/shopify' } })
  t.match(faultOf(reply), { code: 'no_answer', next: 'later' })
  t.equal((await there.asked()).length, 1)
})

t.test('who waits for an answer waits no longer than was said, though Shopify hangs', async t => {
  const there = await start(t)
  await there.give()
  await there.fault({ kind: 'hang', times: 1 })
  t.match(faultOf(await there.question({ withinMs: 50 })), { code: 'busy', next: 'later' })
})

t.test('what nobody waits for lets those go first that somebody waits for', async t => {
  const there = await start(t)
  await there.give()
  await there.data({ points: { maximum: 100, per_second: 10 } })
  const ids = Array.from({ length: 20 }, (_, i) => `gid://shopify/ProductVariant/${i + 1}`)
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const asker = client(there.context, async ms => { await released; await there.sleep(ms) })
  const ask = (background: boolean, document: Document, variables: object): Promise<Reply> => asker.ask(SHOP, document, { ...variables }, { withinMs: 600_000, background })
  await ask(false, STOCK, { ids })
  const back = ask(true, STOCK, { ids })
  t.match(await ask(false, CONSENT, CUSTOMER), { is: 'answered' }, 'the other one waits')
  release()
  t.match(await back, { is: 'answered' })
  t.strictSame((await there.asked()).map(({ body }) => body.name), ['Stock', 'Consent', 'Stock'])
})

t.test('a question that nobody waits for any more is not asked: while Shopify is slow they do not pile up before those that follow', async t => {
  const held: Array<() => void> = []
  const sent: string[] = []
  let slow = true
  const there = await start(t, {
    async send (_base, { body }): Promise<Answer> {
      sent.push(String(body))
      if (slow) await new Promise<void>(resolve => { held.push(resolve) })
      return { kind: 'answer', status: 200, headers: {}, body: '{"data":{"customer":null}}', cut: false }
    }
  })
  await there.give()
  const first = Array.from({ length: 4 }, () => there.question({ withinMs: 60_000 })) // as many as go at once
  while (held.length < 4) await new Promise(resolve => { setImmediate(resolve) })
  const late = await Promise.all(Array.from({ length: 20 }, () => there.question({ withinMs: 20 })))
  t.ok(late.every(reply => faultOf(reply)?.code === 'busy'))
  there.advance(20)
  slow = false
  for (const answer of held) answer()
  await Promise.all(first)
  t.match(await there.question({ withinMs: 60_000 }), { is: 'answered' })
  t.equal(sent.length, 5, 'the four, and the one that came after')
})
