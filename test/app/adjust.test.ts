// An answer that asks for other settings, from a manifest's rule to what the shop's connection shows afterwards.

import t from 'tap'
import { anEvent, CONFIG, startApp, until } from '../helpers/app.ts'
import { writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'
import { tempDir } from '../helpers/tmp.ts'

const RULE = `settings:
  sender: { description: Name shown as the sender., type: string, default: Shop }
  personal: { description: Whether the sender is named., type: boolean, default: true }
outcomes:
  - { status: 400, setting: { name: personal, equals: true }, is: retry, reason: personal_data_refused, with: { personal: false } }
events:`

t.test('the message goes out as it was asked for, and the connection keeps it', async t => {
  const manifest = THIRD['provider.yaml'].replace(/settings:[^]*?events:/, RULE).replace('encoding: form,', 'encoding: form, receipt: /sid,')
  const mapping = THIRD['mapping/message.yaml'].replace('{{ connection.settings.sender }}', '{% if connection.settings.personal %}{{ connection.settings.sender }}{% else %}-{% endif %}')
  const folder = writeFolder(tempDir(t), { ...THIRD, 'provider.yaml': `${manifest}stand_in:\n  message: { status: 201, body: { sid: PS-1 }, key: /reference }\n`, 'mapping/message.yaml': mapping })
  const app = await startApp(t, { config: CONFIG.replace('providers:\n', `providers:\n  ${THIRD_ID}: { path: ${folder} }\n`) })
  const at = '/v1/shops/acme.example/providers/parcel-sms'
  await app.ask('PUT', `${at}/connection`, { body: { secrets: { token: 'parcel-0123456789' }, account_id: 'ACCT01', settings: { sender: 'Acme' }, ready: ['back_in_stock'] } })
  await app.ask('PUT', '/v1/shops/acme.example/channels/sms', { body: { provider: THIRD_ID } })
  await app.fault(THIRD_ID, { kind: 'status', status: 400, match: { method: 'POST', path: '/v2/ACCT01/messages' }, times: 1 })
  await app.post(anEvent('adjusted-1'))
  await until(async () => (await app.delivery('adjusted-1')).state === 'delivered')
  t.match(await app.delivery('adjusted-1'), { attempts: 2, provider_message_id: 'PS-1', adjusted_settings: { personal: false }, calls: [{ status: 400, outcome: 'retry', provider_message_id: null }, { status: 201, outcome: 'delivered', provider_message_id: 'PS-1' }] })
  const connection = async () => (await app.ask('GET', at)).body.connection as { settings: { personal: boolean } }
  await until(async () => !(await connection()).settings.personal)
  t.match(await connection(), { settings: { sender: 'Acme', personal: false }, account_id: 'ACCT01', ready: ['back_in_stock'] })
  await app.post(anEvent('adjusted-2'))
  await until(async () => (await app.delivery('adjusted-2')).state === 'delivered')
  t.match(await app.delivery('adjusted-2'), { attempts: 1, adjusted_settings: null })
  const received = (await app.received(THIRD_ID)).filter(({ method }) => method === 'POST').map(({ body }) => new URLSearchParams(typeof body === 'string' ? body : body as Record<string, string>).get('from'))
  t.strictSame(received.slice(-2), ['-', '-'])
})
