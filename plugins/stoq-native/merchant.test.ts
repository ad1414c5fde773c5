// What a merchant of STOQ's own SMS chooses and is shown: texts, sending hours, and what the messages of a month took.

import t, { type Test } from 'tap'
import type { FaultsFound } from '../../gateway/load.ts'
import { CONFIG, anEvent, makeApp, movable, ROOT, startApp, until, type App, type Body } from '../../test/helpers/app.ts'

t.jobs = 2

const PROVIDER = `  stoq-native:
    path: ${ROOT}/plugins/stoq-native
    connection: { auth: api_key, account_id: AC00000000000000000000000000000001, secrets: { api_key_sid: { env: TWILIO_KEY }, api_key_secret: { env: TWILIO_SECRET } } }
    options: OPTIONS
    secrets: { callback_token: { env: TWILIO_TOKEN } }
`
const ENV = { TWILIO_KEY: 'SK00000000000000000000000000000001', TWILIO_SECRET: 'a-secret-of-tests-0123456789', TWILIO_TOKEN: 'first_token_of_tests_0123456789' }
const TEXTS = '/v1/shops/acme.example/providers/stoq-native/texts'
const ALERT = 'back_in_stock.alert'
const STANDARD = '{{ shop_name }}: {{ title_incl_variant | truncate: 40 }} is back! {{ purchase_link }} Reply STOP to opt out'

/** Acme sends over STOQ, and Globex through another provider. */
const configOf = (options: string): string => CONFIG.replace('  pro: [external_sms]', '  pro: [sms, external_sms]')
  .replace('providers:\n', `providers:\n${PROVIDER.replace('OPTIONS', `{ messaging_service_sid: MG00000000000000000000000000000001, ${options} }`)}`)
  .replace('{ sms: courier }', '{ sms: stoq-native }')

/** At a time of a day that passes for now. */
async function started (t: Test, options = 'sending_hours: "off"', time = '2026-12-09T17:00:00Z'): Promise<{ app: App, to (time: string): void }> {
  const clock = movable()
  const to = (time: string): void => { clock.advance(Date.parse(time) - clock.runtime.now()) }
  to(time)
  return { app: await startApp(t, { runtime: clock.runtime, config: configOf(options), env: ENV }), to }
}

function alertTo (app: App, id: string, to: string, customer: object = {}, shop = 'acme.example') {
  const { data, ...event } = anEvent(id, { shop })
  return app.post({ ...event, data: { ...data, customer: { name: 'Ada Example', phone: to, country: 'US', ...customer } } })
}

async function sent (app: App): Promise<Array<Record<string, string>>> {
  return (await app.received('stoq-native')).filter(({ method, status }) => method === 'POST' && status === 201).map(({ body }) => body as Record<string, string>)
}

const becomes = (app: App, id: string, state: string) => until(async () => (await app.delivery(id))?.state === state)

// ── E1 ─────────────────────────────────────────────────────────────────────────────────────────

t.test('E1: each text is shown as it would be sent to the sample customer, with what it costs', async t => {
  const { app } = await started(t)
  const { status, body } = await app.ask('GET', TEXTS, { key: 'acme' })
  t.equal(status, 200)
  t.match(body, { shop: 'acme.example', provider: 'stoq-native', used: true, why: null, settings: { link_to: 'product', sending_hours: '', monthly_segments_cap: null } })
  t.strictSame(body.items?.map(item => [item['event_type'], item['title'], item['own']]), [[ALERT, 'Back in stock', false], ['back_in_stock.reminder', 'Reminder', false], ['preorder.confirmed', 'Preorder confirmed', false]])
  t.match(body.items?.[0], {
    text: STANDARD, standard: STANDARD, setting: 'text_back_in_stock_alert',
    preview: { text: 'Acme: Floral Shirt - Medium is back! https://acme.example/products/floral-shirt?variant=8001 Reply STOP to opt out', encoding: 'GSM-7', segments: 1, characters: 114, non_gsm: [], faults: [] }
  })
  t.match(body.items, [{ names: /title_incl_variant/ }, {}, {}])
  t.notOk('text_back_in_stock_alert' in (body['settings'] as object), 'texts are among the items')
})

t.test('E1: a text is tried before it is saved: what it gives, what makes it dear, and where it is wrong', async t => {
  const { app } = await started(t)
  const preview = async (body: object, type = ALERT) => (await app.ask('POST', `${TEXTS}/${type}/preview`, { body, key: 'reader' })).body
  t.match(await preview({}), { segments: 1, faults: [] }, 'the one that is used')
  t.match(await preview({ link_to: 'checkout' }), { text: /https:\/\/acme\.example\/cart\/8001:1/ })
  const dear = await preview({ text: '{{ product_title }} “is” back 🌸🌸 – é ł' })
  t.match(dear, { text: 'Floral Shirt "is" back 🌸🌸 - é ł', encoding: 'UCS-2', segments: 1, characters: 33, non_gsm: ['🌸', 'ł'] })
  t.match(await preview({ text: `{{ product_title }} ${'€'.repeat(100)}` }), { encoding: 'GSM-7', segments: 2, characters: 113 })
  t.match(await preview({ text: 'Hi {{ product_titel }}' }), { text: null, segments: null, faults: [{ offset: 6, message: 'there is no product_titel', fix: 'Did you mean "product_title"?' }] })
  t.match(await preview({ text: '{{ shop_name' }), { faults: [{ offset: 0, fix: 'Close it with }}.' }] })
  t.match(await preview({ text: '{% if image_url == "x" %}a{% endif %}' }), { faults: [{ offset: 0, message: 'gives an empty text' }] })
  t.match(await preview({ text: 'x'.repeat(1601) }), { faults: [{ offset: 0, message: /1601/ }] })
  t.match(await preview({ text: 'x'.repeat(2001) }), { faults: [{ offset: 2000, fix: 'Shorten it to 2000.' }] })
  t.match(await app.ask('POST', `${TEXTS}/${ALERT}/preview`, { body: { link_to: 'moon' } }), { status: 422, body: { error: { details: [{ path: '/link_to', rule: 'enum' }] } } })
  t.equal((await app.ask('POST', `${TEXTS}/no.such/preview`, { body: {} })).status, 404)
  t.match((await app.ask('GET', TEXTS)).body.items?.[0], { text: STANDARD }, 'nothing was saved')
})

t.test('E1: a text is saved and used, one that cannot be is refused, and it goes back to the platform\'s own', async t => {
  const { app } = await started(t)
  const put = (text: unknown, key: 'acme' | 'reader' | 'globex' = 'acme') => app.ask('PUT', `${TEXTS}/${ALERT}`, { body: { text }, key })
  t.match(await put('{{ product_title }} from {{ shop_nam }}'), { status: 422, body: { error: { details: [{ path: '/text', rule: 'template', message: /Did you mean "shop_name"/ }] } } })
  t.equal((await put('')).status, 422)
  t.equal((await put(7)).status, 422)
  t.equal((await put('x', 'reader')).status, 403)
  t.equal((await put('x', 'globex')).status, 404)
  t.match(await put('{{ product_title }}! {{ purchase_link }}'), { status: 200, body: { own: true, preview: { text: 'Floral Shirt! https://acme.example/products/floral-shirt?variant=8001' } } })
  t.match(await app.ask('PATCH', '/v1/shops/acme.example/providers/stoq-native/settings', { body: { link_to: 'checkout', quiet_hours_for_orders: true } }), { status: 200, body: { settings: { link_to: 'checkout', text_back_in_stock_alert: '{{ product_title }}! {{ purchase_link }}' } } })
  await app.delivered(await alertTo(app, 'own', '+12015550123'))
  t.equal((await sent(app))[0]?.['Body'], 'Floral Shirt! https://acme.example/cart/8001:1')
  t.match(await app.ask('DELETE', `${TEXTS}/${ALERT}`), { status: 200, body: { own: false, text: STANDARD } })
  t.match((await app.ask('GET', TEXTS)).body, { settings: { link_to: 'checkout' } }, 'the rest stays')
  await app.restart()
  await app.delivered(await alertTo(app, 'standard', '+12015550123'))
  t.match((await sent(app)).find(({ Body: text }) => text?.startsWith('Acme')), { Body: /^Acme: .* https:\/\/acme\.example\/cart\/8001:1 Reply STOP to opt out$/ })
  const settings = await app.query('select settings from connections where provider = \'stoq-native\'')
  t.strictSame(JSON.parse(String(settings[0]?.['settings'])), { link_to: 'checkout', quiet_hours_for_orders: true }, 'a better standard text reaches those who wrote none')
})

t.test('E1: settings that cannot be are refused with their place', async t => {
  const { app } = await started(t)
  const patch = (body: object) => app.ask('PATCH', '/v1/shops/acme.example/providers/stoq-native/settings', { body })
  const table: Array<[body: object, path: string, rule: string]> = [
    [{ sending_hours: '21:00-08:00' }, '/sending_hours', 'hours'], [{ sending_hours: '8-21' }, '/sending_hours', 'pattern'], [{ time_zone: 'America/Nowhere' }, '/time_zone', 'time_zone'],
    [{ monthly_segments_cap: -1 }, '/monthly_segments_cap', 'minimum'], [{ colour: 'red' }, '/colour', 'additionalProperties'], [{ colour: null }, '/colour', 'additionalProperties']
  ]
  for (const [body, path, rule] of table) t.match(await patch(body), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path, rule }] } } }, JSON.stringify(body))
  t.equal((await patch({})).status, 422)
  t.match(await patch({ time_zone: 'Europe/Paris', link_to: null }), { status: 200, body: { settings: { time_zone: 'Europe/Paris', link_to: 'product' } } })
  t.match(await app.ask('PATCH', '/v1/shops/acme.example/providers/herald/settings', { body: { colour: 1 } }), { status: 422 })
})

t.test('E1: with another provider active the texts are kept, unused, and it says so', async t => {
  const { app } = await started(t)
  await app.ask('PUT', `${TEXTS}/${ALERT}`, { body: { text: 'Mine: {{ purchase_link }}' } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'herald' } })
  t.match((await app.ask('GET', TEXTS)).body, { used: false, why: 'Herald sends this shop\'s messages now; what is set here is kept until STOQ is chosen.', items: [{ own: true, text: 'Mine: {{ purchase_link }}' }, {}, {}] })
  t.match((await app.ask('GET', '/v1/shops/acme.example/providers/herald/texts')).body, { used: true, items: [] }, 'one whose texts are written there')
  t.match((await app.ask('PUT', `${TEXTS}/${ALERT}`, { body: { text: 'Mine too' } })), { status: 200 }, 'and they can be written meanwhile')
  await app.ask('PUT', '/v1/shops/acme.example', { body: { name: 'Acme', domain: 'acme.example', plan: 'free' } })
  t.match((await app.ask('GET', TEXTS)).body, { used: false, why: 'Upgrade to a paid plan to use STOQ.' })
  t.match(await app.ask('PUT', `${TEXTS}/${ALERT}`, { body: { text: 'Not now' } }), { status: 403, body: { error: { code: 'GW_PLAN_TOO_LOW' } } })
  await app.ask('PUT', '/v1/shops/acme.example', { body: { name: 'Acme', domain: 'acme.example', plan: 'pro' } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'stoq-native' } })
  t.match((await app.ask('GET', TEXTS)).body, { used: true, items: [{ text: 'Mine too' }, {}, {}] })
})

// ── E3 ─────────────────────────────────────────────────────────────────────────────────────────

t.test('E3: an alert waits for the morning where the customer is, a preorder confirmation does not; what goes late is not kept at Twilio till night', async t => {
  const { app, to } = await started(t, '', '2026-12-09T12:30:00Z') // 07:30 in New York, 13:30 in Paris
  await alertTo(app, 'new-york', '+12015550101', { time_zone: 'America/New_York' })
  await app.delivered(await alertTo(app, 'paris', '+12015550102', { time_zone: 'Europe/Paris' }))
  await app.delivered(await app.post(anEvent('order', { type: 'preorder.confirmed' })))
  await until(async () => (await app.delivery('new-york'))?.reason === 'quiet_hours')
  t.match(await app.delivery('new-york'), { state: 'waiting', attempts: 0, detail: 'America/New_York, by the customer\'s own time zone', sentence: 'It is a quiet hour where the customer is; the message waits until it is over.' })
  to('2026-12-09T13:11:00Z')
  await becomes(app, 'new-york', 'delivered')
  to('2026-12-10T01:30:00Z') // 20:30 in New York
  await app.delivered(await alertTo(app, 'late', '+12015550101', { time_zone: 'America/New_York' }))
  const forms = await sent(app)
  t.strictSame(forms.slice(0, 3).map(({ ValidityPeriod }) => ValidityPeriod), ['3600', '3600', '3600'])
  const validity = Number(forms[3]?.['ValidityPeriod'])
  t.ok(validity > 1780 && validity <= 1800, `${validity} s are left`)
})

t.test('E3: Florida ends at eight, and nobody in Pennsylvania is texted on a Sunday; a toll-free number waits for the hours of all it may be in', async t => {
  const { app, to } = await started(t, '', '2026-12-06T17:00:00Z') // a Sunday noon in New York
  await alertTo(app, 'pennsylvania', '+12155550101')
  await app.delivered(await alertTo(app, 'florida', '+13055550101'))
  await until(async () => (await app.delivery('pennsylvania'))?.reason === 'quiet_hours')
  t.match(await app.delivery('pennsylvania'), { detail: 'America/New_York, by the phone number; Pennsylvania', due_at: /^2026-12-07T13:0/ })
  await alertTo(app, 'anywhere', '+18005550101', { country: 'US' })
  await until(async () => (await app.delivery('anywhere'))?.reason === 'quiet_hours')
  t.match(await app.delivery('anywhere'), { due_at: /^2026-12-06T18:/, detail: /more, by the phone number$/ }, '8 o\'clock in Hawaii')
  to('2026-12-08T00:50:00Z')
  await alertTo(app, 'florida-late', '+13055550101')
  await app.delivered(await alertTo(app, 'jersey', '+12015550101'))
  await until(async () => (await app.delivery('florida-late'))?.reason === 'quiet_hours')
  t.match(await app.delivery('florida-late'), { detail: /Florida/ })
})

t.test('E3: a shop makes its hours shorter, and lets orders wait too; the platform\'s hours hold all the same', async t => {
  const { app } = await started(t, 'sending_hours: "09:00-18:00"', '2026-12-09T14:30:00Z') // 09:30 in New York
  const patch = (body: object) => app.ask('PATCH', '/v1/shops/acme.example/providers/stoq-native/settings', { body })
  await app.delivered(await alertTo(app, 'before', '+12015550101'))
  await patch({ sending_hours: '06:00-23:00' })
  await app.delivered(await alertTo(app, 'wider', '+12015550101'))
  await patch({ sending_hours: '10:00-20:00', quiet_hours_for_orders: true })
  await alertTo(app, 'narrower', '+12015550101')
  await app.post(anEvent('order', { type: 'preorder.confirmed' }))
  for (const id of ['narrower', 'order']) {
    await until(async () => (await app.delivery(id))?.reason === 'quiet_hours')
    t.match(await app.delivery(id), { due_at: /^2026-12-09T15:0/ }, id)
  }
})

t.test('E3: options that cannot be are told at the start, with their place', async t => {
  const table: Array<[options: string, path: string]> = [
    ['sending_hours: "21:00-08:00"', '/providers/stoq-native/options/sending_hours'], ['sending_hours: 8-21', '/providers/stoq-native/options/sending_hours'],
    ['time_zone: Mars/Base', '/providers/stoq-native/options/time_zone'], ['monthly_segments: { pro: -1 }', '/providers/stoq-native/options/monthly_segments/pro']
  ]
  for (const [options, path] of table) {
    const { faults } = await makeApp(t, { config: configOf(options), env: ENV }).start().then(() => ({ faults: [] }), (error: unknown) => error as FaultsFound)
    t.match(faults, [{ code: 'GW_CONFIG_VALUE', path }], options)
  }
})

// ── E4 ─────────────────────────────────────────────────────────────────────────────────────────

const usage = async (app: App, shop = 'acme.example', month = '') => (await app.ask('GET', `/v1/shops/${shop}/usage${month}`)).body as Body & { providers: Body[] }

t.test('E4: segments are counted by country and month, for this provider alone', async t => {
  const { app } = await started(t)
  t.match(await usage(app), { month: '2026-12', providers: [{ provider: 'stoq-native', limit: null, segments: 0, messages: 0, by_country: [], warning: null }] })
  await app.delivered(await alertTo(app, 'us', '+12015550101'))
  await app.ask('PUT', `${TEXTS}/${ALERT}`, { body: { text: '🌸'.repeat(40) } })
  await app.delivered(await alertTo(app, 'us-2', '+12015550102'))
  await app.delivered(await alertTo(app, 'gb', '+442079460123', { country: 'US' }))
  await app.delivered(await alertTo(app, 'elsewhere', '+12015550103', {}, 'globex.example'))
  t.strictSame((await usage(app)).providers, [{
    provider: 'stoq-native', limit: null, segments: 5, messages: 3, under_way: { messages: 0, segments: 0 },
    by_country: [{ country: 'US', messages: 2, segments: 3 }, { country: 'GB', messages: 1, segments: 2 }], warning: null
  }], 'the number tells the country')
  t.match(await usage(app, 'globex.example'), { providers: [{ provider: 'stoq-native', segments: 0, messages: 0 }] }, 'through another provider nothing is counted')
  t.match(await usage(app, 'acme.example', '?month=2026-11'), { month: '2026-11', providers: [{ segments: 0 }] })
  t.equal((await app.ask('GET', '/v1/shops/acme.example/usage?month=2026-13')).status, 422)
  t.equal((await app.ask('GET', '/v1/shops/acme.example/usage', { key: 'globex' })).status, 404)
})

t.test('E4: a message whose answer was lost is counted once, when it is found', async t => {
  const { app, to } = await started(t)
  await app.fault('stoq-native', { kind: 'cut_after', times: 1 })
  t.match(await app.attempted(await alertTo(app, 'lost', '+12015550101')), { outcome: 'unknown' })
  t.match(await usage(app), { providers: [{ segments: 0, under_way: { messages: 1, segments: 1 } }] })
  to('2026-12-09T17:01:30Z')
  await becomes(app, 'lost', 'delivered')
  t.match(await usage(app), { providers: [{ segments: 1, messages: 1, under_way: { messages: 0 } }] })
  await app.restart()
  t.match(await usage(app), { providers: [{ segments: 1, messages: 1 }] })
})

t.test('E4: #90: it warns before the limit, and at it messages are rejected with the reason, and not sent later', async t => {
  const { app, to } = await started(t, 'sending_hours: "off", monthly_segments: { pro: 5 }')
  for (const n of [1, 2, 3]) await app.delivered(await alertTo(app, `m${n}`, `+1201555010${n}`))
  t.match(await usage(app), { providers: [{ limit: 5, segments: 3, warning: null }] })
  await app.delivered(await alertTo(app, 'm4', '+12015550104'))
  t.match(await app.logged(entry => entry['percent'] === 80), { shop: 'acme.example', provider: 'stoq-native', month: '2026-12', segments: 4, limit: 5 })
  t.match(await usage(app), { providers: [{ warning: { percent: 80, text: /4 of 5/ } }] })
  await app.delivered(await alertTo(app, 'm5', '+12015550105'))
  await app.logged(entry => entry['percent'] === 100)
  await alertTo(app, 'm6', '+12015550106')
  await app.post(anEvent('order', { type: 'preorder.confirmed' }))
  for (const id of ['m6', 'order']) {
    await becomes(app, id, 'rejected')
    t.match(await app.delivery(id), { reason: 'monthly_limit', attempts: 0, detail: /^5 of 5 segments of 2026-12 are used/ }, id)
  }
  t.match(await usage(app), { providers: [{ segments: 5, warning: { percent: 100 } }] })
  t.equal(app.lines.filter(line => /"percent":/.test(line)).length, 2, 'once each')
  to('2027-01-01T00:00:10Z')
  await app.delivered(await alertTo(app, 'next', '+12015550107'))
  t.match(await app.delivery('m6'), { state: 'rejected' })
  t.match(await usage(app), { month: '2027-01', providers: [{ segments: 1, warning: null }] })
})

t.test('E4: a shop limits itself further, and the platform gives one more than its plan has', async t => {
  const { app } = await started(t, 'sending_hours: "off", monthly_segments: { pro: 1 }, monthly_segments_of_shop: { acme.example: 3 }')
  const cap = (segments: number | null) => app.ask('PATCH', '/v1/shops/acme.example/providers/stoq-native/settings', { body: { monthly_segments_cap: segments } })
  t.match(await usage(app), { providers: [{ limit: 3 }] })
  await cap(1)
  t.match(await usage(app), { providers: [{ limit: 1 }] })
  await app.delivered(await alertTo(app, 'one', '+12015550101'))
  await alertTo(app, 'two', '+12015550102')
  await becomes(app, 'two', 'rejected')
  await cap(1000)
  t.match(await usage(app), { providers: [{ limit: 3, segments: 1 }] }, 'not further than the platform allows')
  await cap(null)
  await app.delivered(await alertTo(app, 'three', '+12015550102'))
})
