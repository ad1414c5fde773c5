// Who waits: one per customer, variant and market, whoever says it, in whatever order it comes.

import t from 'tap'
import { until, type Body } from '../../../test/helpers/app.ts'
import { asEvent, aSignup, contextOf, only, PHONE, SHOP, world, type World } from './world.test-world.ts'

const OTHER = '+12015550124'

async function stateOf (app: World['app'], set: string): Promise<void> {
  await app.query(`update waitlist_signups set ${set}`)
}

/** Rows that say what was texted to anybody. */
const alerts = ({ app }: World) => app.query('select id from events where type like \'back_in_stock%\'')

t.test('F1: an event waitlist.joined puts its customer on the waitlist, in its own unit; a repeat puts nobody', async t => {
  const w = await world(t)
  for (let i = 0; i < 2; i++) t.equal((await w.joined('j1', { time: '2026-11-20T10:00:00Z' })).status, 202)
  t.match(only(await w.signups()), {
    id: /^sgn_/, state: 'waiting', reason: null, variant: { id: 'v1', title: 'Medium' }, product: { id: 'p1' }, market: null, customer: { name: 'Ada Example', phone: PHONE, email: 'ada@example.com', id: 'c1' },
    consent: true, joined_at: '2026-11-20T10:00:00.000Z', alerts: 0, alerted_at: null, reminder: null
  })
  t.equal((await w.joined('j2', { data: { consent: { sms: false }, customer: { name: '', phone: 'x', country: 'US' } } })).status, 422)
  t.equal((await w.signups()).length, 1, 'what the door refuses joins nobody')
  await w.app.query('delete from waitlist_signups')
  t.match(await w.joined('j1', { time: '2026-11-20T10:00:00Z' }), { body: { status: 'duplicate' } })
  t.equal((await w.signups()).length, 0, 'nor does a repeat, whatever became of the first')
})

t.test('one per customer, variant and market: another market, variant, phone or shop is another sign-up', async t => {
  const w = await world(t)
  await w.joined('a')
  await w.joined('b', { data: { market: 'eu' } })
  await w.joined('c', { data: asEvent({ variant: 'v2' }) })
  await w.joined('d', { data: asEvent({ phone: OTHER }) })
  await w.joined('e', { shop: 'globex.example' })
  t.equal((await w.signups()).length, 4)
  t.equal((await w.signups('?variant=v1')).length, 3)
  t.equal((await w.signups(`?phone=${encodeURIComponent(OTHER)}`)).length, 1)
  await w.joined('f', { data: { market: 'eu' } })
  t.equal((await w.signups()).length, 4, 'who waits waits on')
})

t.test('who waits keeps the place, and the newest word counts, in whatever order it comes', async t => {
  const at = (minute: number) => `2026-11-20T10:0${minute}:00Z`
  const words: Array<[string, string, boolean]> = [['one', at(1), true], ['two', at(2), false], ['three', at(3), true]]
  for (const order of [[0, 1, 2], [0, 2, 1]]) {
    const w = await world(t)
    for (const i of order) {
      const [id, time, sms] = words[i] as typeof words[number]
      await w.joined(id, { time, data: { consent: { sms }, customer: { name: id, phone: PHONE, country: 'US' } } })
    }
    t.match(only(await w.signups()), { joined_at: '2026-11-20T10:01:00.000Z', consent: true, customer: { name: 'three' } }, order.join())
    await w.app.close()
  }
})

t.test('who was alerted, skipped or taken off waits again by a newer sign-up, never by an older one', async t => {
  const w = await world(t)
  await w.joined('first', { time: '2026-11-20T10:00:00Z' })
  const alerted = Date.parse('2026-11-20T12:00:00Z')
  for (const [i, ended] of ['state = 3, reason = null', 'state = 4, reason = \'bought_since\', bought_at = alerted_at', 'state = 5, reason = \'removed\''].entries()) {
    await stateOf(w.app, `alerted_at = ${alerted + i * 3_600_000}, alerts = ${i + 1}`)
    await stateOf(w.app, `${ended}, remind_at = ${alerted + 1}, reminder = 'due'`)
    if (i === 2) await stateOf(w.app, 'told_at = alerted_at')
    await w.joined(`late-${i}`, { time: `2026-11-20T1${i + 1}:30:00Z` })
    t.match(only(await w.signups()), { state: ['alerted', 'skipped', 'removed'][i] }, 'a sign-up of before changes nothing')
    await w.joined(`again-${i}`, { time: `2026-11-20T1${i + 2}:30:00Z` })
    t.match(only(await w.signups()), { state: 'waiting', reason: null, bought_at: null, reminder: null, alerts: i + 1, joined_at: `2026-11-20T1${i + 2}:30:00.000Z` })
  }
  await stateOf(w.app, 'state = 2, wave_key = null')
  await w.joined('while', { time: '2026-11-21T00:00:00Z' })
  t.match(only(await w.signups()), { state: 'alerting', joined_at: '2026-11-20T14:30:00.000Z' }, 'one whose alert is on its way is not alerted twice')
})

t.test('a sign-up that is told later keeps its own time', async t => {
  const w = await world(t)
  await w.joined('old', { data: { joined_at: '2025-01-02T03:04:05Z' } })
  t.match(only(await w.signups()), { joined_at: '2025-01-02T03:04:05.000Z' })
  await w.joined('ahead', { time: '2026-11-20T10:00:00Z', data: { ...asEvent({ variant: 'v2' }), joined_at: '2099-01-01T00:00:00Z' } })
  t.match(only(await w.signups('?variant=v2')), { joined_at: '2026-11-20T10:00:00.000Z' }, 'but never one after it')
})

t.test('signing up never sends an alert: what is in stock stays so until it has been out of stock', async t => {
  const w = await world(t)
  await w.app.query('insert into waitlist_stock (shop_key, variant, product, absolute, absolute_at, total, changed_at, threshold, armed) select shop_key, \'v1\', \'p1\', 5, 1, 5, 1, 1, 0 from shops where id = \'acme.example\'')
  await w.joined('in-stock')
  await w.joined('unknown', { data: asEvent({ variant: 'v2' }) })
  t.strictSame((await w.app.query('select variant, armed, total from waitlist_stock order by variant')).map(row => ({ ...row })), [{ variant: 'v1', armed: 0, total: 5 }, { variant: 'v2', armed: 1, total: null }].map(row => row))
  t.strictSame(await alerts(w), [])
  t.match((await w.ask('GET', '/variants')).body, { items: [{ variant: 'v1', waiting: 1, stock: 5, armed: false, wave: null }, { variant: 'v2', waiting: 1, stock: null, armed: true }], next_cursor: null })
})

t.test('F4: who waits is paged through, by variant, product, phone and state; a cursor is good for its own list only', async t => {
  const w = await world(t)
  for (let i = 10; i < 35; i++) await w.joined(`p${i}`, { data: asEvent({ phone: `+120155501${i}`, variant: i % 2 ? 'odd' : 'even' }) })
  await stateOf(w.app, 'state = 3 where variant = \'odd\'')
  const walk = async (query: string): Promise<Body[]> => {
    const found: Body[] = []
    for (let cursor: unknown = null; ;) {
      const { body } = await w.ask('GET', `/signups?limit=4${query}${cursor === null ? '' : `&cursor=${String(cursor)}`}`)
      found.push(...body.items as Body[])
      cursor = body['next_cursor']
      if (cursor === null) return found
    }
  }
  t.equal(new Set((await walk('')).map(({ id }) => id)).size, 25)
  t.equal((await walk('&variant=odd')).length, 12)
  t.equal((await walk('&state=waiting')).length, 13)
  t.equal((await walk('&product=p1&state=alerted')).length, 12)
  t.equal((await walk('&product=p2')).length, 0)
  const { body } = await w.ask('GET', '/signups?limit=4')
  const cursor = String(body['next_cursor'])
  for (const path of [`/v1/shops/globex.example/waitlist/signups?cursor=${cursor}`, `/v1/shops/${SHOP}/waitlist/signups?state=waiting&cursor=${cursor}`, `/v1/shops/${SHOP}/waitlist/signups?cursor=${cursor.slice(1)}`]) {
    t.match(await w.app.ask('GET', path), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }, path)
  }
  const variants = (await w.ask('GET', '/variants?limit=1')).body
  t.match((await w.ask('GET', `/variants?limit=1&cursor=${String(variants['next_cursor'])}`)).body, { items: [{ variant: 'odd', waiting: 0 }] })
})

t.test('#20: another shop\'s key reads, adds, imports and removes nothing; and each needs its scope', async t => {
  const w = await world(t)
  await w.joined('mine')
  const { id } = only(await w.signups())
  const routes: Array<[string, string]> = [['GET', '/signups'], ['GET', `/signups/${String(id)}`], ['DELETE', `/signups/${String(id)}`], ['POST', '/signups'], ['POST', '/import'], ['GET', '/variants'], ['GET', '/storefront-token'], ['POST', '/storefront-token']]
  for (const [method, path] of routes) {
    t.equal((await w.ask(method, path, { key: 'globex', ...(method === 'POST' && { body: {} }) })).status, 404, `${method} ${path}`)
    t.equal((await w.ask(method, path, { key: null, ...(method === 'POST' && { body: {} }) })).status, 401, `${method} ${path}`)
    t.equal((await w.ask(method, path, { key: method === 'GET' ? 'events' : 'reader', ...(method === 'POST' && { body: {} }) })).status, 403, `${method} ${path}`)
  }
  t.equal((await w.app.ask('GET', `/v1/shops/globex.example/waitlist/signups/${String(id)}`)).status, 404)
  t.equal((await w.app.ask('DELETE', `/v1/shops/globex.example/waitlist/signups/${String(id)}`)).status, 404)
  t.match(only(await w.signups()), { state: 'waiting' })
})

t.test('with an API key somebody is signed up at once, waits already, or is refused with the field', async t => {
  const w = await world(t, { options: { allowed_countries: ['US'] } })
  t.match(await w.ask('POST', '/signups', { body: aSignup() }), { status: 201, body: { status: 'joined', signup: { state: 'waiting', customer: { email: 'Ada@Example.com' } } } })
  t.match(await w.ask('POST', '/signups', { body: aSignup() }), { status: 200, body: { status: 'waiting' } })
  t.equal((await w.app.query('select id from events')).length, 1, 'nothing more came in')
  for (const [change, rule] of [[{ phone: 'x' }, 'phone_invalid'], [{ phone: '+18005550123' }, 'phone_not_textable'], [{ phone: '+14165550123' }, 'country_not_allowed'], [{ consent: { sms: false } }, 'no_consent'], [{ variant: '' }, 'minLength']] as const) {
    t.match(await w.ask('POST', '/signups', { body: aSignup(change) }), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ rule }] } } }, rule)
  }
  t.match(await w.ask('POST', '/signups', { body: { ...aSignup(), customer: { phone: PHONE, email: 'ada@example' } } }), { status: 422, body: { error: { details: [{ path: '/customer/email' }] } } })
})

t.test('many at the same moment sign one customer up once', async t => {
  const w = await world(t)
  const answers = await Promise.all(Array.from({ length: 8 }, () => w.ask('POST', '/signups', { body: aSignup() })))
  t.ok(answers.every(({ status }) => status === 201 || status === 200 || status === 503), JSON.stringify(answers.map(({ status }) => status)))
  only(await w.signups())
  t.equal((await w.app.query('select id from events')).length, 1)
})

t.test('a merchant takes a customer off, for good until the customer comes back; it is on record who did', async t => {
  const w = await world(t)
  await w.joined('one', { time: '2026-11-20T10:00:00Z' })
  const { id } = only(await w.signups())
  for (let i = 0; i < 2; i++) t.match(await w.ask('DELETE', `/signups/${String(id)}`), { status: 200, body: { state: 'removed', reason: 'removed' } })
  await w.joined('older', { time: '2026-11-20T11:00:00Z' })
  t.match(only(await w.signups()), { state: 'removed' })
  t.equal((await w.ask('DELETE', '/signups/sgn_none')).status, 404)
  t.match(await w.app.query('select actor, subject from audit where action = \'waitlist.remove\''), [{ actor: 'all', subject: id }, {}])
  w.advance(1000)
  t.equal((await w.ask('POST', '/signups', { body: aSignup() })).status, 201)
  t.match(only(await w.signups()), { state: 'waiting', id })
})

t.test('F4: a sign-up tells which messages it led to, and why each was sent or not', async t => {
  const w = await world(t)
  await w.joined('one')
  const { id } = only(await w.signups())
  t.match((await w.ask('GET', `/signups/${String(id)}`)).body, { id, messages: [] })
  await stateOf(w.app, 'alerts = 2')
  const { customer, product, variant } = asEvent()
  await w.app.post({ id: 'x', type: 'back_in_stock.alert', shop: SHOP, data: { customer, product, variant } })
  await until(async () => (await w.app.delivery('x')).state === 'delivered')
  await w.app.query(`update events set source = '/sources/waitlist', source_id = '${String(id)}/alert/2' where source_id = 'x'`)
  t.match((await w.ask('GET', `/signups/${String(id)}`)).body, { messages: [{ kind: 'alert', event: `${String(id)}/alert/2`, delivery: /^dlv_/, state: 'delivered', reason: null, finished_at: /^20/ }] })
})

t.test('others ask which variants have a waiting list, by pages', async t => {
  const w = await world(t)
  for (const variant of ['a', 'b', 'c', 'd']) await w.joined(variant, { data: asEvent({ variant }) })
  await w.joined('elsewhere', { shop: 'globex.example' })
  await stateOf(w.app, 'state = 3 where variant = \'b\'')
  const { context, key } = await contextOf(t, w)
  const page = async (after: string) => (await context.read('waitlist_waiting_variants', { shop_key: await key(SHOP), after_variant: after, limit: 2 })).map(({ variant, product }) => [variant, product])
  t.strictSame([await page(''), await page('c'), await page('d')], [[['a', 'p1'], ['c', 'p1']], [['d', 'p1']], []])
})
