// Sending again by a person (G3, #91, #38): another delivery under another key, only where that is safe or said to be wanted.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { anEvent, CONFIG, deliveryOf, movable, startApp, until, type Answered, type App, type Body } from '../helpers/app.ts'
import { MADE } from '../helpers/made-providers.ts'
import { writeFolder } from '../helpers/providers.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/tmp.ts'
import { within } from '../cli/cli.ts'

const DAY_MS = 24 * 3_600_000
/** Longer than two presses are kept apart. */
const LATER_MS = 31_000
const CONFLICT = { status: 409, body: { error: { code: 'GW_CONFLICT' } } }
const WHY = { reason: 'the customer asked for it' }
const SEND = { mode: 'send', ...WHY }
const TWICE = { may_have_been_sent: true }
const LATE = { expired: true }

/** A provider that can record a message without sending it, and asks for consent before each send: a setting says who has none. */
const LEDGER = {
  ...MADE.herald,
  'provider.yaml': MADE.herald['provider.yaml'].replaceAll('Herald', 'Ledger').replaceAll('herald', 'ledger').replace('uncertain: park', 'record_only: true\nuncertain: park')
    .replace('body: mapping/message.yaml', 'body: mapping/message.yaml, omit_empty: [/quiet]').replace('schema: message.schema.json, ', ''),
  'mapping/message.yaml': `${MADE.herald['mapping/message.yaml']}quiet: "{{ delivery.record_only | default: '' }}"\n`,
  'index.ts': `import { defineProvider } from '${join(ROOT, 'gateway/define.ts')}'
export default defineProvider({ id: 'ledger', check: ({ connection }) => connection.settings.link_to === 'checkout' ? { is: 'reject', reason: 'opted_out' } : { is: 'go' } })
`
}

interface Desk {
  app: App
  advance (ms: number): void
  /** Posts an event of the shop at this provider; the path of its delivery when it rests. */
  rests (id: string, state: string, fault?: object): Promise<string>
  shown (path: string): Promise<Body>
  asked (path: string): Promise<Record<'send' | 'record', { allowed: boolean, reason: string | null, message: string | null, needs: Array<{ field: string }> }>>
  press (path: string, body?: object, key?: 'all' | 'acme' | 'reader'): Promise<Answered>
  /** It is taken, and the new delivery rests in this state. */
  taken (t: Test, path: string, body: object, state?: string): Promise<Body>
}

/** The shop acme.example at one of these providers; time that can be moved. */
async function desk (t: Test, provider: 'courier' | 'herald' | 'ledger' = 'herald'): Promise<Desk> {
  const clock = movable()
  const folder = writeFolder(tempDir(t), LEDGER)
  const app = await startApp(t, { runtime: clock.runtime, config: CONFIG.replace('providers:\n', `providers:\n  ledger: { path: ${folder} }\n`) })
  await app.ask('PUT', `/v1/shops/acme.example/providers/${provider}/connection`, { body: { secrets: { api_key: `${provider}-0123456789` }, ready: ['back_in_stock', 'preorder'] } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider } })
  const shown = async (path: string) => (await app.ask('GET', path)).body
  const press = (path: string, body: object = SEND, key: 'all' | 'acme' | 'reader' = 'all') => app.ask('POST', `${path}/send-again`, { body, key })
  const atRest = async (path: string, state: string) => until(async () => { const now = await shown(path); return now.state === state && now.finished_at !== null })
  return {
    app,
    shown,
    press,
    advance: clock.advance,
    async rests (id, state, fault) {
      if (fault) await app.fault(provider, { ...fault, times: 1 })
      const path = pathOf(deliveryOf(await app.post(anEvent(id))))
      await atRest(path, state)
      return path
    },
    asked: async path => (await app.ask('GET', `${path}/send-again`)).body.modes as never,
    async taken (t, path, body, state = 'delivered') {
      const { status, body: made } = await press(path, body)
      t.equal(status, 202, JSON.stringify(made))
      await atRest(pathOf(made), state)
      return await shown(pathOf(made))
    }
  }
}

function pathOf ({ id }: Body): string { return `/v1/deliveries/${String(id)}` }

const idOf = (path: string): string => path.split('/').at(-1) as string

/** What the provider was sent, by the key it may tell repeats by. */
const keys = async ({ app }: Desk, provider: string): Promise<unknown[]> => (await app.received(provider)).filter(({ method }) => method === 'POST').map(({ key }) => key)

const REFUSED_ONCE = { kind: 'status', status: 400, body: {} }

t.test('what was refused is sent again as another delivery, under another key, linked to the first (G3)', async t => {
  const all = await desk(t, 'courier')
  const first = await all.rests('again-1', 'rejected', REFUSED_ONCE)
  t.match(await all.asked(first), { send: { allowed: true, needs: [] }, record: { allowed: false, reason: 'record_not_possible', message: /Courier cannot record/ } })
  const made = await all.taken(t, first, SEND)
  t.match(made, { again_of: idOf(first), mode: 'send', sent_again: [], attempts: 1, event: { source_id: 'again-1' }, sentence: 'Accepted by Courier.' })
  t.not(made.id, idOf(first))
  t.match(await all.shown(first), { state: 'rejected', again_of: null, mode: 'send', sent_again: [made.id] })
  t.strictSame((await keys(all, 'courier')).at(-1), made.id, 'the provider takes it for a new message')
  t.equal((await all.app.ask('GET', '/v1/deliveries?source_id=again-1')).body.items?.length, 2)
  t.match((await all.app.post(anEvent('again-1'))).body, { status: 'duplicate', deliveries: [{ id: idOf(first), state: 'rejected' }, { id: made.id, state: 'delivered' }] }, 'a repeat of the event is told of both, and makes no third')
})

t.test('what was delivered, or may have been, goes twice only for who says so (#91)', async t => {
  const all = await desk(t)
  for (const [id, state, fault] of [['twice-1', 'delivered'], ['twice-2', 'unknown', { kind: 'cut_after' }]] as const) {
    const first = await all.rests(id, state, fault)
    t.match(await all.asked(first), { send: { allowed: true, needs: [{ field: 'may_have_been_sent', message: /text the customer twice/ }] } })
    for (const body of [SEND, { ...SEND, ...LATE }, { ...SEND, may_have_been_sent: false }]) t.match(await all.press(first, body), { ...CONFLICT, body: { error: { details: [{ path: '/may_have_been_sent', rule: 'confirm' }] } } }, state)
    t.strictSame((await all.shown(first)).sent_again, [], 'nothing was made')
    t.match(await all.taken(t, first, { ...SEND, ...TWICE }), { again_of: idOf(first), attempts: 1 })
    t.match(await all.shown(first), { state, attempts: 1 }, 'the first stays as it is')
  }
})

t.test('an event that is too old goes only for who says so, and then as long as it might at first (#91)', async t => {
  const all = await desk(t)
  const first = await all.rests('late-1', 'delivered')
  all.advance(2 * DAY_MS)
  t.strictSame((await all.asked(first)).send.needs.map(({ field }) => field), ['may_have_been_sent', 'expired'])
  const refused = await all.press(first)
  t.match(refused, CONFLICT)
  t.strictSame(refused.body.error?.details.map(({ path }) => path), ['/may_have_been_sent', '/expired'], 'all that is missing is named at once')
  for (const body of [TWICE, LATE]) t.match(await all.press(first, { ...SEND, ...body }), CONFLICT)
  const { expires_at: expiresAt } = await all.taken(t, first, { ...SEND, ...TWICE, ...LATE })
  t.ok(Math.abs(Date.parse(String(expiresAt)) - (Date.now() + 3 * DAY_MS)) < 60_000, String(expiresAt))
})

t.test('pressed ten times at once it goes once, and again only later (#38)', async t => {
  const all = await desk(t, 'courier')
  for (const [id, state, fault] of [['ten-1', 'rejected', REFUSED_ONCE], ['ten-2', 'delivered']] as const) {
    const first = await all.rests(id, state, fault)
    const before = (await keys(all, 'courier')).length
    const answers = await Promise.all(Array.from({ length: 10 }, () => all.press(first, { ...SEND, ...TWICE })))
    t.strictSame(answers.map(({ status }) => status).toSorted((a, b) => a - b), [202, ...Array.from({ length: 9 }, () => 409)], state)
    const made = answers.find(({ status }) => status === 202)?.body as Body
    await until(async () => (await all.shown(pathOf(made))).finished_at !== null)
    t.match(await all.press(first, { ...SEND, ...TWICE }), { ...CONFLICT, body: { error: { message: /wait \d+ seconds/ } } }, 'nor when the one has ended already')
    t.strictSame((await all.shown(first)).sent_again, [made.id])
    t.equal((await keys(all, 'courier')).length, before + 1)
    all.advance(LATER_MS)
    const second = await all.taken(t, pathOf(made), { ...SEND, ...TWICE })
    t.equal(second.again_of, idOf(first), 'one that sends again is sent again as the first is')
    t.strictSame((await all.shown(first)).sent_again, [made.id, second.id])
    all.advance(LATER_MS)
  }
})

t.test('while one is on its way no other one is made, of neither of the two buttons', async t => {
  const all = await desk(t)
  await all.app.fault('herald', { kind: 'delay', delay_ms: 400, times: 1 })
  const slow = pathOf(deliveryOf(await all.app.post(anEvent('open-1'))))
  t.match(await all.press(slow, { ...SEND, ...TWICE, ...LATE }), { ...CONFLICT, body: { error: { message: /has not ended yet/ } } })
  t.match((await all.asked(slow)).send, { allowed: false, reason: 'not_ended', needs: [] })
  await until(async () => (await all.shown(slow)).state === 'delivered')

  const first = await all.rests('open-2', 'rejected', REFUSED_ONCE)
  await all.app.fault('herald', { kind: 'delay', delay_ms: 400, times: 1 })
  const { body: made } = await all.press(first)
  for (const path of [first, pathOf(made)]) {
    t.match(await all.press(path, { ...SEND, ...TWICE }), { ...CONFLICT, body: { error: { message: /has not ended yet/ } } })
  }
  t.match(await all.app.ask('POST', `${first}/retry`, { body: TWICE }), { ...CONFLICT, body: { error: { message: new RegExp(String(made.id)) } } }, 'the first is not tried again beside it')
  await until(async () => (await all.shown(pathOf(made))).state === 'delivered')
  t.match(await all.app.ask('POST', `${first}/retry`, { body: {} }), { ...CONFLICT, body: { error: { message: /may_have_been_sent/ } } }, 'nor when it has arrived, but for who says so')
  all.advance(LATER_MS)
  t.match(await all.press(first), CONFLICT, 'the first was refused, but the customer has the message')
  const { status } = await all.app.ask('POST', `${first}/retry`, { body: TWICE })
  t.equal(status, 202)
})

t.test('nothing waits where it could not go: a shop that is closed, a provider that refuses, an event whose data is gone', async t => {
  const all = await desk(t)
  const first = await all.rests('way-1', 'rejected', REFUSED_ONCE)
  const { body: shop } = await all.app.ask('GET', '/v1/shops/acme.example')
  const put = (active: boolean) => all.app.ask('PUT', '/v1/shops/acme.example', { body: { name: shop.name, domain: shop.domain, plan: shop.plan, active } })
  await put(false)
  t.match(await all.press(first), { ...CONFLICT, body: { error: { message: /uninstalled the app or is closed/, details: [{ path: '/mode', rule: 'shop_inactive' }] } } })
  await put(true)
  await all.app.fault('herald', { kind: 'status', status: 401, body: {}, times: 1 })
  const held = pathOf(deliveryOf(await all.app.post(anEvent('way-2'))))
  await until(async () => (await all.shown(held)).state === 'held')
  t.match((await all.asked(first)).send, { allowed: false, reason: 'credentials_refused', message: /Herald refuses the credentials/ })
  t.match(await all.press(first), CONFLICT)
  await all.app.ask('PUT', '/v1/shops/acme.example/providers/herald/connection', { body: { secrets: { api_key: 'herald-9876543210' }, ready: ['back_in_stock'] } })
  await until(async () => (await all.shown(held)).state === 'delivered')
  t.equal((await all.asked(first)).send.allowed, true)
  await all.app.query('update events set data = null where source_id = \'way-1\'')
  t.match(await all.press(first), { ...CONFLICT, body: { error: { message: /data is gone/ } } })
  t.strictSame((await all.shown(first)).sent_again, [])
})

t.test('consent is asked for when it is sent: who has opted out meanwhile gets nothing, and that is said (#91)', async t => {
  const all = await desk(t, 'ledger')
  const first = await all.rests('consent-1', 'delivered')
  await all.app.ask('PUT', '/v1/shops/acme.example/providers/ledger/connection', { body: { secrets: { api_key: 'ledger-0123456789' }, settings: { link_to: 'checkout' }, ready: ['back_in_stock'] } })
  const before = (await keys(all, 'ledger')).length
  t.match(await all.taken(t, first, { ...SEND, ...TWICE }, 'rejected'), { reason: 'opted_out', sentence: 'The customer does not want messages any more.', calls: [] })
  t.equal((await keys(all, 'ledger')).length, before)
})

t.test('a message is recorded, and nobody texted, only where the provider can; the mode stays with it', async t => {
  const all = await desk(t, 'ledger')
  const first = await all.rests('record-1', 'rejected', REFUSED_ONCE)
  t.match(await all.asked(first), { send: { allowed: true }, record: { allowed: true, reason: null, needs: [] } })
  const recorded = await all.taken(t, first, { ...WHY, mode: 'record' })
  t.match(recorded, { mode: 'record', again_of: idOf(first), sentence: 'Recorded by Ledger; nobody is texted.', calls: [{ request: { body: { quiet: true } } }] })
  all.advance(LATER_MS)
  const sent = await all.taken(t, first, { ...SEND, ...TWICE })
  t.match(sent, { mode: 'send' })
  const { request } = (sent.calls as Array<{ request: { body: object } }>)[0] as { request: { body: object } }
  t.notOk(Object.hasOwn(request.body, 'quiet'), 'the key is there only where it is true')
})

t.test('what was to be recorded is not sent by a provider that cannot record, where the shop has changed to one meanwhile', async t => {
  const all = await desk(t, 'ledger')
  const first = await all.rests('moved-1', 'rejected', REFUSED_ONCE)
  await all.app.fault('ledger', { kind: 'status', status: 429, headers: { 'retry-after': '3600' }, body: {}, times: 1 })
  const { status, body: made } = await all.press(first, { ...WHY, mode: 'record' })
  t.equal(status, 202)
  await until(async () => (await all.shown(pathOf(made))).reason === 'rate_limited')
  const before = (await keys(all, 'herald')).length
  await all.app.ask('PUT', '/v1/shops/acme.example/providers/herald/connection', { body: { secrets: { api_key: 'herald-0123456789' }, ready: ['back_in_stock'] } })
  await all.app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: 'herald' } })
  all.advance(2 * 3_600_000)
  await until(async () => (await all.shown(pathOf(made))).finished_at !== null)
  t.match(await all.shown(pathOf(made)), { state: 'rejected', reason: 'record_not_possible', sentence: 'The provider cannot record a message without sending it; nothing was sent.' })
  t.equal((await keys(all, 'herald')).length, before)
})

t.test('who pressed and why is on record, and nothing of a press that was refused', async t => {
  const all = await desk(t)
  const first = await all.rests('audit-1', 'rejected', REFUSED_ONCE)
  const answers = await Promise.all(Array.from({ length: 3 }, () => all.press(first, SEND, 'acme')))
  const { id } = answers.find(({ status }) => status === 202)?.body ?? {}
  const rows = await all.app.query('select actor, action, shop, subject, reason from audit where action like \'delivery.%\'')
  t.strictSame(rows, [{ actor: 'acme', action: 'delivery.send_again', shop: 'acme.example', subject: `${idOf(first)} ${String(id)}`, reason: WHY.reason }])
})

t.test('a press without its mode or reason, by another\'s key or one that only reads, is refused', async t => {
  const all = await desk(t)
  const first = await all.rests('form-1', 'rejected', REFUSED_ONCE)
  for (const body of [{}, WHY, { mode: 'send' }, { mode: 'sned', ...WHY }, { mode: 'send', reason: ' ' }, { ...SEND, may_have_been_send: true }, { ...SEND, expired: 'true' }]) t.match(await all.press(first, body), { status: 422, body: { error: { code: 'GW_REQUEST_INVALID' } } }, JSON.stringify(body))
  t.equal((await all.app.ask('POST', `${first}/send-again`, { body: SEND, key: 'globex' })).status, 404)
  t.equal((await all.app.ask('GET', `${first}/send-again`, { key: 'globex' })).status, 404)
  t.equal((await all.press(first, SEND, 'reader')).status, 403)
  t.equal((await all.app.ask('GET', `${first}/send-again`, { key: 'reader' })).status, 200)
  t.equal((await all.press('/v1/deliveries/dlv_none')).status, 404)
  t.strictSame((await all.shown(first)).sent_again, [])
})

t.test('it outlives a restart, and the command line does the same', async t => {
  const all = await desk(t)
  const first = await all.rests('cli-1', 'rejected', REFUSED_ONCE)
  const gateway = (...argv: string[]) => within(argv, { env: { GATEWAY_URL: all.app.url, GATEWAY_API_KEY: all.app.keyOf('all') } })
  t.match(await gateway('deliveries', 'send-again', idOf(first)), { code: 2, err: /--reason <text> is missing/ })
  t.match(await gateway('deliveries', 'send-again', idOf(first), '--record-only', '--reason', 'x'), { code: 1, err: /Herald cannot record[^]*GW_CONFLICT/ })
  const { code, out } = await gateway('deliveries', 'send-again', idOf(first), '--reason', 'it was put right', '--json')
  t.equal(code, 0)
  const made = JSON.parse(out) as Body
  await until(async () => (await all.shown(pathOf(made))).state === 'delivered')
  await all.app.restart()
  t.match(await all.shown(first), { sent_again: [made.id] })
  t.match((await gateway('deliveries', 'show', String(made.id))).out, new RegExp(`again of +${idOf(first)}`))
  all.advance(LATER_MS)
  t.match(await gateway('deliveries', 'send-again', idOf(first), '--reason', 'once more'), { code: 1, err: /text the customer twice/ })
  t.match(await gateway('deliveries', 'send-again', idOf(first), '--reason', 'once more', '--may-have-been-sent'), { code: 0, out: /sends dlv_.* again/ })
})
