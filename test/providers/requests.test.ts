import t from 'tap'
import { MappingError } from '../../gateway/errors.ts'
import { caseScope } from '../../gateway/providers/cases.ts'
import { omitEmpty } from '../../gateway/providers/body.ts'
import { covers, patternOf } from '../../gateway/providers/limits.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import type { Prepared } from '../../gateway/contract.ts'
import { MADE } from '../helpers/made-providers.ts'
import { entry, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const TYPE = 'back_in_stock.alert'
const DATA = {
  customer: { name: 'Ada', phone: '+12015550123', country: 'US' },
  product: { id: '1', title: 'Mug', vendor: '', url: 'https://acme.example/mug' },
  variant: { id: '2', price: { amount: '5', currency: 'USD' }, url: 'https://acme.example/mug' }
}
const folders = t.testdir()
const third = await loadOne(entry(THIRD_ID, writeFolder(`${folders}/third`, THIRD)))
const courier = await loadOne(entry('courier', writeFolder(`${folders}/courier`, MADE.courier)))

function prepareFor (accountId: string, country = 'US'): Prepared {
  const scope = caseScope({ type: TYPE, data: { ...DATA, customer: { ...DATA.customer, country } } })
  return third.prepare(TYPE, { ...scope, connection: { account_id: accountId, settings: {} } })
}

t.test('a value in the path keeps its place, whatever it is (#60)', async t => {
  const table: Array<[string, string]> = [
    ['a/b', '/v2/a%2Fb/messages'],
    ['../admin', '/v2/..%2Fadmin/messages'],
    ['a?x=1', '/v2/a%3Fx%3D1/messages'],
    ['a#b', '/v2/a%23b/messages'],
    ['a b%2F', '/v2/a%20b%252F/messages'],
    ['a\r\nhost: evil', '/v2/a%0D%0Ahost%3A%20evil/messages'],
    ['é', '/v2/%C3%A9/messages']
  ]
  for (const [value, path] of table) {
    const prepared = prepareFor(value)
    t.equal(prepared.ok && prepared.request.path, path)
    t.equal(new URL(path, 'https://api.example').pathname, path, 'and an address resolver leaves it so')
  }
  for (const value of ['..', '.', '', '\ud800']) t.match(prepareFor(value), { ok: false, reason: 'mapping_failed' }, JSON.stringify(value))
})

t.test('a value in a header is refused where a header cannot hold it (#60)', async t => {
  for (const value of ['US\r\nx-evil: 1', 'US\n', '花', '\u0000']) t.match(prepareFor('a', value), { ok: false, reason: 'mapping_failed' }, JSON.stringify(value))
  const prepared = prepareFor('a', 'Zoë')
  t.equal(prepared.ok && prepared.request.headers['x-country'], 'Zoë', 'latin-1 fits')
})

t.test('query parameters are encoded, and none is left of an absent value', async t => {
  const manifest = THIRD['provider.yaml'].replace('query: { verbose: 1 }', 'query: { "fields[a]": "{{ map.fields }}", verbose: 1, none: "{{ map.none }}" }')
  const provider = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'provider.yaml': manifest })))
  const prepared = provider.request('me', { connection: { account_id: 'a', settings: {} }, map: { fields: 'a&b=c d#', none: null } })
  t.match(prepared, { ok: true, request: { name: 'me', group: 'me', method: 'GET', path: '/v2/me?fields%5Ba%5D=a%26b%3Dc%20d%23&verbose=1', headers: { accept: 'application/json' }, body: null } })
  t.match(provider.request('me', { connection: { account_id: 'a', settings: {} }, map: { none: null } }), { ok: false, reason: 'mapping_failed' }, 'what a template reads must be there')
  t.match(provider.request('nobody', {}), { ok: false, reason: 'mapping_failed' })
})

t.test('what a manifest requires, and what it does not know, are reasons', async t => {
  const preorder = { customer: { name: 'Ada', country: 'US' }, order: { id: '1', name: '#1', number: 1 }, products: [{ title: 'Mug', quantity: 1 }] }
  for (const phone of [undefined, '', null]) {
    const data = { ...preorder, customer: { ...preorder.customer, phone } }
    t.match(courier.prepare('preorder.confirmed', caseScope({ type: 'preorder.confirmed', data })), { ok: false, reason: 'no_phone' })
  }
  t.match(courier.prepare('waitlist.joined', caseScope({ type: 'waitlist.joined', data: {} })), { ok: false, reason: 'event_not_supported' })
})

t.test('settings that a connection does not name take their defaults', async t => {
  const prepared = prepareFor('a')
  t.match(prepared.ok && prepared.request.body, /from=Shop/)
})

t.test('credentials go into headers and nowhere else; what a header cannot hold is refused without repeating it', async t => {
  t.strictSame(third.authorize('token', { token: 's3cret' }), { 'x-token': 's3cret' })
  t.strictSame(courier.authorize('api_key', { api_key: 'key_1' }), { authorization: 'Courier-Key key_1' })
  for (const [way, secrets] of [['token', { token: 's3cret\r\nx: 1' }], ['token', {}], ['oauth2', { token: 's3cret' }], ['__proto__', { token: 's3cret' }]] as const) {
    try {
      third.authorize(way, secrets as Record<string, string>)
      t.fail(`${way} is refused`)
    } catch (error) {
      t.ok(error instanceof MappingError && !error.message.includes('s3cret'), way)
    }
  }
})

t.test('the account is what the manifest says, or the connection\'s own', async t => {
  t.equal(courier.account({ account_id: 'ABC123', settings: {} }), 'ABC123')
  const manifest = THIRD['provider.yaml'].replace('auth:', 'account: "{{ connection.settings.sender }}"\nauth:')
  const provider = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'provider.yaml': manifest })))
  t.equal(provider.account({ account_id: 'a', settings: { sender: 'Acme' } }), 'Acme')
  t.equal(provider.account({ account_id: 'a', settings: { sender: '' } }), 'a')
})

t.test('omit_empty leaves out what is empty at its places and touches nothing else', async t => {
  const tree = { a: '', b: { c: null, d: { e: '' }, f: 0, g: false, h: [], i: [''] }, j: { k: '' } }
  t.strictSame(omitEmpty(tree, ['/b']), { a: '', b: { f: 0, g: false, h: [], i: [''] }, j: { k: '' } })
  t.strictSame(omitEmpty(tree, []), tree)
  t.strictSame(omitEmpty(tree, ['/nowhere/x']), tree)
})

t.test('an endpoint takes a path by its parts', async t => {
  t.equal(patternOf('/a/{{ map.id | default: "x/y" }}/b'), '/a/{}/b')
  for (const [pattern, path, taken] of [
    ['/a/{id}', '/a/1', true], ['/a/{id}', '/a/{}', true], ['/a/{id}', '/a/', false], ['/a/{id}', '/a/1/b', false], ['/a/1', '/a/{}', false], ['/a', '/a', true]
  ] as const) t.equal(covers(pattern, path), taken, `${pattern} ${path}`)
})

t.test('a provider of YAML alone is reached over HTTP as its manifest says', async t => {
  let clock = 0
  const { url, close } = await startSandbox({ providers: [third], port: 0, now: () => clock })
  t.teardown(close)
  const prepared = prepareFor('ACC/1')
  t.ok(prepared.ok)
  if (!prepared.ok) return
  const { request } = prepared
  const send = (): Promise<Response> => fetch(`${url}/${THIRD_ID}${request.path}`, { method: request.method, headers: { ...request.headers, ...third.authorize('token', { token: 'abc' }) }, body: request.body })
  const statuses = [(await send()).status, (await send()).status]
  const third429 = await send()
  statuses.push(third429.status)
  t.strictSame(statuses, [200, 200, 429], 'two a second')
  t.equal(third429.headers.get('retry-after'), '1')
  clock = 1000
  t.equal((await send()).status, 200)
  const { items } = await (await fetch(`${url}/${THIRD_ID}/_sandbox/requests?limit=1`)).json() as { items: unknown[] }
  t.match(items, [{ id: 4, method: 'POST', path: '/v2/ACC%2F1/messages', status: 200, body: { to: '+12015550123', from: 'Shop', reference: 'key-1' } }])
})
