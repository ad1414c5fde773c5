// STOQ's own SMS through the real gateway: over the platform's account, for shops that connected nothing.

import t, { type Test } from 'tap'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import type { FaultsFound } from '../../gateway/load.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { CONFIG, anEvent, deliveryOf, makeApp, movable, ROOT, startApp, until, type App, type Body } from '../../test/helpers/app.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'
import { sign } from './signature.ts'

const ACCOUNT = 'AC00000000000000000000000000000001'
const SERVICE = 'MG00000000000000000000000000000001'
const PUBLIC_URL = 'https://gateway.example'
const ENV = { TWILIO_KEY: 'SK00000000000000000000000000000001', TWILIO_SECRET: 'a-secret-of-tests-0123456789', TWILIO_TOKEN: 'first_token_of_tests_0123456789', TWILIO_TOKEN_TWO: 'second_token_of_tests_0123456789' }

const provider = (options: string): string => `  stoq-native:
    path: ${ROOT}/plugins/stoq-native
    connection: { auth: api_key, account_id: ${ACCOUNT}, secrets: { api_key_sid: { env: TWILIO_KEY }, api_key_secret: { env: TWILIO_SECRET } } }
    options: ${options.replace('{', '{ sending_hours: "off", ')}
    secrets: { callback_token: [{ env: TWILIO_TOKEN }, { env: TWILIO_TOKEN_TWO }] }
`

function configOf (options = `{ messaging_service_sid: ${SERVICE} }`): string {
  return CONFIG.replace('  pro: [external_sms]', '  pro: [sms, external_sms]').replace('providers:\n', `providers:\n${provider(options)}`)
    .replace('{ sms: courier }', '{ sms: stoq-native }').replace('{ sms: herald }', '{ sms: stoq-native }').replace('port: 0 }', `port: 0, public_url: ${PUBLIC_URL} }`)
}

async function started (t: Test, { options, env = {} }: { options?: string, env?: Record<string, string> } = {}): Promise<{ app: App, advance (ms: number): void }> {
  const clock = movable()
  return { app: await startApp(t, { runtime: clock.runtime, config: configOf(options), env: { ...ENV, ...env } }), advance: clock.advance }
}

/** An alert to a number. */
function alertTo (id: string, to: string, shop = 'acme.example'): object {
  const event = anEvent(id, { shop })
  return { ...event, data: { ...event.data, customer: { name: 'Ada Example', phone: to, country: 'US' } } }
}

async function sent (app: App): Promise<Array<Record<string, string>>> {
  return (await app.received('stoq-native')).filter(({ method, status }) => method === 'POST' && status === 201).map(({ body }) => body as Record<string, string>)
}

t.test('a shop that connected nothing sends, and every word of it is the platform\'s but the text', async t => {
  const { app } = await started(t)
  const answered = await app.post(anEvent('native-1'))
  await app.delivered(answered)
  const { id } = deliveryOf(answered)
  t.strictSame(await sent(app), [{
    To: '+12015550123',
    MessagingServiceSid: SERVICE,
    Body: 'Acme: Floral Shirt - Medium is back! https://acme.example/products/floral-shirt?variant=8001 Reply STOP to opt out',
    StatusCallback: `${PUBLIC_URL}/webhooks/stoq-native/status?m=${id as string}`,
    ValidityPeriod: '3600'
  }])
  const delivery = await app.delivery('native-1')
  t.match(delivery, { state: 'delivered', provider: 'stoq-native', provider_message_id: /^SM[0-9a-f]{32}$/, calls: [{ request: { encoding: 'GSM-7', segments: 1 } }] })
  for (const secret of Object.values(ENV)) t.notOk(JSON.stringify(delivery).includes(secret), 'no secret is shown')
})

t.test('the merchant\'s text is used; one that cannot be is refused with the place', async t => {
  const { app } = await started(t)
  const put = (settings: object) => app.ask('PUT', '/v1/shops/acme.example/providers/stoq-native/connection', { body: { settings } })
  t.match(await put({ text_back_in_stock_alert: '{{ product_titel }} is back' }), { status: 422, body: { error: { details: [{ path: '/settings/text_back_in_stock_alert', rule: 'template' }] } } })
  t.equal((await put({ text_back_in_stock_alert: '{{ customer_name }}, “{{ product_title }}” – {{ purchase_link }} 🌸', link_to: 'checkout' })).status, 200)
  await app.delivered(await app.post(anEvent('native-text')))
  await app.delivered(await app.post(anEvent('native-text', { shop: 'globex.example' })))
  const texts = (await sent(app)).map(({ Body: text }) => text)
  t.match(texts[0], /^Ada Example, "Floral Shirt" - https:\/\/acme.example\/cart\/8001:1 🌸$/)
  t.match(texts[1], /^Globex: /, 'another shop has its own')
})

t.test('a recipient who opted out is rejected and says so; the account goes on', async t => {
  const { app } = await started(t)
  const table: Array<[string, string, string]> = [
    ['+12015550166', 'rejected', 'opted_out'], ['+12015550162', 'rejected', 'country_not_enabled'], ['+12015550169', 'rejected', 'not_mobile'], ['+12015550160', 'rejected', 'phone_refused']
  ]
  for (const [to, state, reason] of table) {
    await app.attempted(await app.post(alertTo(to, to)))
    await until(async () => (await app.delivery(to)).state === state)
    t.match(await app.delivery(to), { state, reason, attempts: 1 }, to)
  }
  await app.delivered(await app.post(alertTo('afterwards', '+12015550101')))
  t.equal((await sent(app)).length, 1)
})

t.test('without a sender it does not start, and the remedy is named; one that is refused holds the messages until another is given', async t => {
  const none = makeApp(t, { config: configOf('{}'), env: ENV })
  const { faults } = await none.start().then(() => ({ faults: [] }), (error: unknown) => error as FaultsFound)
  t.match(faults, [{ code: 'GW_CONFIG_MISSING_KEY', message: /messaging_service_sid, from/ }])
  const { app, advance } = await started(t)
  await app.fault('stoq-native', { kind: 'status', times: 1, status: 400, body: { code: 21606, message: 'is no number of ours', status: 400 } })
  await app.attempted(await app.post(alertTo('no-sender', '+12015550101')))
  t.match(await app.delivery('no-sender'), { state: 'held', reason: 'sender_refused', detail: /^21606/ })
  app.write(configOf('{ from: "+12015550100" }'))
  t.ok(await app.reload())
  advance(6 * 60_000)
  await until(async () => (await app.delivery('no-sender')).state === 'delivered')
  t.match(await sent(app), [{ From: '+12015550100', To: '+12015550101' }])
})

t.test('without the token that signs the reports it does not start, and the place is named; nor with a short one, or one of another name', async t => {
  const line = '    secrets: { callback_token: [{ env: TWILIO_TOKEN }, { env: TWILIO_TOKEN_TWO }] }\n'
  const table: Array<[secrets: string, code: string, path: string]> = [
    ['', 'GW_CONFIG_MISSING_KEY', '/providers/stoq-native'],
    ['    secrets: { callback_token: { env: TWILIO_TOKEN }, callback_tokn: { env: TWILIO_TOKEN } }\n', 'GW_CONFIG_UNKNOWN_KEY', '/providers/stoq-native/secrets/callback_tokn'],
    ['    secrets: { callback_token: { env: SHORT } }\n', 'GW_CONFIG_SECRET', '/providers/stoq-native/secrets/callback_token/env']
  ]
  for (const [secrets, code, path] of table) {
    const app = makeApp(t, { config: configOf().replace(line, secrets), env: { ...ENV, SHORT: 'fifteen-letters' } })
    const { faults } = await app.start().then(() => ({ faults: [] }), (error: unknown) => error as FaultsFound)
    t.match(faults, [{ code, path }], path)
    t.equal(faults.length, 1)
  }
  const soon = makeApp(t, { config: configOf().replace(line, '    coming_soon: true\n'), env: ENV })
  await soon.start()
  t.equal((await soon.ask('POST', '/webhooks/stoq-native/status', { key: null })).status, 404, 'announced only: nothing is asked for, and nothing answers')
})

t.test('a key that was revoked holds every shop, and no merchant is told to connect', async t => {
  const { app } = await started(t, { env: { TWILIO_SECRET: 'revoked-secret-0123456789' } })
  await app.attempted(await app.post(alertTo('revoked', '+12015550101')))
  t.match(await app.delivery('revoked'), { state: 'held', reason: 'platform_account_refused' })
})

t.test('a message whose answer was lost is found, and one that failed meanwhile says why', async t => {
  const { app, advance } = await started(t)
  for (const [id, to, expected] of [['found', '+12015550101', { state: 'delivered', reason: 'accepted_elsewhere', provider_message_id: /^SM/ }], ['failed', '+12015550185', { state: 'rejected', reason: 'number_unknown' }]] as const) {
    await app.fault('stoq-native', { kind: 'cut_after', times: 1 })
    t.match(await app.attempted(await app.post(alertTo(id, to))), { outcome: 'unknown' })
    advance(61_000)
    await until(async () => (await app.delivery(id)).state !== 'unknown')
    t.match(await app.delivery(id), { ...expected, attempts: 1 }, id)
  }
  t.equal((await sent(app)).length, 2, 'each was made once')
})

t.test('a message whose answer was lost is found though Twilio\'s clock is a minute ahead of ours or behind; it is sent once', async t => {
  for (const aheadMs of [60_000, -60_000]) {
    const clock = movable()
    const secret = new HiddenSecret(ENV.TWILIO_SECRET, null)
    const played = await loadOne(entry('stoq-native', import.meta.dirname, { options: { messaging_service_sid: SERVICE }, secrets: { callback_token: [secret] }, connection: { auth: 'api_key', accountId: ACCOUNT, secrets: { api_key_sid: secret, api_key_secret: secret } } }))
    const elsewhere = await startSandbox({ providers: [played], port: 0, wallNow: () => clock.runtime.now() + aheadMs })
    t.teardown(() => elsewhere.close())
    const app = await startApp(t, { runtime: clock.runtime, config: configOf().replace('sandbox: { enabled: true, port: 0 }', `sandbox: { enabled: true, url: ${elsewhere.url} }`), env: ENV })
    for (const [id, waitMs] of [['lost', 61_000], ['lost-later', 6 * 60_000]] as const) {
      await app.fault('stoq-native', { kind: 'cut_after', times: 1 })
      t.match(await app.attempted(await app.post(alertTo(id, `+1201555010${id.length % 10}`))), { outcome: 'unknown' })
      clock.advance(waitMs)
      await until(async () => (await app.delivery(id)).state !== 'unknown')
      t.match(await app.delivery(id), { state: 'delivered', reason: 'accepted_elsewhere', attempts: 1, provider_message_id: /^SM/ }, `${id}, ${aheadMs} ms ahead`)
    }
    t.equal((await sent(app)).length, 2)
  }
})

t.test('a signed report of a message is kept in the inbox with its delivery', async t => {
  const { app } = await started(t)
  const answered = await app.post(anEvent('reported'))
  await app.delivered(answered)
  const delivery = await app.delivery('reported')
  const { StatusCallback: address } = (await sent(app))[0] as { StatusCallback: string }
  const sid = delivery['provider_message_id'] as string
  const report = (status: string, token: string) => {
    const form: Array<[string, string]> = [['AccountSid', ACCOUNT], ['MessageSid', sid], ['MessageStatus', status], ['To', '+12015550123']]
    const { pathname, search } = new URL(address)
    return app.ask('POST', pathname + search, { key: null, raw: new URLSearchParams(form).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': sign(token, address, form) } })
  }
  t.equal((await report('sent', ENV.TWILIO_TOKEN)).status, 204)
  t.equal((await report('delivered', ENV.TWILIO_TOKEN_TWO)).status, 204, 'while the token changes, both are right')
  t.equal((await report('delivered', ENV.TWILIO_TOKEN)).status, 204, 'a repeat')
  t.equal((await report('failed', 'another_token_0123456789')).status, 403)
  t.equal((await app.ask('POST', '/webhooks/stoq-native/status', { key: null, raw: 'x'.repeat(64 * 1024 + 1), headers: { 'content-type': 'application/x-www-form-urlencoded' } })).status, 413)
  const { body: { items } } = await app.ask('GET', '/v1/inbox?source=stoq-native')
  t.match((items as Body[]).toReversed(), [{ topic: 'status', subject: delivery.id }, { topic: 'status', subject: delivery.id }])
  t.equal(items?.length, 2)
})
