// Twilio's own description against our requests and our sandbox, and what the sandbox refuses. The description is not
// part of the project: where it does not lie beside it, this says so and skips.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import t, { type Test } from 'tap'
import { HiddenSecret } from '../../gateway/config/secret.ts'
import { runCases } from '../../gateway/providers/cases.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { seeded } from '../../test/helpers/mutate.ts'
import { entry, files, loadOne, ROOT } from '../../test/helpers/providers.ts'

const MUTATIONS = 200
const SEED = 20261121
const DESCRIPTION = join(ROOT, '../shared/reference/twilio-messages.openapi.json')
const ACCOUNT = 'AC00000000000000000000000000000001'
const PATH = `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`
const KEY = basic('SK00000000000000000000000000000001', 'secret-0123456789')
const FORM = { To: '+12015550123', MessagingServiceSid: 'MG00000000000000000000000000000001', Body: 'Acme: Mug is back!', ValidityPeriod: '3600' }

const twilio = await loadOne(entry('stoq-native', import.meta.dirname, {
  options: { messaging_service_sid: 'MG00000000000000000000000000000001' },
  connection: { auth: null, accountId: ACCOUNT, secrets: { api_key_sid: new HiddenSecret('SK00000000000000000000000000000001', null), api_key_secret: new HiddenSecret('secret-0123456789', null) } },
  secrets: { callback_token: [new HiddenSecret('token-0123456789', null)] }
}))
const bodies = runCases(twilio, files()).results.flatMap(({ case: { type }, scope }) => {
  const prepared = twilio.prepare(type, scope)
  return prepared.ok ? [Object.fromEntries(new URLSearchParams(prepared.request.body as string))] : []
})

interface Operation { requestBody: { content: Record<string, { schema: object }> }, responses: Record<string, { content: Record<string, { schema: object }> }>, parameters: Array<{ name: string, in: string, schema: object }> }
interface Description { paths: Record<string, Record<'get' | 'post', Operation>> }

if (existsSync(DESCRIPTION)) contract(JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description)
else {
  t.comment(`${DESCRIPTION} is not here: Twilio's own description is not compared`)
  t.test('Twilio\'s own description', { skip: 'its file is not here' }, () => {})
}

function contract (description: Description): void {
  const ajv = new Ajv({ strict: false, allErrors: false, logger: false, coerceTypes: true })
  ajvFormats.default(ajv)
  ajv.addFormat('phone-number', /^\+[1-9]\d{1,14}$/)
  ajv.addFormat('date-time-rfc-2822', text => /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/.test(text))
  ajv.addFormat('currency', /^[A-Za-z]{3}$/)
  ajv.addSchema(description, 'twilio')
  const path = '/2010-04-01/Accounts/{AccountSid}/Messages.json'
  const at = (...way: string[]): ValidateFunction => ajv.compile({ $ref: `twilio#/paths/${[path, ...way].map(part => part.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')).join('/')}` })
  const request = at('post', 'requestBody', 'content', 'application/x-www-form-urlencoded', 'schema')
  const answer = at('post', 'responses', '201', 'content', 'application/json', 'schema')
  const page = at('get', 'responses', '200', 'content', 'application/json', 'schema')
  const described = description.paths[path] as Record<'get' | 'post', Operation>

  t.test('the forms we send fit Twilio\'s description, name by name', async t => {
    t.ok(bodies.length >= 8)
    const names = Object.keys((described.post.requestBody.content['application/x-www-form-urlencoded'] as { schema: { properties: object } }).schema.properties)
    for (const body of bodies) {
      t.ok(request({ ...body }), JSON.stringify(request.errors))
      t.strictSame(Object.keys(body).filter(name => !names.includes(name)), [])
    }
  })

  t.test('what the sandbox answers has the form of Twilio\'s answers, and all of its fields', async t => {
    const { create, get, clock } = await api(t)
    const fields = Object.keys((JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as { components: { schemas: Record<string, { properties: object }> } }).components.schemas['api.v2010.account.message']?.properties ?? {})
    const texts = ['num_segments', 'num_media']
    for (const form of [FORM, { ...FORM, MessagingServiceSid: undefined, From: '+12015550100' }, { ...FORM, To: '+12015550183' }]) {
      const { status, json } = await create(form)
      t.equal(status, 201)
      t.ok(answer(structuredClone(json)), JSON.stringify(answer.errors))
      t.strictSame(Object.keys(json).toSorted(), fields.toSorted())
      for (const field of texts) t.type(json[field], 'string', 'counts are text')
    }
    clock.now += 60_000
    const { status, json } = await get(`${PATH}?To=%2B12015550183`)
    t.equal(status, 200)
    t.ok(page(absolute(json)), JSON.stringify(page.errors))
    t.match(json, { messages: [{ status: 'undelivered', error_code: 30003 }] })
  })

  t.test('the list is asked for with parameters that are described', async t => {
    const prepared = twilio.request('find_messages', { connection: { account_id: ACCOUNT, settings: {} }, map: { to: '+12015550123', page: '1', page_token: 'PA1' } })
    const query = new URLSearchParams((prepared.ok && prepared.request.path.split('?')[1]) || '')
    t.strictSame([...query], [['To', '+12015550123'], ['PageSize', '20'], ['Page', '1'], ['PageToken', 'PA1']])
    t.strictSame([...query.keys()].filter(name => !described.get.parameters.some(one => one.name === name && one.in === 'query')), [])
  })

  t.test(`of ${MUTATIONS} mutations (seed ${SEED}) the sandbox refuses every one that Twilio's description refuses`, async t => {
    const random = seeded(SEED)
    const { raw } = await api(t)
    let refused = 0
    for (let i = 0; i < MUTATIONS; i++) {
      const { pairs, what } = mutated(bodies[i % bodies.length] as Record<string, string>, random)
      const form: Record<string, unknown> = {}
      for (const [name, value] of pairs) form[name] = Object.hasOwn(form, name) ? [form[name], value].flat() : value
      const fits = request(form) && !Object.values(form).some(value => Array.isArray(value) && value.length > 1)
      if (fits) continue
      refused++
      const { status } = await raw('POST', PATH, new URLSearchParams(pairs).toString())
      t.equal(status, 400, what)
    }
    t.ok(refused > 50, `the description refused ${refused}`)
  })
}

t.test('the sandbox refuses what Twilio refuses, with its status and its error body', async t => {
  const { create, raw } = await api(t)
  const change = (with_: Record<string, string | undefined>) => ({ form: { ...FORM, ...with_ } })
  const table: Array<[string, { form?: Record<string, string | undefined>, text?: string, path?: string, method?: string, headers?: Record<string, string | undefined> }, number, number]> = [
    ['no credentials', { headers: { authorization: undefined } }, 401, 20003],
    ['a bearer token', { headers: { authorization: 'Bearer SK00000000000000000000000000000001' } }, 401, 20003],
    ['a user that is no SID', { headers: { authorization: basic('gateway', 'secret-0123456789') } }, 401, 20003],
    ['a secret too short', { headers: { authorization: basic(ACCOUNT, 'short') } }, 401, 20003],
    ['a revoked key', { headers: { authorization: basic('SK00000000000000000000000000000001', 'revoked-0123456789') } }, 401, 20003],
    ['another account\'s token', { headers: { authorization: basic('AC00000000000000000000000000000002', 'secret-0123456789') } }, 401, 20003],
    ['an account that is none', { path: '/2010-04-01/Accounts/ACME/Messages.json' }, 404, 20404],
    ['another path', { path: '/2010-04-01/Accounts' }, 404, 20404],
    ['another version', { path: `/2008-08-01/Accounts/${ACCOUNT}/Messages.json` }, 404, 20404],
    ['another method', { method: 'PUT' }, 405, 20004],
    ['JSON', { text: JSON.stringify(FORM), headers: { 'content-type': 'application/json' } }, 400, 21604],
    ['no content type', { headers: { 'content-type': 'text/plain' } }, 400, 21604],
    ['a broken form', { text: 'To=%zz' }, 400, 20001],
    ['a parameter twice', { text: `${new URLSearchParams(FORM).toString()}&To=%2B12015550124` }, 400, 20001],
    ['no recipient', change({ To: undefined }), 400, 21604],
    ['a recipient without its plus', change({ To: '12015550123' }), 400, 21211],
    ['a recipient as it is written', change({ To: '(201) 555-0123' }), 400, 21211],
    ['no sender', change({ MessagingServiceSid: undefined }), 400, 21603],
    ['two senders', change({ From: '+12015550100' }), 400, 20001],
    ['a sender that is none', change({ MessagingServiceSid: undefined, From: 'a name too long' }), 400, 21212],
    ['a service that is none', change({ MessagingServiceSid: 'MG1' }), 400, 21701],
    ['no text', change({ Body: undefined }), 400, 21602],
    ['an empty text', change({ Body: ' ' }), 400, 21602],
    ['a text of 1,601 characters', change({ Body: 'x'.repeat(1601) }), 400, 21617],
    ['a text with a control character', change({ Body: 'Back\u0007 in stock' }), 400, 20001],
    ['an address with a control character', change({ StatusCallback: 'https://gateway.example/status\u0007' }), 400, 21609],
    ['a relative address', change({ StatusCallback: '/status' }), 400, 21609],
    ['a host with an underscore', change({ StatusCallback: 'https://my_gateway.example/status' }), 400, 21609],
    ['an address that is none', change({ StatusCallback: 'https://' }), 400, 21609],
    ['no validity', change({ ValidityPeriod: '0' }), 400, 20001],
    ['a validity over ten hours', change({ ValidityPeriod: '36001' }), 400, 20001],
    ['a validity in words', change({ ValidityPeriod: '1h' }), 400, 20001],
    ['a misspelt parameter, passed over by Twilio', change({ Validityperiod: '60' }), 400, 20001],
    ['a list filter that is none', { method: 'GET', path: `${PATH}?Recipient=1` }, 400, 20001],
    ['a date that is none', { method: 'GET', path: `${PATH}?DateSent%3E=yesterday` }, 400, 20001],
    ['a page too large', { method: 'GET', path: `${PATH}?PageSize=1001` }, 400, 20001],
    ['a page without its token', { method: 'GET', path: `${PATH}?Page=1` }, 400, 20001],
    ['a message that is none', { method: 'GET', path: PATH.replace('.json', '/SM00000000000000000000000000000001.json') }, 404, 20404]
  ]
  for (const [name, { form, text, path = PATH, method = 'POST', headers }, status, code] of table) {
    const answer = await raw(method, path, method === 'GET' ? null : text ?? encoded(form ?? FORM), headers)
    t.equal(answer.status, status, name)
    t.match(answer.type, /^application\/json/, name)
    t.match(answer.json, { code, message: String, more_info: `https://www.twilio.com/docs/errors/${code}`, status }, name)
  }
  t.equal((await create(FORM)).status, 201, 'and takes what is in order')
  t.equal((await create({ ...FORM, StatusCallback: 'http://127.0.0.1:8080/webhooks/stoq-native/status?m=dlv_1', Body: '\u00e9'.repeat(1600) })).status, 201)
})

t.test('a recipient asks for each refusal and each failure', async t => {
  const { create, get, clock } = await api(t)
  const refused: Array<[string, number, number]> = [
    ['+15005550001', 400, 21211], ['+15005550002', 400, 21612], ['+15005550003', 400, 21408], ['+15005550004', 400, 21610], ['+15005550009', 400, 21614],
    ['+12015550160', 400, 21211], ['+12015550161', 400, 21212], ['+12015550162', 400, 21408], ['+12015550163', 400, 21606], ['+12015550164', 400, 21608],
    ['+12015550165', 400, 21609], ['+12015550166', 400, 21610], ['+12015550167', 400, 21611], ['+12015550168', 400, 21612], ['+12015550169', 400, 21614],
    ['+12015550170', 400, 21635], ['+12015550171', 400, 21617], ['+12015550172', 404, 20404], ['+12015550173', 401, 20003], ['+12015550174', 429, 20429]
  ]
  for (const [to, status, code] of refused) {
    const answer = await create({ ...FORM, To: to })
    t.match(answer, { status, json: { code, status } }, to)
  }
  t.strictSame((await get(PATH)).json['messages'], [], 'and none of them made a message')
  const failing: Array<[string, string, number]> = [
    ['+12015550181', 'failed', 30001], ['+12015550182', 'failed', 30002], ['+12015550183', 'undelivered', 30003], ['+12015550184', 'undelivered', 30004],
    ['+12015550185', 'undelivered', 30005], ['+12015550186', 'undelivered', 30006], ['+12015550187', 'undelivered', 30007], ['+12015550188', 'undelivered', 30008],
    ['+12015550189', 'undelivered', 30034], ['+12015550190', 'failed', 30036], ['+12015550191', 'failed', 30450], ['+12015550192', 'failed', 30610], ['+12015550193', 'failed', 30640]
  ]
  for (const [to] of failing) t.match(await create({ ...FORM, To: to }), { status: 201, json: { status: 'accepted', error_code: null } }, to)
  clock.now += 60_000
  for (const [to, status, code] of failing) {
    const { json } = await get(`${PATH}?To=${encodeURIComponent(to)}`)
    t.match(json, { messages: [{ to, status, error_code: code, error_message: String }] }, to)
  }
})

t.test('a message grows older: its status, its sender, its date of sending', async t => {
  const { create, get, clock } = await api(t)
  const { json: { sid } } = await create({ ...FORM, Body: 'x'.repeat(161) })
  const uri = PATH.replace('.json', `/${sid as string}.json`)
  const seen = async (): Promise<object> => {
    const { status, from, num_segments: segments, date_created: made, date_sent: sent } = (await get(uri)).json
    return { status, from, segments, made, sent }
  }
  const made = 'Sat, 21 Nov 2026 19:20:00 +0000'
  t.strictSame(await seen(), { status: 'accepted', from: null, segments: '0', made, sent: null })
  clock.now += 1000
  t.strictSame(await seen(), { status: 'sending', from: '+12015550100', segments: '2', made, sent: null })
  clock.now += 1000
  t.strictSame(await seen(), { status: 'sent', from: '+12015550100', segments: '2', made, sent: 'Sat, 21 Nov 2026 19:20:02 +0000' })
  clock.now += 3000
  t.match(await seen(), { status: 'delivered' })
  t.match((await create({ ...FORM, MessagingServiceSid: undefined, From: 'Acme' })).json, { status: 'queued', from: 'Acme', num_segments: '1' })
})

t.test('the list is newest first, by recipient and date of sending, page by page', async t => {
  const { create, get, clock } = await api(t)
  for (let i = 0; i < 5; i++) {
    await create({ ...FORM, Body: `${i}` })
    clock.now += 1000
  }
  await create({ ...FORM, To: '+12015550124' })
  const texts = (json: Record<string, unknown>): unknown[] => (json['messages'] as Array<{ body: string }>).map(({ body }) => body)
  const mine = `${PATH}?To=%2B12015550123`
  t.strictSame(texts((await get(mine)).json), ['4', '3', '2', '1', '0'])
  t.strictSame(texts((await get(`${mine}&DateSent%3E=2026-11-21`)).json), ['3', '2', '1', '0'], 'what is not sent yet has no date')
  t.strictSame(texts((await get(`${mine}&DateSent%3E=2026-11-21T19:20:04Z`)).json), ['3', '2'])
  t.strictSame(texts((await get(`${mine}&DateSent%3C=2026-11-20`)).json), [])
  let next: string | null = `${mine}&PageSize=2`
  const pages: unknown[] = []
  while (next !== null) {
    const { json } = await get(next)
    pages.push(texts(json))
    next = json['next_page_uri'] as string | null
  }
  t.strictSame(pages, [['4', '3'], ['2', '1'], ['0']])
  t.strictSame((await get(PATH.replace(ACCOUNT, 'AC00000000000000000000000000000009'))).json['messages'], [], 'another account has its own')
})

t.test('the answer can be lost after the message was made, and before', async t => {
  const { create, get, fault } = await api(t)
  await fault({ kind: 'cut_after', times: 1 })
  await t.rejects(create({ ...FORM, Body: 'made' }))
  await fault({ kind: 'cut_before', times: 1 })
  await t.rejects(create({ ...FORM, Body: 'not made' }))
  t.match((await get(PATH)).json, { messages: [{ body: 'made' }] })
  t.equal(((await get(PATH)).json['messages'] as unknown[]).length, 1)
})

t.test('more than the window allows is answered 429', async t => {
  const { create } = await api(t, { still: true })
  const statuses: number[] = []
  for (let i = 0; i < 51; i++) statuses.push((await create(FORM)).status)
  t.equal(statuses.filter(status => status === 201).length, 50)
  t.equal(statuses.at(-1), 429)
})

/** Addresses of pages are relative in Twilio's own examples too, though its description says they are URIs. */
function absolute (page: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(structuredClone(page)).map(([name, value]) => [name, name.endsWith('uri') && typeof value === 'string' ? `https://api.twilio.com${value}` : value]))
}

function basic (user: string, secret: string): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
}

function encoded (form: Record<string, string | undefined>): string {
  return new URLSearchParams(Object.entries(form).filter((pair): pair is [string, string] => pair[1] !== undefined)).toString()
}

/** A form spoilt in one place, in one of nine ways. */
function mutated (form: Record<string, string>, random: () => number): { pairs: Array<[string, string]>, what: string } {
  const pairs = Object.entries(form)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const at = Math.floor(random() * pairs.length)
  const [name, value] = pairs[at] as [string, string]
  const ways: Record<string, () => Array<[string, string]>> = {
    remove: () => pairs.toSpliced(at, 1),
    double: () => [...pairs, [name, value]],
    empty: () => pairs.with(at, [name, '']),
    word: () => pairs.with(at, [name, 'text']),
    number: () => pairs.with(at, [name, '7.5']),
    cut: () => pairs.with(at, [name, value.slice(0, -1)]),
    longer: () => pairs.with(at, [name, `${value}x`]),
    space: () => pairs.with(at, [name, ` ${value}`]),
    swap: () => pairs.with(at, [name, pick(Object.values(form))])
  }
  const way = pick(Object.keys(ways))
  return { pairs: (ways[way] as () => Array<[string, string]>)(), what: `${way} ${name}` }
}

interface Sent { status: number, type: string | null, json: Record<string, unknown> }

/** The sandbox, and ways to ask it with everything in order but what is given. No window fills unless time stands still. */
async function api (t: Test, { still = false } = {}) {
  const clock = { now: Date.parse('2026-11-21T19:20:00Z') }
  let mono = 0
  const { url, close } = await startSandbox({ providers: [twilio], port: 0, now: () => { mono += still ? 0 : 60_001; return mono }, wallNow: () => clock.now })
  t.teardown(close)
  async function raw (method: string, path: string, body: string | null, headers: Record<string, string | undefined> = {}): Promise<Sent> {
    const all = Object.entries({ authorization: KEY, ...(body !== null && { 'content-type': 'application/x-www-form-urlencoded' }), ...headers })
    const answer = await fetch(`${url}/stoq-native${path}`, { method, headers: all.filter((pair): pair is [string, string] => pair[1] !== undefined), body })
    return { status: answer.status, type: answer.headers.get('content-type'), json: await answer.json() as Record<string, unknown> }
  }
  return {
    raw,
    clock,
    create: (form: Record<string, string | undefined>) => raw('POST', PATH, encoded(form)),
    get: (path: string) => raw('GET', path, null),
    fault: async (order: object) => { await fetch(`${url}/stoq-native/_sandbox/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(order) }) }
  }
}
