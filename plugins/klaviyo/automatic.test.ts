// Automatic set-up (C4, C9, C10) as a merchant meets it: through the gateway, against Klaviyo's sandbox.

import t from 'tap'
import { anEvent, until } from '../../test/helpers/app.ts'
import { itemOf, shown, SHOP } from '../../test/helpers/setup.ts'
import { asked, begin, connected, creates, done, fault, flows, KLAVIYO, metricsOf, onePerMetric, order, over, passes, STOCK, task, waits } from './automatic.test-world.ts'

t.jobs = 4 // each has a gateway and a sandbox of its own, and mostly waits

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

t.test('C4: the flows of the group are made and turned on, and nothing of the other group; links and a banner tell of it', async t => {
  const world = await connected(t, { known: false })
  const { app } = world
  t.match(await task(world), { state: 'blocked', missing: ['method'] })
  await begin(world)
  t.match(await task(world), { state: 'running', progress: { text: /^Creating flows/, phases: [{ title: 'Creating flows', state: 'running' }, { title: 'Activating flows', state: 'open' }] }, actions: [{ action: 'start', allowed: false }, { action: 'retry', allowed: false }] })
  const item = await over(world)
  const made = await flows(world)
  t.match(item, { state: 'done', banner: 'Your flows are live in Klaviyo, with quiet hours on.', progress: null, reason: null })
  await onePerMetric(t, world)
  t.strictSame(item.links, made.map(({ id, name }) => ({ title: name, url: `https://www.klaviyo.com/flow/${id}/edit` })))
  for (const { actions } of made) t.match(actions, [{ status: 'live', message: { sms_quiet_hours_enabled: true, transactional: false } }])
  t.equal(await creates(world), 2)
  const view = await shown(app, KLAVIYO)
  t.match(view.setup_groups, [{ setup_group: 'back_in_stock', ready: true }, { setup_group: 'preorder', ready: false }])
  t.equal(view.summary, '2 of 3 ready')
  t.equal(itemOf(view, 'flow', 'back_in_stock.alert').state, 'not_needed')
  await begin(world, 'preorder')
  t.match(await over(world, 'preorder'), { state: 'done', banner: 'Your flow is live in Klaviyo, with quiet hours on and marked as transactional.' })
  t.match((await flows(world))[2], { name: 'STOQ - Preorder SMS confirmed (STOQ)', status: 'live', actions: [{ message: { transactional: true, sms_quiet_hours_enabled: true } }] })
})

t.test('the metric is made by an event that nobody is texted for, and is waited for until it is listed', async t => {
  const world = await connected(t, { known: false })
  await order(world, 'POST', '/_sandbox/listing_delay', { ms: 20_000 })
  await begin(world)
  const { progress } = await passes(world, item => item.progress?.waiting != null)
  t.match(progress, { text: 'Creating flows (1 of 2)', waiting: { reason: 'deferred', text: 'Waiting until Klaviyo lists the metric "Back in stock SMS alert (STOQ)".' } })
  t.match(await over(world), { state: 'done' })
  const events = (await order(world, 'GET', '/_sandbox/requests?limit=10000')).items?.filter(({ path }) => path === '/api/events') ?? []
  t.equal(events.length, 2)
  for (const { body } of events) t.match(body, { data: { attributes: { backfill: true, properties: { title_incl_variant: /./ } } } })
})

t.test('R44: a 429 pauses it for as long as Klaviyo says, on this lane alone, and costs nothing', async t => {
  const world = await connected(t)
  await fault(world, 'POST', '/api/flows', { kind: 'status', status: 429, headers: { 'retry-after': '300' }, times: 1 })
  await begin(world)
  const { progress } = await waits(world)
  t.match(progress, { text: 'Creating flows (1 of 2)', waiting: { reason: 'rate_limited', text: 'Klaviyo is limiting us; it goes on by itself as soon as there is room.' } })
  const leftMs = Date.parse(progress?.waiting?.until ?? '') - world.clock.runtime.now()
  t.ok(leftMs > 290_000 && leftMs <= 300_000, `${leftMs} ms`)
  world.clock.advance(280_000)
  t.equal(await creates(world), 0, 'nobody hurries')
  t.match(await over(world), { state: 'done' })
  await onePerMetric(t, world)
})

t.test('the day\'s hundred flows are used up: it waits until the first of them leaves the window, and asks for nothing till then', async t => {
  const world = await connected(t)
  const { app, clock } = world
  const now = clock.runtime.now()
  const [account] = await app.query('select account_key from accounts where provider = \'klaviyo\' and account not like \'key:%\'')
  const agoMs = (n: number): number => now - DAY_MS / 2 - n * MINUTE_MS
  await app.query(`insert into calls (call_key, account_key, call_no, lane, reserved_at, settled_at, outcome, request_head) values ${Array.from({ length: 100 }, (_, n) => `(${1_000_000 + n}, ${String(account?.account_key)}, 1, 'flows_create', ${agoMs(n)}, ${agoMs(n)}, 'answer', 'POST /api/flows')`).join(', ')}`)
  await begin(world)
  const { progress } = await passes(world, item => item.progress?.waiting?.reason === 'rate_limited')
  const leftMs = Date.parse(progress?.waiting?.until ?? '') - clock.runtime.now()
  t.ok(leftMs > DAY_MS / 2 - 110 * MINUTE_MS && leftMs < DAY_MS / 2, `${Math.round(leftMs / MINUTE_MS)} minutes`)
  t.equal(await creates(world), 0)
  clock.wall(leftMs)
  await app.restart() // which reads its windows again
  t.match(await over(world), { state: 'done' })
  await onePerMetric(t, world)
})

t.test('another live flow on the metric: nothing is made that would text customers twice, until it is turned off', async t => {
  const world = await connected(t)
  const [metric] = await metricsOf(world)
  const own = await order(world, 'POST', '/_sandbox/flows', { account: world.account, name: 'My own', metric_id: metric?.id, status: 'live' })
  await begin(world)
  t.match(await over(world), { state: 'failed', reason: 'task_failed', detail: /^The flow "My own" is live and listens to the metric "Back in stock SMS alert \(STOQ\)" already: with a second one customers would be texted twice\./, made: [] })
  t.equal(await creates(world), 0)
  await order(world, 'PATCH', `/_sandbox/flows/${String(own['id'])}`, { status: 'draft' })
  await done(world.app, 'automatic/retry', { subject: 'back_in_stock' })
  t.match(await over(world), { state: 'done' })
  t.equal(await creates(world), 2)
})

t.test('C2: scopes that are missing are a failure in Klaviyo\'s words, and manual is offered', async t => {
  const world = await connected(t)
  await fault(world, 'POST', '/api/flows', { kind: 'status', status: 403, headers: { 'content-type': 'application/vnd.api+json' }, body: { errors: [{ id: 'e', code: 'permission_denied', title: 'No.', detail: 'Your key or token lacks flows:write.' }] } })
  await begin(world)
  const item = await over(world)
  t.match(item, { state: 'failed', reason: 'scope_missing', detail: 'Your key or token lacks flows:write.', sentence: /^The connection may not read or make flows\./, made: [] })
  t.match(item.actions.map(({ label, allowed }) => [label, allowed]), [['Start automatic setup', false], ['Try again', true], ['Switch to manual', true]])
  t.equal(await creates(world), 0)
})

t.test('C9: a reset lets choose again; automatic again finds the flows that are there', async t => {
  const world = await connected(t)
  const { app } = world
  await begin(world)
  await over(world)
  t.match(await app.ask('POST', `${KLAVIYO}/reset`, { body: { setup_group: 'back_in_stock' } }), { status: 200, body: { reset: { text: /not deleted and stay active/ } } })
  t.match([(await task(world)).state, itemOf(await shown(app, KLAVIYO), 'method', 'back_in_stock')['selected']], ['blocked', null])
  await begin(world)
  t.match(await over(world), { state: 'done', links: STOCK.map(title => ({ title })) })
  t.equal(await creates(world), 2)
  await onePerMetric(t, world)
})

t.test('C10: once a day it is looked after: a flow turned off holds the messages, a second live one is warned of', async t => {
  const world = await connected(t)
  const { app, clock } = world
  await app.ask('PUT', `/v1/shops/${SHOP}/channels/sms`, { body: { provider: 'klaviyo' } })
  await begin(world)
  await over(world)
  const [first] = await flows(world)
  await order(world, 'POST', '/_sandbox/flows', { account: world.account, name: 'My own', metric_id: first?.metric_id, status: 'live' })
  clock.wall(DAY_MS + MINUTE_MS)
  await until(async () => {
    clock.wall(1000)
    return (await shown(app, KLAVIYO)).warnings.some(({ text }) => text.startsWith('The flow "My own" is live and listens to the same metric'))
  })
  t.match(await task(world), { state: 'done' })
  await order(world, 'PATCH', `/_sandbox/flows/${first?.id}`, { status: 'draft' })
  clock.wall(DAY_MS + MINUTE_MS)
  t.match(await passes(world, ({ state }) => state === 'failed', undefined, 1000), { reason: 'not_verified', detail: /sends nothing: it is draft, not live\. Turn it on in Klaviyo, or try again\./, made: [{}, {}] })
  const answered = await app.post({ ...anEvent('held-1'), time: new Date(clock.runtime.now()).toISOString() })
  t.match(await app.delivery('held-1'), { state: 'held', reason: 'setup_open' })
  await order(world, 'PATCH', `/_sandbox/flows/${first?.id}`, { status: 'live' })
  await done(app, 'key/check', {})
  t.match(await passes(world, ({ state }) => state === 'done'), { links: [{}, {}] })
  await app.delivered(answered)
})

t.test('nothing is asked of Klaviyo that it does not take', async t => {
  const world = await connected(t)
  await begin(world)
  await over(world)
  t.strictSame((await asked(world)).filter(line => !/ 20\d$/.test(line)), [])
})
