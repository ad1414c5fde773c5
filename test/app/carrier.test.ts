// What a provider's own code makes of what its address was told: words of the carrier's, in one unit with the end of their row (#98).

import t from 'tap'
import { anEvent, deliveryOf, movable, until, type App, type Body } from '../helpers/app.ts'
import { tell, tellerApp } from '../helpers/teller.ts'

const HOUR_MS = 3_600_000
const PHONE = '+12015550123'
const status = (delivery: string | null, word: string, more: object = {}) => ({ is: 'status', account: 'AC1', delivery, receipt: 'M1', at: 1_800_000_000_000, word, code: null, answer: null, ...more })
const out = { is: 'opted_out', account: 'AC1', phone: PHONE, at: 1_800_000_000_000, via: 'said_so' }

async function delivered (app: App, id: string): Promise<string> {
  const answered = await app.post(anEvent(id))
  await app.delivered(answered)
  return String(deliveryOf(answered).id)
}

const isOut = async (app: App): Promise<unknown> => (await app.ask('GET', `/v1/shops/acme.example/opt-outs?phone=${encodeURIComponent(PHONE)}`)).body.opted_out

t.test('the carrier\'s word is found by the delivery\'s key or by the message\'s id, and shown with the delivery', async t => {
  const app = await tellerApp(t)
  const id = await delivered(app, 'word')
  t.equal((await app.delivery('word')).carrier, null)
  t.match(await tell(app, [status(id, 'sent')]), { state: 'done', reason: 'carrier_word', events: [] })
  t.match(await app.delivery('word'), { state: 'delivered', carrier: { status: 'sent', code: null, at: '2027-01-15T08:00:00.000Z' } })
  t.match(await tell(app, [status(null, 'undelivered', { code: '7', answer: { status: 201, body: '{"why":"gone"}' } })]), { state: 'done' })
  t.match(await app.delivery('word'), { state: 'rejected', reason: 'number_unknown', detail: 'gone', sentence: 'The customer\'s phone number does not exist or is not in use.', carrier: { status: 'undelivered', code: '7' } })
  t.match((await app.ask('GET', '/v1/deliveries')).body.items, [{ carrier: { status: 'undelivered' } }])
  t.match(await tell(app, [status(id, 'delivered')]), { state: 'done' })
  t.match(await app.delivery('word'), { state: 'rejected', carrier: { status: 'undelivered' } }, 'the first end stays')
})

t.test('one that a person tries again begins without the word of the message before', async t => {
  const app = await tellerApp(t)
  const id = await delivered(app, 'again')
  await tell(app, [status(id, 'failed')])
  t.match(await app.delivery('again'), { state: 'rejected', reason: 'carrier_failed', carrier: { status: 'failed' } })
  t.equal((await app.ask('POST', `/v1/deliveries/${id}/retry`)).status, 202)
  await until(async () => (await app.delivery('again')).state === 'delivered')
  t.match(await app.delivery('again'), { attempts: 2, carrier: null })
})

t.test('what names another message, another account or no delivery of ours is set aside, and nothing of its row is done', async t => {
  const app = await tellerApp(t)
  const id = await delivered(app, 'aside')
  t.match(await tell(app, [out, status(id, 'failed', { receipt: 'M2' })]), { state: 'parked', reason: 'message_differs' })
  t.match(await tell(app, [status(id, 'failed', { account: 'AC2' })]), { state: 'parked', reason: 'account_differs' })
  t.match(await tell(app, [status('dlv_none', 'failed')]), { state: 'parked', reason: 'delivery_unknown' })
  t.match(await tell(app, [status(null, 'failed', { receipt: 'M3' })]), { state: 'parked', reason: 'delivery_unknown' })
  t.match(await tell(app, [{ ...out, account: 'AC2' }]), { state: 'parked', reason: 'account_differs' })
  t.match(await tell(app, { unclear: 'Written in sand.' }), { state: 'parked', reason: 'not_understood', detail: 'Written in sand.' })
  t.match(await tell(app, [{ is: 'reply', detail: 'A customer wrote.' }]), { state: 'parked', reason: 'reply' })
  t.match(await tell(app, []), { state: 'recorded', reason: 'not_acted_on' })
  t.match(await app.delivery('aside'), { state: 'delivered', carrier: null })
  t.equal(await isOut(app), false)
})

t.test('notices that are none are a fault of the folder: the row is tried again, and nothing is done', async t => {
  const app = await tellerApp(t)
  const id = await delivered(app, 'junk')
  for (const told of [[status(id, 'arrived')], [status(id, 'sent', { receipt: '' })], [status(id, 'sent', { at: 'now' })], [{ is: 'nothing' }], [{ ...out, phone: 'Ada' }], [{ ...out, via: 'By phone!' }], [{ ...out, at: null }], Array.from({ length: 21 }, () => out), 7, null, [null]]) {
    const row = await tell(app, told)
    t.match(row, told === null ? { state: 'recorded' } : { state: 'received', reason: 'translation_failed', attempts: 1 }, JSON.stringify(told))
  }
  t.match(await app.delivery('junk'), { carrier: null })
  t.equal(await isOut(app), false)
})

t.test('several things told at once are done together', async t => {
  const app = await tellerApp(t)
  const id = await delivered(app, 'both')
  t.match(await tell(app, [status(id, 'delivered'), out]), { state: 'done' })
  t.match(await app.delivery('both'), { carrier: { status: 'delivered' } })
  t.equal(await isOut(app), true)
  t.match(await tell(app, [{ ...out, is: 'opted_in', at: out.at + 1 }]), { state: 'done', reason: 'opted_in' })
  t.equal(await isOut(app), false)
})

t.test('who says no last word is asked an hour later', async t => {
  const clock = movable()
  const app = await tellerApp(t, { runtime: clock.runtime })
  await delivered(app, 'quiet')
  clock.advance(HOUR_MS + 61_000)
  await until(async () => ((await app.delivery('quiet')).carrier as Body | null)?.status === 'delivered')
  t.match((await app.received('house')).at(-1), { method: 'GET', path: '/accounts/AC1/messages/M1' })
})
