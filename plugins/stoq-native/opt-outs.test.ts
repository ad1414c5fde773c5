// Customers who want no more messages, through the real gateway: whatever is queued for them is not sent, by whichever provider.

import t from 'tap'
import { anEvent, until, type Body } from '../../test/helpers/app.ts'
import { ADA, BEN, native } from './native.test-world.ts'

const QUEUED = 1000
const OF_ADA_EACH = 10
const isDelivered = ({ state }: Body): boolean => state === 'delivered'
const isRejected = ({ state }: Body): boolean => state === 'rejected'

t.test('#88: STOP while a thousand are queued: nothing leaves for that customer after it is stored, and all the others go', async t => {
  const { app, alert, becomes, text, isOut, texted, advance } = await native(t, { windows: '    limits: { create: [{ max: 250, per: 1s }] }\n    concurrency: 64\n' })
  const phoneOf = (n: number): string => n % OF_ADA_EACH === 0 ? ADA : `+120155501${String(30 + n % 30)}`
  const events = Array.from({ length: QUEUED }, (_, n) => {
    const event = anEvent(`queued-${n}`)
    return { ...event, data: { ...event.data, customer: { name: 'Ada Example', phone: phoneOf(n), country: 'US' } } }
  })
  t.equal((await app.post(events)).status, 202)
  await until(async () => (await texted()).filter(to => to === ADA).length >= 5)
  const answered = await text('  Stop. ')
  t.match(answered, { status: 200, headers: { 'content-type': /^text\/xml/ }, body: { text: '<?xml version="1.0" encoding="UTF-8"?><Response/>' } })
  await until(isOut)
  const counts = async () => Object.fromEntries((await app.query('select state, count(*) as n from deliveries group by state')).map(({ state, n }) => [Number(state), Number(n)]))
  await until(async () => Object.keys(await counts()).every(state => state === '3' || state === '5'))
  const late = await app.query(`select count(*) as n from deliveries d join events e on e.event_key = d.event_key join opt_outs o on o.person = e.person and o.scope = 'account'
    where d.call_no > 0 and d.reserved_at > (select max(i.settled_at) from inbox i where i.topic = 'inbound')`)
  t.match(late, [{ n: /^0$/ }], 'no call began after the opt-out was stored')
  const { 3: sent, 5: kept } = await counts()
  t.equal((sent ?? 0) + (kept ?? 0), QUEUED)
  t.ok((kept ?? 0) >= 1 && (kept ?? 0) <= QUEUED / OF_ADA_EACH - 5, `${kept} kept back`)
  t.match(await app.query('select distinct reason from deliveries where state = 5'), [{ reason: 'opted_out' }])
  advance(1000)
  const afterwards = await alert('later')
  t.match(await becomes(afterwards, isRejected), { reason: 'opted_out', sentence: 'The customer does not want messages any more.', attempts: 0, calls: [] })
})

t.test('#88: a preorder confirmation and a text with other words around are heard alike; the list holds until START', async t => {
  const { app, becomes, text, isOut, settled, alert } = await native(t)
  const order = async (id: string) => String((((await app.post(anEvent(id, { type: 'preorder.confirmed' }))).body.deliveries as Body[])[0])?.id)
  await becomes(await order('before'), isDelivered)
  t.equal((await text('Hi, please UNSUBSCRIBE me')).status, 200)
  await until(isOut)
  t.match((await app.ask('GET', `/v1/shops/acme.example/opt-outs?phone=${encodeURIComponent(ADA)}`)).body, {
    shop: 'acme.example', opted_out: true, items: [{ scope: 'shop', opted_out: true, provider: 'stoq-native', via: 'stop_in_text', reason: null, lifted_at: null }, { scope: 'account', opted_out: true }]
  })
  t.match(await becomes(await order('after'), isRejected), { reason: 'opted_out' }, 'transactional messages too')
  await text('what do you mean?')
  await text('help')
  t.match(await settled(3), [{ state: 'recorded', reason: 'not_acted_on' }, { state: 'parked', reason: 'reply', topic: 'inbound' }, { state: 'done', reason: 'opted_out' }])
  t.ok(await isOut(), 'neither changes it')
  await text('Yes!')
  await until(async () => !await isOut())
  await becomes(await order('again'), isDelivered)
  await becomes(await alert('again-too', BEN), isDelivered)
})

t.test('what the Messaging Service has handled counts; forged, replayed and of another account changes nothing', async t => {
  const { text, isOut, settled, order } = await native(t)
  t.equal((await text('stop', { token: 'another_token_0123456789' })).status, 403)
  t.equal((await text('stop', { account: 'AC00000000000000000000000000000002' })).status, 200)
  t.match(await settled(1), [{ state: 'parked', reason: 'account_differs' }])
  t.notOk(await isOut())
  await text('ARRET', { type: 'STOP', sid: 'SM1' })
  await until(isOut)
  await text('NOUVEAU', { type: 'START', sid: 'SM2' })
  await until(async () => !await isOut())
  t.equal((await text('ARRET', { type: 'STOP', sid: 'SM1' })).status, 200, 'a replay')
  t.match(await order('texts', { from: BEN, body: 'QUIT' }), { http: 201, status: 200, body: /<Response\/>/ })
  await until(() => isOut(BEN))
  t.equal((await settled(4)).length, 4)
  t.notOk(await isOut())
})

t.test('#89: STOP to the sender that shops share holds for each of them, and goes with a shop that changes its provider', async t => {
  const { app, alert, becomes, text, isOut } = await native(t)
  await becomes(await alert('first'), isDelivered)
  await text('STOP')
  await until(isOut)
  const other = await alert('other', ADA, 'globex.example')
  t.match(await becomes(other, isRejected), { reason: 'opted_out' }, 'a shop that has not texted yet uses the same sender')
  t.equal((await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'courier' } })).status, 200)
  t.equal((await app.ask('PUT', '/v1/shops/globex.example/channels/sms', { body: { provider: 'herald' } })).status, 200)
  t.match(await becomes(await alert('switched'), isRejected), { reason: 'opted_out', provider: 'courier', calls: [] })
  t.match(await becomes(await alert('not-theirs', ADA, 'globex.example'), isDelivered), { provider: 'herald' }, 'who never texted from there is free elsewhere')
  t.match((await app.ask('POST', '/v1/shops/acme.example/opt-outs/lift', { body: { phone: ADA, reason: 'Asked for alerts by e-mail.' } })).body, { opted_out: false })
  t.match(await becomes(await alert('lifted'), isDelivered), { provider: 'courier' })
  t.equal((await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'stoq-native' } })).status, 200)
  t.match(await becomes(await alert('back'), isRejected), { reason: 'opted_out' }, 'no shop lifts it for the sender')
})

t.test('a number that the provider says has opted out is on the shop\'s list from then on', async t => {
  const { app, alert, becomes, isOut } = await native(t)
  const phone = '+12015550166'
  t.match(await becomes(await alert('21610', phone), isRejected), { reason: 'opted_out', attempts: 1 })
  t.ok(await isOut(phone))
  t.match(await becomes(await alert('not-asked', phone), isRejected), { reason: 'opted_out', attempts: 0 })
  t.notOk(await isOut(phone, 'globex.example'))
  t.match((await app.ask('GET', `/v1/shops/acme.example/opt-outs?phone=${encodeURIComponent(phone)}`)).body.items, [{ scope: 'shop', via: 'provider_refused', provider: 'stoq-native' }])
})

t.test('a STOP that was received is worked on after a restart', async t => {
  const { app, text, isOut, alert, becomes } = await native(t)
  await text('stop')
  await app.restart()
  await until(isOut)
  t.match(await becomes(await alert('after'), isRejected), { reason: 'opted_out' })
})
