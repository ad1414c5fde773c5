import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadAll } from '../../gateway/load.ts'
import { MADE } from '../helpers/made-providers.ts'
import { writeFolder } from '../helpers/providers.ts'
import { cli, project, ROOT, within, type CliOptions, type Ended } from './cli.ts'

const TYPE = 'back_in_stock.alert'
/** What is loaded here: providers made for the tests. */
const cwd = project(t)
const made = (argv: readonly string[], options: CliOptions = {}): Promise<Ended> => within(argv, { cwd, ...options })

interface Faults { ok: boolean, faults: Array<{ code: string, file: string, line: number, column: number }> }

/** 1-based line of the first line that holds the text. */
function lineOf (file: string, text: string): number {
  return readFileSync(file, 'utf8').split('\n').findIndex(line => line.includes(text)) + 1
}

t.test('a broken config is refused with all of its faults, each at file, line and column', async t => {
  const dir = project(t, text => text.replace('  level: ', '  levle: info\n  level: ').replace('request_deadline: 15s', 'request_deadline: soon'))
  const file = join(dir, 'gateway.config.yaml')
  const plain = await cli(['validate'], { cwd: dir })
  t.equal(plain.code, 1)
  t.equal(plain.out, '')
  t.match(plain.err, new RegExp(`^gateway\\.config\\.yaml:${lineOf(file, 'levle')}:3: `, 'm'))
  t.match(plain.err, new RegExp(`^gateway\\.config\\.yaml:${lineOf(file, 'soon')}:\\d+: `, 'm'))
  const json = await within(['validate', '--json'], { cwd: dir })
  t.equal(json.code, 1)
  const { ok, faults } = JSON.parse(json.out) as Faults
  t.equal(ok, false)
  t.match(faults, [{ code: 'GW_CONFIG_UNKNOWN_KEY', file: 'gateway.config.yaml', line: lineOf(file, 'levle'), column: 3 }, { line: lineOf(file, 'soon') }])
})

t.test('faults of schemas and of mappings are told together, and a broken schema blames no mapping', async t => {
  const dir = project(t, text => text.replace('schemas/events/preorder.confirmed', 'own/preorder.confirmed').replace('providers/herald', 'own/provider'))
  writeFolder(join(dir, 'own/provider'), { ...MADE.herald, 'provider.yaml': MADE.herald['provider.yaml'].replace(/^title: .*$/m, 'title: Herald\ntitel: Herald') })
  const schema = JSON.parse(readFileSync(join(ROOT, 'schemas/events/preorder.confirmed.schema.json'), 'utf8')) as Record<string, unknown>
  writeFileSync(join(dir, 'own/preorder.confirmed.schema.json'), JSON.stringify({ ...schema, type: 'objekt' }, null, 2))
  const { loaded, faults } = await loadAll({ file: 'gateway.config.yaml', cwd: dir, env: {}, createSecrets: false, sandboxUrl: null })
  t.equal(loaded, null)
  t.strictSame([...new Set(faults.map(({ place }) => place.file))], ['own/preorder.confirmed.schema.json', 'own/provider/provider.yaml'])
  t.notOk(faults.some(({ code }) => code === 'GW_MAPPING_OPTIONAL' || code === 'GW_MAPPING_FIELD'))
})

t.test('a secret that is made at the next start is held to its form before that', async t => {
  const herald = { ...MADE.herald, 'provider.yaml': MADE.herald['provider.yaml'].replace('example: herald-0123456789', 'example: sk_0123456789, pattern: "^sk_[!-~]{8,}$"') }
  const validated = async (prefix: string): Promise<Faults> => {
    const dir = project(t, text => text.replace(/(herald\.key\n *)(generate: true)/, `$1{}$2`).replace('{}', prefix))
    writeFolder(join(dir, 'providers/herald'), herald)
    return JSON.parse((await within(['validate', '--json'], { cwd: dir })).out) as Faults
  }
  const prefixed = (prefix: string): string => `prefix: ${prefix}\n            `
  t.match(await validated(prefixed('sk_')), { ok: true })
  for (const wrong of ['', prefixed('pk_')]) t.match((await validated(wrong)).faults, [{ code: 'GW_CONFIG_SECRET', file: 'gateway.config.yaml' }], wrong)
})

t.test('a config that does not exist is a fault like any other', async t => {
  const { code, err } = await within(['validate', '--config', 'none.yaml'])
  t.equal(code, 1)
  t.match(err, /none\.yaml:1:1: /)
  t.equal((await within(['validate'], { env: { GATEWAY_CONFIG: 'none.yaml' } })).code, 1)
})

t.test('providers list and show tell what is loaded', async t => {
  const listed = await made(['providers', 'list', '--json'])
  t.equal(listed.code, 0)
  const { items } = JSON.parse(listed.out) as { items: Array<{ id: string, title: string, channels: string[], events: string[], folder: string }> }
  t.match(items, [{ id: 'courier', channels: ['sms'], folder: 'providers/courier' }, { id: 'herald', folder: 'providers/herald' }])
  const text = await made(['providers', 'list'])
  for (const { id, title } of items) t.match(text.out, new RegExp(`^${id} +${title} `, 'm'))
  const shown = JSON.parse((await made(['providers', 'show', 'courier', '--json'])).out) as { limits: unknown[], events: Array<{ type: string }>, setup: unknown[] }
  t.match(shown.limits, [{ name: 'accounts' }, { name: 'events', match: [{ method: 'POST', path: '/api/events' }], windows: [{ max: 350, per_ms: 1000 }, { max: 3500, per_ms: 60_000 }] }])
  t.ok(shown.events.some(({ type }) => type === TYPE))
  t.ok(shown.setup.length > 0)
  t.match((await made(['providers', 'show', 'courier'])).out, /350 per 1 s and 3,500 per 1 m[^]*POST \/api\/events/)
})

t.test('an unknown provider, event type, shop or example is refused with what there is', async t => {
  const cases: Array<[string[], string]> = [
    [['providers', 'show', 'courrier'], 'GW_NOT_FOUND'],
    [['map', TYPE, '--provider', 'nobody'], 'GW_NOT_FOUND'],
    [['map', `${TYPE}s`, '--provider', 'courier'], 'GW_EVENT_TYPE_UNKNOWN'],
    [['map', TYPE, '--provider', 'courier', '--shop', 'nobody.example'], 'GW_SHOP_UNKNOWN'],
    [['map', TYPE, '--provider', 'courier', '--example', '99'], 'GW_NOT_FOUND'],
    [['map', TYPE, '--provider', 'courier', '--data', 'none.json'], 'GW_FILE_MISSING'],
    [['events', 'schema', 'nothing'], 'GW_EVENT_TYPE_UNKNOWN'],
    [['test', 'nobody'], 'GW_NOT_FOUND']
  ]
  for (const [argv, expected] of cases) {
    const { code, out } = await made([...argv, '--json'])
    t.equal(code, 1, argv.join(' '))
    t.match(JSON.parse(out), { error: { code: expected } })
  }
})

t.test('map shows the request that would go out, without credentials', async t => {
  const { code, out } = await made(['map', TYPE, '--provider', 'courier', '--example', '0', '--no-sandbox', '--json'])
  t.equal(code, 0)
  const { request } = JSON.parse(out) as { request: { method: string, url: string, headers: Record<string, string>, body: object } }
  t.match(request, { name: 'create_event', limit: 'events', method: 'POST', url: 'https://api.courier.example/api/events', body: { data: { type: 'event', properties: { shop_name: 'Acme' } } } })
  t.notOk(Object.hasOwn(request.headers, 'authorization'))
  const text = await made(['map', TYPE, '--provider', 'courier'])
  t.match(text.out, /^POST http:\/\/127\.0\.0\.1:8081\/courier\/api\/events\n[^]*\n\n\{\n {2}"data": \{/)
  t.not(text.err, '')
})

t.test('map takes the name and settings of a shop of the config', async t => {
  const { out } = await made(['map', TYPE, '--provider', 'herald', '--shop', 'demo-herald.example', '--json'])
  t.match(JSON.parse(out), { request: { body: { properties: { shop_name: 'Globex', shop_domain: 'globex.example' } } } })
})

t.test('map takes data, or a whole event, from a file or standard input', async t => {
  const event = JSON.parse((await within(['events', 'schema', TYPE, '--example', '0'])).out) as { data: { product: { title: string } } }
  event.data.product.title = 'Striped Shirt'
  const dir = project(t)
  writeFileSync(join(dir, 'data.json'), JSON.stringify(event.data))
  const fromFile = await made(['map', TYPE, '--provider', 'herald', '--data', 'data.json', '--json'], { cwd: dir })
  const fromInput = await made(['map', TYPE, '--provider', 'herald', '--data', '-', '--json'], { input: JSON.stringify(event) })
  for (const { code, out } of [fromFile, fromInput]) {
    t.equal(code, 0)
    t.match(JSON.parse(out), { request: { body: { properties: { product_title: 'Striped Shirt' } } } })
  }
  const otherType = await made(['map', 'preorder.confirmed', '--provider', 'herald', '--data', '-'], { input: JSON.stringify(event) })
  t.equal(otherType.code, 2)
  const noJson = await made(['map', TYPE, '--provider', 'herald', '--data', '-', '--json'], { input: '{' })
  t.equal(noJson.code, 1)
  t.match(JSON.parse(noJson.out), { error: { code: 'GW_JSON' } })
})

t.test('map refuses data that breaks the schema with every fault, and data that cannot be mapped with the reason', async t => {
  const misfit = await made(['map', TYPE, '--provider', 'courier', '--data', '-', '--json'], { input: '{"customer":{}}' })
  t.equal(misfit.code, 1)
  const { error } = JSON.parse(misfit.out) as { error: { code: string, details: Array<{ path: string }> } }
  t.equal(error.code, 'GW_EVENT_INVALID')
  t.ok(error.details.some(({ path }) => path === '/data/customer/phone') && error.details.some(({ path }) => path === '/data/product'))
  const event = JSON.parse((await within(['events', 'schema', 'preorder.confirmed', '--example', '0'])).out) as { data: { customer: { phone?: string } } }
  delete event.data.customer.phone
  const refused = await made(['map', 'preorder.confirmed', '--provider', 'courier', '--data', '-', '--json'], { input: JSON.stringify(event) })
  t.equal(refused.code, 1)
  t.match(JSON.parse(refused.out), { refused: { reason: 'no_phone', sentence: String } })
})

t.test('test tries all providers, or those that are named', async t => {
  const all = await made(['test', '--json'])
  t.equal(all.code, 0, all.err)
  t.match(JSON.parse(all.out), { ok: true, providers: [{ id: 'courier', ok: true }, { id: 'herald', ok: true }] })
  const one = JSON.parse((await made(['test', 'herald', '--json'])).out) as { providers: unknown[] }
  t.match(one.providers, [{ id: 'herald', ok: true }])
  t.equal(one.providers.length, 1)
})

t.test('a case that does not hold is shown with its place and every difference', async t => {
  const dir = project(t)
  const file = join(dir, 'providers/herald/cases.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('product_title: Floral Shirt', 'product_title: Other Shirt').replace(/vendor: Acme(?=\n +purchase)/, 'vendor: Other'))
  const { code, out } = await within(['test', 'herald', '--json'], { cwd: dir })
  t.equal(code, 1)
  const { ok, providers: [run] } = JSON.parse(out) as { ok: boolean, providers: Array<{ cases: Array<{ ok: boolean, differences: string[], place: { file: string, line: number } | null }> }> }
  t.equal(ok, false)
  const failed = run?.cases.filter(one => !one.ok) ?? []
  t.equal(failed.length, 1)
  t.match(failed[0]?.place, { file: 'providers/herald/cases.yaml', line: lineOf(file, 'Other Shirt') })
  t.equal(failed[0]?.differences.length, 2)
  t.match(failed[0]?.differences[0], /^\/expect\/body\/properties\/product_title: .*Other Shirt.*Floral Shirt/)
  const text = await within(['test', 'herald'], { cwd: dir })
  t.match(text.out, new RegExp(`providers/herald/cases\\.yaml:${lineOf(file, 'Other Shirt')}:`))
})

t.test('a case whose data no caller could send does not hold', async t => {
  const dir = project(t)
  const file = join(dir, 'providers/herald/cases.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('email: ada@example.com', 'email: nonsense'))
  const { code, out } = await within(['test', 'herald', '--json'], { cwd: dir })
  t.equal(code, 1)
  t.match(out, '/data/customer/email')
})

t.test('events schema prints the schema, or an event ready to send', async t => {
  const schema = JSON.parse((await within(['events', 'schema', TYPE])).out) as Record<string, unknown>
  t.strictSame(schema, JSON.parse(readFileSync(join(ROOT, `schemas/events/${TYPE}.schema.json`), 'utf8')))
  const event = JSON.parse((await within(['events', 'schema', TYPE, '--example', '0', '--shop', 'acme.example'])).out) as Record<string, unknown>
  t.match(event, { specversion: '1.0', id: /^[0-9a-f-]{36}$/, source: '/cli', type: TYPE, shop: 'acme.example', data: (schema['examples'] as object[])[0] })
})
