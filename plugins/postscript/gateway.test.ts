// Postscript behind the real gateway: what a merchant meets there.

import t, { type Test } from 'tap'
import { anEvent, CONFIG, deliveryOf, movable, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { subscribed } from './subscribers.test-world.ts'

const SHOP = 'acme.example'
const CONNECTION = `/v1/shops/${SHOP}/providers/postscript/connection`
const EVENTS = '/api/v2/events'

/** A shop that sends through Postscript, to a customer who is subscribed there; `secrets` of the way it connects by. */
async function connected (t: Test, secrets: Record<string, string>, { auth = 'shop_key', runtime }: { auth?: string, runtime?: ReturnType<typeof movable>['runtime'] } = {}): Promise<App> {
  const app = await startApp(t, { ...(runtime !== undefined && { runtime }), config: CONFIG.replace('providers:\n', `providers:\n  postscript: { path: ${import.meta.dirname} }\n`) })
  t.match(await app.ask('PUT', CONNECTION, { body: { auth, secrets, ready: ['back_in_stock', 'preorder'] } }), { status: 200 })
  t.match(await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'postscript' } }), { status: 200 })
  await subscribed(app, undefined, secrets.shop_key)
  return app
}

const events = async (app: App): Promise<Body[]> => (await app.received('postscript')).filter(({ path }) => path === EVENTS)

/** The events the sandbox was sent: what it answered, and the customer's properties in each. */
async function arrived (app: App): Promise<Array<[unknown, string[]]>> {
  return (await events(app)).map(({ status, body }) => [status, Object.keys((body as { properties: object }).properties).filter(name => name.startsWith('customer_'))])
}

const settings = async (app: App): Promise<unknown> => ((await app.ask('GET', `/v1/shops/${SHOP}/providers/postscript`)).body.connection as Body).settings

t.test('an event arrives once, under the delivery\'s own id', async t => {
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' })
  await app.delivered(await app.post(anEvent('plain-1')))
  const delivery = await app.delivery('plain-1')
  const [event, ...others] = await events(app)
  t.match(event, { method: 'POST', path: EVENTS, status: 202, key: delivery.id })
  t.strictSame(others, [])
})

t.test('a shop behind a partner is counted and served as one', async t => {
  const app = await connected(t, { partner_key: 'sk_partner_0123456789', shop_key: 'sk_noplan_0123456789' }, { auth: 'partner' })
  await app.delivered(await app.post(anEvent('partner-1', { type: 'preorder.confirmed' })))
  t.match(await events(app), [{ status: 202, account: /^partner_\w+\+shop_\w+$/, body: { type: 'preorder_sms_confirmed' } }])
})

t.test('where personal data is refused the message goes out without it, and so do all after it, also after a restart', async t => {
  const app = await connected(t, { shop_key: 'sk_nopersonal_0123456789' })
  t.match(await settings(app), { send_customer_name: true, send_customer_phone: true })
  await app.delivered(await app.post(anEvent('personal-1')))
  const refused = [400, ['customer_name', 'customer_phone']]
  t.strictSame(await arrived(app), [refused, [202, []]])
  t.match(await app.delivery('personal-1'), { state: 'delivered', attempts: 2, calls: [{ status: 400, outcome: 'retry' }, { status: 202, outcome: 'delivered' }] })
  await until(async () => (await settings(app) as Body).send_customer_name === false)
  t.match(await settings(app), { send_customer_name: false, send_customer_phone: false, link_to: 'product', alert_trigger: 'back_in_stock_sms_alert' })
  await app.delivered(await app.post(anEvent('personal-2')))
  t.strictSame(await arrived(app), [refused, [202, []], [202, []]])
  await app.restart()
  await app.delivered(await app.post(anEvent('personal-3', { type: 'preorder.confirmed' })))
  t.strictSame(await arrived(app), [[202, []]], 'the sandbox is a new one, the setting is not')
})

t.test('what is refused without personal data too is rejected, and the settings stay', async t => {
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' })
  await app.fault('postscript', { kind: 'status', match: { path: EVENTS }, times: 2, status: 400, body: {} })
  const { id } = deliveryOf(await app.post(anEvent('refused-1')))
  await app.logged(entry => entry.msg === 'attempt' && entry.delivery === id && entry.outcome === 'rejected')
  t.match(await app.delivery('refused-1'), { state: 'rejected', reason: 'payload_refused', detail: 'Postscript gave no reason.', attempts: 2 })
  t.match(await settings(app), { send_customer_name: true, send_customer_phone: true })
})

t.test('a 400 that names something else is the end of it: sent once, and no setting changes', async t => {
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' })
  await app.fault('postscript', { kind: 'status', match: { path: EVENTS }, status: 400, body: { errors: [{ loc: ['body', 'type'], msg: 'unknown event type', type: 'value_error' }] } })
  t.match(await app.attempted(await app.post(anEvent('other-1'))), { outcome: 'rejected', reason: 'payload_refused' })
  t.match(await app.delivery('other-1'), { state: 'rejected', detail: 'unknown event type', attempts: 1 })
  t.equal(await app.heal('postscript'), 1)
  t.match(await settings(app), { send_customer_name: true, send_customer_phone: true })
})

t.test('a failing server is tried again, later each time, with the same event', async t => {
  const clock = movable()
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' }, { runtime: clock.runtime })
  await app.fault('postscript', { kind: 'status', match: { path: EVENTS }, times: 2, status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad Gateway</h1>' })
  t.match(await app.attempted(await app.post(anEvent('failing-1'))), { outcome: 'retry', reason: 'provider_failing', status: 502 })
  clock.advance(10_000)
  await until(async () => (await app.delivery('failing-1')).attempts === 2)
  t.match(await app.delivery('failing-1'), { state: 'unknown', finished_at: null, reason: 'provider_failing', detail: 'HTTP 502' }, 'a failing server may have acted')
  clock.advance(10 * 60_000)
  await until(async () => (await app.delivery('failing-1')).state === 'delivered')
  const { id, calls } = await app.delivery('failing-1') as Body & { calls: Body[] }
  t.equal(calls.length, 3)
  t.equal(new Set(calls.map(({ request }) => JSON.stringify((request as Body).body))).size, 1, 'the same to the byte')
  t.match(await events(app), [{ status: 202, key: id }])
})

t.test('a public key or a partner\'s, pasted as the shop\'s own, is refused at once with what to paste', async t => {
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' })
  for (const [auth, secrets, path] of [
    ['shop_key', { shop_key: 'pk_0123456789abcdef' }, '/secrets/shop_key'],
    ['shop_key', { shop_key: 'sk_partner_0123456789' }, '/secrets/shop_key'],
    ['partner', { partner_key: 'sk_0123456789abcdef', shop_key: 'sk_0123456789abcdef' }, '/secrets/partner_key'],
    ['partner', { partner_key: 'sk_partner_0123456789', shop_key: 'sk_partner_0123456789' }, '/secrets/shop_key']
  ] as const) {
    const refused = await app.ask('PUT', CONNECTION, { body: { auth, secrets } })
    t.match(refused, { status: 422, body: { error: { details: [{ path, rule: 'pattern', message: / begins with sk_/ }] } } }, `${auth} ${path}`)
    t.equal(refused.body.error?.details.length, 1)
    for (const secret of Object.values(secrets)) t.notMatch(JSON.stringify(refused.body), secret)
  }
  await app.delivered(await app.post(anEvent('after-1')))
})

t.test('a key that is refused, and a plan that does not allow it, hold the message with a reason each', async t => {
  for (const [shopKey, reason] of [['sk_revoked_0123456789', 'credentials_refused'], ['sk_noplan_0123456789', 'scope_missing']] as const) {
    const app = await connected(t, { shop_key: shopKey })
    await subscribed(app)
    await app.post(anEvent('held-1'))
    await until(async () => (await app.delivery('held-1')).state === 'held')
    t.match(await app.delivery('held-1'), { state: 'held', reason })
    await app.ask('PUT', CONNECTION, { body: { secrets: { shop_key: 'sk_0123456789abcdef' }, ready: ['back_in_stock', 'preorder'] } })
    await until(async () => (await app.delivery('held-1')).state === 'delivered')
  }
})

t.test('an event without an answer is sent once more, the same to the byte, and then no more', async t => {
  const clock = movable()
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' }, { runtime: clock.runtime })
  await app.fault('postscript', { kind: 'cut_after', match: { path: EVENTS } })
  t.match(await app.attempted(await app.post(anEvent('cut-1'))), { outcome: 'unknown', reason: 'no_answer' })
  t.match(await app.delivery('cut-1'), { state: 'unknown', finished_at: null })
  clock.advance(5 * 60_000)
  await until(async () => (await app.delivery('cut-1')).finished_at !== null)
  t.match(await app.delivery('cut-1'), { state: 'unknown', attempts: 2 })
  const [first, second, ...others] = await events(app)
  t.strictSame(first?.body, second?.body)
  t.strictSame(others, [])
})

t.test('more than the limit takes its time, and none is refused', async t => {
  const app = await connected(t, { shop_key: 'sk_0123456789abcdef' })
  const posted = await app.post(Array.from({ length: 40 }, (_, i) => anEvent(`many-${i}`)))
  t.equal(posted.status, 202)
  await until(async () => (await arrived(app)).length >= 40)
  t.strictSame([...new Set((await arrived(app)).map(([status]) => status))], [202])
})
