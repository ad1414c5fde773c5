// From a webhook to a message: kept before it is answered, worked on once, whatever happens in between.

import t from 'tap'
import type { Store } from '../../gateway/contract.ts'
import { GatewayError } from '../../gateway/errors.ts'
import { systemRuntime } from '../../gateway/runtime.ts'
import { Inbox, type Translator } from '../../gateway/sources/inbox.ts'
import { anEvent, makeApp, movable, onStore, until, type App, type AppOptions, type Body } from '../helpers/app.ts'
import { startGatewayProcess } from '../helpers/gateway-process.ts'
import { newPlace, openAlone, runOut, storeKind } from '../helpers/stores.ts'
import type { Teardown } from '../helpers/tmp.ts'
import { configWith, HOOK, hooked, rowOf, settled, shared, TOKENS, writeSource } from './hook.ts'

async function start (t: Teardown, options: AppOptions = {}): Promise<App> {
  const app = makeApp(t, { config: configWith(HOOK), env: TOKENS, ...options })
  writeSource(app.dir, 'hook')
  await app.start()
  return app
}

/** What a translation gives for one event of ordinary size. */
function eventsOf (...ids: string[]): { is: 'events', events: object[] } {
  return { is: 'events', events: ids.map(id => ({ id, type: 'preorder.confirmed', timeAt: Date.now(), data: anEvent(id, { type: 'preorder.confirmed' }).data })) }
}

const deliveriesOf = async (app: App, sourceId: string): Promise<Body[]> => (await app.ask('GET', `/v1/deliveries?source_id=${sourceId}`)).body.items as Body[]

/** Serves the tests that leave it as it was. */
const app = await start(t)

t.test('a webhook becomes a message at the shop\'s provider, with the source as the event\'s own', async t => {
  t.match(await hooked(app, eventsOf('o-1'), { topic: 'first', keys: ['k1'] }), { status: 200, body: { result: 'new' } })
  t.match(await settled(app, 'first'), { source: 'hook', shop: 'acme.example', state: 'done', reason: null, events: 1 })
  const [delivery] = await deliveriesOf(app, 'o-1')
  t.match(delivery, { shop: 'acme.example', event: { source: '/sources/hook', type: 'preorder.confirmed', source_id: 'o-1' } })
  await app.logged(entry => entry.msg === 'attempt' && entry.delivery === delivery?.id && entry.outcome === 'delivered')
  t.equal((await app.received('courier')).length, 1)
  const row = await rowOf(app, 'first')
  t.match(row, { state: 'done', attempts: 0, due_at: null, headers: { 'x-topic': 'first' }, body: JSON.stringify({ ...eventsOf('o-1'), events: JSON.parse(String(row.body)).events }) })
  t.match(row.events, [{ id: 'o-1', type: 'preorder.confirmed', event_id: /^evt_/, status: 'accepted' }])
  const { text } = (await app.ask('GET', '/metrics')).body
  t.match(text, /gateway_inbox_received_total\{source="hook",result="new"\} 1/)
  t.match(text, /gateway_inbox_settled_total\{source="hook",state="done"\} 1/)
})

t.test('twenty deliveries of one webhook at once are one row, one event, one text', async t => {
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => hooked(app, eventsOf('r-1'), { topic: 'repeat', keys: [`same`, `own-${i}`] })))
  t.ok(answers.every(({ status }) => status === 200))
  t.equal(answers.filter(({ body }) => body.result === 'new').length, 1)
  await settled(app, 'repeat')
  await rowOf(app, 'repeat')
  t.equal((await deliveriesOf(app, 'r-1')).length, 1)
  t.match(await hooked(app, eventsOf('r-1'), { topic: 'repeat', keys: ['own-0'].concat('fresh') }), { body: { result: answers[0]?.body.result === 'new' ? 'repeat' : 'new' } }, 'a repeat leaves none of its keys behind')
})

t.test('another row that makes the same event adds nothing; of one with other data under its id the first one stays, and what is new beside it enters', async t => {
  const same = eventsOf('c-1')
  await hooked(app, same, { topic: 'one', keys: ['a'] })
  await settled(app, 'one')
  await hooked(app, { ...same, reason: 'again', detail: 'Sent twice.' }, { topic: 'two', keys: ['b'] })
  t.match(await settled(app, 'two'), { state: 'done', reason: 'again' })
  t.match((await rowOf(app, 'two')).events, [{ status: 'duplicate', event_id: ((await rowOf(app, 'one')).events as Body[])[0]?.event_id }])
  const other = eventsOf('c-new', 'c-1')
  ;(other.events[1] as { data: { order: { name: string } } }).data.order.name = '#other'
  await hooked(app, other, { topic: 'three', keys: ['c'] })
  t.match(await settled(app, 'three'), { level: 40, state: 'done', reason: 'event_conflict', events: 2 }, 'with a warning')
  t.match(await rowOf(app, 'three'), { detail: /"c-1"/, events: [{ id: 'c-new', status: 'accepted' }, { id: 'c-1', status: 'conflict', event_id: ((await rowOf(app, 'one')).events as Body[])[0]?.event_id }] })
  t.equal((await deliveriesOf(app, 'c-1')).length, 1)
  t.equal((await deliveriesOf(app, 'c-new')).length, 1)
  await hooked(app, other, { topic: 'nothing-new', keys: ['c-again'] })
  t.match(await settled(app, 'nothing-new'), { level: 40, state: 'parked', reason: 'event_conflict', events: 0 }, 'without anything new it is for a person to look at')
  const twice = { is: 'events', events: [...eventsOf('c-2').events, ...eventsOf('c-2').events] }
  await hooked(app, twice, { topic: 'four', keys: ['d'] })
  t.match(await settled(app, 'four'), { state: 'parked', reason: 'event_conflict' }, 'nor may one row use an id twice')
})

t.test('several at once that make other events of one id: one is accepted, and of each what is its own', async t => {
  await Promise.all(Array.from({ length: 10 }, (_, i) => {
    const { is, events: [event] } = eventsOf('race-1') as unknown as { is: 'events', events: [{ data: { order: object } }] }
    const other = { ...event, data: { ...event.data, order: { ...event.data.order, name: `#${i}` } } }
    return hooked(app, { is, events: [other, ...eventsOf(`race-only-${i}`).events] }, { topic: 'race', keys: [`race-${i}`] })
  }))
  await until(async () => ((await app.ask('GET', '/v1/inbox?topic=race&state=received')).body.items as Body[]).length === 0)
  const { items } = (await app.ask('GET', '/v1/inbox?topic=race')).body as { items: Body[] }
  t.strictSame(items.map(({ state, reason }) => `${String(state)} ${String(reason)}`).toSorted(), ['done null', ...Array.from({ length: 9 }, () => 'done event_conflict')].toSorted())
  t.equal((await deliveriesOf(app, 'race-1')).length, 1)
  const others = await Promise.all(items.map((_, i) => deliveriesOf(app, `race-only-${i}`)))
  t.equal(others.flat().length, 10)
})

t.test('what the door refuses is parked with its words, nothing of it accepted', async t => {
  const good = eventsOf('p-good').events[0] as object
  const cases: Array<[topic: string, body: object, reason: string, shop?: string | null]> = [
    ['schema', { is: 'events', events: [good, { ...good, id: 'p-1', data: { customer: {} } }] }, 'event_refused'],
    ['type', { is: 'events', events: [good, { ...good, id: 'p-2', type: 'no.such' }] }, 'event_refused'],
    ['time', { is: 'events', events: [good, { ...good, id: 'p-3', timeAt: 0 }] }, 'event_refused'],
    ['shop', { is: 'events', events: [good] }, 'shop_unknown', 'nobody.example'],
    ['no-shop', { is: 'events', events: [good] }, 'event_refused', null],
    ['odd-shop', { is: 'events', events: [good] }, 'event_refused', '../Acme'],
    ['own-words', { is: 'parked', reason: 'odd_body', detail: 'Not understood.' }, 'odd_body']
  ]
  for (const [topic, body, reason, shop = 'acme.example'] of cases) {
    t.equal((await hooked(app, body, { topic, shop })).status, 200, topic)
    t.match(await settled(app, topic), { state: 'parked', reason, events: 0 }, topic)
    t.match(await rowOf(app, topic), { detail: /^[A-Z].+\.$/s, events: [], settled_at: /Z$/ }, topic)
  }
  t.match((await rowOf(app, 'schema')).detail, /\/data\/customer/)
  t.equal((await deliveriesOf(app, 'p-good')).length, 0)
})

t.test('a shop that is made later: the parked row is worked on again, by whoever may', async t => {
  await hooked(app, eventsOf('late-1'), { topic: 'late', shop: 'later.example' })
  await settled(app, 'late')
  const { id } = await rowOf(app, 'late')
  await app.ask('PUT', '/v1/shops/later.example', { body: { name: 'Later', domain: 'later.example', plan: 'pro' } })
  t.match(await app.ask('POST', `/v1/inbox/${String(id)}/retry`, { key: 'acme' }), { status: 404 })
  t.match(await app.ask('POST', `/v1/inbox/${String(id)}/retry`, { key: 'reader' }), { status: 403 })
  t.match(await app.ask('POST', `/v1/inbox/${String(id)}/retry`, { body: { force: true } }), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } })
  t.match(await app.ask('POST', `/v1/inbox/${String(id)}/retry`), { status: 202, body: { id } })
  await until(async () => (await rowOf(app, 'late')).state === 'done')
  t.match(await deliveriesOf(app, 'late-1'), [{ state: 'held', shop: 'later.example' }])
})

t.test('what is done is worked on again too: events it made are not made twice, and what it had made stays told', async t => {
  const app = await start(t)
  const { gate } = shared
  t.teardown(() => { shared.gate = gate })
  await hooked(app, eventsOf('again-1'), { topic: 'again' })
  await settled(app, 'again')
  const { id, events } = await rowOf(app, 'again')
  const retry = () => app.ask('POST', `/v1/inbox/${String(id)}/retry`)
  const audits = async (): Promise<number> => (await app.query(`select 1 from audit where action = 'inbox.retry' and subject = '${String(id)}' and actor = 'all'`)).length
  t.match(await retry(), { status: 202, body: { state: 'received', events } })
  await until(async () => (await rowOf(app, 'again')).state === 'done')
  t.match((await rowOf(app, 'again')).events, [{ id: 'again-1', status: 'duplicate', event_id: (events as Body[])[0]?.event_id }])
  t.equal((await deliveriesOf(app, 'again-1')).length, 1)
  t.equal(await audits(), 1)
  let open = (): void => {}
  shared.gate = new Promise(resolve => { open = resolve })
  await hooked(app, { wait: true, is: 'recorded', reason: 'noted', detail: 'Kept.' }, { topic: 'busy' })
  await until(async () => shared.calls.some(({ topic }) => topic === 'busy'))
  const busy = await rowOf(app, 'busy')
  t.match(await app.ask('POST', `/v1/inbox/${String(busy.id)}/retry`), { status: 409, body: { error: { code: 'GW_CONFLICT' } } }, 'what is being worked on is not begun twice')
  open()
  await settled(app, 'busy')
  t.equal((await app.ask('POST', `/v1/inbox/${String(busy.id)}/retry`)).status, 202, 'what was recorded may make something now')
  await until(async () => shared.calls.filter(({ topic }) => topic === 'busy').length === 2)
  t.equal((await app.query(`select 1 from audit where action = 'inbox.retry' and subject = '${String(busy.id)}'`)).length, 1, 'the one that was refused is not in the audit')
})

t.test('a type that makes no message is accepted and kept, without deliveries', async t => {
  const event = { ...anEvent('n-1', { type: 'preorder.confirmed' }), type: 'noted.thing' }
  t.strictSame((await app.post(event)).body, { id: 'n-1', status: 'accepted', deliveries: [] })
  t.strictSame((await app.post(event)).body, { id: 'n-1', status: 'duplicate', deliveries: [] })
  t.match(await app.post({ ...event, shop: 'nobody.example' }), { status: 422, body: { error: { code: 'GW_SHOP_UNKNOWN' } } })
  t.match(await app.post({ ...event, data: {} }), { status: 422, body: { error: { code: 'GW_EVENT_INVALID' } } })
  const mixed = await app.post([{ ...event, id: 'n-2' }, anEvent('n-3'), { ...event, id: 'n-4' }, anEvent('n-3'), anEvent('n-5')])
  t.strictSame(mixed.body.items?.map(({ id, status, deliveries }) => [id, status, (deliveries as Body[]).length]), [['n-2', 'accepted', 0], ['n-3', 'accepted', 1], ['n-4', 'accepted', 0], ['n-3', 'duplicate', 1], ['n-5', 'accepted', 1]])
  const both = eventsOf('n-6')
  await hooked(app, { ...both, events: [...both.events, { ...both.events[0], id: 'n-7', type: 'noted.thing' }] }, { topic: 'both' })
  t.match(await settled(app, 'both'), { state: 'done', events: 2 })
  t.equal((await deliveriesOf(app, 'n-6')).length, 1)
  t.equal((await deliveriesOf(app, 'n-7')).length, 0)
})

t.test('nothing follows: recorded, with the reason', async t => {
  await hooked(app, { is: 'recorded', reason: 'not_ours', detail: 'No line of it is a preorder.' }, { topic: 'plain' })
  t.match(await settled(app, 'plain'), { level: 30, state: 'recorded', reason: 'not_ours' })
  t.match(await rowOf(app, 'plain'), { state: 'recorded', detail: 'No line of it is a preorder.', events: [] })
  await hooked(app, { is: 'events', events: [], reason: 'empty', detail: 'Nothing in it.' }, { topic: 'empty' })
  t.match(await settled(app, 'empty'), { state: 'recorded', reason: 'empty' })
})

t.test('a translation that fails is tried again with growing waits, and parked after the fifth time', async t => {
  const { runtime, advance } = movable()
  const app = await start(t, { runtime })
  await hooked(app, { fail: 'on purpose' }, { topic: 'failing' })
  for (const [failures, waitMs] of [[1, 5000], [2, 30_000], [3, 120_000], [4, 600_000]] as const) {
    await until(async () => (await rowOf(app, 'failing')).attempts === failures)
    const row = await rowOf(app, 'failing')
    t.match(row, { state: 'received', reason: 'translation_failed', detail: 'cannot: on purpose' })
    const leftMs = Date.parse(String(row.due_at)) - runtime.now()
    t.ok(leftMs > waitMs - 3000 && leftMs <= waitMs, `${leftMs} of ${waitMs}`)
    advance(waitMs)
  }
  t.match(await settled(app, 'failing'), { state: 'parked', reason: 'translation_failed' })
  t.equal(shared.calls.filter(({ topic }) => topic === 'failing').length, 5)
  for (const [topic, body] of Object.entries({
    nothing: null, kind: { is: 'other' }, reasonless: { is: 'recorded' }, shouting: { is: 'parked', reason: 'Not Snake', detail: 'x' }, listless: { is: 'events' },
    'bad-event': { is: 'events', events: [{ id: 1 }] }, 'bad-time': { is: 'events', events: [{ id: 'x', type: 'y', timeAt: 'now', data: {} }] }
  })) {
    await hooked(app, body, { topic })
    await until(async () => (await rowOf(app, topic)).reason === 'translation_failed')
  }
})

t.test('the gateway stops between receiving and understanding: the next one does it, once', async t => {
  const app = await start(t)
  let open = (): void => {}
  shared.gate = new Promise(resolve => { open = resolve })
  t.teardown(() => { shared.gate = null })
  await hooked(app, { ...eventsOf('k-1'), wait: true }, { topic: 'cut' })
  await until(async () => shared.calls.some(({ topic }) => topic === 'cut'))
  t.match(await rowOf(app, 'cut'), { state: 'received', events: [] })
  await app.close()
  open()
  await app.start()
  await settled(app, 'cut')
  await app.logged(entry => entry.msg === 'attempt' && entry.outcome === 'delivered')
  t.equal(app.lines.filter(line => line.includes('"inbox"') && line.includes('cut')).length, 1)
  t.equal((await deliveriesOf(app, 'k-1')).length, 1)
  t.equal((await app.received('courier')).length, 1)
  t.notOk(app.lines.some(line => line.includes('that was killed')), 'a stop that was meant is no crash')
})

t.test('the one that kills the gateway is set aside the third time, and takes no others with it', async t => {
  const app = makeApp(t, { config: configWith(HOOK) })
  writeSource(app.dir, 'hook')
  const key = app.env.KEY_ALL as string
  if (storeKind === 'postgres') app.env.DATABASE_URL = await newPlace(t)
  const own = await startGatewayProcess({ config: { text: onStore(configWith(HOOK)) }, dataDir: app.dir, env: { ...app.env, ...TOKENS } })
  t.teardown(() => own.kill('SIGKILL'))
  const post = (topic: string, body: object) => fetch(`${own.url}/webhooks/hook`, { method: 'POST', headers: { 'x-token': TOKENS.HOOK_TOKEN, 'x-topic': topic, 'x-shop': 'acme.example' }, body: JSON.stringify(body) })
  const row = async (topic: string): Promise<Body> => ((await (await fetch(`${own.url}/v1/inbox?topic=${topic}`, { headers: { authorization: `Bearer ${key}` } })).json()) as { items: Body[] }).items[0] as Body
  for (const topic of ['bystander', 'other']) t.equal((await post(topic, { ...eventsOf(topic), slowly: 1500 })).status, 200)
  await post('killer', { die: true }).catch(() => {}) // it may be answered before, or not
  for (const _ of [1, 2, 3]) {
    t.match(await own.exited, { signal: 'SIGKILL' })
    await runOut(app.place)
    await own.restart()
  }
  await until(async () => (await row('killer'))?.state === 'parked')
  t.match(await row('killer'), { reason: 'crashed_gateway' })
  for (const topic of ['bystander', 'other']) t.match(await row(topic), { state: 'done', events: [{ id: topic, status: 'accepted' }] }, topic)
})

t.test('a source that is not in the config any more: what it received waits, and goes on when it is back with other options', async t => {
  const app = await start(t)
  let open = (): void => {}
  shared.gate = new Promise(resolve => { open = resolve })
  t.teardown(() => { shared.gate = null })
  await hooked(app, { ...eventsOf('w-1'), wait: true }, { topic: 'waits' })
  await until(async () => shared.calls.some(({ topic }) => topic === 'waits'))
  await app.close()
  open()
  app.write(configWith('', '').replace('sources:\n\n', ''))
  await app.start()
  t.match(await rowOf(app, 'waits'), { state: 'received', reason: 'source_removed' })
  t.equal((await hooked(app, {})).status, 404, 'and takes nothing')
  app.write(configWith(HOOK.replace('secrets:', 'options: { prefix: new- }, secrets:')))
  t.equal(await app.reload(), true)
  t.match(await settled(app, 'waits'), { state: 'done' })
  t.equal((await deliveriesOf(app, 'new-w-1')).length, 1)
  t.strictSame((await app.ask('GET', '/webhooks/hook/options', { key: null })).body, { prefix: 'new-' })
  app.write(configWith(HOOK.replace('secrets:', 'options: { prefix: 7 }, secrets:')))
  t.equal(await app.reload(), false, 'options that do not fit leave the one before')
  t.strictSame((await app.ask('GET', '/webhooks/hook/options', { key: null })).body, { prefix: 'new-' })
})

t.test('rows go when the payload\'s term is over; that they came is known as long as identities are', async t => {
  const { runtime, advance } = movable()
  const app = await start(t, { runtime, config: `${configWith(HOOK)}retention: { payload: 1d, identity: 7d }\n` })
  await hooked(app, { is: 'recorded', reason: 'noted', detail: 'Kept.' }, { topic: 'old', keys: ['once'] })
  await settled(app, 'old')
  advance(25 * 3_600_000)
  await until(async () => (await app.ask('GET', '/v1/inbox')).body.items?.length === 0)
  t.match(await hooked(app, {}, { topic: 'old', keys: ['once'] }), { body: { result: 'repeat' } })
  advance(7 * 24 * 3_600_000)
  await until(async () => (await hooked(app, { is: 'recorded', reason: 'noted', detail: 'Kept.' }, { topic: 'old', keys: ['once'] })).body.result === 'new')
})

/** An inbox whose source hangs for all topics that say so, and otherwise records. `lose`: whether the answer to a commit is lost, before or after it. */
async function hanging (t: Teardown, translationMs: number, lose: (statement: string) => 'before' | 'after' | null = () => null) {
  const real = await openAlone(t, await newPlace(t), Date.now)
  const store: Store = {
    owner: real.owner, epoch: real.epoch, slots: real.slots, listen: async () => {}, tell () {}, nextKey: table => real.nextKey(table), healthy: () => true, close: async () => {}, read: (name, params) => real.read(name, params),
    async commit (unit) {
      const lost = lose(String(unit[0]?.name))
      const results = lost === 'before' ? [] : await real.commit(unit)
      if (lost !== null) throw new GatewayError('GW_STORE_UNSURE', 'Nobody knows.')
      return results
    }
  }
  let mono = 0
  const errors: unknown[] = []
  const settled: string[] = []
  const inbox = new Inbox({ store, runtime: { ...systemRuntime(), mono: () => mono += 10_000 }, translationMs, onReceived () {}, onSettled: ({ topic }) => { settled.push(topic) }, onError: error => { errors.push(error) } })
  t.teardown(() => inbox.stop())
  await inbox.start()
  const translate: Translator['translate'] = ({ topic }) => topic.startsWith('hangs') ? new Promise(() => {}) : { is: 'recorded', reason: 'noted', detail: 'Kept.' }
  inbox.use({ acceptTogether: () => Promise.reject(new Error('none')) }, new Map([['hook', { id: 'hook', translate, context: {} as never }]]))
  const receive = (topic: string) => inbox.receive('hook', 'received', { topic, shop: null, subject: null, headers: {}, body: '{}', keys: [] })
  return { store, errors, settled, receive }
}

t.test('what made events is not worked on again when those are not known any more: they would be made twice', async t => {
  const { runtime, advance } = movable()
  const app = await start(t, { runtime, config: `${configWith(HOOK)}retention: { payload: 9d, identity: 9d }\n` })
  const retry = async (topic: string) => await app.ask('POST', `/v1/inbox/${String((await rowOf(app, topic)).id)}/retry`)
  for (const [topic, body] of Object.entries({ made: eventsOf('made-1'), none: { is: 'recorded', reason: 'noted', detail: 'Kept.' } })) {
    await hooked(app, body, { topic })
    await settled(app, topic)
  }
  advance(5 * 24 * 3_600_000)
  for (const topic of ['made', 'none']) {
    t.equal((await retry(topic)).status, 202)
    await until(async () => (await rowOf(app, topic)).state !== 'received')
  }
  advance(5 * 24 * 3_600_000)
  t.match(await retry('made'), { status: 409, body: { error: { code: 'GW_CONFLICT' } } })
  t.equal((await retry('none')).status, 202)
})

t.test('a translation that hangs keeps nobody else waiting while it does', async t => {
  const { errors, settled, receive } = await hanging(t, 60_000)
  for (const topic of ['hangs', 'with-it', 'hangs-too']) await receive(topic)
  await until(async () => settled.includes('with-it'))
  await receive('next')
  await until(async () => settled.includes('next'))
  await Promise.all(Array.from({ length: 50 }, (_, i) => receive(`many-${i}`)))
  await until(async () => settled.length === 52)
  t.strictSame(errors, [], 'the two that hang are still waited for')
})

t.test('there is an end to how many hang beside each other, and when they are given up the next ones go on', async t => {
  const { errors, settled, receive } = await hanging(t, 1500)
  for (let i = 0; i < 25; i++) await receive(`hangs-${i}`)
  await receive('behind')
  await until(async () => settled.includes('behind'))
  t.ok(errors.length > 0, 'the first ones were given up before it')
})

t.test('a translation that hangs counts as failed', async t => {
  const { store, errors, settled, receive } = await hanging(t, 20)
  await receive('hangs')
  await until(async () => errors.length === 1)
  await receive('next')
  await until(async () => settled.includes('next'))
  const [row] = await store.read('list_inbox', { before: 1_000_000, floor: 0, source: null, topic: 'hangs', subject: null, state: null, shop: null, shops: null, limit: 1 })
  t.match(row, { state: 1, attempts: 1, reason: 'translation_failed', detail: /took longer/ })
})

t.test('a claim that was kept and not answered is given back and worked on; what is worked on is left alone (GW_STORE_UNSURE)', async t => {
  let loses = false
  const { store, errors, settled, receive } = await hanging(t, 60_000, statement => loses && statement === 'claim_inbox' ? 'after' : null)
  loses = true
  await receive('lost')
  await until(async () => errors.length === 1)
  loses = false
  t.equal((await store.read('owned_inbox', { owner: store.owner })).length, 1, 'it was kept')
  await receive('hangs')
  await until(async () => settled.includes('lost'))
  t.match(errors, [{ code: 'GW_STORE_UNSURE' }])
  t.equal((await store.read('owned_inbox', { owner: store.owner })).length, 1, 'the one that hangs')
})

t.test('an end of which the store does not say whether it was kept costs the row no attempt (GW_STORE_UNSURE)', async t => {
  let lost = 0
  const { store, settled, receive } = await hanging(t, 60_000, statement => statement === 'settle_inbox' && lost++ === 0 ? 'before' : null)
  await receive('unsure')
  await until(async () => settled.includes('unsure'))
  const [row] = await store.read('list_inbox', { before: 1_000_000, floor: 0, source: null, topic: 'unsure', subject: null, state: null, shop: null, shops: null, limit: 1 })
  t.match(row, { attempts: 0, reason: 'noted' })
})

/** The store takes no more rows of a table, until the end. */
async function refusing (app: App, table: string): Promise<{ end (): Promise<unknown> }> {
  if (storeKind === 'sqlite') await app.query(`create trigger refuses before insert on ${table} begin select raise(abort, 'disk'); end`)
  else {
    await app.query('create or replace function refuse () returns trigger language plpgsql as $$ begin raise exception \'disk\'; end $$')
    await app.query(`create trigger refuses before insert on ${table} execute function refuse()`)
  }
  return { end: () => app.query(storeKind === 'sqlite' ? 'drop trigger refuses' : `drop trigger refuses on ${table}`) }
}

t.test('while the store takes nothing a webhook is answered 503, so that it is sent again', async t => {
  const app = await start(t)
  const refused = await refusing(app, 'inbox')
  t.match(await hooked(app, eventsOf('f-1'), { topic: 'full', keys: ['f'] }), { status: 503, headers: { 'retry-after': '1' }, body: { error: { code: 'GW_STORE_FAILED' } } })
  await refused.end()
  t.match(await hooked(app, eventsOf('f-1'), { topic: 'full', keys: ['f'] }), { status: 200, body: { result: 'new' } }, 'nothing of the first was kept')
  await settled(app, 'full')
  const without = await refusing(app, 'events')
  await hooked(app, eventsOf('f-2'), { topic: 'later' })
  await app.logged(entry => entry.msg === 'the inbox could not be worked on; it is tried again')
  t.match(await rowOf(app, 'later'), { state: 'received', attempts: 0 }, 'the store\'s fault costs no attempt')
  await without.end()
  t.match(await settled(app, 'later'), { state: 'done' })
})
