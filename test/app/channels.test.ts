// Which provider a channel goes through: what a merchant is told before choosing one, and channels that nothing is sent on.

import t from 'tap'
import { anEvent, CONFIG, movable, startApp, until, type App, type Body } from '../helpers/app.ts'
import { act, choose, KEY, setUpAll, SHOP, startSetupApp } from '../helpers/setup.ts'

const PATH = `/v1/shops/${SHOP}/channels/sms`

interface Choice extends Body { id: string, connected: boolean, set_up: Record<string, boolean>, warnings: Array<{ code: string, text: string, setup_groups?: string[], waiting: number }> }
type Shown = Body & { providers: Choice[], warnings: Choice['warnings'] }

async function shown (app: App, path = PATH): Promise<Shown> { return (await app.ask('GET', path)).body as Shown }

const of = ({ providers }: Shown, id: string) => providers.find(one => one.id === id) as Choice

t.test('B2: before a provider is chosen it is told what would be held at it, and how many wait', async t => {
  const clock = movable()
  const app = await startSetupApp(t, { runtime: clock.runtime })
  const unset = of(await shown(app), 'beacon')
  t.match(unset, { connected: false, set_up: { back_in_stock: false, preorder: false }, warnings: [{ code: 'switch', text: 'Courier stops sending now, Beacon starts.', waiting: 0 }, { code: 'not_connected', text: 'Connect your Beacon account. Messages are held until then.', setup_groups: ['back_in_stock', 'preorder'], waiting: 0 }] })
  t.match(of(await shown(app), 'courier'), { connected: true, set_up: { back_in_stock: true, preorder: true }, warnings: [] }, 'who sends already')
  await app.fault('courier', { kind: 'status', status: 429, headers: { 'retry-after': '600' } })
  for (const id of ['e1', 'e2']) await app.post(anEvent(id))
  await until(async () => of(await shown(app), 'beacon').warnings[0]?.waiting === 2)
  t.match(of(await shown(app), 'beacon').warnings, [{ text: 'Courier stops sending now, Beacon starts. 2 wait now, and move there too.' }, { text: 'Connect your Beacon account. Messages are held until then; 2 wait now.', waiting: 2 }])
  await act(app, 'key/connect', { secrets: { api_key: KEY } })
  t.match(of(await shown(app), 'beacon').warnings[1], { code: 'setup_open', text: 'Beacon setup incomplete for back_in_stock, preorder. Messages are held until then; 2 wait now.' })
  const answer = await choose(app)
  t.match(answer, { status: 200, body: { provider: 'beacon', warnings: [{ code: 'setup_open', setup_groups: ['back_in_stock', 'preorder'], waiting: 2 }] } }, 'it may be chosen all the same')
  t.match(of(answer.body as Shown, 'courier').warnings, [{ code: 'switch', text: /^Beacon stops sending now, Courier starts\. 2 wait now/ }])
  await setUpAll(app)
  clock.advance(600_000)
  await until(async () => (await app.delivery('e2')).state === 'delivered')
  t.match(await shown(app), { warnings: [] })
  t.match(of(await shown(app), 'beacon'), { set_up: { back_in_stock: true, preorder: true }, warnings: [] })
})

t.test('B2, B4: one that cannot be chosen says why instead; an account that is held is warned of', async t => {
  const app = await startSetupApp(t)
  await setUpAll(app)
  await choose(app)
  await app.fault('beacon', { kind: 'status', status: 401, match: { path: '/events' } })
  await app.attempted(await app.post(anEvent('e1')))
  t.match((await shown(app)).warnings, [{ code: 'credentials_refused', text: 'Beacon refuses the credentials; connect again. Messages are held until then; 1 waits now.', waiting: 1 }])
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'free' } })
  const free = await shown(app)
  t.match(of(free, 'courier'), { available: false, reason: 'plan_too_low', warnings: [] })
  t.ok(free.warnings.some(({ code }) => code === 'plan_too_low'))
})

const MAIL = CONFIG.replace('channels:\n', 'channels:\n  mail: { default_provider: letters, choices: { letters: Letters, courier: Courier } }\n')

t.test('B1: e-mail is a setting of its own: any choice goes with any other, a connection is shared, and nothing is sent', async t => {
  const app = await startApp(t, { config: MAIL })
  const path = PATH.replace('sms', 'mail')
  t.match(await shown(app, path), { provider: 'letters', chosen: false, sends: false, queues: [], warnings: [], providers: [{ id: 'letters', title: 'Letters', available: true, connected: false }, { id: 'courier', title: 'Courier', available: true, connected: true, set_up: {}, warnings: [] }] })
  t.match(await app.ask('PUT', path, { body: { provider: 'courier' } }), { status: 200, body: { provider: 'courier', chosen: true } })
  t.match(await shown(app), { provider: 'courier', sends: true })
  await app.delivered(await app.post(anEvent('e1')))
  t.equal((await app.received('courier')).length, 1, 'by SMS, once')
  t.match(await app.ask('PUT', PATH, { body: { provider: 'herald' } }), { status: 200 })
  t.match((await shown(app, path)).provider, 'courier', 'the one says nothing of the other')
  t.match(await app.ask('PUT', path, { body: { provider: 'herald' } }), { status: 422, body: { error: { details: [{ path: '/provider', message: 'one of letters, courier' }] } } })
  t.match(await app.ask('PUT', PATH, { body: { provider: 'letters' } }), { status: 422 }, 'nor does it send SMS')
  await app.ask('PUT', `/v1/shops/${SHOP}`, { body: { name: 'Acme', domain: SHOP, plan: 'free' } })
  t.match(await app.ask('PUT', path, { body: { provider: 'courier' } }), { status: 200 }, 'no plan is asked for where nothing is sent')
  await app.restart()
  t.match((await app.ask('GET', `/v1/shops/${SHOP}`)).body, { channels: { mail: { provider: 'courier', sends: false }, sms: { provider: 'herald', sends: true } } })
  t.match(await app.ask('GET', `/v1/shops/${SHOP}/diagnosis?channel=mail`), { status: 404 }, 'what is not sent cannot be ill')
  t.match(await app.ask('GET', `${path}/forecast`), { status: 200, body: { provider: 'courier', waiting: 0 } })
})

t.test('B1: a shop of the config may choose for such a channel', async t => {
  const app = await startApp(t, { config: MAIL.replace('channels: { sms: courier }', 'channels: { sms: courier, mail: courier }') })
  t.match(await shown(app, PATH.replace('sms', 'mail')), { provider: 'courier', chosen: true })
})
