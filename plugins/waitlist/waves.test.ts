// F3: from a restock to the customers who wait, oldest first, and no further than the stock.

import t from 'tap'
import { movable, until } from '../../test/helpers/app.ts'
import { alerted, API, idOf, inState, range, several, signUps, soon, startWaitlist, stock, waits, waves } from './waves.test-world.ts'

t.jobs = 2
const HOUR_MS = 3_600_000
const BATCHES = { batches: { multiplier: 1, interval_minutes: 60 } }

t.test('F3: a restock of 7 alerts the 7 oldest of 1,000, a sell-out nobody, and the next restock the next 7', async t => {
  const clock = movable()
  const app = await startWaitlist(t, { runtime: clock.runtime })
  await app.ask('PATCH', `${API}/settings`, { body: BATCHES })
  await waits(app, several(1000))
  await stock(app, 0)
  await stock(app, 7)
  t.strictSame(await soon(app, 7), range(0, 7))
  await until(async () => await inState(app, 3) === 7)
  t.match(await waves(app), [{ state: 'running', started_by: 'restock', stock_before: 0, stock_after: 7, made: 7, alerted: 7, batch: { number: 1, size: 7, places_left: 0 } }])
  await stock(app, 0)
  await until(async () => (await waves(app))[0]?.state === 'ended')
  t.match(await waves(app), [{ reason: 'sold_out', alerted: 7, returned: 0 }])
  clock.advance(2 * HOUR_MS)
  await stock(app, 0)
  t.equal((await alerted(app)).length, 7, 'nothing more')
  await stock(app, 7)
  t.strictSame(await soon(app, 14), range(0, 14))
  await until(async () => await inState(app, 3) === 14)
  t.equal(await inState(app, 1), 986)
  t.strictSame((await signUps(app, 'alerts > 1')), [], 'nobody twice')
})

t.test('F3: the next batch goes after the interval, as large as the stock is by then', async t => {
  const clock = movable()
  const app = await startWaitlist(t, { runtime: clock.runtime })
  await app.ask('PATCH', `${API}/settings`, { body: { batches: { multiplier: 2, interval_minutes: 60 } } })
  await waits(app, several(20))
  await stock(app, 3)
  t.strictSame(await soon(app, 6), range(0, 6))
  await stock(app, 2)
  await until(async () => await inState(app, 3) === 6)
  clock.advance(HOUR_MS)
  t.strictSame(await soon(app, 10), range(0, 10))
  t.match(await waves(app), [{ batch: { number: 2, size: 4 } }])
})

t.test('F3: without batches everybody is alerted, oldest first; the wave ends and the job with it', async t => {
  const app = await startWaitlist(t)
  await waits(app, several(30))
  await stock(app, 1)
  t.strictSame(await soon(app, 30), range(0, 30))
  await until(async () => (await waves(app))[0]?.state === 'ended')
  t.match(await waves(app), [{ reason: 'done', made: 30, alerted: 30, skipped: 0, batch: null }])
  await until(async () => (await app.query('select 1 as one from jobs where kind = \'waitlist_wave\'')).length === 0)
})

t.test('F3: the place of one who has opted out, has not agreed or was removed goes to the next; of one who is deferred it does not', async t => {
  const app = await startWaitlist(t)
  await app.ask('PATCH', `${API}/settings`, { body: BATCHES })
  await waits(app, several(10).map(one => ({ ...one, ...(one.n === 0 && { consent: 0 }) })))
  await app.fault('courier', { kind: 'status', status: 400, times: 1 })
  await stock(app, 3)
  await until(async () => await inState(app, 3) === 3)
  t.equal((await alerted(app)).length, 3, 'one of the first three was refused by the provider for good, and another one told instead')
  t.strictSame((await signUps(app, 'state = 4')).map(({ reason }) => reason).toSorted(), ['no_consent', 'payload_refused'])
  t.match((await signUps(app, 'state = 4')).map(({ id }) => id).includes(idOf(0)), true, '#91: who has not agreed to be texted is not')
  t.equal(await inState(app, 1), 5)
})

t.test('F3: a product that is not published is waited for', async t => {
  const clock = movable()
  const app = await startWaitlist(t, { runtime: clock.runtime })
  const product = (available: boolean) => app.post({ id: `product-${available}`, type: 'product.updated', shop: 'acme.example', data: { product: { id: '7001', title: 'Striped Shirt', vendor: 'Acme', available }, variants: [], at: new Date(Date.now() + Number(available)).toISOString() } })
  await product(false)
  await waits(app, several(2))
  await stock(app, 5)
  await until(async () => (await waves(app))[0]?.state === 'running')
  t.equal((await alerted(app)).length, 0)
  await product(true)
  clock.advance(60_000)
  t.strictSame(await soon(app, 2), [0, 1])
  t.match((await app.received('courier'))[0], { body: { data: { properties: { product_title: 'Striped Shirt' } } } }, 'as the shop shows it now')
})

t.test('F3: while the shop\'s provider is held nobody is taken; once it is not, they are', async t => {
  const clock = movable()
  const app = await startWaitlist(t, { runtime: clock.runtime })
  await waits(app, several(3))
  await app.ask('PUT', '/v1/shops/acme.example', { body: { name: 'Acme', domain: 'acme.example', plan: 'free' } })
  await stock(app, 5)
  await until(async () => (await waves(app)).length === 1)
  t.match(await waves(app), [{ state: 'running', made: 0 }])
  await app.ask('PUT', '/v1/shops/acme.example', { body: { name: 'Acme', domain: 'acme.example', plan: 'pro' } })
  await until(async () => { clock.advance(60_000); return (await alerted(app)).length === 3 })
  t.match(await app.delivery(`${idOf(0)}/alert/1`), { state: 'delivered' })
})
