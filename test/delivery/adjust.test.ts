// Answers that ask for other settings: the message is made again with them, and once it is accepted so, the connection keeps them.

import t, { type Test } from 'tap'
import type { Provider, Row } from '../../gateway/contract.ts'
import { until } from '../helpers/fake-runtime.ts'
import { inTurn, reset, status, type Reply } from '../helpers/fault-server.ts'
import { bodyOf, HOUR_MS, request, shop, standing } from '../helpers/make.ts'
import { Carrier, lost } from './carrier.ts'
import { world, type World, type WorldOptions } from './world.ts'

const MINUTE_MS = 60_000

/** Refuses bodies that say more than it takes; asks for `long: false`. */
const STRICT: Partial<Provider> = {
  settingsDefaults: { long: true, plain: 1 },
  prepare: (_type, scope) => ({ ok: true, request: request({ body: JSON.stringify({ ...JSON.parse(bodyOf(scope)) as object, long: scope.connection.settings.long }) }) }),
  judge: ({ status }, settings = {}) => status === 400 && settings.long === true ? { is: 'retry', reason: 'personal_data_refused', detail: 'too long', settings: { long: false } } : null
}
const reply: Reply = exchange => status(exchange.request.body.includes('"long":true') ? 400 : 202)(exchange)

function strict (t: Test, more: WorldOptions = {}): Promise<World> {
  return world(t, { reply, shops: [shop('a'), shop('b')], providers: [STRICT], ...more })
}

const bodies = (w: World): unknown[] => w.server.received.map(({ body }) => (JSON.parse(body) as { long: boolean }).long)
const settings = async (w: World, id = 'a') => (await w.state(id)).connections.get('alpha')?.settings
const audit = (w: World): Promise<Row[]> => w.query('select actor, action, shop, subject from audit where action = \'connection.adjusted\'')

t.test('it is made again at once as it was asked for, and the connection keeps it for the next ones', async t => {
  const w = await strict(t)
  const before = (await w.state('a')).connections.get('alpha')
  const [id] = await w.accept('a') as [string]
  t.match(standing(await w.becomes(id, 'delivered', null)), { attempts: 2, callNo: 2, dueAt: null })
  t.strictSame(bodies(w), [true, false])
  await until('it is kept', async () => (await settings(w))?.long === false)
  t.strictSame((await w.state('a')).connections.get('alpha'), { ...before, settings: { long: false, plain: 1 } }, 'and all else is as it was')
  t.strictSame(await settings(w, 'b'), { long: true, plain: 1 }, 'another shop\'s is its own')
  t.strictSame(await audit(w), [{ actor: 'provider', action: 'connection.adjusted', shop: 'a', subject: 'alpha long' }])
  t.strictSame(await w.query('select outcome, status from calls'), [{ outcome: 'retry', status: 400 }])

  await w.all(await w.accept('a', 2), 'delivered')
  t.strictSame(bodies(w), [true, false, false, false], 'the next ones go right at once')
  t.equal((await audit(w)).length, 1)
})

t.test('what the provider does not accept then either, the connection does not keep', async t => {
  const w = await strict(t, { reply: exchange => status(exchange.request.body.includes('"long":true') ? 400 : 422)(exchange) })
  const [id] = await w.accept('a') as [string]
  t.match(await w.becomes(id, 'rejected', 'payload_refused'), { adjusted: '{"long":false}' })
  t.strictSame(await settings(w), { long: true, plain: 1 })
  t.strictSame(await audit(w), [])
})

t.test('one that asks for the same again waits its turn: no circle', async t => {
  const w = await strict(t, { providers: [{ ...STRICT, judge: () => ({ is: 'retry', reason: 'personal_data_refused', settings: { long: false } }) }] })
  const [id] = await w.accept('a') as [string]
  await until('it waits', async () => (await w.delivery(id)).attempts === 2 && (await w.delivery(id)).owner === null)
  const row = await w.delivery(id)
  t.equal(row.due_at, row.settled_at as number + 300_000)
  t.equal(w.server.received.length, 2)
})

t.test('many at once are each made again, and it is kept once', async t => {
  const w = await strict(t)
  await w.all(await w.accept('a', 30), 'delivered')
  await until('all is at rest', () => w.deliver.working === 0)
  t.equal((await audit(w)).length, 1)
  t.ok(w.errors.length === 0)
})

t.test('a repeat of what got no answer keeps its bytes, also when the connection was adjusted meanwhile', async t => {
  let n = 0
  const w = await strict(t, { reply: exchange => (++n === 1 ? reset : status(202))(exchange) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown', 'no_answer')
  await w.shops.adjust('a', 'alpha', { long: false })
  w.runtime.skip(60_000)
  await w.becomes(id, 'delivered')
  t.strictSame(bodies(w), [true, true])
})

t.test('what may have been sent is not made anew with other bytes: a person decides', async t => {
  let n = 0
  const w = await strict(t, { reply: exchange => (++n === 1 ? reset : reply)(exchange) })
  const [id] = await w.accept('a') as [string]
  await w.becomes(id, 'unknown', 'no_answer')
  w.runtime.skip(60_000)
  t.match(await w.becomes(id, 'unknown', 'repeat_refused'), { detail: 'too long', due_at: null, adjusted: null, attempts: 2 })
  t.ok((await w.delivery(id)).finished_at)
  w.runtime.skip(HOUR_MS)
  t.strictSame(bodies(w), [true, true])
  t.strictSame(await settings(w), { long: true, plain: 1 })
})

t.test('what one provider asked for is not the other\'s business, also when the first one is asked again', async t => {
  const answers: Record<string, Reply> = { alpha: inTurn(status(400), status(429, { 'retry-after': '60' })), beta: status(429, { 'retry-after': '60' }) }
  const w = await strict(t, { providers: [STRICT, { ...STRICT, id: 'beta', judge: () => null }], reply: exchange => answers[exchange.request.url.startsWith('/beta/') ? 'beta' : 'alpha']?.(exchange) })
  await w.shops.putConnection('a', 'beta', { auth: null, secrets: { api_key: 'secret-at-beta' }, accountId: 'B', settings: {}, ready: ['things'] }, 'merchant')
  const [id] = await w.accept('a') as [string]
  t.match(await w.becomes(id, 'waiting', 'rate_limited'), { adjusted: '{"long":false}' })

  await w.shops.setChannel('a', 'sms', 'beta', 'merchant')
  w.runtime.skip(MINUTE_MS)
  await until('beta was asked', async () => w.server.received.length === 3 && (await w.delivery(id)).owner === null)
  t.match(await w.delivery(id), { adjusted: null, reason: 'rate_limited' })
  answers.beta = status(202)
  w.runtime.skip(MINUTE_MS)
  t.match(await w.becomes(id, 'delivered'), { adjusted: null })
  t.strictSame(bodies(w), [true, false, true, true])
  t.strictSame((await w.state('a')).connections.get('beta')?.settings, { long: true, plain: 1 })
  t.strictSame(await audit(w), [])
})

t.test('what cannot be kept is told of, and the message is delivered all the same', async t => {
  const w = await strict(t)
  w.shops.adjust = async () => { throw new Error('no') }
  await w.all(await w.accept('a'), 'delivered')
  await until('it is told', () => w.errors.length === 1)
})

/** One that is dead from the moment on at which it has written down so many answers, and its message. */
async function diesAfter (t: Test, answers: number): Promise<{ w: World, id: string }> {
  let settled = 0
  const w = await strict(t, {
    between: store => ({
      async commit (unit) {
        if (settled === answers) throw new Error('the dead write nothing')
        const results = await store.commit(unit)
        if (unit.some(({ name }) => name === 'settle_call')) settled++
        return results
      }
    })
  })
  w.shops.adjust = async () => { throw new Error('the process is dead') }
  const [id] = await w.accept('a') as [string]
  await until('it died', () => settled === answers)
  return { w, id }
}

t.test('a crash after the answer that asked for it, or after the one that accepted it, loses nothing', async t => {
  const { w: asked, id: first } = await diesAfter(t, 1)
  const next = await strict(t, { place: await asked.die(), like: asked })
  await next.becomes(first, 'delivered')
  t.strictSame(bodies(next), [false], 'it knows what it was asked for')
  await until('it is kept', async () => (await settings(next))?.long === false)

  const { w: accepted, id } = await diesAfter(t, 2)
  const last = await strict(t, { place: await accepted.die(), like: accepted })
  t.match(await last.shown(id), { state: 'delivered' })
  t.strictSame(await settings(last), { long: true, plain: 1 })
  await last.all(await last.accept('a'), 'delivered')
  t.strictSame(bodies(last), [true, false], 'the next one brings it again')
  await until('it is kept', async () => (await settings(last))?.long === false)
})

t.test('an adjusted message whose answer is found afterwards counts as accepted so', async t => {
  const carrier = new Carrier('lost_after')
  const { w, ids: [id], round } = await lost(t, carrier, 1, {
    reply: exchange => exchange.request.body.includes('"long":true') ? status(400)(exchange) : carrier.reply(exchange),
    providers: [STRICT as object]
  })
  t.match(await w.becomes(id as string, 'unknown', 'no_answer'), { adjusted: '{"long":false}', call_no: 2 })
  t.equal(await round(id as string), null)
  await w.becomes(id as string, 'delivered', 'accepted_elsewhere')
  t.strictSame(await settings(w), { long: false, plain: 1 })
})

t.test('an adjustment and a change by the merchant follow each other', async t => {
  const w = await strict(t)
  const put = (more: Record<string, unknown>) => w.shops.putConnection('a', 'alpha', { auth: null, secrets: { api_key: 'new-secret' }, accountId: 'a', settings: more, ready: ['things'] }, 'merchant')
  await Promise.all([w.shops.adjust('a', 'alpha', { long: false }), put({ plain: 2 }), w.shops.adjust('a', 'alpha', { plain: 3 })])
  t.match((await w.state('a')).connections.get('alpha'), { settings: { long: true, plain: 3 }, secrets: { api_key: 'new-secret' }, ready: ['things'] })
  await w.shops.adjust('a', 'alpha', { plain: 3 })
  t.equal((await audit(w)).length, 2, 'what is so already is no change')
  await w.shops.deleteConnection('a', 'alpha', 'merchant')
  await w.shops.adjust('a', 'alpha', { plain: 4 })
  t.notOk((await w.state('a')).connections.has('alpha'), 'a connection that is gone does not come back')
})
