// A provider that texts its own members only, behind the real gateway: who is told, who waits, and what is said to a merchant (D5, C11).

import t, { type Test } from 'tap'
import { movable, startApp, until, type App, type Body } from '../helpers/app.ts'
import { arrived, atGuild, eventFor, GUILD, guildConfig } from '../helpers/guild.ts'
import { writeFolder } from '../helpers/providers.ts'
import { tempDir } from '../helpers/tmp.ts'

const ADA = '+12015550123'
const BEN = '+12015550124'
const MINUTE_MS = 60_000
const PEOPLE = '/v1/shops/acme.example/providers/guild/subscribers'

async function started (t: Test, settings?: object): Promise<{ app: App, advance (ms: number): void, becomes (id: string, state: string, reason?: string): Promise<Body> }> {
  const clock = movable()
  const app = await startApp(t, { runtime: clock.runtime, config: guildConfig(writeFolder(tempDir(t), GUILD), settings) })
  return {
    app,
    advance: clock.advance,
    async becomes (id, state, reason) {
      await until(async () => {
        const { state: now, reason: why } = await app.delivery(id)
        return now === state && (reason === undefined || why === reason)
      })
      return await app.delivery(id)
    }
  }
}

t.test('a sign-up, its alert and an order: added once, waiting for the opt-in, and sent when it came', async t => {
  const { app, becomes, advance } = await started(t)
  await app.post(eventFor('sign-1', ADA, 'waitlist.joined'))
  t.match(await becomes('sign-1', 'delivered'), { reason: null, attempts: 1 })
  await app.post([eventFor('alert-1', ADA), eventFor('order-1', ADA, 'preorder.confirmed'), eventFor('order-2', BEN, 'preorder.confirmed'), eventFor('order-3', null, 'preorder.confirmed'), eventFor('sign-2', ADA, 'waitlist.joined')])
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  await becomes('order-1', 'waiting', 'opt_in_pending')
  await becomes('order-2', 'rejected', 'not_subscribed')
  await becomes('order-3', 'rejected', 'no_phone')
  await becomes('sign-2', 'delivered', 'already_on_list')
  const { causes } = (await app.ask('GET', '/v1/shops/acme.example/diagnosis')).body as { causes: Array<{ code: string, sentence: string, where: { subject: string } }> }
  t.strictSame(causes.filter(({ code }) => code === 'opt_in_missing').map(({ where }) => where.subject).toSorted(), ['back_in_stock.alert', 'preorder.confirmed'])
  t.notOk(causes.some(({ where }) => where.subject === 'waitlist.joined'), 'a sign-up that was passed on is no trouble')
  await atGuild(app, 'members', { phone: ADA, mail: 'orders' })
  advance(20 * MINUTE_MS)
  await becomes('order-1', 'delivered')
  await becomes('alert-1', 'rejected', 'not_subscribed')
  t.match((await app.ask('GET', PEOPLE)).body.counts, { pending: 0, subscribed: 0, transactional_only: 1, opted_out: 0, not_found: 1 })
  await atGuild(app, 'members', { phone: ADA, mail: 'all' })
  t.match(await app.ask('POST', `${PEOPLE}/check`, { body: { phone: ADA } }), { status: 200, body: { state: 'subscribed' } })
  await app.post(eventFor('alert-2', ADA))
  await becomes('alert-2', 'delivered')
  t.match(await arrived(app), { 'POST /v1/members': 1, 'POST /v1/messages': 2 })
})

t.test('nobody is told without consent, nor before the merchant has chosen where people come in; waiting too long says for what', async t => {
  const { app, becomes, advance } = await started(t, {})
  await app.post([eventFor('sign-1', ADA, 'waitlist.joined', { sms: false }), eventFor('sign-2', BEN, 'waitlist.joined')])
  t.match(await becomes('sign-1', 'delivered', 'nothing_to_tell'), { sentence: 'Guild need not be told of this; nothing was sent.', calls: [] })
  await becomes('sign-2', 'waiting', 'keyword_missing')
  await app.ask('PUT', '/v1/shops/acme.example/providers/guild/connection', { body: { secrets: { token: 'guild-0123456789' }, settings: { room: 'hall' }, ready: ['back_in_stock', 'preorder'] } })
  advance(7 * MINUTE_MS)
  await becomes('sign-2', 'delivered')
  await app.post(eventFor('alert-1', BEN))
  await becomes('alert-1', 'waiting', 'opt_in_pending')
  advance(25 * 60 * MINUTE_MS)
  await becomes('alert-1', 'expired', 'expired_opt_in_pending')
  t.match(await arrived(app), { 'POST /v1/members': 1 })
})

t.test('hundreds who have not opted in keep nobody waiting who has, and cost nothing while they wait', async t => {
  const { app, becomes, advance } = await started(t)
  const phones = Array.from({ length: 300 }, (_, i) => `+1201555${String(i + 1000)}`)
  await atGuild(app, 'members', { phone: ADA, mail: 'all' })
  await app.post(eventFor('first', ADA))
  await becomes('first', 'delivered')
  await app.post(phones.map((phone, i) => eventFor(`alert-${i}`, phone)))
  const waiting = async (): Promise<number> => Number((await app.query('select count(*) as n from deliveries where reason = \'opt_in_pending\' and finished_at is null'))[0]?.n)
  const added = async (): Promise<number> => (await arrived(app))['POST /v1/members'] ?? 0
  await until(async () => await waiting() === 300 && await added() === 300)
  const before = await arrived(app)
  advance(16 * MINUTE_MS) // all of them are looked up, and at again
  const since = performance.now()
  await app.post(eventFor('second', ADA))
  await becomes('second', 'delivered')
  t.comment(`delivered after ${Math.round(performance.now() - since)} ms`)
  await until(async () => ((await arrived(app))['GET /v1/members'] ?? 0) - (before['GET /v1/members'] ?? 0) === 300)
  t.equal(await waiting(), 300)
  t.match(await arrived(app), { 'POST /v1/members': 300, 'POST /v1/messages': 2 })
  t.strictSame(await app.query('select max(attempts) as attempts from deliveries where reason = \'opt_in_pending\''), [{ attempts: 0 }])
})
