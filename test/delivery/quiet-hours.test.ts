// E3: messages wait while it is a quiet hour where the customer is, at each send anew, whatever the clock does.

import t from 'tap'
import type { Provider, QuietHours } from '../../gateway/contract.ts'
import { until } from '../helpers/fake-runtime.ts'
import { inTurn, status } from '../helpers/fault-server.ts'
import { DAY_MS, eventType, HOUR_MS } from '../helpers/make.ts'
import { world, type World, type WorldOptions } from './world.ts'

const EIGHT_TO_NINE = { from: 8 * 60, until: 21 * 60 }
const DAY = '2027-03-10T'
const EVENTS = {
  'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: DAY_MS }),
  'thing.urgent': eventType({ type: 'thing.urgent', setupGroup: 'urgent', kind: 'transactional', expiresAfterMs: DAY_MS })
}

const quiet = (more: Partial<QuietHours> = {}): Partial<Provider> => ({
  quietHours: { kinds: () => ['marketing'], hours: () => [EIGHT_TO_NINE], zone: () => 'UTC', stricter: [], stopBeforeMs: 15 * 60_000, at: { timeZone: '/zone', phone: '/phone', country: '/country' }, ...more }
})

/** Time of day, in UTC. */
function clockTo (w: World, time: string): void { w.runtime.setClock(Date.parse(`${time.includes('T') ? time : DAY + time}Z`) - w.runtime.now()) }

/** Not started: the clock stands before anything is sent. */
async function at (t: Parameters<typeof world>[0], time: string, options: WorldOptions = {}): Promise<World> {
  const w = await world(t, { providers: [quiet()], config: { eventTypes: EVENTS }, ...options, start: false })
  clockTo(w, time)
  await w.start()
  return w
}

t.test('E3: marketing waits for the morning and pays nothing for it; an order\'s message goes at once', async t => {
  const w = await at(t, '02:00')
  const [alert] = await w.accept('a') as [string]
  const [order] = await w.accept('a', 1, 'thing.urgent') as [string]
  await w.becomes(order, 'delivered')
  const row = await w.becomes(alert, 'waiting', 'quiet_hours')
  t.match(row, { attempts: 0, call_no: 0, detail: 'UTC, by the shop' })
  t.equal(row.due_at, Date.parse(`${DAY}08:05Z`), 'spread over ten minutes')
  clockTo(w, '08:04')
  t.match(await w.shown(alert), { state: 'waiting', reason: 'quiet_hours' })
  clockTo(w, '08:06')
  t.match(await w.becomes(alert, 'delivered'), { attempts: 1 })
  t.equal(w.server.received.length, 2)
  t.strictSame(w.errors, [])
})

t.test('E3: a 429 whose wait leads into the night is not sent before the morning, and a request that failed neither', async t => {
  for (const first of [status(429, { 'retry-after': '3600' }), status(500)]) {
    const w = await at(t, '20:30', { reply: inTurn(first, status(202)) })
    const [alert] = await w.accept('a') as [string]
    await until('it was tried', () => w.attempts.length === 1)
    w.runtime.skip(HOUR_MS)
    await until('it waits for the morning', async () => (await w.delivery(alert)).reason === 'quiet_hours')
    t.equal((await w.delivery(alert)).due_at, Date.parse('2027-03-11T08:05Z'))
    t.equal(w.server.received.length, 1)
    clockTo(w, '2027-03-11T08:06')
    await w.becomes(alert, 'delivered')
    t.equal(w.server.received.length, 2)
  }
})

t.test('E3: R60: a clock that is set into the night and back again is believed at each send', async t => {
  const w = await at(t, '12:00')
  const [first] = await w.accept('a') as [string]
  await w.becomes(first, 'delivered')
  clockTo(w, '03:00')
  const [second] = await w.accept('a') as [string]
  await w.becomes(second, 'waiting', 'quiet_hours')
  clockTo(w, '12:00')
  await w.becomes(second, 'delivered')
  clockTo(w, '20:45')
  const [third] = await w.accept('a') as [string]
  await w.becomes(third, 'waiting', 'quiet_hours')
  t.equal(w.server.received.length, 2)
})

t.test('E3: what expires while it waits says so: at its time, and where it is held then', async t => {
  const w = await at(t, '21:30', { config: { eventTypes: { ...EVENTS, 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: 4 * HOUR_MS }) } } })
  const [alert] = await w.accept('a') as [string]
  const row = await w.becomes(alert, 'waiting', 'quiet_hours')
  t.equal(row.due_at, row.expires_at, 'no longer than that')
  clockTo(w, '2027-03-11T01:31')
  t.match(await w.becomes(alert, 'expired', 'expired_quiet_hours'), { attempts: 0 })
  t.strictSame(w.server.received, [])
})

t.test('E3: where there is never an hour nothing waits for ever: it is rejected, and says why', async t => {
  for (const [more, reason] of [[{ stricter: [{ name: 'Nowhere', country: null, calling: [], days: [1, 2, 3, 4, 5, 6, 7], hours: null }] }, 'no_common_hour'], [{ zone: () => null }, 'time_zone_unknown']] as const) {
    const w = await at(t, '12:00', { providers: [quiet(more)] })
    const [alert] = await w.accept('a') as [string]
    await w.becomes(alert, 'rejected', reason)
    t.match(w.refused, [{ reason }])
  }
})

t.test('E3: the request is told for how long it is open', async t => {
  const told: Array<number | undefined> = []
  const w = await at(t, '20:00', { providers: [{ ...quiet(), prepare: (_type, scope) => { told.push(scope.delivery.open_for_s); return { ok: true, request: { name: 'create', group: 'events', method: 'POST', path: '/events', headers: {}, body: '{}' } } } }] })
  await w.all(await w.accept('a'), 'delivered')
  await w.all(await w.accept('a', 1, 'thing.urgent'), 'delivered')
  t.equal(told.length, 2)
  t.ok((told[0] as number) > 3590 && (told[0] as number) <= 3600, String(told[0]))
  t.equal(told[1], undefined)
})
