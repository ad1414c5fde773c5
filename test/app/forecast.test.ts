import t from 'tap'
import { anEvent, CONFIG, startApp, until, type App } from '../helpers/app.ts'

const PATH = '/v1/shops/acme.example/channels/sms/forecast'

async function forecast (app: App) { return (await app.ask('GET', PATH)).body }

t.test('D8: whoever may read a shop is told how long its backlog takes', async t => {
  const app = await startApp(t)
  t.match(await forecast(app), { shop: 'acme.example', channel: 'sms', provider: 'courier', waiting: 0, at_least: false, held_reason: null, sentence: null, seconds: 0, limited_by: 'nothing' })
  await app.fault('courier', { kind: 'status', status: 429, headers: { 'retry-after': '600' } })
  for (let i = 0; i < 3; i++) await app.post(anEvent(`e${i}`))
  await app.logged(entry => entry.msg === 'attempt' && entry.reason === 'rate_limited')
  await until(async () => (await forecast(app)).waiting === 3)
  const { seconds, until: at, ...rest } = await forecast(app)
  t.ok((seconds as number) > 540 && (seconds as number) <= 601, `${String(seconds)} s`)
  t.ok(Math.abs(Date.parse(at as string) - Date.now() - (seconds as number) * 1000) < 5000)
  t.match(rest, { waiting: 3, limited_by: 'window', queues: [{ setup_group: 'back_in_stock', waiting: 3, at_least: false, held_reason: null, limited_by: 'window' }] })
  t.equal((await app.ask('GET', PATH, { key: 'reader' })).status, 200)
  t.equal((await app.ask('GET', PATH, { key: 'acme' })).status, 200)
})

t.test('nobody is told of a shop or a channel that is not there, or not theirs', async t => {
  const app = await startApp(t)
  const answers = await Promise.all([
    app.ask('GET', PATH, { key: null }), app.ask('GET', PATH, { key: 'events' }), app.ask('GET', PATH, { key: 'globex' }),
    app.ask('GET', PATH.replace('acme', 'nobody')), app.ask('GET', PATH.replace('sms', 'pigeon'))
  ])
  t.strictSame(answers.map(({ status, body }) => [status, body.error?.code]), [[401, 'GW_UNAUTHENTICATED'], [403, 'GW_FORBIDDEN'], [404, 'GW_NOT_FOUND'], [404, 'GW_NOT_FOUND'], [404, 'GW_NOT_FOUND']])
})

t.test('R42, B5: a provider that fails is shown as the reason, on the shop, its deliveries, the metrics and in the log', async t => {
  const app = await startApp(t, { config: CONFIG.replace('courier: { path: providers/courier }', 'courier: { path: providers/courier, concurrency: 1 }') })
  await app.fault('courier', { kind: 'status', status: 503 })
  for (let i = 0; i < 15; i++) await app.post(anEvent(`e${i}`))
  t.match(await app.logged(entry => entry.msg === 'an account is held'), { provider: 'courier', reason: 'provider_not_answering', calls: 10, failed: 10 })
  await until(async () => (await forecast(app)).held_reason !== null)
  const sentence = 'Courier is not answering properly; we try again every 30 seconds and send what is waiting then.'
  t.match(await forecast(app), { held_reason: 'provider_not_answering', sentence, seconds: null, until: null, limited_by: null })
  t.match((await app.ask('GET', '/v1/shops/acme.example')).body, {
    channels: { sms: { queues: [{ held_reason: 'provider_not_answering', sentence }] } },
    connections: [{ provider: 'courier', status: 'failing', reason: 'provider_not_answering' }]
  })
  t.match(await app.delivery('e14'), { state: 'held', reason: 'provider_not_answering', sentence, attempts: 0 })
  t.match((await app.ask('GET', '/metrics')).body.text, /^gateway_accounts_held\{provider="courier",reason="provider_not_answering"\} 1$/m)
  await app.heal('courier')
  // The same credentials again: no need to wait for the probe.
  await app.ask('PUT', '/v1/shops/acme.example/providers/courier/connection', { body: { secrets: { api_key: app.env.ACME_KEY }, ready: ['back_in_stock', 'preorder'] } })
  await until(async () => (await app.delivery('e14')).state === 'delivered')
  t.notMatch((await app.ask('GET', '/metrics')).body.text, /^gateway_accounts_held\{/m)
})
