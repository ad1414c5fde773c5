// Klaviyo's own description against our requests and our sandbox. It is not part of the project:
// where it does not lie beside it, this says so and skips.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import t from 'tap'
import { eventFault } from './sandbox-event.ts'
import { caseScope, runCases } from '../../gateway/providers/cases.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import type { Provider } from '../../gateway/contract.ts'
import { entry, files, loadOne, ROOT } from '../../test/helpers/providers.ts'
import { mutate, seeded } from '../../test/helpers/mutate.ts'

const MUTATIONS = 200
const SEED = 20261121
const DESCRIPTION = join(ROOT, '../shared/reference/klaviyo.openapi.json')

const UNITS: Record<number, string> = { 1000: 's', 60_000: 'm', 86_400_000: 'd' }

interface Operation { 'x-klaviyo-ratelimit': { burst: string, steady: string, daily?: string }, 'x-klaviyo-scopes': string[] }
interface Description { info: { version: string }, paths: Record<string, Record<string, Operation>> }

const klaviyo = await loadOne(entry('klaviyo', import.meta.dirname))
const bodies = runCases(klaviyo, files()).results.filter(({ case: { type } }) => klaviyo.events[type]?.request === 'create_event').flatMap(({ case: { type }, scope }) => {
  const prepared = klaviyo.prepare(type, scope)
  return prepared.ok ? [JSON.parse(prepared.request.body as string) as object] : []
})

if (existsSync(DESCRIPTION)) contract(JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description)
else {
  t.comment(`${DESCRIPTION} is not here: Klaviyo's own description is not compared`)
  t.test('Klaviyo\'s own description', { skip: 'its file is not here' }, () => {})
}

function contract (description: Description): void {
  const ajv = new Ajv({ strict: false, allErrors: false, logger: false })
  ajvFormats.default(ajv)
  ajv.addSchema(description, 'klaviyo')
  const vendor = ajv.compile({ $ref: 'klaviyo#/components/schemas/EventCreateQueryV2' })

  t.test('the bodies we send fit Klaviyo\'s description and our sandbox', async t => {
    t.ok(bodies.length >= 8)
    for (const body of bodies) {
      t.ok(vendor(body), JSON.stringify(vendor.errors))
      t.equal(eventFault(body, Date.now()), null)
    }
  })

  t.test(`of ${MUTATIONS} mutations (seed ${SEED}) the sandbox refuses every one that Klaviyo's description refuses`, async t => {
    const random = seeded(SEED)
    const { send, close } = await api(klaviyo)
    t.teardown(close)
    let refused = 0
    for (let i = 0; i < MUTATIONS; i++) {
      const mutation = mutate(bodies[i % bodies.length] as object, random)
      if (vendor(mutation.value)) continue
      refused++
      const { status } = await send('POST', '/api/events', { body: JSON.stringify(mutation.value) })
      t.equal(status, 400, mutation.what)
    }
    t.ok(refused > 50, `the description refused ${refused}`)
  })

  t.test('revision, limits and permissions are those of Klaviyo\'s description', async t => {
    const prepared = klaviyo.prepare('back_in_stock.alert', caseScope({ type: 'back_in_stock.alert', data: example() }))
    t.equal(prepared.ok && prepared.request.headers['revision'], description.info.version)
    for (const { name, match, windows } of Object.values(klaviyo.groups)) {
      const [{ method, path }] = match as [{ method: string, path: string }]
      const { burst, steady, daily } = description.paths[path]?.[method.toLowerCase()]?.['x-klaviyo-ratelimit'] ?? {}
      t.equal(match.length, 1, `${name}: limits are those of one endpoint each`)
      t.strictSame(windows.map(({ max, perMs }) => `${max}/${UNITS[perMs]}`), [burst, steady, ...(daily === undefined ? [] : [daily])], `${method} ${path}`)
    }
    t.strictSame(description.paths['/api/events']?.['post']?.['x-klaviyo-scopes'], ['events:write'], 'setup.md asks for it')
  })
}

t.test('the sandbox refuses what Klaviyo refuses, with its status and its error body', async t => {
  const { send, close } = await api(klaviyo)
  t.teardown(close)
  const attributes = (change: object): object => edited(change, 'data', 'attributes')
  const profile = (change: object): object => edited(change, 'data', 'attributes', 'profile', 'data', 'attributes')
  const metric = (name: unknown): object => edited({ name }, 'data', 'attributes', 'metric', 'data', 'attributes')
  const many = Object.fromEntries(Array.from({ length: 401 }, (_, i) => [`k${i}`, 1]))
  const table: Array<[string, { headers?: Record<string, string | undefined>, value?: unknown, body?: string }, number, string, string?]> = [
    ['no credentials', { headers: { authorization: undefined } }, 401, 'not_authenticated'],
    ['a bearer token that is none', { headers: { authorization: 'Bearer nonsense' } }, 401, 'authentication_failed'],
    ['a key too short', { headers: { authorization: 'Klaviyo-API-Key pk_short' } }, 401, 'authentication_failed'],
    ['a revoked key', { headers: { authorization: 'Klaviyo-API-Key pk_revoked_0123456789' } }, 401, 'authentication_failed'],
    ['a key without the scope', { headers: { authorization: 'Klaviyo-API-Key pk_noscope_0123456789' } }, 403, 'permission_denied'],
    ['no revision', { headers: { revision: undefined } }, 400, 'invalid'],
    ['a revision that never was', { headers: { revision: '2026-07-16' } }, 400, 'invalid'],
    ['a revision to come', { headers: { revision: '2027-01-15' } }, 400, 'invalid'],
    ['a retired revision', { headers: { revision: '2023-07-15' } }, 410, 'gone'],
    ['plain JSON', { headers: { 'content-type': 'application/json' } }, 415, 'unsupported_media_type'],
    ['no JSON', { body: '{' }, 400, 'invalid', ''],
    ['a flat profile', { value: edited({ profile: { phone_number: '+12015550123' } }, 'data', 'attributes') }, 400, 'invalid', '/data/attributes/profile'],
    ['no identifier', { value: profile({ phone_number: undefined }) }, 400, 'invalid', '/data/attributes/profile'],
    ['a phone that is not E.164', { value: profile({ phone_number: '201-555-0123' }) }, 400, 'invalid', '/data/attributes/profile/data/attributes/phone_number'],
    ['a price as text', { value: attributes({ value: '49.90' }) }, 400, 'invalid', '/data/attributes/value'],
    ['a currency that is none', { value: attributes({ value_currency: 'dollars' }) }, 400, 'invalid', '/data/attributes/value_currency'],
    ['a metric without a name', { value: metric('') }, 400, 'invalid', '/data/attributes/metric/data/attributes/name'],
    ['a metric of 128 characters', { value: metric('x'.repeat(128)) }, 400, 'invalid', '/data/attributes/metric/data/attributes/name'],
    ['401 properties', { value: attributes({ properties: many }) }, 400, 'invalid', '/data/attributes/properties'],
    ['a string over 100 KB', { value: attributes({ properties: { a: 'é'.repeat(51_201) } }) }, 400, 'invalid', '/data/attributes/properties/a'],
    ['a time before 1991', { value: attributes({ time: '1990-06-01T00:00:00Z' }) }, 400, 'invalid', '/data/attributes/time'],
    ['a time two years ahead', { value: attributes({ time: new Date(Date.now() + 2 * 365 * 86_400_000).toISOString() }) }, 400, 'invalid', '/data/attributes/time'],
    ['a time that is none', { value: attributes({ time: 'yesterday' }) }, 400, 'invalid', '/data/attributes/time'],
    ['a misspelt attribute, dropped without a word by Klaviyo', { value: attributes({ uniqueId: 'x' }) }, 400, 'invalid', '/data/attributes']
  ]
  for (const [name, { headers, value, body }, status, code, pointer] of table) {
    const answer = await send('POST', '/api/events', { ...(headers === undefined ? {} : { headers }), body: body ?? JSON.stringify(value ?? edited({})) })
    t.equal(answer.status, status, name)
    t.equal(answer.type, 'application/vnd.api+json', name)
    const error = (answer.json as { errors: Array<{ id: string, code: string, title: string, detail: string, source: { pointer?: string } }> }).errors[0]
    t.match(error, { id: /^[0-9a-f-]{36}$/, code, title: String, detail: String }, name)
    if (pointer !== undefined) t.equal(error?.source.pointer, pointer, name)
  }
  t.equal((await send('GET', '/api/campaigns')).status, 404)
  t.equal((await send('DELETE', '/api/events')).status, 405)
})

t.test('a second event of the same unique_id, profile and metric is answered 202 and dropped', async t => {
  const { send, requests, close } = await api(klaviyo)
  t.teardown(close)
  const first = JSON.stringify(edited({}))
  t.equal((await send('POST', '/api/events', { body: first })).status, 202)
  t.equal((await send('POST', '/api/events', { body: first })).status, 202)
  t.equal((await send('POST', '/api/events', { body: JSON.stringify(edited({ unique_id: 'key-2' }, 'data', 'attributes')) })).status, 202)
  t.equal((await send('POST', '/api/events', { body: first, headers: { authorization: 'Klaviyo-API-Key pk_another_0123456789' } })).status, 202)
  t.strictSame((await requests()).map(({ key, repeat }) => [key, repeat]), [['key-1', false], ['key-2', false], ['key-1', true], ['key-1', false]], 'newest first; another account is another matter')
})

t.test('limits are those of the account: 429 with Retry-After in place of the RateLimit headers', async t => {
  let clock = 5_000
  const { send, stats, close } = await api(klaviyo, () => clock)
  t.teardown(close)
  const first = await send('GET', '/api/accounts')
  t.match(first.headers, { 'ratelimit-limit': '1, 1;w=1, 15;w=60', 'ratelimit-remaining': '0', 'ratelimit-reset': '1', 'x-klaviyo-api-revision': '2026-07-15' })
  const account = (first.json as { data: Array<{ id: string }> }).data[0]?.id as string
  clock += 999
  const second = await send('GET', '/api/accounts')
  t.equal(second.status, 429)
  t.match(second.json, { errors: [{ code: 'throttled' }] })
  t.equal(second.headers['retry-after'], '1')
  t.notOk(Object.hasOwn(second.headers, 'ratelimit-limit'))
  t.equal((await send('GET', '/api/accounts', { headers: { authorization: 'Klaviyo-API-Key pk_another_0123456789' } })).status, 200, 'another account has windows of its own')
  clock += 1
  t.equal((await send('GET', '/api/accounts')).status, 200, 'a second after the first')
  t.match(await stats(), { accepted: 3, refused: 1, status_429: 1, accounts: { [account]: { accounts: [{ max: 1, per_ms: 1000, worst: 1 }, { max: 15, per_ms: 60_000, worst: 2 }] } } })
})

function example (): Record<string, unknown> {
  return {
    customer: { name: 'Ada Example', phone: '+12015550123', country: 'US' },
    product: { id: '1', title: 'Mug', vendor: 'Acme', url: 'https://acme.example/mug' },
    variant: { id: '2', price: { amount: '5', currency: 'USD' }, url: 'https://acme.example/mug' }
  }
}

/** A body in order, with some keys changed at a way into it. */
function edited (change: object, ...way: string[]): object {
  const body = structuredClone(bodies[0]) as Record<string, unknown>
  let at = body
  for (const key of way) at = at[key] as Record<string, unknown>
  Object.assign(at, change)
  return body
}

interface Sent { status: number, type: string | null, headers: Record<string, string>, json: unknown }

/** The sandbox, and a way to ask it with everything in order but what is given. No window fills unless a clock is given. */
async function api (provider: Provider, clock?: () => number) {
  let minutes = 0
  const { url, close } = await startSandbox({ providers: [provider], port: 0, now: clock ?? (() => { minutes += 60_001; return minutes }) })
  const right = { authorization: 'Klaviyo-API-Key pk_contract_0123456789', revision: '2026-07-15', accept: 'application/vnd.api+json' }
  async function send (method: string, path: string, { headers = {}, body }: { headers?: Record<string, string | undefined>, body?: string } = {}): Promise<Sent> {
    const all = Object.entries({ ...right, ...(body === undefined ? {} : { 'content-type': 'application/vnd.api+json' }), ...headers })
    const answer = await fetch(`${url}/klaviyo${path}`, { method, headers: all.filter((pair): pair is [string, string] => pair[1] !== undefined), body: body ?? null })
    const text = await answer.text()
    return { status: answer.status, type: answer.headers.get('content-type'), headers: Object.fromEntries(answer.headers), json: text === '' ? null : JSON.parse(text) as unknown }
  }
  const inspect = async (what: string): Promise<unknown> => (await fetch(`${url}/klaviyo/_sandbox/${what}`)).json()
  return {
    send,
    close,
    requests: async () => (await inspect('requests') as { items: Array<{ key: string, repeat: boolean }> }).items,
    stats: () => inspect('stats')
  }
}
