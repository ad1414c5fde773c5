// What Twilio's answers mean for a delivery: every code, and who reads what.

import t from 'tap'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import type { Answer, Outcome } from '../../gateway/contract.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { REASONS, sentence, type Reason } from '../../gateway/reasons.ts'
import { answer } from '../../test/helpers/answer.ts'
import { entry, loadOne } from '../../test/helpers/providers.ts'

const secret = new HiddenSecret('secret-0123456789', null)
const twilio = await loadOne(entry('stoq-native', import.meta.dirname, {
  options: { from: '+12015550100' },
  connection: { auth: null, accountId: 'AC00000000000000000000000000000001', secrets: { api_key_sid: secret, api_key_secret: secret } },
  secrets: { callback_token: [secret] }
}))

const refused = (code: number, status = 400): Answer & { kind: 'answer' } =>
  answer(status, { 'content-type': 'application/json' }, { code, message: 'It says no.', more_info: `https://www.twilio.com/docs/errors/${code}`, status })
const failed = (code: number | null, status = 'undelivered'): Answer & { kind: 'answer' } =>
  answer(201, { 'content-type': 'application/json' }, { sid: 'SM00000000000000000000000000000001', status, error_code: code, error_message: code === null ? null : 'It went wrong.' })

const says = (is: 'rejected' | 'hold', reason: Reason, code: number): Outcome => ({ is, reason, detail: `${code}: It says no.` })
const later = (reason: Reason, code: number, afterMs: number, pause?: 'lane'): Outcome => ({ is: 'retry', reason, detail: `${code}: It says no.`, free: true, afterMs, ...(pause && { pause }) })
const ended = (reason: Reason, code: number): Outcome => ({ is: 'rejected', reason, detail: `${code}: It went wrong.` })

const REFUSED: Array<[number, number, Outcome | null]> = [
  [401, 20003, says('hold', 'credentials_refused', 20003)],
  [403, 20003, says('hold', 'credentials_refused', 20003)],
  [404, 20404, says('hold', 'account_unknown', 20404)],
  [429, 20429, null],
  [400, 21211, says('rejected', 'phone_refused', 21211)],
  [400, 21212, says('hold', 'sender_refused', 21212)],
  [400, 21408, says('rejected', 'country_not_enabled', 21408)],
  [400, 21602, says('rejected', 'payload_refused', 21602)],
  [400, 21603, { is: 'hold', reason: 'sender_refused', detail: '21603: no sender is given. Set messaging_service_sid or from under providers.stoq-native.options.' }],
  [400, 21606, says('hold', 'sender_refused', 21606)],
  [400, 21608, says('rejected', 'account_restricted', 21608)],
  [400, 21609, says('hold', 'callback_refused', 21609)],
  [400, 21610, says('rejected', 'opted_out', 21610)],
  [403, 21610, says('rejected', 'opted_out', 21610)],
  [400, 21611, later('queue_full', 21611, 600_000, 'lane')],
  [400, 21612, says('rejected', 'no_route', 21612)],
  [400, 21614, says('rejected', 'not_mobile', 21614)],
  [400, 21617, says('rejected', 'text_too_long', 21617)],
  [400, 21635, says('rejected', 'not_mobile', 21635)],
  [400, 21701, says('hold', 'sender_refused', 21701)],
  [400, 30001, later('queue_full', 30001, 600_000, 'lane')],
  [400, 30002, says('hold', 'account_suspended', 30002)],
  [400, 30004, says('rejected', 'carrier_blocked', 30004)],
  [400, 30005, says('rejected', 'number_unknown', 30005)],
  [400, 30006, says('rejected', 'not_mobile', 30006)],
  [400, 30007, says('rejected', 'carrier_filtered', 30007)],
  [400, 30034, says('hold', 'sender_unregistered', 30034)],
  [400, 30450, says('rejected', 'abuse_suspected', 30450)],
  [400, 30610, later('quiet_hours', 30610, 3_600_000)],
  [400, 30640, says('rejected', 'recipient_barred', 30640)],
  [400, 35111, says('rejected', 'payload_refused', 35111)],
  [400, 35118, says('rejected', 'payload_refused', 35118)],
  [400, 99999, says('rejected', 'payload_refused', 99999)],
  [422, 99999, says('rejected', 'payload_refused', 99999)],
  [500, 20500, null],
  [503, 20503, null]
]

const FAILED: Array<[number, Outcome]> = [
  [21610, ended('opted_out', 21610)],
  [30001, ended('queue_full', 30001)],
  [30002, ended('account_suspended', 30002)],
  [30003, ended('handset_unreachable', 30003)],
  [30004, ended('carrier_blocked', 30004)],
  [30005, ended('number_unknown', 30005)],
  [30006, ended('not_mobile', 30006)],
  [30007, ended('carrier_filtered', 30007)],
  [30008, ended('carrier_failed', 30008)],
  [30034, ended('sender_unregistered', 30034)],
  [30036, ended('carrier_too_late', 30036)],
  [30450, ended('abuse_suspected', 30450)],
  [30610, ended('quiet_hours', 30610)],
  [30640, ended('recipient_barred', 30640)],
  [99999, ended('carrier_failed', 99999)]
]

t.test('each code of a refusal has its outcome', async t => {
  for (const [status, code, outcome] of REFUSED) t.strictSame(twilio.judge(refused(code, status)), outcome, `${status} ${code}`)
})

t.test('each code of a message that failed on its way has its outcome', async t => {
  for (const [code, outcome] of FAILED) t.strictSame(twilio.judge(failed(code)), outcome, `${code}`)
  t.strictSame(twilio.judge(failed(30036, 'failed')), ended('carrier_too_late', 30036))
  t.match(twilio.judge(failed(null)), { is: 'rejected', reason: 'carrier_failed' })
  t.match(twilio.judge(failed(null, 'canceled')), { is: 'rejected', reason: 'carrier_failed' })
})

t.test('a message on its way is delivered to the provider, whatever its status', async t => {
  for (const status of ['queued', 'accepted', 'sending', 'sent', 'delivered', 'read']) t.strictSame(judge(failed(null, status), twilio, {}, 0), { is: 'delivered' }, status)
})

t.test('what the rules leave open is decided by the core: nothing is repeated that may have been sent', async t => {
  t.match(judge(refused(20429, 429), twilio, {}, 0), { is: 'retry', reason: 'rate_limited', free: true, pause: 'lane' })
  for (const status of [500, 502, 503, 504]) t.match(judge(answer(status, { 'content-type': 'text/html' }, '<html>'), twilio, {}, 0), { is: 'unknown', reason: 'provider_failing' }, `${status}`)
  t.match(judge(answer(403, { 'content-type': 'text/html' }, '<html>'), twilio, {}, 0), { is: 'retry', reason: 'blocked_by_provider' })
  t.match(judge(answer(401, {}, ''), twilio, {}, 0), { is: 'hold', reason: 'platform_account_refused' }, 'no merchant can put it right')
  t.match(judge(answer(400, {}, 'no JSON'), twilio, {}, 0), { is: 'rejected', reason: 'payload_refused' })
})

t.test('a merchant reads a sentence that names STOQ, and never the carrier', async t => {
  const reasons = [...REFUSED.map(([,, outcome]) => outcome), ...FAILED.map(([, outcome]) => outcome)].flatMap(outcome => outcome !== null && 'reason' in outcome ? [outcome.reason] : [])
  for (const reason of new Set(reasons)) {
    t.ok(Object.hasOwn(REASONS, reason))
    t.notMatch(sentence(reason, twilio.title), /twilio|\{/i, reason)
  }
})

t.test('credentials go as Basic, by either way; the account is the SID', async t => {
  const decoded = (way: string, secrets: Record<string, string>): string => Buffer.from(twilio.authorize(way, secrets)['authorization']?.replace(/^Basic /, '') ?? '', 'base64').toString('utf8')
  t.equal(decoded('api_key', { api_key_sid: 'SK1', api_key_secret: 'a:b+/=' }), 'SK1:a:b+/=')
  t.equal(decoded('auth_token', { account_sid: 'AC1', auth_token: 'token' }), 'AC1:token')
  t.equal(twilio.account({ account_id: 'AC1', settings: {} }), 'AC1')
  t.equal(twilio.connection, 'gateway')
  t.strictSame(twilio.needs, ['sms'])
})

t.test('the message\'s SID is kept as its receipt', async t => {
  t.equal(twilio.receipt('message', JSON.stringify({ sid: 'SM00000000000000000000000000000001' })), 'SM00000000000000000000000000000001')
  t.equal(twilio.receipt('message', '{}'), null)
  t.equal(twilio.receipt('message', '<html>'), null)
})
