// Reports of what became of a message: who signed them, and what is kept.

import fastify from 'fastify'
import t, { type Test } from 'tap'
import type { InboundContext } from '../../gateway/define.ts'
import { formOf, isSigned, sign, type Form } from './signature.ts'
import { status } from './status.ts'

const TOKEN = 'twilio_auth_token_for_tests_0000'
const URL_OF_VECTOR = 'https://gateway.example.com/v1/carriers/twilio/status?shop=example-shop'
const SID = 'SM00000000000000000000000000000001'
const FIELDS: Form = [
  ['AccountSid', 'AC00000000000000000000000000000001'], ['ApiVersion', '2010-04-01'], ['ErrorCode', '30003'], ['From', '+12015550100'], ['MessageSid', SID],
  ['MessageStatus', 'undelivered'], ['SmsSid', SID], ['SmsStatus', 'undelivered'], ['To', '+12015550123']
]
const SIGNATURE = 'ccBKpQ3w2wN/2jIxM9Brt/z7ioM='
const KEY = 'dlv_01993f3e-0000-7000-8000-000000000001'

t.test('the known signature is right, whatever the order of the fields', async t => {
  t.equal(sign(TOKEN, URL_OF_VECTOR, FIELDS), SIGNATURE)
  t.equal(sign(TOKEN, URL_OF_VECTOR, FIELDS.toReversed()), SIGNATURE)
  t.ok(isSigned(SIGNATURE, ['another_token', TOKEN], URL_OF_VECTOR, FIELDS), 'a second token, while it changes')
})

t.test('one changed byte anywhere makes it wrong', async t => {
  const change = (text: string, at: number): string => text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1)
  let tried = 0
  const wrong = (signature: string, token: string, url: string, form: Form): void => {
    tried++
    t.notOk(isSigned(signature, [token], url, form))
  }
  for (let i = 0; i < SIGNATURE.length; i++) wrong(change(SIGNATURE, i), TOKEN, URL_OF_VECTOR, FIELDS)
  for (let i = 0; i < URL_OF_VECTOR.length; i++) wrong(SIGNATURE, TOKEN, change(URL_OF_VECTOR, i), FIELDS)
  for (let i = 0; i < TOKEN.length; i++) wrong(SIGNATURE, change(TOKEN, i), URL_OF_VECTOR, FIELDS)
  FIELDS.forEach(([name, value], n) => {
    for (let i = 0; i < name.length; i++) wrong(SIGNATURE, TOKEN, URL_OF_VECTOR, FIELDS.with(n, [change(name, i), value]))
    for (let i = 0; i < value.length; i++) wrong(SIGNATURE, TOKEN, URL_OF_VECTOR, FIELDS.with(n, [name, change(value, i)]))
    wrong(SIGNATURE, TOKEN, URL_OF_VECTOR, FIELDS.toSpliced(n, 1))
  })
  wrong(SIGNATURE, TOKEN, URL_OF_VECTOR, [...FIELDS, ['NewField', '']])
  wrong('', TOKEN, URL_OF_VECTOR, FIELDS)
  wrong(`${SIGNATURE}=`, TOKEN, URL_OF_VECTOR, FIELDS)
  t.ok(tried > 200)
})

t.test('ports, empty forms, names that come twice and letters beyond ASCII are signed as Twilio does', async t => {
  const table: Array<[string, string, string, Form, Form]> = [
    ['the standard port is added', 'https://g.example/s?m=1', 'https://g.example:443/s?m=1', FIELDS, FIELDS],
    ['the standard port is left out', 'https://g.example:443/s?m=1', 'https://g.example/s?m=1', FIELDS, FIELDS],
    ['http has another', 'http://g.example/s', 'http://g.example:80/s', FIELDS, FIELDS],
    ['an own port is as it is', 'https://g.example:8443/s', 'https://g.example:8443/s', FIELDS, FIELDS],
    ['an own port is left out', 'https://g.example:8443/s', 'https://g.example/s', FIELDS, FIELDS],
    ['an empty form', 'https://g.example/s', 'https://g.example/s', [], []],
    ['a name twice: sorted, each value once', 'https://g.example/s', 'https://g.example/s', [['A', '2'], ['A', '1'], ['A', '2']], [['A', '1'], ['A', '2']]],
    ['capitals go before small letters', 'https://g.example/s', 'https://g.example/s', [['b', '1'], ['B', '2'], ['a', '3']], [['B', '2'], ['a', '3'], ['b', '1']]],
    ['any letters', 'https://g.example/s', 'https://g.example/s', [['Body', 'Zoë 🌸']], [['Body', 'Zoë 🌸']]]
  ]
  for (const [name, ours, theirs, given, signed] of table) t.ok(isSigned(sign(TOKEN, theirs, signed), [TOKEN], ours, given), name)
  t.notOk(isSigned(sign(TOKEN, 'https://g.example:444/s', FIELDS), [TOKEN], 'https://g.example/s', FIELDS))
  t.equal(sign(TOKEN, 'https://g.example/s', []), sign(TOKEN, 'https://g.example/s', formOf('')))
  t.strictSame(formOf('A=1+2%2B3&B=&A=%E2%82%AC'), [['A', '1 2+3'], ['B', ''], ['A', '€']], 'a plus sign is a space')
})

function encoded (form: Form): string {
  const encoder = new URLSearchParams()
  for (const [name, value] of form) encoder.append(name, value)
  return encoder.toString()
}

interface Kept { keys: string[], topic: string, shop: string | null, subject: string | null, headers: Record<string, string>, body: string | null }

/** The routes as the gateway mounts them, with a list in place of its inbox. */
async function routes (t: Test, { publicUrl = 'https://gateway.example', tokens = [TOKEN, 'the_second_token_0000000000000000'] }: { publicUrl?: string | null, tokens?: string[] } = {}) {
  const kept: Kept[] = []
  const warnings: string[] = []
  const app = fastify()
  t.teardown(() => app.close())
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
  const context: InboundContext = {
    id: 'stoq-native', options: {}, secrets: { callback_token: tokens }, publicUrl, now: () => 0,
    async receive (received) {
      const repeat = kept.some(({ keys }) => keys.some(key => received.keys.includes(key)))
      if (!repeat) kept.push(received)
      return repeat ? 'repeat' : 'new'
    },
    warn (_fields, text) { warnings.push(text) }
  }
  await app.register(async scope => { status(scope, context) }, { prefix: '/webhooks/stoq-native' })
  /** A report, right in all but what is given. */
  async function report ({ fields = FIELDS, query = `?m=${KEY}`, token = TOKEN, signature, host = 'gateway.example', type = 'application/x-www-form-urlencoded', body }: {
    fields?: Form, query?: string, token?: string, signature?: string | null, host?: string, type?: string, body?: string
  } = {}): Promise<number> {
    const right = sign(token, `https://gateway.example/webhooks/stoq-native/status${query}`, fields)
    const { statusCode, body: said } = await app.inject({
      method: 'POST',
      url: `/webhooks/stoq-native/status${query}`,
      headers: { host, 'content-type': type, 'i-twilio-idempotency-token': 'token-1', cookie: 'a=b', ...(signature !== null && { 'x-twilio-signature': signature ?? right }) },
      payload: body ?? encoded(fields)
    })
    if (statusCode === 204) t.equal(said, '')
    return statusCode
  }
  return { report, kept, warnings }
}

t.test('a signed report is kept and answered with nothing', async t => {
  const { report, kept } = await routes(t)
  t.equal(await report(), 204)
  t.strictSame(kept, [{
    keys: [`${SID} undelivered`],
    topic: 'status',
    shop: null,
    subject: KEY,
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'i-twilio-idempotency-token': 'token-1', 'user-agent': 'lightMyRequest' },
    body: encoded(FIELDS)
  }])
  t.equal(await report(), 204, 'a repeat is answered so too')
  t.equal(kept.length, 1)
  t.equal(await report({ token: 'the_second_token_0000000000000000', fields: FIELDS.with(5, ['MessageStatus', 'sent']) }), 204, 'either token')
  t.equal(await report({ fields: [...FIELDS.with(5, ['MessageStatus', 'failed']), ['SomethingNew', 'ä b']] }), 204, 'fields may be added')
  t.strictSame(kept.map(({ keys }) => keys[0]), [`${SID} undelivered`, `${SID} sent`, `${SID} failed`])
})

t.test('whose report cannot be told by its query is kept all the same', async t => {
  const { report, kept } = await routes(t)
  t.equal(await report({ query: '' }), 204)
  t.equal(await report({ query: '?m=%27%3B--', fields: FIELDS.with(5, ['MessageStatus', 'sent']) }), 204)
  t.strictSame(kept.map(({ subject }) => subject), [null, null])
})

t.test('what is not signed by Twilio is refused, and nothing of it is kept', async t => {
  const { report, kept } = await routes(t)
  t.equal(await report({ signature: null }), 400)
  t.equal(await report({ signature: '' }), 400)
  t.equal(await report({ signature: SIGNATURE }), 403)
  t.equal(await report({ token: 'a_token_that_is_not_ours_0000000' }), 403)
  t.equal(await report({ signature: sign(TOKEN, 'https://evil.example/webhooks/stoq-native/status?m=1', FIELDS), query: '?m=1', host: 'evil.example' }), 403, 'the host of the call is not asked')
  t.equal(await report({ type: 'application/json', body: '{}' }), 415)
  t.equal(await report({ body: 'x'.repeat(65 * 1024) }), 413)
  t.equal(await report({ fields: FIELDS.filter(([name]) => name !== 'MessageSid') }), 400)
  t.equal(await report({ fields: [] }), 400, 'signed, and says nothing')
  t.strictSame(kept, [])
})

t.test('a report behind a proxy is judged by the configured address', async t => {
  const { report } = await routes(t)
  t.equal(await report({ host: 'internal:8080' }), 204)
})

t.test('without an address nothing is believed, and the log says why; nor without a token', async t => {
  const { report, kept, warnings } = await routes(t, { publicUrl: null })
  t.equal(await report(), 403)
  t.equal(warnings.length, 1)
  t.strictSame(kept, [])
  t.equal(await (await routes(t, { tokens: [] })).report(), 403)
})
