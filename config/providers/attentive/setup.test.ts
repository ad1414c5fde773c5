// A merchant's whole way with an API key, through the gateway against the stand-in that is made from the manifest.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { anEvent, CONFIG, startApp, until, type App } from '../../../test/helpers/app.ts'
import { act, choose, itemOf, pathOf, shown } from '../../../test/helpers/setup.ts'

const PATH = pathOf('attentive')
const PHONE = '+12015550123'
const TRIGGERS = { 'back_in_stock.alert': 'Back in stock SMS alert - STOQ', 'back_in_stock.reminder': 'Back in stock SMS reminder 1 - STOQ', 'preorder.confirmed': 'Preorder SMS confirmed - STOQ' }

async function started (t: Test): Promise<App> {
  const app = await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  attentive: { path: ${import.meta.dirname} }\n`) })
  await choose(app, 'attentive')
  return app
}

const connect = (app: App) => act(app, 'key/connect', { secrets: { api_key: 'attentive-0123456789' } }, PATH)

t.test('there is no code at all: its steps are those of the manifest (A3)', async t => {
  for (const name of ['index.ts', 'sandbox.ts']) t.notOk(existsSync(join(import.meta.dirname, name)), name)
  t.notMatch(readFileSync(join(import.meta.dirname, 'provider.yaml'), 'utf8'), /kind: (task|oauth2)/)
})

t.test('the whole way: key, test event, Journey confirmed, messages go out', async t => {
  const app = await started(t)
  await app.post(anEvent('early-1'))
  t.match((await connect(app)).body, { connected: true, account_name: 'Sandbox' })
  for (const [subject, trigger] of Object.entries(TRIGGERS)) {
    const before = await shown(app, PATH)
    t.match([itemOf(before, 'test', subject), itemOf(before, 'journey', subject)], [{ state: 'open', trigger }, { state: 'blocked', missing: ['test'], trigger }])
    t.match(await act(app, 'journey/confirm', { subject }, PATH), { status: 409, body: { error: { message: 'First: "Test event".' } } })
    t.match(itemOf((await act(app, 'test/send', { subject, phone: PHONE }, PATH)).body, 'test', subject), { state: 'done', reason: null })
    t.match((await app.received('attentive')).findLast(({ method }) => method === 'POST'), { status: 200, body: { type: trigger, externalEventId: /^test-/, user: { phone: PHONE } } })
    t.match(itemOf((await act(app, 'journey/confirm', { subject }, PATH)).body, 'journey', subject), { state: 'done', actions: [{ label: 'I\'ve created the Journey' }] })
  }
  t.match(await shown(app, PATH), { summary: '3 of 3 ready', warnings: [], reset: { text: /^Journeys in Attentive are not deleted and stay active/ } })
  await until(async () => (await app.delivery('early-1'))['state'] === 'delivered')
})

t.test('a key that is refused is said so in Attentive\'s words, at once and later', async t => {
  const app = await started(t)
  await app.fault('attentive', { kind: 'status', status: 401, match: { path: '/v1/me' } })
  t.match(itemOf((await connect(app)).body, 'key'), { state: 'failed', sentence: 'Invalid Attentive API key. Copy the complete key.' })
  await app.heal('attentive')
  await connect(app)
  await app.fault('attentive', { kind: 'status', status: 401, match: { path: '/v1/me' } })
  t.match((await act(app, 'key/check', {}, PATH)).body, { warnings: [{ code: 'credentials_refused' }, { code: 'setup_incomplete' }] })
})
