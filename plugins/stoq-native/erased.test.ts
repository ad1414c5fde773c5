// Where the carrier's word, the meter and a customer's wish to be erased meet.

import t from 'tap'
import { until, type Body } from '../../test/helpers/app.ts'
import { ADA, native } from './native.test-world.ts'

t.jobs = 2

const HOUR_MS = 3_600_000
const LATE_SID = 'SM00000000000000000000000000000009'
const isDelivered = ({ state }: Body): boolean => state === 'delivered'
const isUnknown = ({ state }: Body): boolean => state === 'unknown'

t.test('E4: a message that only the carrier\'s word proves counts for the month like every other', async t => {
  const { app, alert, becomes, order } = await native(t)
  await order('callbacks', { statuses: ['sent'], before_answer: true })
  await app.fault('stoq-native', { kind: 'cut_after', times: 1 })
  t.match(await becomes(await alert('proved'), isDelivered), { reason: 'accepted_elsewhere' })
  t.match(await app.query('select messages, segments from usage'), [{ messages: 1 }])
  t.strictSame(await app.query('select * from usage_reserved'), [])
})

t.test('#92: what the carrier says of a message after its customer was erased is erased too, and nobody asks for it', async t => {
  const { app, advance, alert, becomes, report, settled, isOut } = await native(t)
  const [sent, lost] = [await alert('sent'), await alert('lost', '+12015550177')]
  const { provider_message_id: sid } = await becomes(sent, isDelivered)
  await becomes(lost, isDelivered)
  await app.query("update deliveries set state = 4, reason = 'no_answer', receipt = null, outcome = 'unknown', carrier_due_at = null where id = '" + lost + "'") // its answer did not come, and a person is to decide
  for (const phone of [ADA, '+12015550177']) t.equal((await app.ask('POST', '/v1/shops/acme.example/privacy/redactions', { body: { customer: { phone } } })).status, 202)
  await until(async () => (await app.query('select 1 from events where data is not null')).length === 0)
  t.strictSame(await app.query('select 1 from deliveries where carrier_due_at is not null'), [])
  const before = await becomes(lost, isUnknown)
  t.equal(await report(sent, { status: 'delivered', sid: String(sid) }), 204)
  t.equal(await report(lost, { status: 'undelivered', sid: LATE_SID, code: '21610' }), 204)
  const rows = await settled(2)
  t.match(rows, [{ state: 'done', reason: 'redacted' }, { state: 'done', reason: 'redacted' }])
  t.strictSame(await app.query('select 1 from inbox where body is not null'), [])
  t.match(await becomes(sent, isDelivered), { carrier: null, provider_message_id: null })
  t.match(await becomes(lost, isUnknown), { reason: before.reason, provider_message_id: null })
  t.equal(await isOut('+12015550177'), false)
  const asked = async () => (await app.received('stoq-native')).filter(({ method }) => method === 'GET').length
  const asks = await asked()
  const next = await alert('next', '+12015550178')
  await becomes(next, isDelivered)
  advance(HOUR_MS + 61_000)
  await becomes(next, ({ carrier }) => carrier !== null)
  t.equal(await asked(), asks + 1, 'of the one that is not erased')
})
