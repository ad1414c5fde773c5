// E4: what messages cost that the platform pays for: counted once, within the limit, told of before it blocks.

import t from 'tap'
import type { Provider } from '../../gateway/contract.ts'
import { until } from '../helpers/fake-runtime.ts'
import { hang, inTurn, status } from '../helpers/fault-server.ts'
import { bodyOf, request, shop } from '../helpers/make.ts'
import { world, type World } from './world.ts'

/** Each message takes two segments. */
const metered = (limit: number | null, more: Partial<Provider> = {}): Partial<Provider> => ({
  metered: { at: { phone: '/phone', country: '/country' }, limit: () => limit },
  prepare: (_type, scope) => ({ ok: true, request: request({ body: bodyOf(scope), segments: { encoding: 'GSM-7', segments: 2 } }) }),
  ...more
})
const counted = (w: World) => w.query('select provider, month, country, messages, segments from usage order by month, country')
const month = (w: World) => new Date(w.runtime.now()).toISOString().slice(0, 7)
const warnings = (w: World) => w.query('select percent from usage_warnings order by percent')

t.test('E4: an accepted message is counted once, however often it was tried', async t => {
  const w = await world(t, { providers: [metered(null)], reply: inTurn(status(429, { 'retry-after': '1' }), status(429, { 'retry-after': '1' }), status(202)) })
  const ids = await w.accept('a', 3)
  await until('two were refused', () => w.attempts.filter(({ outcome }) => outcome === 'retry').length === 2)
  w.runtime.skip(2000)
  await w.all(ids, 'delivered')
  t.match(await counted(w), [{ provider: 'alpha', month: month(w), country: 'ZZ', messages: 3, segments: 6 }])
  t.strictSame(await w.query('select * from usage_reserved'), [])
})

t.test('E4: what is refused costs nothing, and a provider that the shop pays itself is never counted', async t => {
  const w = await world(t, { providers: [metered(null), { id: 'beta' }], shops: [shop('a'), shop('b', { provider: 'beta' })], reply: exchange => status(exchange.request.url.startsWith('/alpha') ? 400 : 202)(exchange) })
  await w.all(await w.accept('a', 2), 'rejected')
  await w.all(await w.accept('b', 5), 'delivered')
  t.strictSame(await counted(w), [])
  t.strictSame(await w.query('select * from usage_reserved'), [])
})

t.test('E4: the limit is never passed, though all come at once; what does not fit is rejected and says so', async t => {
  const w = await world(t, { providers: [metered(21)] })
  const ids = await w.accept('a', 40)
  await until('all are decided', async () => (await Promise.all(ids.map(id => w.shown(id)))).every(({ state }) => state === 'delivered' || state === 'rejected'))
  const shown = await Promise.all(ids.map(id => w.shown(id)))
  t.equal(shown.filter(({ state }) => state === 'delivered').length, 10)
  t.equal(shown.filter(({ reason }) => reason === 'monthly_limit').length, 30)
  t.equal(w.server.received.length, 10)
  t.match(await counted(w), [{ messages: 10, segments: 20 }])
  t.match(await warnings(w), [{ percent: 80 }, { percent: 100 }], 'told of before, and when it blocks')
  const audited = await w.query('select actor, action, shop, subject from audit where action = \'usage.warning\' order by subject')
  t.match(audited, [{ actor: 'gateway', shop: 'a', subject: `alpha ${month(w)} 100 % of 21` }, { shop: 'a', subject: `alpha ${month(w)} 80 % of 21` }])
  const refused = shown.findIndex(({ reason }) => reason === 'monthly_limit')
  t.match(await w.delivery(ids[refused] as string), { attempts: 0, call_no: 0, finished_at: Number })
  t.strictSame(w.errors, [])
})

t.test('E4: the next month begins anew, and what was refused is not sent then', async t => {
  const w = await world(t, { providers: [metered(2)], start: false })
  w.runtime.setClock(Date.parse('2027-01-31T23:59:00Z') - w.runtime.now())
  await w.start()
  const [sent] = await w.accept('a') as [string]
  await w.becomes(sent, 'delivered')
  const [refused] = await w.accept('a') as [string]
  await w.becomes(refused, 'rejected', 'monthly_limit')
  w.runtime.skip(120_000)
  const [next] = await w.accept('a') as [string]
  await w.becomes(next, 'delivered')
  t.match(await w.shown(refused), { state: 'rejected', reason: 'monthly_limit' })
  t.match(await counted(w), [{ month: '2027-01', segments: 2 }, { month: '2027-02', segments: 2 }])
})

t.test('E4: each shop has its own', async t => {
  const w = await world(t, { providers: [metered(2)], shops: [shop('a', { account: 'one' }), shop('b', { account: 'one' })] })
  const [a, b] = [await w.accept('a', 2), await w.accept('b', 1)]
  await w.all(b, 'delivered')
  await until('one of two is sent', async () => (await Promise.all(a.map(id => w.shown(id)))).map(({ state }) => state).toSorted().join() === 'delivered,rejected')
})

t.test('E4: what may have been sent counts for the limit until it is known, through a kill too', async t => {
  const w = await world(t, { providers: [metered(3, { uncertain: 'park' })], reply: hang })
  const [lost] = await w.accept('a') as [string]
  await until('it is on the wire', () => w.server.received.length === 1)
  const left = await w.die()
  const next = await world(t, { place: left, like: w, providers: [metered(3, { uncertain: 'park' })] })
  await next.becomes(lost, 'unknown')
  t.match(await next.query('select segments from usage_reserved'), [{ segments: 2 }])
  const [other] = await next.accept('a') as [string]
  await next.becomes(other, 'rejected', 'monthly_limit')
  t.match(await next.delivery(other), { detail: /^0 of 3 segments of \d{4}-\d\d are used, 2 more may be, and this message takes 2\.$/ })
  t.strictSame(await counted(next), [])
})

t.test('E4: what a kill left reserved for two messages keeps neither of them waiting for the other', async t => {
  const w = await world(t, { providers: [metered(3)], start: false })
  const ids = await w.accept('a', 2)
  const { key } = (await w.state('a')).shop
  for (const id of ids) {
    const { delivery_key: delivery } = await w.delivery(id)
    await w.store.commit([{ name: 'reserve_usage', params: { shop_key: key, provider: 'alpha', month: month(w), delivery_key: delivery as number, country: 'ZZ', segments: 2, limit: null } }])
  }
  await w.start()
  await until('one is sent, and the other is told why not', async () => {
    w.runtime.skip(2000)
    return (await Promise.all(ids.map(id => w.shown(id)))).map(({ state }) => state).toSorted().join() === 'delivered,rejected'
  })
  t.equal(w.server.received.length, 1)
  t.strictSame(await w.query('select * from usage_reserved'), [])
})
