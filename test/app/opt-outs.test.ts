// Customers who want no more messages (#88, #89): one list for all providers of a shop, asked before each send.

import t from 'tap'
import { anEvent, deliveryOf, startApp, until, type App, type Body } from '../helpers/app.ts'
import { call, listening, startBuoyApp, told } from '../helpers/buoy.ts'
import { atGuild, eventFor, GUILD, guildConfig } from '../helpers/guild.ts'
import { writeFolder } from '../helpers/providers.ts'
import { tempDir } from '../helpers/tmp.ts'

const ADA = '+12015550123'
const PATH = '/v1/shops/acme.example/opt-outs'
const OF_ADA = `${PATH}?phone=${encodeURIComponent(ADA)}`
const put = (app: App, body: object = { phone: ADA }) => app.ask('PUT', PATH, { body })
const lift = (app: App, body: object = { phone: ADA, reason: 'She asked for it.' }) => app.ask('POST', `${PATH}/lift`, { body })

/** A delivery when it rests. */
async function rested (app: App, event: object): Promise<Body> {
  const { id } = deliveryOf(await app.post(event))
  let delivery: Body = {}
  await until(async () => {
    delivery = (await app.ask('GET', `/v1/deliveries/${String(id)}`)).body
    return delivery.finished_at !== null
  })
  return delivery
}

t.test('#89: an opt-out by the API holds for every kind of message and every provider of the shop, until it is lifted with a reason', async t => {
  const app = await startApp(t)
  t.strictSame((await app.ask('GET', OF_ADA)).body, { shop: 'acme.example', opted_out: false, items: [] })
  t.match(await put(app, { phone: ADA, reason: 'By phone.' }), { status: 200, body: { opted_out: true, items: [{ scope: 'shop', via: 'api', reason: 'By phone.', lifted_at: null, provider: null }] } })
  for (const type of ['back_in_stock.alert', 'preorder.confirmed'] as const) {
    t.match(await rested(app, anEvent(type, { type })), { state: 'rejected', reason: 'opted_out', sentence: 'The customer does not want messages any more.', attempts: 0, calls: [] }, type)
  }
  t.match(await rested(app, anEvent('theirs', { shop: 'globex.example' })), { state: 'delivered' }, 'another shop')
  await app.ask('PUT', '/v1/shops/acme.example/providers/herald/connection', { body: { secrets: { api_key: 'herald-0123456789' }, ready: ['back_in_stock', 'preorder'] } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'herald' } })
  t.match(await rested(app, anEvent('switched')), { state: 'rejected', reason: 'opted_out', provider: 'herald' })
  t.match(await lift(app), { status: 200, body: { opted_out: false, items: [{ opted_out: false, lifted_via: 'api', lift_reason: 'She asked for it.' }] } })
  t.match(await rested(app, anEvent('lifted')), { state: 'delivered' })
  t.match(await app.query('select actor, action, shop, reason from audit where action like \'opt_out.%\' order by audit_key'), [{ actor: 'all', action: 'opt_out.put', shop: 'acme.example', reason: 'By phone.' }, { action: 'opt_out.lift', reason: 'She asked for it.' }])
  t.notMatch(JSON.stringify([app.lines, await app.query('select subject from audit')]), /12015550123/, 'no number is kept')
})

t.test('what is asked for wrongly is refused, and so is whoever may not ask', async t => {
  const app = await startApp(t)
  for (const body of [{}, { phone: '201 555 0123' }, { phone: ADA, reason: '' }, { phone: ADA, why: 'x' }, { phone: ADA, reason: 'x'.repeat(501) }]) t.match(await put(app, body), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }, JSON.stringify(body))
  for (const body of [{ phone: ADA }, { phone: ADA, reason: '   ' }]) t.equal((await lift(app, body)).status, 422, 'a reason is needed')
  t.match(await app.ask('GET', PATH), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID', details: [{ path: '/phone', rule: 'required' }] } } })
  t.match(await app.ask('GET', OF_ADA, { key: 'globex' }), { status: 404, body: { error: { code: 'GW_NOT_FOUND' } } })
  t.equal((await app.ask('GET', OF_ADA.replace('acme', 'nobody'))).status, 404)
  t.equal((await app.ask('PUT', PATH, { key: 'reader', body: { phone: ADA } })).status, 403)
  t.equal((await app.ask('GET', OF_ADA, { key: 'events' })).status, 403)
  t.equal((await app.ask('GET', OF_ADA, { key: 'reader' })).status, 200)
  t.match(await app.query('select count(*) as n from opt_outs'), [{ n: /^0$/ }])
})

t.test('what was queued before is not sent after; what may have been sent stays unknown', async t => {
  const app = await startApp(t)
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'herald' } }) // not set up: all waits
  const queued = await Promise.all(['one', 'two', 'three'].map(async id => deliveryOf(await app.post(anEvent(id))).id))
  t.match(await app.delivery('one'), { state: 'held' })
  await put(app)
  await app.ask('PUT', '/v1/shops/acme.example/providers/herald/connection', { body: { secrets: { api_key: 'herald-0123456789' }, ready: ['back_in_stock', 'preorder'] } })
  for (const id of queued) await until(async () => (await app.ask('GET', `/v1/deliveries/${String(id)}`)).body.state === 'rejected')
  t.strictSame(await app.received('herald'), [])
  await lift(app)
  await app.fault('herald', { kind: 'cut_after', times: 1 })
  const lost = deliveryOf(await app.post(anEvent('lost')))
  await until(async () => (await app.delivery('lost')).state === 'unknown')
  await put(app)
  await app.ask('POST', `/v1/deliveries/${String(lost.id)}/retry`, { body: { may_have_been_sent: true } })
  await until(async () => (await app.delivery('lost')).reason === 'opted_out')
  t.equal((await app.received('herald')).filter(({ path }) => path === '/v1/messages').length, 1)
})

t.test('nobody is put on a provider\'s list who wants no messages, whatever they signed up to since', async t => {
  const app = await startApp(t, { config: guildConfig(writeFolder(tempDir(t), GUILD)) })
  await put(app)
  t.match(await rested(app, eventFor('sign-1', ADA, 'waitlist.joined')), { state: 'rejected', reason: 'opted_out', attempts: 0 })
  t.match(await rested(app, eventFor('alert-1', ADA)), { state: 'rejected', reason: 'opted_out' })
  t.match(await rested(app, eventFor('sign-2', ADA, 'waitlist.joined', { sms: false })), { state: 'delivered', reason: 'nothing_to_tell' })
  t.strictSame(await app.received('guild'), [], 'nobody was asked or added')
  await atGuild(app, 'members', { phone: ADA, mail: 'all' })
  await lift(app)
  t.match(await rested(app, eventFor('alert-2', ADA)), { state: 'delivered' })
})

t.test('#89: what a provider tells of itself is on the list of the shops that are connected there, whichever of them sends', async t => {
  const app = await startBuoyApp(t)
  const path = await listening(app)
  t.equal((await call(app, path, told('p1', {}, 'person.out'))).status, 200)
  await until(async () => (await app.ask('GET', OF_ADA)).body.opted_out === true)
  t.match((await app.ask('GET', OF_ADA)).body.items, [{ scope: 'shop', via: 'provider_told', provider: 'buoy' }])
  t.match((await app.ask('GET', OF_ADA.replace('acme', 'globex'))).body, { opted_out: false })
  t.equal((await call(app, path, told('p1', { when: new Date(Date.now() + 60_000).toISOString().slice(0, 19) }))).status, 200)
  await until(async () => (await app.ask('GET', OF_ADA)).body.opted_out === false)
  await put(app)
  t.equal((await call(app, path, told('p1', { when: new Date(Date.now() + 120_000).toISOString().slice(0, 19) }))).status, 200)
  await until(async () => ((await app.ask('GET', '/v1/inbox?source=buoy')).body.items ?? []).filter(({ state }) => state === 'recorded').length === 3)
  t.equal((await app.ask('GET', OF_ADA)).body.opted_out, true, 'what the shop was told stays')
})
