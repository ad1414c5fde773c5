// Automatic set-up that is cut off: lost answers, flows that do not come or go, a gateway that ends. Never a second flow for a metric.

import t from 'tap'
import { makeApp } from '../../test/helpers/app.ts'
import { act, itemOf, shown } from '../../test/helpers/setup.ts'
import { storeKind } from '../../test/helpers/stores.ts'
import { begin, configAt, connected, creates, done, fault, flows, heal, KLAVIYO, metricsOf, onePerMetric, order, over, passes, STOCK, task, waits } from './automatic.test-world.ts'

t.jobs = 4 // each has a gateway and a sandbox of its own, and mostly waits

const MINUTE_MS = 60_000

t.test('a lost answer to a create: the flow that was made is found, and no second one is made', async t => {
  const world = await connected(t)
  await fault(world, 'POST', '/api/flows', { kind: 'cut_after', times: 2 })
  await begin(world)
  t.match((await waits(world)).progress, { waiting: { reason: 'no_answer', text: /^Klaviyo's answer to creating the flow .* was lost\./ } })
  t.match(await over(world), { state: 'done' })
  t.equal(await creates(world), 2)
  await onePerMetric(t, world)
})

t.test('a create that comes true minutes after its answer was lost is waited for; one that never does is made anew', async t => {
  const world = await connected(t)
  await fault(world, 'POST', '/api/flows', { kind: 'cut_before', times: 1 })
  await begin(world)
  await waits(world)
  world.clock.wall(3 * MINUTE_MS)
  t.equal(await creates(world), 0)
  await order(world, 'POST', '/api/flows', { data: { type: 'flow', attributes: { name: STOCK[0], definition: { triggers: [{ type: 'metric', id: (await metricsOf(world))[0]?.id, trigger_filter: null }], profile_filter: null, entry_action_id: 'sms', actions: [{ temporary_id: 'sms', type: 'send-sms', links: { next: null }, data: { status: 'draft', message: { body: 'late' } } }] } } } })
  await fault(world, 'POST', '/api/flows', { kind: 'cut_before', times: 1 })
  await passes(world, ({ progress }) => progress?.text === 'Creating flows (2 of 2)' && progress.waiting?.reason === 'no_answer')
  t.equal(await creates(world), 1, 'the late one')
  world.clock.wall(4 * MINUTE_MS)
  t.equal((await task(world)).state, 'running')
  t.equal(await creates(world), 1)
  t.match(await over(world, undefined, 1000), { state: 'done' })
  t.equal(await creates(world), 2)
  await onePerMetric(t, world)
})

t.test('a flow that Klaviyo does not turn on: said so with what is there already; tried again, or made by hand', async t => {
  const world = await connected(t)
  const { app } = world
  await fault(world, 'PATCH', null, { kind: 'status', status: 200, headers: { 'content-type': 'application/vnd.api+json' }, body: {} })
  await begin(world)
  const failed = await over(world, undefined, 1000)
  t.match(failed, { state: 'failed', reason: 'task_failed', detail: /is there, but Klaviyo did not turn it on: it is draft, not live/, banner: null, links: [] })
  t.strictSame(failed.made.map(({ title }) => title), STOCK, 'what is there is named')
  t.match(failed.actions, [{ action: 'start', allowed: false }, { action: 'retry', label: 'Try again', allowed: true }, { action: 'choose', label: 'Switch to manual', body: { subject: 'back_in_stock', value: 'manual' }, allowed: true }])
  const change = failed.actions[2] as unknown as { path: string, body: object }
  t.match(await app.ask('POST', change.path, { body: change.body }), { status: 200 })
  t.match([(await task(world)).state, itemOf(await shown(app, KLAVIYO), 'flow', 'back_in_stock.alert').state], ['not_needed', 'open'])
  await heal(world)
  await done(app, 'method/choose', { subject: 'back_in_stock', value: 'automatic' })
  await done(app, 'automatic/retry', { subject: 'back_in_stock' })
  t.match(await over(world), { state: 'done' })
  t.equal(await creates(world), 2)
  await onePerMetric(t, world)
})

t.test('a flow that the merchant deletes before it is turned on is made anew, once', async t => {
  const world = await connected(t)
  await fault(world, 'PATCH', null, { kind: 'status', status: 503, times: 1 })
  await begin(world)
  await waits(world)
  const [first] = await flows(world)
  await order(world, 'DELETE', `/_sandbox/flows/${first?.id}`)
  t.match(await over(world, undefined, 1000), { state: 'done' })
  t.equal(await creates(world), 3)
  await onePerMetric(t, world)
})

t.test('a flow that is deleted when all is done is told of, and made anew when the merchant tries again', async t => {
  const world = await connected(t)
  await begin(world)
  await over(world)
  const [first] = await flows(world)
  await order(world, 'DELETE', `/_sandbox/flows/${first?.id}`)
  world.clock.wall(2 * MINUTE_MS)
  await done(world.app, 'key/check', {})
  t.match(await passes(world, ({ state }) => state === 'failed'), { reason: 'not_verified', detail: `The flow "${first?.name}" is not in Klaviyo any more.` })
  await done(world.app, 'automatic/retry', { subject: 'back_in_stock' })
  t.match(await over(world), { state: 'done' })
  t.equal(await creates(world), 3)
  await onePerMetric(t, world)
})

t.test('C9: a reset or another choice while a create is on the way: the flow that comes of it is found the next time', async t => {
  const world = await connected(t)
  const { app } = world
  await fault(world, 'POST', '/api/flows', { kind: 'cut_before', times: 1 })
  await begin(world)
  await waits(world)
  await done(app, 'method/choose', { subject: 'back_in_stock', value: 'manual' })
  t.match(await task(world), { state: 'not_needed', action: null })
  await app.ask('POST', `${KLAVIYO}/reset`, { body: { setup_group: 'back_in_stock' } })
  await begin(world)
  t.match(await waits(world), { progress: { waiting: { reason: 'no_answer' } } }, 'the create is not forgotten')
  t.equal(await creates(world), 0)
  t.match(await over(world, undefined, 1000), { state: 'done' })
  t.equal(await creates(world), 2)
  await onePerMetric(t, world)
})

/** Where it is cut off: the request whose answer is lost once, so that the gateway can be ended while it waits. */
const CUTS: Array<[string, string, string | null, boolean]> = [
  ['before the metric is known', 'GET', '/api/metrics', false], ['at the event that makes the metric', 'POST', '/api/events', false],
  ['before a create', 'GET', '/api/flows', true], ['at a create', 'POST', '/api/flows', true], ['at turning it on', 'PATCH', null, true]
]

for (const [name, method, path, known] of CUTS) {
  t.test(`R1: a gateway that is started again goes on where it was, ${name}`, async t => {
    const world = await connected(t, { known })
    await fault(world, method, path, { kind: 'cut_after', times: 1 })
    await begin(world)
    await waits(world)
    await world.app.restart()
    t.match(await task(world), { state: 'running' })
    t.match(await over(world), { state: 'done' })
    t.equal(await creates(world), 2)
    await onePerMetric(t, world)
  })
}

if (storeKind === 'postgres') {
  t.test('another gateway takes the task over with the account, and goes on from what was saved', async t => {
    const world = await connected(t)
    const { app, clock, url } = world
    const other = makeApp(t, { config: configAt(url.replace('/klaviyo', '')), runtime: clock.runtime, env: app.env })
    await fault(world, 'POST', '/api/flows', { kind: 'cut_after', times: 1 })
    await begin(world)
    await waits(world)
    await other.start()
    t.match(await task({ app: other }), { state: 'running' }, 'whoever is asked tells it')
    t.match(await act(other, 'automatic/start', { subject: 'back_in_stock' }, KLAVIYO), { status: 202 }, 'it goes on already')
    await app.close()
    const item = await over({ ...world, app: other })
    t.match(item, { state: 'done', links: STOCK.map(title => ({ title })) })
    t.equal(await creates(world), 2)
    await onePerMetric(t, world)
  })
}
