// A request without an answer, at a provider that can be asked about it: asked a few times, then left to a person.

import t, { type Test } from 'tap'
import { anEvent, CONFIG, movable, ROOT, startApp, until, type App, type Body } from '../helpers/app.ts'
import { writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'
import { tempDir } from '../helpers/tmp.ts'

const MINUTE_MS = 60_000

/** Asks the provider who we are, and takes what the sandbox says as no answer to the question. */
const code = (found: string): string => `import { defineProvider } from '${ROOT}/gateway/define.ts'
export default defineProvider({
  id: '${THIRD_ID}',
  async reconcile (scope, request, reservedAt, ask) {
    const answer = await ask('me', {})
    if (answer.kind !== 'answer' || answer.status !== 200) throw new Error('not answered')
    return ${found}
  }
})
`

async function started (t: Test, found: string): Promise<{ app: App, advance (ms: number): void }> {
  const manifest = `${THIRD['provider.yaml'].replace('encoding: form,', 'encoding: form, receipt: /message/id,')}uncertain: reconcile\n`
  const folder = writeFolder(tempDir(t), { ...THIRD, 'provider.yaml': manifest, 'index.ts': code(found) })
  const clock = movable()
  const app = await startApp(t, { runtime: clock.runtime, config: CONFIG.replace('providers:\n', `providers:\n  ${THIRD_ID}: { path: ${folder} }\n`) })
  await app.ask('PUT', '/v1/shops/acme.example/providers/parcel-sms/connection', { body: { secrets: { token: 'parcel-0123456789' }, account_id: 'ACCT01', ready: ['back_in_stock'] } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: THIRD_ID } })
  await app.fault(THIRD_ID, { kind: 'cut_after', match: { method: 'POST', path: '/v2/ACCT01/messages' }, times: 1 })
  t.match(await app.attempted(await app.post(anEvent('asked-1'))), { outcome: 'unknown', reason: 'no_answer' })
  t.match(await app.delivery('asked-1'), { state: 'unknown', finished_at: null })
  return { app, advance: clock.advance }
}

const questions = async (app: App): Promise<Body[]> => (await app.received(THIRD_ID)).filter(({ method }) => method === 'GET')

t.test('it is asked again after longer and longer waits, and then no more', async t => {
  const { app, advance } = await started(t, '{ is: \'unclear\', detail: \'nobody knows\' }')
  for (const [i, waitMs] of [MINUTE_MS, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 120 * MINUTE_MS].entries()) {
    t.match(await app.delivery('asked-1'), { state: 'unknown', finished_at: null })
    advance(waitMs + 1000)
    await until(async () => (await questions(app)).length === i + 1)
  }
  await until(async () => (await app.delivery('asked-1')).finished_at !== null)
  t.match(await app.delivery('asked-1'), { state: 'unknown', reason: 'no_answer', detail: 'nobody knows', attempts: 1 })
  t.equal((await app.received(THIRD_ID)).filter(({ method }) => method === 'POST').length, 1, 'and nobody was texted twice')
})

t.test('what did not arrive is sent, once that can be believed; what did, is delivered under the id that the provider gave it', async t => {
  const lost = await started(t, '{ is: \'not_found\' }')
  lost.advance(MINUTE_MS + 1000)
  await until(async () => (await questions(lost.app)).length === 1)
  t.match(await lost.app.delivery('asked-1'), { state: 'unknown' }, 'a minute is too soon')
  lost.advance(4 * MINUTE_MS)
  await until(async () => (await lost.app.delivery('asked-1')).state === 'delivered')
  t.match(await lost.app.delivery('asked-1'), { attempts: 2, provider_message_id: null, calls: [{ outcome: 'unknown' }, { outcome: 'delivered' }] })

  const arrived = await started(t, '{ is: \'found\', answers: [{ status: 200, body: \'{"message":{"id":"PS-17"}}\' }] }')
  arrived.advance(MINUTE_MS + 1000)
  await until(async () => (await arrived.app.delivery('asked-1')).state === 'delivered')
  t.match(await arrived.app.delivery('asked-1'), { reason: 'accepted_elsewhere', attempts: 1, provider_message_id: 'PS-17' })
})
