// F5: reminder 1, some days after the alert, for those for whom it still makes sense.

import t from 'tap'
import { fakeRuntime } from '../../test/helpers/fake-runtime.ts'
import { until, type App } from '../../test/helpers/app.ts'
import { API, idOf, inState, jam, jammed, several, signUps, startWaitlist, stock, waits, waves } from './waves.test-world.ts'

t.jobs = 2
const DAY_MS = 24 * 3_600_000

const remindAfter = (app: App, days: number | null): Promise<unknown> => app.ask('PATCH', `${API}/settings`, { body: { reminder_after_days: days } })
const reminders = async (app: App): Promise<number[]> => (await app.received('courier')).flatMap(({ body }) => (body as { data?: { name: string, recipient: { name: string } } } | undefined)?.data ?? [])
  .filter(({ name }) => name === 'Reminder').map(({ recipient }) => Number(recipient.name.split(' ')[1]))
/** What became of each reminder. */
const fates = async (app: App): Promise<Array<[string | null, string | null]>> => (await signUps(app)).map(({ reminder, reminder_reason: reason }) => [reminder, reason])

t.test('F5: after the days that the shop chose each is reminded once, unless they bought, were removed, took back their consent or opted out', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await remindAfter(app, 3)
  await waits(app, several(7).map(one => ({ ...one, phone: `+1201555013${one.n}` })))
  await stock(app, 9)
  await until(async () => await inState(app, 3) === 7)
  await app.post({ id: 'order', type: 'order.placed', shop: 'acme.example', data: { customer: { name: '', country: 'US', id: 'c1' }, order: { id: '1', name: '#1', number: 1 }, lines: [{ product_id: '7001', variant_id: '8009', quantity: 1 }] } })
  await app.query(`update waitlist_signups set state = 5 where id = '${idOf(2)}'`)
  await app.query(`update waitlist_signups set consent = 0 where id = '${idOf(3)}'`)
  await app.query(`update waitlist_signups set person = (select e.person from events e where e.source_id = '${idOf(6)}/alert/1') where id = '${idOf(6)}'`)
  await app.ask('PUT', '/v1/shops/acme.example/opt-outs', { body: { phone: '+12015550136' } })
  runtime.setClock(3 * DAY_MS - 60_000)
  await app.restart()
  await stock(app, 8, { at: runtime.now() })
  t.strictSame(await reminders(app), [], 'a minute early')
  runtime.setClock(120_000)
  await until(async () => (await reminders(app)).length === 3)
  await until(async () => (await app.delivery(`${idOf(0)}/reminder/1`))?.state === 'delivered')
  t.strictSame((await reminders(app)).toSorted(), [0, 4, 5])
  t.strictSame(await fates(app), [['made', null], ['dropped', 'bought_since'], ['dropped', 'unsubscribed'], ['dropped', 'no_consent'], ['made', null], ['made', null], ['dropped', 'opted_out']])
  runtime.setClock(10 * DAY_MS)
  await app.restart()
  await until(async () => Number((await app.query(`select due_at from jobs where kind = 'waitlist_reminders'`))[0]?.due_at ?? 0) > runtime.now())
  t.equal((await reminders(app)).length, 0, 'nobody is reminded twice: the new sandbox hears of none')
})

t.test('F5: sold out by then, it is dropped; and so it is where it sells out before the reminder is sent', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await remindAfter(app, 1)
  await waits(app, [...several(2), { id: 'sgn_late', n: 9, variant: '8002' }])
  await stock(app, 9)
  await stock(app, 9, { variant: '8002' })
  await until(async () => await inState(app, 3) === 3)
  await stock(app, 0)
  await jam(app)
  runtime.setClock(DAY_MS + 60_000)
  await until(async () => (await signUps(app, 'reminder is not null')).length === 3)
  t.strictSame((await signUps(app, 'variant = \'8001\'')).map(({ reminder, reminder_reason: reason }) => [reminder, reason]), [['dropped', 'sold_out'], ['dropped', 'sold_out']])
  t.match((await signUps(app, 'variant = \'8002\'')), [{ reminder: 'made' }])
  await jammed(app)
  await stock(app, 0, { variant: '8002', at: runtime.now() })
  await app.heal('courier')
  runtime.skip(330_000)
  await until(async () => (await app.delivery('sgn_late/reminder/1')).state === 'rejected')
  t.match(await app.delivery('sgn_late/reminder/1'), { reason: 'sold_out' })
  t.strictSame(await reminders(app), [])
})

t.test('F5: what is chosen counts for those who are alerted from then on; whose alert failed is not reminded', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await waits(app, several(2))
  await stock(app, 9)
  await until(async () => await inState(app, 3) === 2)
  await remindAfter(app, 1)
  await waits(app, [{ id: 'sgn_failed', n: 7, variant: '8002' }, { id: 'sgn_told', n: 8, variant: '8002' }])
  await app.fault('courier', { kind: 'status', status: 400, times: 1 })
  await stock(app, 9, { variant: '8002' })
  await until(async () => (await waves(app)).every(({ state }) => state === 'ended'))
  const [told] = await signUps(app, 'variant = \'8002\' and state = 3')
  const id = told?.id as string
  await waits(app, [{ id: 'sgn_bounced', n: 9, variant: '8003' }])
  await stock(app, 9, { variant: '8003' })
  await until(async () => (await signUps(app, 'variant = \'8003\' and state = 3')).length === 1)
  await app.query("update deliveries set state = 5, reason = 'number_unknown' where event_key = (select event_key from events where source_id = 'sgn_bounced/alert/1')") // as the carrier's word does
  runtime.setClock(DAY_MS + 60_000)
  await until(async () => (await app.delivery(`${id}/reminder/1`))?.state === 'delivered')
  t.equal((await reminders(app)).length, 1)
  t.strictSame((await signUps(app, 'reminder = \'made\'')).map(one => one.id), [id])
  t.match(await signUps(app, 'variant = \'8003\''), [{ state: 3, reminder: 'dropped', reminder_reason: 'number_unknown' }])
})

t.test('F5: a thousand reminders that fall due together all go, page by page', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await remindAfter(app, 1)
  await waits(app, several(1100))
  await stock(app, 9)
  await until(async () => await inState(app, 3) === 1100)
  runtime.setClock(DAY_MS + 60_000)
  await until(async () => (await signUps(app, 'reminder = \'made\'')).length === 1100)
  const delivered = async (): Promise<number> => Number((await app.query('select count(*) as n from events e join deliveries d on d.event_key = e.event_key where e.type = \'back_in_stock.reminder\' and d.state = 3'))[0]?.n)
  await until(async () => await delivered() === 1100)
  t.strictSame(await app.query('select source_id from events group by source_id having count(*) > 1'), [])
})

t.test('#93: who waits no longer is forgotten after the term, with the wave; who waits, and who is to be reminded, stays', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await remindAfter(app, 60)
  await waits(app, [...several(2), { id: 'sgn_waits', n: 8, variant: '8002' }])
  await stock(app, 9)
  await until(async () => await inState(app, 3) === 2)
  await until(async () => Number((await app.query('select count(*) as open from waitlist_waves where settled = 0'))[0]?.open) === 0)
  await app.query(`update waitlist_signups set remind_at = null where id = '${idOf(0)}'`)
  runtime.setClock(31 * DAY_MS)
  await app.restart()
  await until(async () => (await signUps(app)).length === 2)
  t.strictSame((await signUps(app)).map(({ id }) => id).toSorted(), [idOf(1), 'sgn_waits'].toSorted())
  await until(async () => (await waves(app)).length === 0)
})
