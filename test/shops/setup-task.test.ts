// Steps of kind `task` as a merchant meets them: a provider made for the tests, whose code waits for orders of the test.

import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { makeApp, movable, until, type App, type AppOptions, type Body } from '../helpers/app.ts'
import { writeFolder } from '../helpers/providers.ts'
import { act, BEACON, BEACON_SETUP, choose, itemOf, KEY, KEY_OTHER, pathOf, setupConfig, shown, type ItemView, type SetupView } from '../helpers/setup.ts'
import { ROOT } from '../helpers/sources.ts'
import { onlySqlite } from '../helpers/only-sqlite.ts'

t.jobs = 4 // each mostly waits for the runner's own seconds

const HOUR_MS = 3_600_000
const GROUP = 'preorder'

const STEPS = `setup:
${BEACON_SETUP.slice(BEACON_SETUP.indexOf('  - id: key'), BEACON_SETUP.indexOf('  - id: pair'))}  - id: method
    kind: choice
    per: setup_group
    needs: [key]
    title: Choose a method
    text: Choose one.
    choices:
      - { value: made, title: Made for you, text: We make it. }
      - { value: trusted, title: Manual, text: You make it. }
  - id: automatic
    kind: task
    per: setup_group
    needs: [method]
    when: { step: method, is: made }
    title: Make the flows
    text: We make them.
    says: { provider_failing: Beacon has a bad day. }
  - id: built
    kind: confirm
    per: alert_type
    needs: [method]
    when: { step: method, is: trusted }
    title: Create a flow
    text: Create one.
`

/** What the code of the test's provider is to do next, and what it was given. Shared with it by name, as it runs in this process. */
interface Orders { run: Array<(context: Context) => Promise<unknown>>, check: (context: Context) => Promise<unknown>, seen: Array<{ id: string, group: string, types: string[], done: unknown, connection: Body }> }
type Context = Orders['seen'][number] & {
  save (done: unknown): Promise<void>
  phase (id: string, done: number, of: number): Promise<void>
  ask (request: string, map: object): Promise<{ kind: string, status?: number }>
  judge (answer: unknown): { is: string, reason?: string, afterMs?: number }
  trigger (type: string): string | null
  sample (type: string): { body: string } | null
}

const shared = globalThis as unknown as Record<string, Orders>
let worlds = 0

const CODE = (name: string): string => `import { defineProvider } from '${join(ROOT, 'gateway/define.ts')}'
const orders = globalThis['${name}']
const note = ({ id, group, types, done, connection }) => { orders.seen.push({ id, group, types: [...types], done, connection }) }
export default defineProvider({ id: 'beacon', tasks: { automatic: {
  phases: [{ id: 'first', title: 'Making' }, { id: 'second', title: 'Turning on' }],
  run: async context => { note(context); return await (orders.run.shift() ?? (async () => ({ is: 'done', links: [] })))(context) },
  check: async context => await orders.check(context)
} } })
`

interface TaskItem extends ItemView { detail: string | null, asked_at: string | null, progress: { text: string, phases: Body[], waiting: { reason: string, text: string, until: string } | null } | null, banner: string | null, links: Body[], made: Body[] }
interface World { app: App, orders: Orders, clock: ReturnType<typeof movable>, path: string }

async function world (t: Test, { key = KEY, group = GROUP, ...options }: AppOptions & { key?: string, group?: string } = {}): Promise<World> {
  const name = `task orders ${++worlds}`
  const orders = shared[name] = { run: [], check: async () => ({ is: 'done', links: [] }), seen: [] }
  const clock = movable()
  const app = makeApp(t, { config: setupConfig(), runtime: clock.runtime, ...options })
  const manifest = BEACON['provider.yaml'] as string
  writeFolder(join(app.dir, 'providers', 'beacon'), { ...BEACON, 'provider.yaml': manifest.slice(0, manifest.indexOf('setup:\n')) + STEPS, 'index.ts': CODE(name) })
  await app.start()
  await ready(app, key, group)
  return { app, orders, clock, path: pathOf() }
}

async function ready (app: App, key: string, group: string, path = pathOf()): Promise<void> {
  for (const [what, body] of [['key/connect', { secrets: { api_key: key } }], ['method/choose', { subject: group, value: 'made' }]] as const) {
    const answer = await act(app, what, body, path)
    if (answer.status !== 200) throw new Error(`${what}: ${JSON.stringify(answer.body)}`)
  }
}

const begin = ({ app, path }: World, action = 'start', subject = GROUP) => act(app, `automatic/${action}`, { subject }, path)
const task = async ({ app, path }: World, subject = GROUP): Promise<TaskItem> => itemOf(await shown(app, path), 'automatic', subject) as TaskItem

async function becomes (w: World, is: (item: TaskItem) => boolean, subject = GROUP): Promise<TaskItem> {
  await until(async () => is(await task(w, subject)))
  return await task(w, subject)
}
const ends = (w: World, subject?: string): Promise<TaskItem> => becomes(w, ({ state }) => state !== 'running', subject)

/** A place where a run stands until the test lets it go on. */
function halt (): { reached: Promise<void>, at (): Promise<void>, go (): void } {
  let reach = (): void => {}
  let go = (): void => {}
  const reached = new Promise<void>(resolve => { reach = resolve })
  const gone = new Promise<void>(resolve => { go = resolve })
  return { reached, at: () => { reach(); return gone }, go: () => { go() } }
}

t.test('#76: the code of a task holds nobody\'s credentials, wherever it looks; it asks over its own shop\'s connection', async t => {
  const w = await world(t)
  let told = ''
  w.orders.run.push(async context => {
    const answer = await context.ask('lists', { account: 'ID-two', shop: 'globex.example' })
    told = inspect([context, answer], { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null })
    return { is: 'done', links: [] }
  })
  await begin(w)
  await ends(w)
  t.match(told, /account_id: 'ID-one'/)
  for (const secret of [KEY, Buffer.from(KEY).toString('base64'), w.app.env['KEY_ONE'] as string]) t.notOk(told.includes(secret))
  t.match((await w.app.received('beacon')).at(-1), { account: 'one', path: '/lists' })
})

t.test('it goes on by itself: phases and counts are shown, left and come back to; done, it tells its links and the group may send', async t => {
  const w = await world(t)
  const { app, orders } = w
  await choose(app)
  const stops = [halt(), halt()] as const
  orders.run.push(async ({ phase, save, ask, judge, trigger, sample, types }) => {
    await phase('first', 0, 2)
    await save({ a: 1 })
    await stops[0].at()
    await phase('second', 1, 2)
    await stops[1].at()
    const answer = await ask('lists', {})
    return { is: 'done', links: [{ title: 'It', url: 'https://beacon.example/it' }], text: `${judge(answer).is} ${trigger(types[0] as string)} ${typeof sample(types[0] as string)?.body}`, warnings: ['Mind this.'] }
  })
  const answer = await begin(w)
  t.match([answer.status, answer.headers['location']], [202, pathOf()])
  await stops[0].reached
  t.match(await task(w), { state: 'running', progress: { text: 'Making (1 of 2)', phases: [{ title: 'Making', state: 'running', done: 0, of: 2 }, { title: 'Turning on', state: 'open' }], waiting: null }, actions: [{ action: 'start', allowed: false, why: 'It is being worked on.' }, { action: 'retry', allowed: false }] })
  t.match(await begin(w), { status: 202 }, 'twice is once')
  stops[0].go()
  await stops[1].reached
  t.match(await task(w), { progress: { text: 'Turning on (2 of 2)', phases: [{ state: 'done' }, { state: 'running' }] } })
  stops[1].go()
  t.match(await ends(w), { state: 'done', banner: 'delivered topic preorder.confirmed string', links: [{ title: 'It', url: 'https://beacon.example/it' }], progress: null, made: [] })
  t.match(orders.seen, [{ id: /^[0-9a-f-]{36}$/, group: GROUP, types: ['preorder.confirmed'], done: null, connection: { auth: 'api_key', account_id: 'ID-one' } }])
  t.equal(orders.seen.length, 1)
  const view = await shown(app)
  t.match(view.setup_groups, [{ setup_group: 'back_in_stock', ready: false }, { setup_group: 'preorder', ready: true }])
  t.ok(view.warnings.some(({ text }) => text === 'Mind this.'))
  t.match(await begin(w), { status: 409 }, 'there is nothing to start')
  t.match(await begin(w, 'retry'), { status: 409 })
})

t.test('a failure names the reason, what is there already, and the ways on; tried again it has what it saved', async t => {
  const w = await world(t)
  const { app, orders } = w
  t.match(await begin(w, 'retry'), { status: 409 }, 'nothing failed yet')
  orders.run.push(async ({ save }) => {
    await save({ made: 'one' })
    return { is: 'failed', reason: 'payload_refused', text: `No flows for ${KEY}.`, made: [{ title: `One of ${KEY}`, url: 'https://beacon.example/1' }] }
  })
  await begin(w)
  const failed = await ends(w)
  t.match(failed, { state: 'failed', reason: 'payload_refused', detail: 'No flows for ***.', made: [{ title: 'One of ***' }], links: [], banner: null })
  t.match(failed.actions, [{ action: 'start', allowed: false }, { label: 'Try again', allowed: true }, { action: 'choose', label: 'Switch to manual', path: `${pathOf()}/method/choose`, body: { subject: GROUP, value: 'trusted' }, allowed: true }])
  t.match(await begin(w), { status: 409 }, 'it is tried again, not begun')
  await begin(w, 'retry')
  t.match(await ends(w), { state: 'done' })
  t.match(orders.seen, [{ done: null }, { done: { made: 'one' } }])
  t.equal(orders.seen[0]?.id, orders.seen[1]?.id)
  const { action, body } = failed.actions[2] as unknown as { action: string, body: object }
  t.equal((await act(app, `method/${action}`, body)).status, 200)
  t.equal((await task(w)).state, 'not_needed')
})

t.test('while it waits it tells for what and until when, comes back then, and fails after a day without anything done', async t => {
  const w = await world(t)
  const { orders, clock } = w
  const later = (afterMs: number, more: object = {}) => async () => ({ is: 'later', afterMs, reason: 'provider_failing', made: [{ title: 'Half', url: 'https://beacon.example/h' }], ...more })
  orders.run.push(later(HOUR_MS), later(HOUR_MS, { why: 'It takes its time.' }))
  await begin(w)
  const first = await becomes(w, ({ progress }) => progress?.waiting != null)
  t.match(first.progress, { waiting: { reason: 'provider_failing', text: 'Beacon has a bad day.' } })
  const inMs = Date.parse(first.progress?.waiting?.until ?? '') - clock.runtime.now()
  t.ok(inMs > HOUR_MS - 60_000 && inMs <= HOUR_MS)
  clock.advance(HOUR_MS)
  t.match((await becomes(w, ({ progress }) => progress?.waiting?.text === 'It takes its time.')).state, 'running')
  t.equal(orders.seen.length, 2)
  orders.run.push(async ({ save }) => { await save({ now: true }); return await later(HOUR_MS)() })
  clock.advance(23 * HOUR_MS)
  await until(async () => orders.seen.length === 3 && (await task(w)).progress?.waiting?.text === 'Beacon has a bad day.')
  t.equal((await task(w)).state, 'running', 'something was done, so a day is given anew')
  orders.run.push(later(HOUR_MS))
  clock.advance(25 * HOUR_MS)
  t.match(await ends(w), { state: 'failed', reason: 'provider_failing', made: [{ title: 'Half' }] })
})

t.test('of an unknown time it comes back at growing distances', async t => {
  const w = await world(t)
  const { orders, clock } = w
  const waits: number[] = []
  for (let i = 0; i < 7; i++) orders.run.push(async () => ({ is: 'later', afterMs: 0, reason: 'no_answer' }))
  await begin(w)
  for (let i = 0; i < 7; i++) {
    await until(async () => orders.seen.length === i + 1 && Date.parse((await task(w)).progress?.waiting?.until ?? '') > clock.runtime.now())
    const ms = Date.parse((await task(w)).progress?.waiting?.until ?? '') - clock.runtime.now()
    waits.push(Math.ceil(ms / 1000))
    clock.advance(ms)
  }
  t.strictSame(waits.map(s => Math.max(1, Math.round(Math.log2(s)))), [1, 2, 3, 4, 5, 6, 6], `${waits.join(', ')} s`)
  t.match(await ends(w), { state: 'done' })
})

t.test('a gateway that ends meanwhile goes on from what was saved, under the same id', async t => {
  const w = await world(t)
  const { app, orders } = w
  const stop = halt()
  orders.run.push(async ({ save, phase }) => {
    await phase('second', 0, 1)
    await save({ flow: 7 })
    await stop.at()
    return { is: 'later', afterMs: 1, reason: 'deferred' }
  })
  await begin(w)
  await stop.reached
  const closed = app.close()
  stop.go()
  await closed
  await app.start()
  t.match(await ends(w), { state: 'done' })
  t.match(orders.seen.map(({ done }) => done), [null, { flow: 7 }])
  t.equal(orders.seen[0]?.id, orders.seen[1]?.id)
})

for (const [name, away] of [['a reset', (app: App) => app.ask('POST', `${pathOf()}/reset`, { body: { setup_group: GROUP } })], ['another choice', (app: App) => act(app, 'method/choose', { subject: GROUP, value: 'trusted' })]] as const) {
  t.test(`${name} takes the task away: it saves, asks and ends nothing more, and what it saved is there the next time`, async t => {
    const w = await world(t)
    const { app, orders } = w
    const stop = halt()
    const after: string[] = []
    orders.run.push(async ({ save, ask, phase }) => {
      await save({ kept: true })
      await stop.at()
      for (const [what, go] of [['save', () => save({ kept: false })], ['ask', () => ask('lists', {})], ['phase', () => phase('first', 0, 1)]] as const) await go().then(() => { after.push(what) }, () => {})
      return { is: 'done', links: [] }
    })
    await begin(w)
    await stop.reached
    t.match(await away(app), { status: 200 })
    stop.go()
    await until(async () => (await app.query('select 1 as there from jobs where kind = \'setup\'')).length === 0)
    t.strictSame(after, [])
    t.match(await task(w), { state: name === 'a reset' ? 'blocked' : 'not_needed', action: null })
    await act(app, 'method/choose', { subject: GROUP, value: 'made' })
    await begin(w)
    t.match(await ends(w), { state: 'done' })
    t.match(orders.seen.at(-1)?.done, { kept: true })
  })
}

t.test('two shops that share an account: one after the other, and the second knows what the first one did', async t => {
  const w = await world(t)
  const { app, orders } = w
  await app.ask('PUT', '/v1/shops/other.example', { body: { name: 'Other', domain: 'other.example', plan: 'pro' } })
  await ready(app, KEY, GROUP, pathOf('beacon', 'other.example'))
  const other = { ...w, path: pathOf('beacon', 'other.example') }
  const stop = halt()
  orders.run.push(async ({ save }) => { await save({ flow: 1 }); await stop.at(); return { is: 'done', links: [] } })
  await begin(w)
  await stop.reached
  await begin(other)
  await until(async () => orders.seen.length > 1 || (await app.query('select 1 as put_off from jobs where kind = \'setup\' and cursor = \'0\'')).length === 1)
  t.match(await task(other), { state: 'running' })
  t.equal(orders.seen.length, 1)
  stop.go()
  t.match(await ends(w), { state: 'done' })
  w.clock.advance(5000)
  t.match(await ends(other), { state: 'done' })
  t.match(orders.seen.map(({ done }) => done), [null, { flow: 1 }])
})

t.test('one whose job is gone can be begun again, and is under way once', async t => {
  const w = await world(t)
  const { app, orders, clock } = w
  orders.run.push(async ({ save }) => { await save({ flow: 1 }); return { is: 'later', afterMs: HOUR_MS, reason: 'provider_failing' } })
  await begin(w)
  await becomes(w, ({ progress }) => progress?.waiting != null)
  await app.query('delete from jobs where kind = \'setup\'')
  clock.advance(2 * HOUR_MS)
  const { asked_at: askedAt } = await task(w)
  t.match(await begin(w), { status: 202 })
  t.match(await ends(w), { state: 'done', asked_at: askedAt })
  t.match(orders.seen.map(({ done }) => done), [null, { flow: 1 }])
})

onlySqlite('R7: a disk that gets nearly full: none is begun, and one under way does nothing more until there is room', 'the disk of a database is its own', async t => {
  let free = 1e9
  const w = await world(t, { freeBytes: async () => free })
  const { app, orders, clock } = w
  orders.run.push(async () => ({ is: 'later', afterMs: 3000, reason: 'provider_failing' }))
  await begin(w)
  await becomes(w, ({ progress }) => progress?.waiting != null)
  free = 20 * 1024 * 1024
  await until(async () => (await app.ask('GET', '/readyz', { key: null })).status === 503)
  t.match(await begin(w), { status: 503, body: { error: { code: 'GW_DISK_FULL' } } })
  const before = (await app.query('select due_at from jobs where kind = \'setup\''))[0]?.due_at
  clock.advance(5000)
  await until(async () => { const [job] = await app.query('select due_at from jobs where kind = \'setup\''); return job !== undefined && job.due_at !== null && job.due_at !== before })
  t.equal(orders.seen.length, 1)
  t.match(await task(w), { state: 'running' })
  free = 1e9
  clock.advance(10_000)
  t.match(await ends(w), { state: 'done' })
})

t.test('what was done at one account is not known of another one', async t => {
  const w = await world(t)
  const { app, orders } = w
  orders.run.push(async ({ save }) => { await save({ flow: 1 }); return { is: 'done', links: [] } })
  await begin(w)
  await ends(w)
  await ready(app, KEY_OTHER, GROUP)
  t.equal((await task(w)).state, 'open')
  await begin(w)
  await ends(w)
  t.match(orders.seen.map(({ done }) => done), [null, null])
})

t.test('code that throws is told of and tried again; after a day it has failed', async t => {
  const w = await world(t)
  const { app, orders, clock } = w
  orders.run.push(async () => { throw new Error('a bug') }, async () => { throw new Error('a bug') })
  await begin(w)
  await app.logged(({ msg }) => msg === 'a job failed; it is tried again')
  t.equal((await task(w)).state, 'running')
  clock.advance(25 * HOUR_MS)
  t.match(await ends(w), { state: 'failed', reason: 'task_failed', sentence: 'The automatic set-up of Beacon could not be finished.' })
})

t.test('C10: what was made is looked after: undone it holds the group, and right again it frees it', async t => {
  const w = await world(t)
  const { app, orders } = w
  const isReady = async () => ((await shown(app)) as SetupView).setup_groups.find(({ setup_group: group }) => group === GROUP)?.ready
  orders.check = async () => ({ is: 'failed', reason: 'not_verified', text: 'It is off.', made: [] })
  await begin(w)
  await ends(w)
  t.equal(await isReady(), true)
  await act(app, 'key/check', {})
  t.match(await becomes(w, ({ state }) => state === 'failed'), { reason: 'not_verified', detail: 'It is off.' })
  t.equal(await isReady(), false)
  orders.check = async () => ({ is: 'later', afterMs: 0, reason: 'no_answer' })
  await act(app, 'key/check', {})
  t.match(await task(w), { state: 'failed' }, 'no answer says nothing')
  orders.check = async () => ({ is: 'done', links: [], warnings: ['Two of them.'] })
  await act(app, 'key/check', {})
  await becomes(w, ({ state }) => state === 'done')
  t.equal(await isReady(), true)
  t.ok((await shown(app)).warnings.some(({ text }) => text === 'Two of them.'))
})
