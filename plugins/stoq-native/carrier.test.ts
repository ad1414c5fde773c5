// What the carrier says of a message, through the real gateway: signed call-backs in any order, and asking where none came.

import t from 'tap'
import { until, type Body } from '../../test/helpers/app.ts'
import { ACCOUNT, native } from './native.test-world.ts'

const HOUR_MS = 3_600_000
const OTHER_SID = 'SM00000000000000000000000000000009'
const isDelivered = ({ state }: Body): boolean => state === 'delivered'
const said = (status: string) => ({ carrier }: Body): boolean => (carrier as Body | null)?.status === status

t.test('the carrier\'s word follows the provider\'s: later words, duplicates and words out of order, and the first end stays', async t => {
  const { alert, becomes, report, settled } = await native(t)
  const id = await alert('word')
  const { provider_message_id: sid, carrier } = await becomes(id, isDelivered)
  t.equal(carrier, null)
  for (const status of ['sending', 'delivered', 'sent', 'delivered', 'failed']) t.equal(await report(id, { status, sid: String(sid), code: '30008' }), 204)
  t.match(await settled(4), [{ state: 'done' }, { state: 'done' }, { state: 'done' }, { state: 'done', reason: 'carrier_word', detail: 'The carrier says: sending.', subject: id }])
  t.match(await becomes(id, said('delivered')), { state: 'delivered', reason: null, carrier: { status: 'delivered', code: null, at: /Z$/ } })
})

t.test('what failed at the carrier is rejected with the reason that its code has in provider.yaml', async t => {
  const { app, alert, becomes, report, isOut } = await native(t)
  const table: Array<[code: string, status: string, reason: string]> = [['30005', 'undelivered', 'number_unknown'], ['30007', 'undelivered', 'carrier_filtered'], ['30036', 'failed', 'carrier_too_late'], ['21610', 'failed', 'opted_out'], ['99999', 'failed', 'carrier_failed']]
  for (const [code, status, reason] of table) {
    const phone = `+1201555010${code.at(-1)}`
    const id = await alert(code, phone)
    const { provider_message_id: sid } = await becomes(id, isDelivered)
    t.equal(await report(id, { status, sid: String(sid), code }), 204)
    t.match(await becomes(id, ({ state }) => state === 'rejected'), { reason, detail: new RegExp(`^${code}$`), carrier: { status, code }, attempts: 1 }, code)
    t.equal(await isOut(phone), code === '21610', 'only who opted out is on the list')
  }
  const { body: { items } } = await app.ask('GET', '/v1/inbox?source=stoq-native&state=parked')
  t.strictSame(items, [])
})

t.test('#98: forged, repeated, of another account or another message: nothing is believed, and what was signed is there to be read', async t => {
  const { app, alert, becomes, report, settled } = await native(t)
  const id = await alert('attacked')
  const { provider_message_id: sid } = await becomes(id, isDelivered)
  t.equal(await report(id, { status: 'failed', sid: String(sid), token: 'another_token_0123456789' }), 403)
  t.equal(await report(id, { status: 'failed', sid: OTHER_SID }), 204)
  t.equal(await report(id, { status: 'failed', sid: String(sid), account: 'AC00000000000000000000000000000002' }), 204)
  t.equal(await report('dlv_01993f3e-0000-7000-8000-000000000001', { status: 'delivered', sid: OTHER_SID.replace('9', '8') }), 204)
  t.equal(await report(id, { status: 'exploded', sid: String(sid) }), 204)
  t.strictSame((await settled(4)).map(({ state, reason }) => `${String(state)} ${String(reason)}`), ['parked not_understood', 'parked delivery_unknown', 'parked account_differs', 'parked message_differs'])
  t.match(await becomes(id, isDelivered), { carrier: null })
  for (let i = 0; i < 3; i++) t.equal(await report(id, { status: 'sent', sid: String(sid) }), 204)
  await becomes(id, said('sent'))
  t.equal((await settled(5)).length, 5, 'a replay is not kept')
  const refused = await alert('refused', '+12015550169')
  t.match(await becomes(refused, ({ state }) => state === 'rejected'), { reason: 'not_mobile' })
  t.equal(await report(refused, { status: 'delivered', sid: OTHER_SID }), 204)
  t.match((await settled(6))[0], { state: 'parked', reason: 'message_differs' })
  t.match((await app.ask('GET', `/v1/deliveries/${refused}`)).body, { state: 'rejected', reason: 'not_mobile', carrier: null }, 'a refusal is not overwritten')
})

t.test('a call-back that overtakes the answer waits for it; one for a message whose answer was lost proves that it was made', async t => {
  const { app, alert, becomes, order, texted, settled } = await native(t)
  t.match(await order('callbacks', { statuses: ['sent', 'delivered', 'delivered'], before_answer: true }), { http: 201 })
  const early = await alert('early')
  t.match(await becomes(early, said('delivered')), { state: 'delivered', reason: null, attempts: 1 })
  await order('callbacks', { statuses: ['undelivered', 'sent'], code: 30006, before_answer: true })
  await app.fault('stoq-native', { kind: 'cut_after', times: 1 })
  const lost = await alert('lost')
  t.match(await becomes(lost, ({ state }) => state === 'rejected'), { reason: 'not_mobile', provider_message_id: /^SM/, carrier: { status: 'undelivered', code: '30006' } })
  await order('callbacks', { statuses: ['sent'], before_answer: true })
  await app.fault('stoq-native', { kind: 'cut_after', times: 1 })
  const proved = await alert('proved')
  t.match(await becomes(proved, isDelivered), { reason: 'accepted_elsewhere', provider_message_id: /^SM/, attempts: 1, carrier: { status: 'sent' } })
  t.equal((await texted()).length, 3, 'each was made once')
  t.match((await app.ask('GET', '/v1/shops/acme.example/usage')).body, { providers: [{ provider: 'stoq-native', messages: 3, under_way: { messages: 0 } }] }, 'E4: and each is counted, whoever proved it')
  t.strictSame(await app.query('select * from usage_reserved'), [])
  t.strictSame([...new Set((await settled(5)).map(({ state }) => state))], ['done'])
})

t.test('the sandbox reports as it is ordered, to this machine alone', async t => {
  const { app, alert, becomes, order } = await native(t)
  t.match(await order('callbacks', { statuses: [] }), { http: 400 })
  t.match(await order('callbacks', { statuses: ['sending', 'sent', 'delivered'], times: 2 }), { http: 201 })
  for (const id of [await alert('one'), await alert('two')]) t.match(await becomes(id, said('delivered')), { state: 'delivered' })
  await order('callbacks', { statuses: ['sent'], to: 'https://gateway.example' })
  const third = await alert('three')
  await becomes(third, isDelivered)
  const { items } = await (await fetch(`${app.sandboxUrl}/stoq-native/_sandbox/callbacks`)).json() as { items: Body[] }
  t.strictSame(items.map(({ status }) => status), [204, 204, 204, 204, 204, 204, null])
})

t.test('what was told is worked on after a restart, once', async t => {
  const { app, alert, becomes, report, settled } = await native(t)
  const id = await alert('restart')
  const { provider_message_id: sid } = await becomes(id, isDelivered)
  t.equal(await report(id, { status: 'undelivered', sid: String(sid), code: '30004' }), 204)
  await app.restart() // whether it was worked on by then or not
  t.match(await becomes(id, ({ state }) => state === 'rejected'), { reason: 'carrier_blocked' })
  const [row] = await settled(1)
  t.match(row, { state: 'done' })
  t.match(await app.ask('POST', `/v1/inbox/${String(row?.id)}/retry`), { status: 202 })
  await settled(1)
  t.match(await becomes(id, ({ state }) => state === 'rejected'), { reason: 'carrier_blocked', carrier: { status: 'undelivered', code: '30004' } }, 'worked on twice, it is the same')
})

t.test('who says no last word is asked about after an hour and after a day, and not before or after that', async t => {
  const { app, advance, alert, becomes, report } = await native(t)
  const [fine, failed, told] = [await alert('fine'), await alert('bad', '+12015550185'), await alert('told')]
  for (const id of [fine, failed, told]) await becomes(id, isDelivered)
  const { provider_message_id: sid } = await becomes(told, isDelivered)
  await report(told, { status: 'delivered', sid: String(sid) })
  await becomes(told, said('delivered'))
  const asked = async () => (await app.received('stoq-native')).filter(({ method }) => method === 'GET').length
  t.equal(await asked(), 0)
  advance(HOUR_MS + 61_000)
  t.match(await becomes(fine, said('delivered')), { state: 'delivered' })
  t.match(await becomes(failed, said('undelivered')), { state: 'rejected', reason: 'number_unknown', detail: '30005: Unknown destination handset', carrier: { code: '30005' } })
  t.equal(await asked(), 2, 'nobody asks about what is known')
  t.match(await app.query('select count(*) as due from deliveries where carrier_due_at is not null'), [{ due: /^0$/ }])
  t.match(await app.ask('GET', `/v1/deliveries/${told}`), { body: { carrier: { status: 'delivered' } } })
})

t.test('an account that cannot be asked is asked again; a message that stays under way is asked about once more, a day later', async t => {
  const { app, advance, alert, becomes } = await native(t)
  const id = await alert('slow')
  const { provider_message_id: sid } = await becomes(id, isDelivered)
  const path = `/2010-04-01/Accounts/${ACCOUNT}/Messages/${String(sid)}.json`
  const asked = async () => (await app.received('stoq-native')).filter(one => one.path === path).length
  const due = async () => (await app.query('select carrier_due_at as due, settled_at as taken from deliveries'))[0] as { due: number | null, taken: number }
  await app.fault('stoq-native', { kind: 'status', times: 1, status: 503, body: {} })
  await app.fault('stoq-native', { kind: 'status', times: 1, status: 200, body: { sid, status: 'sent', error_code: null } })
  advance(HOUR_MS + 61_000)
  const first = await due()
  t.equal(first.due, first.taken + HOUR_MS)
  await until(async () => Number((await app.query('select count(*) as n from calls where status = 503'))[0]?.n) > 0)
  t.equal((await due()).due, first.due, 'nothing was learnt')
  advance(2 * 61_000)
  await becomes(id, said('sent'))
  t.equal((await due()).due, first.taken + 24 * HOUR_MS)
  advance(23 * HOUR_MS)
  await becomes(id, said('delivered'))
  t.equal((await due()).due, null)
  t.equal(await asked(), 1, 'twice a fault answered')
})
