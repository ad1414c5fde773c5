// F7, B4, B5: a shop is uninstalled and installed again, its plan changes, and in the end it is erased, by what its platform says.

import t from 'tap'
import { anEvent, movable, until, type App, type Body } from '../helpers/app.ts'
import { buoyConfig, call, hooksOf, listening, makeBuoyApp, told } from '../helpers/buoy.ts'
import { connect, connectionOf, lanternConfig, seen, startLanternApp } from '../helpers/lantern.ts'
import { looked, SOON_MS } from '../helpers/lantern-ending.ts'
import { about, ADA, BEN, found, OTHER, settled, SHOP, startPrivacyApp, tell, withPrivacy, wordsOf } from '../helpers/privacy.ts'

t.jobs = 2

const HOUR_MS = 3_600_000
/** When it is said to have happened, so long ago. */
const at = (agoMs = 0): string => new Date(Date.now() - agoMs).toISOString()
const shopOf = async (app: App, shop = SHOP): Promise<Body> => (await app.ask('GET', `/v1/shops/${shop}`)).body
const updated = async (app: App, data: object): Promise<void> => {
  await tell(app, 'shop.updated', { at: at(), ...data })
  await settled(app)
}

t.test('F7: from the uninstall\'s own commit on nothing is sent; installed again it goes on, but for what is too old', async t => {
  const { runtime, advance } = movable()
  const app = await startPrivacyApp(t, { runtime })
  await app.delivered(await app.post(anEvent('before')))
  await tell(app, 'shop.updated', { status: 'uninstalled', at: at() })
  t.match(await app.query("select distinct held_reason from queues where shop_key = (select shop_key from shops where id = 'acme.example')"), [{ held_reason: 'shop_uninstalled' }], 'at once')
  await settled(app)
  t.match(await shopOf(app), { status: 'uninstalled', active: true, warnings: [] })
  t.match((await app.post(anEvent('held-1'))).body, { status: 'accepted', deliveries: [{ state: 'held', reason: 'shop_uninstalled' }] })
  await app.post([anEvent('order-1', { type: 'preorder.confirmed' }), anEvent('globex-1', { shop: OTHER })])
  await until(async () => (await app.delivery('globex-1')).state === 'delivered')
  t.match(await app.delivery('order-1'), { state: 'held', reason: 'shop_uninstalled', sentence: 'The shop has uninstalled the app.' })
  const { causes } = (await app.ask('GET', `/v1/shops/${SHOP}/diagnosis`)).body as { causes: Body[] }
  t.match(causes[0], { code: 'shop_uninstalled', fix: 'Install the app again; what is not too old goes out then.' })
  advance(25 * HOUR_MS)
  await app.post(anEvent('held-2'))
  await updated(app, { status: 'installed' })
  await until(async () => (await app.query('select 1 from deliveries where finished_at is null')).length === 0)
  t.match([await app.delivery('held-1'), await app.delivery('order-1'), await app.delivery('held-2')].map(({ state }) => state), ['expired', 'delivered', 'delivered'])
  t.match(await shopOf(app), { status: 'installed' })
})

t.test('of two words the later one counts, in whatever order they come; twice is once', async t => {
  const app = await startPrivacyApp(t)
  await updated(app, { status: 'uninstalled', at: at(2000) })
  await updated(app, { status: 'installed', at: at(9000) })
  t.match(await shopOf(app), { status: 'uninstalled' }, 'installed before it was uninstalled')
  await updated(app, { status: 'uninstalled', at: at(2000) })
  const before = await shopOf(app)
  await updated(app, { status: 'installed', at: '2099-01-01T00:00:00Z' })
  t.match(await shopOf(app), { status: 'installed' })
  await updated(app, { status: 'uninstalled' })
  t.match(await shopOf(app), { status: 'uninstalled' }, 'word from the future keeps nobody out')
  t.match(before, { status: 'uninstalled', status_at: /^\d{4}-/ })
  await updated(app, { plan: 'pro', at: at(-1000) })
  t.match(await shopOf(app), { status: 'uninstalled' }, 'another fact says nothing of this one')
})

t.test('B4: a plan that falls holds, one that is raised lets go, and one that nobody knows is shown and changes nothing', async t => {
  const app = await startPrivacyApp(t)
  await app.delivered(await app.post(anEvent('before')))
  await updated(app, { plan: 'free', name: 'Acme Ltd' })
  t.match(await shopOf(app), { plan: 'free', name: 'Acme Ltd', domain: SHOP })
  t.match((await app.post(anEvent('one'))).body, { deliveries: [{ state: 'held', reason: 'plan_too_low' }] })
  await updated(app, { plan: 'enormous' })
  t.match(await shopOf(app), { plan: 'free', warnings: [{ code: 'plan_unknown', message: /"enormous".*"free" stays/ }] })
  t.match(await app.logged(({ msg }) => /names a plan/.test(String(msg))), { shop: SHOP, plan: 'enormous', stays: 'free' })
  await updated(app, { plan: 'pro', at: at(HOUR_MS) })
  t.match(await shopOf(app), { plan: 'free' }, 'an older word')
  await updated(app, { plan: 'pro', domain: 'shop.acme.example' })
  t.match(await shopOf(app), { plan: 'pro', domain: 'shop.acme.example', name: 'Acme Ltd', warnings: [] })
  await until(async () => (await app.delivery('one')).state === 'delivered')
})

t.test('B5: uninstalled, its grant ends at the provider; its secrets stay, and are known to be good for nothing', async t => {
  const { runtime, advance } = movable()
  const app = await startLanternApp(t, { runtime, config: withPrivacy(lanternConfig()) })
  await connect(app)
  advance(SOON_MS)
  await tell(app, 'shop.updated', { status: 'uninstalled', at: new Date(runtime.now()).toISOString() })
  await settled(app)
  await looked(app)
  t.match(await seen(app), { live: 0, revocations: 1 })
  t.ok((await app.query('select 1 from secrets')).length > 0)
  await tell(app, 'shop.updated', { status: 'uninstalled', at: new Date(runtime.now()).toISOString() })
  await settled(app)
  await looked(app)
  t.match(await seen(app), { revoke_calls: 1 }, 'twice is once')
  await tell(app, 'shop.updated', { status: 'installed', at: new Date(runtime.now()).toISOString() })
  await settled(app)
  t.match(await connectionOf(app), { status: 'refused', reason: 'credentials_refused' }, 'to be connected again')
})

t.test('uninstalled, what providers tell by themselves is taken back; installed again, it is asked for anew', async t => {
  const app = makeBuoyApp(t, { config: withPrivacy(buoyConfig()) })
  await app.start()
  const path = await listening(app)
  await updated(app, { status: 'uninstalled' })
  await until(async () => (await hooksOf(app)).length === 0)
  t.equal((await call(app, path, told('p1'))).status, 404)
  await until(async () => (await app.query('select 1 from webhook_removals')).length === 0)
  await updated(app, { status: 'uninstalled' })
  t.strictSame(await app.query('select 1 from webhook_removals'), [])
  await updated(app, { status: 'installed' })
  await until(async () => (await hooksOf(app)).length === 2)
})

t.test('#92: of a shop nothing is left but counts; its id may begin anew', async t => {
  const app = await startPrivacyApp(t)
  await app.delivered(await app.post(about(ADA, 'alert-1')))
  await app.delivered(await app.post(about(BEN, 'globex-1', { shop: OTHER })))
  await updated(app, { status: 'uninstalled', name: 'Acme Blooms', domain: 'blooms.example' })
  await app.post(about(ADA, 'held'))
  await tell(app, 'customer.data_request', { customer: { phone: ADA.phone }, orders: [] })
  await settled(app)
  const { id } = await app.delivery('alert-1')
  await tell(app, 'shop.redact', { at: at() }, { id: 'gone' })
  t.match(await app.ask('GET', `/v1/shops/${SHOP}`), { status: 404 }, 'at once')
  t.match(await app.post(about(ADA, 'more')), { status: 422, body: { error: { code: 'GW_SHOP_UNKNOWN' } } })
  await settled(app)
  t.strictSame(await found(app, [...wordsOf(ADA), 'Acme Blooms', 'blooms.example']), [])
  t.strictSame(await app.query("select c.provider from connections c join shops s on s.shop_key = c.shop_key where s.id = 'acme.example'"), [])
  t.match(await app.ask('GET', `/v1/deliveries/${String(id)}`), { status: 200, body: { state: 'delivered', event: { data: null } } })
  t.match(await app.delivery('held'), { state: 'rejected', reason: 'redacted' })
  t.match((await app.ask('GET', `/v1/shops/${SHOP}/privacy/requests`)).body, { items: [{ kind: 'shop_redaction', state: 'done', found: { events: 5 } }, { kind: 'data_request', expires_at: null }] })
  t.notOk(((await app.ask('GET', '/v1/shops')).body.items as Body[]).some(shop => shop.id === SHOP))
  t.match(await app.delivery('globex-1'), { event: { data: { customer: { name: BEN.name } } } }, 'of another shop all is there')
  await app.restart()
  t.equal((await app.ask('GET', `/v1/shops/${SHOP}`)).status, 404, 'also where the config declares it')
  const anew = await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'pro' } })
  t.match(anew, { status: 200, body: { status: 'installed', name: 'Acme', connections: [] } })
  t.match((await app.post(about(BEN, 'first'))).body, { status: 'accepted', deliveries: [{ state: 'held', reason: 'not_connected' }] })
  await app.ask('PUT', `/v1/shops/${SHOP}/providers/courier/connection`, { body: { secrets: { api_key: 'courier_0123456789' }, ready: ['back_in_stock'] } })
  await until(async () => (await app.delivery('first')).state === 'delivered')
})

t.test('#92: a shop that was installed again since is not erased by the word from before', async t => {
  const app = await startPrivacyApp(t)
  await updated(app, { status: 'uninstalled', at: at(3000) })
  await updated(app, { status: 'installed', at: at(1000) })
  await tell(app, 'shop.redact', { at: at(2000) })
  await settled(app)
  t.match(await shopOf(app), { status: 'installed' })
  await app.delivered(await app.post(anEvent('on')))
})
