// What a step makes of the provider's answers: credentials, lists, look-ups, test events.

import t from 'tap'
import type { Answer, LookUp, PreparedRequest, Provider, SetupFinding, SetupStep } from '../../gateway/contract.ts'
import { judge } from '../../gateway/delivery/judge.ts'
import { MappingError } from '../../gateway/errors.ts'
import type { OpenConnection } from '../../gateway/shops/connections.ts'
import type { Asking } from '../../gateway/shops/setup/asking.ts'
import type { StepRow } from '../../gateway/shops/setup/rows.ts'
import { readOptions, sendTestEvent, tryConnection, verify } from '../../gateway/shops/setup/steps.ts'
import { answer, provider, request } from '../helpers/make.ts'

const SECRET = 'a_secret_of_24_letters__'
const JSON_TYPE = { 'content-type': 'application/json' }
const json = (value: unknown, status = 200): Answer => answer({ status, headers: JSON_TYPE, body: JSON.stringify(value) })

interface Asked { name: string, map: Record<string, unknown>, body: string | null }

/** A provider that answers request by request, and what it was asked. */
function asking (answers: (asked: Asked) => Answer): Asking & { asked: Asked[] } {
  const asked: Asked[] = []
  return {
    asked,
    ask: async (_connection, what: string | PreparedRequest, scope) => {
      const one = { name: typeof what === 'string' ? what : what.name, map: (scope as { map?: Record<string, unknown> }).map ?? {}, body: typeof what === 'string' ? null : what.body }
      asked.push(one)
      return answers(one)
    },
    judge: (given, by, settings) => judge(given, by, settings, 0),
    scrub: text => text
  }
}

const connection = (settings: Record<string, unknown> = {}): OpenConnection => ({ id: 'con_1', provider: 'alpha', platform: false, auth: 'api_key', accountId: 'A1', accountKey: 1, account: 'A1', name: '', settings, ready: [], setUp: [], oauth: null, secrets: { api_key: 'k' } })
const subject = (settings = {}, more: Partial<Provider> = {}) => ({ provider: provider(more), connection: connection(settings) })
const step = (more: Partial<SetupStep>): SetupStep => ({ id: 'one', kind: 'verify', title: 'One', text: 'One', needs: [], optional: false, when: null, recheck: 'hold', auth: null, fields: {}, check: null, options: null, setting: null, empty: null, choices: [], lookUps: [], findings: [], says: {}, ...more })
const row = (more: Partial<StepRow> = {}): StepRow => ({ step: 'one', subject: '', state: 'open', reason: null, detail: null, given: {}, found: {}, action: null, askedAt: null, doneAt: null, checkedAt: null, ...more })

t.test('credentials: what each answer says of them', async t => {
  const check = step({ kind: 'api_key', check: { request: 'me', expect: { status: 200, body_at: { pointer: '/kind', equals: 'shop' } }, save: { account_id: '/id', account_name: '/name' } } })
  const wanted: Array<[string, Answer, object]> = [
    ['right', json({ kind: 'shop', id: 7, name: 'Acme' }), { is: 'known', state: 'done', reason: null, account: { id: '7', name: 'Acme' } }],
    ['without a name', json({ kind: 'shop', id: 'a' }), { is: 'known', state: 'done', account: { id: 'a', name: '' } }],
    ['somebody else', json({ kind: 'partner', id: 7 }), { is: 'known', state: 'failed', reason: 'unexpected_account', detail: '/kind is "partner"' }],
    ['401', answer({ status: 401 }), { is: 'known', state: 'failed', reason: 'credentials_refused' }],
    ['403', answer({ status: 403 }), { is: 'known', state: 'failed', reason: 'scope_missing' }],
    ['400', answer({ status: 400 }), { is: 'known', state: 'failed', reason: 'credentials_refused' }],
    ['404', answer({ status: 404 }), { is: 'known', state: 'failed', reason: 'credentials_refused' }],
    ['429', answer({ status: 429, headers: { 'retry-after': '7' } }), { is: 'later', reason: 'rate_limited', afterMs: 7000 }],
    ['503', answer({ status: 503 }), { is: 'later', reason: 'provider_failing' }],
    ['a guard in front', answer({ status: 403, headers: { 'content-type': 'text/html' } }), { is: 'later', reason: 'blocked_by_provider' }],
    ['no answer', { kind: 'no_answer', code: 'UND_ERR_HEADERS_TIMEOUT', message: 'timeout' }, { is: 'later', reason: 'no_answer' }],
    ['not connected', { kind: 'not_sent', code: 'ECONNREFUSED', message: 'refused' }, { is: 'later', reason: 'not_connected_to_provider' }],
    ['another status', json({ kind: 'shop' }, 202), { is: 'later', reason: 'answer_unreadable', detail: 'HTTP 202' }],
    ['no JSON', answer({ body: 'hello' }), { is: 'known', state: 'failed', reason: 'unexpected_account' }]
  ]
  for (const [name, given, expected] of wanted) t.match(await tryConnection(check, subject(), asking(() => given)), expected, name)
  const unchecked = asking(() => answer())
  t.match(await tryConnection(step({ kind: 'api_key' }), subject(), unchecked), { is: 'known', state: 'done', account: { id: null, name: '' } }, 'nothing is to be checked')
  t.strictSame(unchecked.asked, [])
})

t.test('a list: all of its pages, each by the parameter of the link alone, and no more than fifty', async t => {
  const options = { request: 'lists', items: '/items', value: '/id', label: '/name', next: { at: '/next', parameter: 'page[cursor]' } }
  const list = step({ kind: 'select', options })
  const three = asking(({ map }) => {
    const page = Number(map['page_cursor'] || 0)
    return json({ items: [{ id: page, name: `N${page}` }, { name: 'without' }], ...(page < 2 && { next: `https://elsewhere.example/x?a=1&page%5Bcursor%5D=${page + 1}` }) })
  })
  t.match(await readOptions(list, row(), subject(), three), { is: 'known', state: 'open', found: { options: [{ value: '0', label: 'N0' }, { value: '1', label: 'N1' }, { value: '2', label: 'N2' }] } })
  t.strictSame(three.asked.map(({ map }) => map['page_cursor']), ['', '1', '2'])
  const round = asking(() => json({ items: [], next: '/x?page[cursor]=same' }))
  await readOptions(list, row(), subject(), round)
  t.equal(round.asked.length, 2, 'a link that leads nowhere else ends it')
  let n = 0
  const endless = asking(() => json({ items: [{ id: ++n }], next: `/x?page[cursor]=${n}` }))
  await readOptions(list, row(), subject(), endless)
  t.equal(endless.asked.length, 50)
})

t.test('a list of more items than are kept in memory is told as such, however small they are', async t => {
  const list = step({ kind: 'select', options: { request: 'lists', items: '/items', value: '/id', label: '/name', next: { at: '/next', parameter: 'page' } } })
  const items = (n: number) => Array.from({ length: n }, (_, i) => ({ id: i }))
  const most = await readOptions(list, row(), subject(), asking(() => json({ items: items(20_000) })))
  t.strictSame(most.is === 'known' && most.found?.['options'], items(20_000).map(({ id }) => ({ value: String(id), label: String(id) })))
  const tooMany = { is: 'later', reason: 'answer_too_large', detail: 'the list had more than 20000 items' }
  t.match(await readOptions(list, row(), subject(), asking(() => json({ items: items(20_001) }))), tooMany)
  const pages = asking(({ map }) => json({ items: items(8000), next: `/x?page=${Number(map['page_cursor'] || 0) + 1}` }))
  t.match(await readOptions(list, row(), subject(), pages), tooMany)
  t.equal(pages.asked.length, 3, 'nor is it read on')
  const empty = asking(({ map }) => answer({ status: 200, headers: JSON_TYPE, body: `{"items":[${'{},'.repeat(699_000)}{}],"next":"/x?page=${Number(map['page_cursor'] || 0) + 1}"}` }))
  t.match(await readOptions(list, row(), subject(), empty), tooMany)
  t.equal(empty.asked.length, 1)
})

t.test('words of a provider are kept to a length that can be shown, and never with a part of the credentials (#77)', async t => {
  const long = (to: number) => `${'x'.repeat(to)}${SECRET}${'y'.repeat(400)}`
  const at = { ...subject(), connection: { ...connection(), secrets: { api_key: SECRET } } }
  const hiding = (given: Answer) => ({ ...asking(() => given), scrub: (words: string | null) => words?.replaceAll(SECRET, '***') ?? null })
  const list = step({ kind: 'select', options: { request: 'lists', items: '/items', value: '/id', label: '/name' } })
  const read = await readOptions(list, row(), at, hiding(json({ items: [{ id: 'a', name: long(190) }, { id: 'b', name: '😀'.repeat(300) }, { id: 'c', name: 'z'.repeat(200) }] })))
  t.strictSame(read.is === 'known' && read.found?.['options'], [{ value: 'a', label: `${'x'.repeat(190)}***${'y'.repeat(6)}…` }, { value: 'b', label: `${'😀'.repeat(99)}…` }, { value: 'c', label: 'z'.repeat(200) }])
  const check = (equals: string) => step({ kind: 'api_key', check: { request: 'me', expect: { status: 200, body_at: { pointer: '/kind', equals } }, save: { account_id: '/id', account_name: '/name' } } })
  t.match(await tryConnection(check('shop'), at, hiding(json({ kind: 'shop', id: 'i'.repeat(300), name: long(190) }))), { account: { id: 'i'.repeat(300), name: `${'x'.repeat(190)}***${'y'.repeat(6)}…` } }, 'an id is no word')
  const other = async (kind: unknown) => (await tryConnection(check('shop'), at, hiding(json({ kind }))) as { detail: string }).detail
  t.equal(await other(long(980)), `/kind is "${'x'.repeat(980)}***${'y'.repeat(6)}…`)
  t.strictSame([await other('partner'), await other(7), await other(undefined), await other([['x']]), await other({ x: 1 })], ['/kind is "partner"', '/kind is 7', '/kind is undefined', '/kind is a list', '/kind is an object'])
  const flow = { id: 'f1', name: `Flow${' '.repeat(300)}`, status: 'live' }
  t.strictSame((await verified([flow], { name: 'flow ' })).near, [`Flow${' '.repeat(195)}…`])
})

t.test('a list that is empty, not there, or no list', async t => {
  const list = step({ kind: 'select', options: { request: 'lists', items: '/items', value: '/id', label: '/name' }, setting: 'list' })
  const read = (given: Answer, settings = {}, before = row()) => readOptions(list, before, subject(settings), asking(() => given))
  t.match(await read(json({})), { is: 'known', state: 'open', found: { options: [] } })
  t.match(await read(json({ items: [] })), { is: 'known', state: 'open', found: { options: [] } })
  t.match(await read(json({ other: 1 })), { is: 'later', reason: 'answer_unreadable', detail: 'no list at /items' })
  t.match(await read(answer({ body: 'text' })), { is: 'later', reason: 'answer_unreadable' })
  const two = json({ items: [{ id: 'a', name: 'A' }, { id: 'b' }] })
  t.match(await read(two, { list: 'a' }), { is: 'known', state: 'done', found: { options: [{ value: 'a', label: 'A' }, { value: 'b', label: 'b' }] } })
  t.match(await read(two, { list: 'c' }), { is: 'known', state: 'failed', reason: 'selection_gone', found: { options: [{}, {}] } })
  t.match(await read(two, { list: '' }), { is: 'known', state: 'open' })
  const before = row({ state: 'done', found: { options: [{ value: 'a', label: 'A' }] } })
  t.match(await read(answer({ status: 503 }), { list: 'a' }, before), { is: 'later' })
  t.match(await read(answer({ status: 403 }), { list: 'a' }, before), { is: 'known', state: 'done', reason: 'scope_missing', found: before.found }, 'a refusal is the account\'s, and undoes no selection')
})

const text = (value: string) => ({ render: () => value })
const of = (read: (found: Record<string, { id?: string } | undefined>) => string | undefined, key: string) => ({
  render: (scope: object) => {
    const value = read((scope as { found: Record<string, { id?: string }> }).found)
    if (value === undefined) throw new MappingError('it is not there')
    return key === '' ? value : { [key]: value }
  }
})
const NONE = { render: () => ({}) }
const LOOK_UPS: LookUp[] = [
  { id: 'flow', request: 'flows', items: '/flows', with: NONE, match: [{ at: '/name', equals: { render: scope => (scope as { input: { name: string } }).input.name } }], unless: [], near: '/name' },
  { id: 'topic', request: 'topics', items: '/topics', with: NONE, match: [{ at: '/name', equals: { render: scope => (scope as { trigger: string }).trigger } }], unless: [], near: null },
  { id: 'listening', request: 'flows_of', items: '/flows', with: of(found => found['topic']?.id, 'topic'), match: [{ at: '/id', equals: of(found => found['flow']?.id, '') }], unless: [], near: null },
  { id: 'second', request: 'flows_of', items: '/flows', with: of(found => found['topic']?.id, 'topic'), match: [{ at: '/status', equals: text('live') }], unless: [{ at: '/id', equals: of(found => found['flow']?.id, '') }], near: null }
]
const FINDINGS: SetupFinding[] = [
  { id: 'name', of: 'flow', text: 'named', otherwise: 'not named' },
  { id: 'topic', of: 'topic', text: 'known', otherwise: 'not known' },
  { id: 'trigger', of: 'listening', text: 'listens', otherwise: 'does not listen' },
  { id: 'live', of: 'flow', at: '/status', equals: 'live', text: 'live', otherwise: 'not live' },
  { id: 'only', of: 'second', absent: true, warns: true, text: 'alone', otherwise: 'not alone' }
]

interface Flow { id: string, name: string, status: string }

async function verified (flows: Flow[], { topics = ['t'], listening = flows, name = 'Flow', trigger = 't' as string | null }: { topics?: string[], listening?: Flow[], name?: string, trigger?: string | null } = {}) {
  const asked = asking(one => json(one.name === 'topics' ? { topics: topics.map(topic => ({ id: `id-${topic}`, name: topic })) } : { flows: one.name === 'flows' ? flows : listening }))
  const learnt = await verify(step({ lookUps: LOOK_UPS, findings: FINDINGS }), row({ given: { name } }), trigger, subject(), asked)
  if (learnt.is !== 'known') throw new Error(learnt.reason)
  const findings = learnt.found?.['findings'] as Array<{ id: string, ok: boolean | null, text: string }>
  return { ...learnt, told: Object.fromEntries(findings.map(({ id, ok }) => [id, ok])), near: learnt.found?.['near'], asked: asked.asked.map(one => one.name) }
}

t.test('looked up: each finding by itself, exactly, and the first that is wrong says what to do (C5)', async t => {
  const flow = { id: 'f1', name: 'Flow', status: 'live' }
  t.match(await verified([flow]), { state: 'done', reason: null, told: { name: true, topic: true, trigger: true, live: true, only: true }, near: [] })
  t.match(await verified([{ ...flow, status: 'draft' }]), { state: 'failed', reason: 'not_verified', detail: 'not live', told: { name: true, trigger: true, live: false } })
  t.match(await verified([flow], { listening: [] }), { state: 'failed', detail: 'does not listen', told: { trigger: false, live: true, only: true } })
  t.match(await verified([flow, { ...flow, id: 'f2', name: 'Twin' }]), { state: 'done', reason: null, told: { only: false } }, 'warned of, and done')
  t.match(await verified([flow, { ...flow, id: 'f2', name: 'Twin', status: 'draft' }]), { told: { only: true } })
  for (const name of ['flow', ' Flow', 'Flow ', 'Flow2', 'FLOW']) t.match(await verified([flow], { name }), { state: 'failed', detail: 'not named', told: { name: false, live: null, trigger: null } }, name)
})

t.test('what hangs on something that was not found is not looked at, and not said to be wrong', async t => {
  const flow = { id: 'f1', name: 'Flow', status: 'live' }
  const unknown = await verified([flow], { topics: [] })
  t.match(unknown, { state: 'failed', detail: 'not known', told: { name: true, topic: false, trigger: null, live: true, only: null }, asked: ['flows', 'topics'] })
  t.strictSame(unknown.asked, ['flows', 'topics'])
  t.match(await verified([flow], { trigger: null }), { told: { topic: false } })
  t.match((await verified([], {})).told, { name: false, topic: true, trigger: null, live: null, only: null })
})

t.test('near names: those but for capitals and spaces first, then the nearest, five at most, each once', async t => {
  const named = (...names: string[]) => names.map((name, i) => ({ id: `f${i}`, name, status: 'live' }))
  t.strictSame((await verified(named('Restock alerts', 'restock  ALERT', 'Welcome', 'Restock alerd'), { name: 'Restock alert' })).near, ['restock  ALERT', 'Restock alerts', 'Restock alerd'])
  t.strictSame((await verified(named('Alert1', 'Alert2', 'Alert3', 'Alert4', 'Alert5', 'Alert6', 'Alert6'), { name: 'Alert' })).near, ['Alert1', 'Alert2', 'Alert3', 'Alert4', 'Alert5'])
  t.strictSame((await verified(named('Welcome'), { name: 'Alert' })).near, [])
})

t.test('a look-up that gets no answer says nothing of the flow', async t => {
  const verifying = (given: Answer, before: StepRow) => verify(step({ lookUps: LOOK_UPS, findings: FINDINGS }), before, 't', subject(), asking(() => given))
  const done = row({ state: 'done', found: { findings: [1] }, given: { name: 'Flow' } })
  t.match(await verifying(answer({ status: 503 }), done), { is: 'later', reason: 'provider_failing' })
  t.match(await verifying(answer({ status: 401 }), done), { is: 'known', state: 'done', reason: 'credentials_refused', found: done.found })
  t.match(await verifying(answer({ status: 403 }), row({ given: { name: 'Flow' } })), { is: 'known', state: 'open', reason: 'scope_missing' })
})

t.test('a test event: its end, and what the provider does not take of it is left out from now on (D3)', async t => {
  const event = { type: 'thing.happened', data: { a: 1 }, shop: { id: 's', name: 'S', domain: 's.example' }, id: 'test-1', now: 0 }
  const made = { prepare: (_type: string, { delivery, event: { source }, connection: { settings } }: Parameters<Provider['prepare']>[1]) => ({ ok: true as const, request: request({ body: JSON.stringify({ key: delivery.key, source, settings, record: delivery.record_only }) }) }) }
  const send = (given: (asked: Asked) => Answer, more: Partial<Provider> = made) => sendTestEvent(event, subject({ a: true }, more), asking(given))
  t.match(await send(() => answer({ status: 202 })), { is: 'known', state: 'done', found: { event_id: 'test-1' }, settings: undefined })
  t.match(await send(() => answer({ status: 400 })), { is: 'known', state: 'failed', reason: 'payload_refused' })
  t.match(await send(() => answer({ status: 401 })), { is: 'known', state: 'failed', reason: 'credentials_refused' })
  t.match(await send(() => answer({ status: 500 })), { is: 'later', reason: 'provider_failing' })
  t.match(await send(() => answer(), { prepare: () => ({ ok: false, reason: 'no_phone', detail: 'none' }) }), { is: 'known', state: 'failed', reason: 'no_phone', detail: 'none' })
  const asks = (settings: Record<string, unknown>) => ({ ...made, judge: (given: Answer & { kind: 'answer' }) => given.status === 400 ? { is: 'retry' as const, reason: 'personal_data_refused' as const, settings } : null })
  const learning = asking(({ body }) => answer({ status: body?.includes('"a":true') ? 400 : 202 }))
  t.match(await sendTestEvent(event, subject({ a: true }, asks({ a: false })), learning), { is: 'known', state: 'done', settings: { a: false } })
  t.strictSame(learning.asked.map(({ body }) => JSON.parse(String(body)) as object), [true, false].map(a => ({ key: 'test-1', source: 'setup', settings: { a }, record: false })), 'really sent, under one id')
  const stubborn = asking(() => answer({ status: 400 }))
  t.match(await sendTestEvent(event, subject({ a: true }, asks({ a: false })), stubborn), { is: 'later', reason: 'personal_data_refused' })
  t.equal(stubborn.asked.length, 4, 'and not for ever')
})
