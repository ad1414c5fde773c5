// What customers' words and Twilio's reports mean.

import t from 'tap'
import { reported, understand } from './understand.ts'
import { meaningOf } from './words.ts'

const ACCOUNT = 'AC00000000000000000000000000000001'
const SID = 'SM00000000000000000000000000000001'
const KEY = 'dlv_01993f3e-0000-7000-8000-000000000001'
const PHONE = '+12015550123'
const AT = 1_800_000_000_000

t.test('#88: each word that stops is heard, in any case, with punctuation, and with other words around', async t => {
  const words = ['stop', 'stopall', 'stop all', 'STOP-ALL', 'unsubscribe', 'cancel', 'end', 'quit', 'revoke', 'optout', 'opt out', 'opt-out']
  const whole = (word: string) => [word, word.toUpperCase(), ` ${word[0]?.toUpperCase()}${word.slice(1)}. `, `${word}!!!`, `"${word}"`, `\n${word}\n`, `${word} 🛑`, [...word].join('\u0301')]
  for (const text of words.flatMap(whole)) t.strictSame(meaningOf(text), { is: 'stop', plain: true }, JSON.stringify(text))
  for (const word of words) {
    for (const text of [`please ${word} texting me`, `${word} it`, `I want to ${word}`, `${word}, thanks`, `Hi,${word.toUpperCase()}.now`]) t.strictSame(meaningOf(text), { is: 'stop', plain: false }, text)
  }
  t.strictSame(meaningOf('ＳＴＯＰ'), { is: 'stop', plain: true }, 'wide letters')
  t.strictSame(meaningOf('s t o p'), { is: 'stop', plain: true })
  t.strictSame(meaningOf('don\'t stop'), { is: 'stop', plain: false }, 'in doubt nobody is texted')
})

t.test('words that start and ask count alone; all else a person reads', async t => {
  for (const text of ['start', 'START', 'Yes!', ' unstop ', 'yes']) t.strictSame(meaningOf(text), { is: 'start' }, text)
  for (const text of ['help', 'INFO?']) t.strictSame(meaningOf(text), { is: 'help' }, text)
  for (const text of ['yes please', 'when do you start', 'nonstop fun', 'weekend?', 'bookend', '', '🌸', 'no more texts', 'stopped by today']) t.strictSame(meaningOf(text), { is: 'other' }, text)
  t.strictSame(meaningOf('start or stop'), { is: 'stop', plain: false })
})

const row = (topic: string, form: Record<string, string>, subject: string | null = KEY) =>
  ({ id: 'inb_1', receivedAt: AT, topic, shop: null, subject, headers: {}, body: new URLSearchParams(form).toString() })
const text = (body: string, more: Record<string, string> = {}) => understand(row('inbound', { AccountSid: ACCOUNT, MessageSid: SID, From: PHONE, Body: body, ...more }, SID))
const report = (status: string, more: Record<string, string> = {}) => understand(row('status', { AccountSid: ACCOUNT, MessageSid: SID, MessageStatus: status, ...more }))

t.test('what Twilio has answered itself counts before the words', async t => {
  const who = { account: ACCOUNT, phone: PHONE, at: AT }
  t.strictSame(text('ARRET', { OptOutType: 'STOP' }), [{ is: 'opted_out', ...who, via: 'carrier_stop' }])
  t.strictSame(text('Stop'), [{ is: 'opted_out', ...who, via: 'stop_word' }])
  t.strictSame(text('please stop'), [{ is: 'opted_out', ...who, via: 'stop_in_text' }])
  t.strictSame(text('stop', { OptOutType: 'START' }), [{ is: 'opted_out', ...who, via: 'stop_word' }], 'in doubt nobody is texted')
  t.strictSame(text('BACK', { OptOutType: 'START' }), [{ is: 'opted_in', ...who, via: 'carrier_start' }])
  t.strictSame(text('yes'), [{ is: 'opted_in', ...who, via: 'start_word' }])
  t.strictSame([text('?', { OptOutType: 'HELP' }), text('help')], [[], []])
  t.match(text('no more of that'), [{ is: 'reply' }])
  t.match(text('stop', { From: 'Acme' }), { unclear: /no phone number/ })
})

t.test('a report is a word of the carrier\'s; a failure is judged as if the request had been answered so', async t => {
  t.strictSame(report('sent'), [{ is: 'status', account: ACCOUNT, delivery: KEY, receipt: SID, at: AT, word: 'sent', code: null, answer: null }])
  t.match(report('undelivered', { ErrorCode: '30005' }), [{ word: 'undelivered', code: '30005', answer: { status: 201, body: '{"status":"undelivered","error_code":30005,"error_message":null}' } }])
  t.match(report('canceled'), [{ word: 'failed', code: null, answer: { body: '{"status":"canceled","error_code":null,"error_message":null}' } }])
  t.match(report('failed', { ErrorCode: '30005; drop' }), [{ code: null }])
  for (const [said, word] of [['queued', 'accepted'], ['scheduled', 'accepted'], ['sending', 'sending'], ['partially_delivered', 'sent'], ['read', 'read']] as const) t.match(report(said), [{ word }])
  for (const said of ['exploded', '__proto__', 'constructor', '']) t.match(report(said), { unclear: /not known here/ }, said)
})

t.test('a message as Twilio shows it says the same', async t => {
  t.strictSame(reported('{"status":"delivered","error_code":null}'), { word: 'delivered', code: null, answer: null })
  t.match(reported('{"status":"failed","error_code":30036,"error_message":"Validity period expired"}'), { word: 'failed', code: '30036', answer: { body: /"error_message":"Validity period expired"/ } })
  for (const body of ['', 'null', '[]', '{}', '{"status":7}', '{"status":"exploded"}', '<html>']) t.equal(reported(body), null, body)
})
