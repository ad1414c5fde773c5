// The address that a shop's pages call: anybody can, so it takes little and tells nothing.

import fc from 'fast-check'
import t from 'tap'
import { aSignup, only, PAGE, PHONE, SHOP, world, type World } from './world.test-world.ts'

const RECEIVED = { status: 202, body: { status: 'received' } }
/** So that the limit of one address is not what is met. */
const MANY = { address_per_minute: 10_000 }
const HOUR_MS = 3_600_000
const phoneOf = (i: number): string => `+120155501${String(i).padStart(2, '0')}`

const preflight = ({ app }: World, origin: string | null, shop = SHOP) => app.ask('OPTIONS', `/webhooks/waitlist/${shop}/signups`, {
  key: null, headers: { ...(origin !== null && { origin }), 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type, x-storefront-token' }
})

t.test('F1: a page signs a customer up; the answer is the same for one who waits already, so that nobody learns who does', async t => {
  const w = await world(t)
  t.match(await w.signUp(aSignup()), RECEIVED)
  t.match(only(await w.signups()), { state: 'waiting', source: '/sources/waitlist', consent: true, customer: { phone: PHONE, name: 'Ada Example' }, product: { title: 'Floral Shirt' } })
  t.match(await w.signUp(aSignup()), RECEIVED)
  t.equal((await w.app.query('select id from events')).length, 1, 'a repeat changes nothing')
  t.match(await w.signUp({ ...aSignup({ market: 'eu' }), customer: { phone: '(201) 555-0123', country: 'US' } }), RECEIVED)
  t.strictSame((await w.signups()).map(({ market, customer }) => [market, (customer as { phone: string }).phone]), [['eu', PHONE], [null, PHONE]], 'as people type it')
})

t.test('who waits without consent may give it at the page; who was alerted waits again', async t => {
  const w = await world(t)
  await w.joined('imported', { time: '2026-11-20T10:00:00Z', data: { consent: { sms: false } } })
  t.match(only(await w.signups()), { consent: false, reason: 'no_consent' })
  t.match(await w.signUp(aSignup()), RECEIVED)
  t.match(only(await w.signups()), { consent: true, reason: null, joined_at: '2026-11-20T10:00:00.000Z' })
  for (let i = 0; i < 2; i++) {
    await w.app.query(`update waitlist_signups set state = 3, alerts = ${i + 1}, alerted_at = told_at`)
    w.advance(HOUR_MS)
    t.match(await w.signUp(aSignup()), RECEIVED)
    t.match(only(await w.signups()), { state: 'waiting', alerts: i + 1 })
  }
})

t.test('what was erased may sign up anew, though its event is known', async t => {
  const w = await world(t)
  await w.signUp(aSignup())
  await w.app.query('delete from waitlist_signups')
  t.match(await w.signUp(aSignup()), RECEIVED)
  only(await w.signups())
})

t.test('a token is the shop\'s own; two are good while one is replaced, and a third ends the first', async t => {
  const w = await world(t)
  const refused = { status: 401, body: { error: { code: 'GW_STOREFRONT_TOKEN' } } }
  for (const token of [null, '', 'x', `${w.token}x`, w.token.slice(0, -1)]) t.match(await w.signUp(aSignup(), { token }), refused, String(token))
  for (const shop of ['globex.example', 'unknown.example', '..%2fadmin', '%00']) t.match(await w.signUp(aSignup(), { shop }), { status: /^40[0-4]$/ as unknown as number }, shop)
  t.match(await w.signUp(aSignup(), { shop: 'globex.example' }), refused, 'one that exists answers as one that does not')
  t.match(await w.signUp(aSignup(), { shop: 'unknown.example' }), refused)
  const tokens = [w.token]
  for (let i = 0; i < 2; i++) {
    const { status, body } = await w.ask('POST', '/storefront-token')
    t.match({ status, body }, { status: 201, body: { previous: tokens.at(-1) } })
    tokens.push(String(body['token']))
    t.match((await w.ask('GET', '/storefront-token')).body, body)
    t.match(await w.signUp(aSignup(), { token: tokens.at(-1) as string }), RECEIVED)
    t.match(await w.signUp(aSignup(), { token: tokens.at(-2) as string }), RECEIVED)
  }
  t.match(await w.signUp(aSignup(), { token: tokens[0] as string }), refused)
  t.equal((await w.app.query('select at from audit where action = \'waitlist.storefront_token\'')).length, 3)
  t.equal((await w.app.ask('GET', '/v1/shops/globex.example/waitlist/storefront-token')).status, 404)
})

t.test('#30 CORS: the shop\'s own pages may ask, and no reflected, null, look-alike or other shop\'s origin', async t => {
  const w = await world(t)
  await w.app.query(`insert into waitlist_settings (shop_key, data, updated_at) select shop_key, '{"storefront_origins":["https://pages.example"]}', 1 from shops where id = '${SHOP}'`)
  for (const origin of [PAGE, 'https://pages.example']) {
    t.match(await preflight(w, origin), { status: 204, headers: { 'access-control-allow-origin': origin, 'access-control-allow-methods': 'POST', 'access-control-allow-headers': 'content-type, x-storefront-token', 'access-control-max-age': '600', vary: /Origin/i } }, origin)
    t.match(await w.signUp(aSignup(), { headers: { origin } }), { ...RECEIVED, headers: { 'access-control-allow-origin': origin } })
  }
  for (const origin of ['null', '*', 'https://evil.example', `${PAGE}.evil.example`, `http://${SHOP}`, `${PAGE}:8443`, `https://x.${SHOP}`, 'https://globex.example', `${PAGE}/`, PAGE.toUpperCase()]) {
    for (const answer of [await preflight(w, origin), await w.signUp(aSignup(), { headers: { origin } })]) t.notOk('access-control-allow-origin' in answer.headers, origin)
  }
  for (const answer of [await preflight(w, PAGE, 'unknown.example'), await preflight(w, PAGE, 'globex.example')]) t.notOk('access-control-allow-origin' in answer.headers)
  t.notOk('access-control-allow-credentials' in (await preflight(w, PAGE)).headers)
  t.match(await w.signUp(aSignup(), { token: 'x', headers: { origin: PAGE } }), { status: 401, headers: { 'access-control-allow-origin': PAGE } }, 'a page can read why it is refused')
})

t.test('SMS pumping: no consent, countries that are not allowed, numbers that take no texts: each refused with its field, and nothing is written', async t => {
  const w = await world(t, { options: { allowed_countries: ['US'], signup_limits: MANY } })
  const refusals: Array<[object, string, string]> = [
    [{ phone: '12' }, '/customer/phone', 'phone_invalid'], [{ phone: '+18005550123' }, '/customer/phone', 'phone_not_textable'], [{ phone: '+14165550123' }, '/customer/phone', 'country_not_allowed'],
    [{ consent: { sms: false } }, '/consent/sms', 'no_consent'], [{ consent: {} }, '/consent/sms', 'required'], [{ market: '' }, '/market', 'minLength']
  ]
  for (const [change, path, rule] of refusals) t.match(await w.signUp(aSignup(change)), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path, rule }] } } }, rule)
  const chosen = (data: object) => w.app.query(`insert into waitlist_settings (shop_key, data, updated_at) select shop_key, '${JSON.stringify(data)}', 1 from shops where id = '${SHOP}' on conflict (shop_key) do update set data = excluded.data`)
  await chosen({ allowed_countries: ['CA'] })
  t.match(await w.signUp(aSignup()), { status: 422, body: { error: { details: [{ rule: 'country_not_allowed' }] } } }, 'the shop\'s own choice goes before the platform\'s')
  await chosen({ allowed_countries: false })
  t.strictSame(await w.app.query('select id from events'), [])
  t.match(await w.signUp(aSignup({ phone: '+14165550123' })), RECEIVED, 'false: everywhere')
})

t.test('phishing: a page says nothing that the shop would text of another address; of a product that is known the waitlist\'s own words count', async t => {
  const w = await world(t)
  const { product, ...rest } = aSignup() as { product: object }
  t.match(await w.signUp({ ...rest, product: { ...product, url: 'https://evil.example/x' } }), { status: 422, body: { error: { details: [{ path: '/product/url', rule: 'foreign_link' }] } } })
  t.match(await w.signUp({ ...rest, product: { id: 'p1' }, variant: { id: 'v1' } }), { status: 422, body: { error: { details: [{ rule: 'product_unknown' }, {}, {}] } } })
  const known = { product: { id: 'p1', title: 'True Shirt', vendor: 'Acme', url: `${PAGE}/p/true` }, variants: [{ id: 'v1', title: 'L', price: '5.00', url: `${PAGE}/p/true?v=1` }] }
  await w.app.query(`insert into waitlist_products (shop_key, product, data, at) select shop_key, 'p1', '${JSON.stringify(known)}', 1 from shops where id = '${SHOP}'`)
  t.match(await w.signUp({ ...rest, product: { ...product, title: 'False', url: 'https://evil.example/x' } }), RECEIVED)
  t.match(only(await w.signups()), { product: { title: 'True Shirt' }, variant: { title: 'L' } })
})

t.test('limits: a phone number is signed up so often in an hour and a day, and a shop\'s pages altogether; then 429 says for how long', async t => {
  const w = await world(t, { options: { signup_limits: { ...MANY, phone_per_hour: 2, phone_per_day: 3, shop_per_hour: 6, shop_per_day: 8 } } })
  w.advance(HOUR_MS - Date.now() % HOUR_MS + 24 * HOUR_MS - (Math.ceil(Date.now() / HOUR_MS) * HOUR_MS) % (24 * HOUR_MS)) // a new day begins
  const limited = (what: RegExp) => ({ status: 429, headers: { 'retry-after': /^\d+$/ }, body: { error: { code: 'GW_RATE_LIMITED', message: what } } })
  for (let i = 0; i < 2; i++) t.match(await w.signUp(aSignup({ variant: `v${i}` })), RECEIVED)
  t.match(await w.signUp(aSignup({ variant: 'v3' })), limited(/phone .* hour/))
  t.equal((await w.signups()).length, 2, 'and nothing is written')
  t.match(await w.signUp({ ...aSignup(), customer: { phone: 'x' } }), { status: 422 }, 'what is refused anyhow is not counted')
  for (let i = 24; i < 28; i++) t.match(await w.signUp(aSignup({ phone: phoneOf(i) })), RECEIVED)
  t.match(await w.signUp(aSignup({ phone: phoneOf(29) })), limited(/shop .* hour/))
  t.match(await w.ask('POST', '/signups', { body: aSignup({ phone: phoneOf(29) }) }), { status: 201 }, 'whoever has an API key is not limited')
  w.advance(HOUR_MS)
  t.match(await w.signUp(aSignup({ variant: 'v3' })), RECEIVED)
  const day = await w.signUp(aSignup({ variant: 'v4' }))
  t.match(day, limited(/phone .* day/))
  t.ok(Number(day.headers['retry-after']) > 22 * 3600, 'until the day is over')
  t.match(await w.signUp(aSignup({ phone: phoneOf(30) })), RECEIVED)
  t.match(await w.signUp(aSignup({ phone: phoneOf(31) })), limited(/shop .* day/))
  w.advance(23 * HOUR_MS)
  t.match(await w.signUp(aSignup({ variant: 'v4' })), RECEIVED)
  w.advance(48 * HOUR_MS)
  t.match(await w.signUp(aSignup({ variant: 'v5' })), RECEIVED)
  t.equal((await w.app.query('select who from waitlist_tries')).length, 4, 'counts of days that are over are gone')
})

t.test('limits: one address asks so often a minute, whatever it asks; #16 and says itself where it is in vain', async t => {
  const w = await world(t, { options: { signup_limits: { address_per_minute: 3 } } })
  for (let i = 0; i < 3; i++) t.match(await w.signUp({}, { headers: { 'x-forwarded-for': `198.51.100.${i}` } }), { status: 422 })
  t.match(await w.signUp(aSignup(), { headers: { origin: PAGE, 'x-forwarded-for': '198.51.100.9' } }), { status: 429, headers: { 'retry-after': /^\d+$/, 'access-control-allow-origin': PAGE }, body: { error: { code: 'GW_RATE_LIMITED' } } })
  t.equal((await w.ask('GET', '/signups')).status, 200, 'nobody else is')
})

t.test('R80 R82: hostile bodies are refused, never a fault of ours, and leave nothing behind', async t => {
  const w = await world(t, { options: { signup_limits: { ...MANY, phone_per_hour: 1000, phone_per_day: 1000 } } })
  const deep = `${'['.repeat(8000)}${']'.repeat(8000)}`
  const raws: Array<[string, number]> = [
    ['', 400], ['{', 400], ['null', 422], ['[]', 422], ['"x"', 422], ['1e999', 422], [deep, 422], ['{"__proto__":{"polluted":1}}', 422], ['{"customer":{"__proto__":{"phone":"+12015550123"}}}', 422],
    ['{"constructor":{"prototype":{"polluted":1}}}', 422], [`{"customer":{"phone":"${'1'.repeat(16_000)}"}}`, 422], [`{"a":"${'x'.repeat(17_000)}"}`, 413],
    [JSON.stringify(aSignup()).replace('"+12015550123"', '12015550123'), 422], [JSON.stringify({ ...aSignup(), customer: { phone: PHONE, name: 'a\0b' } }), 422], [JSON.stringify(aSignup()).replace('Ada Example', '\\ud800'), 422]
  ]
  for (const [raw, status] of raws) t.equal((await w.signUp(null, { raw })).status, status, raw.slice(0, 60))
  t.equal((await w.signUp(null, { raw: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) })).status, 400)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) t.equal((await w.signUp(aSignup(), { headers: { 'content-type': type } })).status, 415, type)
  t.equal((await w.signUp(aSignup(), { headers: { 'content-encoding': 'gzip' } })).status, 415)
  t.equal((await w.app.ask('GET', `/webhooks/waitlist/${SHOP}/signups`, { key: null })).status, 405)
  t.equal(({} as { polluted?: number }).polluted, undefined)
  t.strictSame(await w.app.query('select id from events'), [])
})

t.test('property: a sign-up with one of its values replaced by another is taken or refused', async t => {
  const w = await world(t, { options: { signup_limits: { ...MANY, phone_per_hour: 1000, phone_per_day: 1000 } } })
  const paths = [['customer'], ['customer', 'phone'], ['customer', 'name'], ['customer', 'email'], ['customer', 'country'], ['customer', 'time_zone'], ['customer', 'locale'], ['product', 'id'], ['product', 'url'], ['product', 'title'], ['variant', 'id'], ['variant', 'price'], ['variant', 'price', 'currency'], ['consent'], ['market'], ['x']]
  await fc.assert(fc.asyncProperty(fc.constantFrom(...paths), fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: 'binary' }), fc.webUrl(), fc.emailAddress()), async (path, value) => {
    const body = structuredClone(aSignup())
    let place = body
    for (const key of path.slice(0, -1)) place = place[key] as Record<string, unknown>
    place[path.at(-1) as string] = value
    const { status } = await w.signUp(body)
    return status === 202 || status === 422
  }), { numRuns: 150 })
  t.pass()
})
