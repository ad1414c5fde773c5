// F3, F4: waves that sell out or are stopped half-way, and what is sent by hand.

import t from 'tap'
import { CONFIG, until } from '../../test/helpers/app.ts'
import { fakeRuntime } from '../../test/helpers/fake-runtime.ts'
import { alerted, API, idOf, inState, jam, jammed, range, several, signUpData, signUps, soon, startWaitlist, stock, waits, waves } from './waves.test-world.ts'

t.jobs = 2
const HOUR_MS = 3_600_000
/** Longer than the jam, and shorter than a lease. */
const JAM_MS = 330_000

t.test('F3: sold out half-way, nothing more is sent; who was not told waits again, and is the first of the next restock', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await waits(app, several(1200))
  await jam(app)
  await stock(app, 50)
  await until(async () => await inState(app, 2) === 1200)
  await stock(app, 0)
  await until(async () => await inState(app, 1) === 1200)
  await until(async () => (await waves(app))[0]?.state === 'ended')
  t.match(await waves(app), [{ reason: 'sold_out', made: 1200, alerted: 0, returned: 1200 }])
  t.match(await app.delivery(`${idOf(0)}/alert/1`), { state: 'rejected', reason: 'sold_out' })
  await app.heal('courier')
  runtime.skip(JAM_MS)
  await app.ask('PATCH', `${API}/settings`, { body: { batches: { multiplier: 1, interval_minutes: 60 } } })
  await stock(app, 3)
  t.strictSame(await soon(app, 3), range(0, 3))
  await until(async () => await inState(app, 3) === 3)
  t.match(await app.delivery(`${idOf(0)}/alert/2`), { state: 'delivered' })
})

t.test('F3: what was made before it sold out is refused at the send, whatever made it', async t => {
  const app = await startWaitlist(t)
  await stock(app, 0)
  const { consent: _, ...data } = signUpData({ n: 1 })
  await app.post({ id: 'posted', type: 'back_in_stock.alert', shop: 'acme.example', data })
  await until(async () => (await app.delivery('posted'))?.state === 'rejected')
  t.match(await app.delivery('posted'), { reason: 'sold_out' })
  await app.post({ id: 'unknown', type: 'back_in_stock.alert', shop: 'acme.example', data: { ...data, variant: { ...data.variant as object, id: '8002' } } })
  await until(async () => (await app.delivery('unknown'))?.state === 'delivered')
  t.strictSame(await alerted(app), [1])
})

t.test('F3, #91: who bought, was removed or is gone since the alert was made is not told', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await waits(app, several(4))
  await jam(app)
  await stock(app, 50)
  await until(async () => await inState(app, 2) === 4)
  await jammed(app)
  await app.post({ id: 'order', type: 'order.placed', shop: 'acme.example', data: { customer: { name: '', country: 'US', id: 'c0' }, order: { id: '1', name: '#1', number: 1 }, lines: [{ product_id: '7001', quantity: 1 }] } })
  await app.query(`update waitlist_signups set state = 5, reason = 'removed' where id = '${idOf(1)}'`)
  await app.query(`delete from waitlist_signups where id = '${idOf(2)}'`)
  await app.heal('courier')
  runtime.skip(JAM_MS)
  t.strictSame(await soon(app, 1), [3])
  await until(async () => { runtime.skip(60_000); return (await waves(app))[0]?.state === 'ended' })
  for (const [n, reason] of [[0, 'bought_since'], [1, 'unsubscribed'], [2, 'unsubscribed']] as const) t.match(await app.delivery(`${idOf(n)}/alert/1`), { state: 'rejected', reason }, reason)
  t.strictSame((await signUps(app)).map(({ id, state, reason }) => [id, state, reason]), [[idOf(0), 4, 'bought_since'], [idOf(1), 5, 'removed'], [idOf(3), 3, null]])
  t.match(await waves(app), [{ made: 4, alerted: 1 }])
})

t.test('F4: by hand to all who wait, after a rehearsal, in stock or not; once at a time', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await waits(app, several(5).map(one => ({ ...one, ...(one.n === 4 && { consent: 0 }) })))
  await stock(app, 0)
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8001', rehearse: true } }), { status: 200, body: { waiting: 5, reachable: 4, duration_seconds: 1, provider: 'courier', held: null } })
  t.strictSame(await waves(app), [], 'a rehearsal sends nothing')
  await jam(app)
  const sent = await app.ask('POST', `${API}/waves`, { body: { variant: '8001' } })
  t.match(sent, { status: 202, body: { started_by: 'manual', actor: 'all', state: 'running', stock_after: 0 } })
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8001' } }), { status: 409, body: { error: { code: 'GW_CONFLICT' } } })
  await until(async () => await inState(app, 2) === 4)
  t.match(await app.query('select actor, action, subject from audit where action like \'waitlist%\''), [{ actor: 'all', action: 'waitlist.send', subject: '8001' }])
  t.match(await app.ask('GET', `${API}/waves/${sent.body.id as string}`), { status: 200, body: { made: 4, skipped: 1 } })
  await app.heal('courier')
  runtime.skip(JAM_MS)
  t.strictSame(await soon(app, 4), range(0, 4), 'though it is sold out: a person wanted it so')
  t.match(await app.ask('GET', `${API}/waves/wav_none`), { status: 404 })
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8001', more: 1 } }), { status: 422 })
  for (const key of ['globex', 'reader'] as const) t.ok((await app.ask('POST', `${API}/waves`, { key, body: { variant: '8001' } })).status >= 403, key)
})

t.test('F4: by hand to one of them, and to nobody else', async t => {
  const app = await startWaitlist(t)
  await waits(app, several(3))
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8001', signup: idOf(1), rehearse: true } }), { status: 200, body: { waiting: 1, reachable: 1 } })
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8001', signup: idOf(1) } }), { status: 202, body: { signup: idOf(1) } })
  t.strictSame(await soon(app, 1), [1])
  await until(async () => (await waves(app))[0]?.state === 'ended')
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8001', signup: idOf(1) } }), { status: 409 }, 'who was told does not wait')
  t.match(await app.ask('POST', `${API}/waves`, { body: { variant: '8002', signup: idOf(0) } }), { status: 404 })
  t.equal(await inState(app, 1), 2)
})

t.test('F4: a wave that is stopped takes back what is not sent, and tells who stopped it', async t => {
  const app = await startWaitlist(t)
  await waits(app, several(700))
  await jam(app)
  await stock(app, 50)
  await until(async () => await inState(app, 2) === 700)
  const [{ id }] = await waves(app) as [{ id: string }]
  t.match(await app.ask('POST', `${API}/waves/${id}/stop`), { status: 200, body: { reason: 'stopped', state: 'ending' } })
  await until(async () => await inState(app, 1) === 700)
  await until(async () => (await waves(app))[0]?.state === 'ended')
  t.match(await app.ask('POST', `${API}/waves/${id}/stop`), { status: 409 })
  t.match(await app.delivery(`${idOf(0)}/alert/1`), { state: 'rejected', reason: 'wave_stopped' })
  t.match((await app.ask('GET', `${API}/waves?limit=1`)).body, { next_cursor: id })
  t.match((await app.ask('GET', `${API}/waves?limit=1&cursor=${id}`)).body, { items: [], next_cursor: null })
})

t.test('F3: a wave goes on where it was when the gateway is started again', async t => {
  const runtime = fakeRuntime()
  const app = await startWaitlist(t, { runtime })
  await waits(app, several(20))
  await app.ask('PATCH', `${API}/settings`, { body: { batches: { multiplier: 1, interval_minutes: 5 } } })
  await stock(app, 8)
  await soon(app, 8)
  await app.restart()
  runtime.setClock(HOUR_MS)
  await until(async () => (await alerted(app)).length === 8)
  await until(async () => await inState(app, 3) === 16)
  t.strictSame((await alerted(app)).toSorted((a, b) => a - b), range(8, 16), 'by the new process')
})

t.test('what a shop chooses: in part, with bounds; batches only where the plan has them', async t => {
  const app = await startWaitlist(t)
  const path = `${API}/settings`
  t.match((await app.ask('GET', path)).body, { automatic: true, threshold: 1, batches: null, reminder_after_days: null, allowed_countries: null, storefront_origins: [] })
  t.match(await app.ask('PATCH', path, { body: { threshold: 3, reminder_after_days: 7 } }), { status: 200, body: { threshold: 3, reminder_after_days: 7, automatic: true } })
  t.match(await app.ask('PATCH', path, { body: { reminder_after_days: null, automatic: false } }), { status: 200, body: { threshold: 3, reminder_after_days: null, automatic: false } })
  for (const body of [{}, { threshold: 0 }, { batches: { multiplier: 1.5, interval_minutes: 60 } }, { batches: { multiplier: 1, interval_minutes: 4 } }, { reminder_after_days: 91 }, { unknown: 1 }, { storefront_origins: ['http://x.example'] }]) {
    t.equal((await app.ask('PATCH', path, { body })).status, 422, JSON.stringify(body))
  }
  const batches = { multiplier: 2, interval_minutes: 30 }
  t.match(await app.ask('PATCH', path, { body: { batches } }), { status: 200, body: { batches } })
  await app.ask('PUT', '/v1/shops/acme.example', { body: { name: 'Acme', domain: 'acme.example', plan: 'free' } })
  t.match((await app.ask('GET', path)).body, { batches, batches_ignored: /free/ })
  t.match(await app.ask('PATCH', path, { body: { batches } }), { status: 403, body: { error: { code: 'GW_PLAN_TOO_LOW' } } })
  t.match(await app.ask('PATCH', path, { body: { batches: null } }), { status: 200, body: { batches: null } })
  await app.restart()
  t.match((await app.ask('GET', path)).body, { threshold: 3, automatic: false })
  t.notOk(CONFIG.includes('waitlist:'), 'and without the folder in the config there is none of it')
})
