import { mkdirSync, readFileSync, writeFileSync, cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadAll } from '../../gateway/load.ts'
import { cli, project, ROOT, within } from './cli.ts'

const TYPE = 'back_in_stock.alert'
const SAME = (text: string): string => text

interface Faults { ok: boolean, faults: Array<{ code: string, file: string, line: number, column: number }> }

/** 1-based line of the first line that holds the text. */
function lineOf (file: string, text: string): number {
  return readFileSync(file, 'utf8').split('\n').findIndex(line => line.includes(text)) + 1
}

t.test('the shipped config is valid, and validating it makes nothing', async t => {
  const dir = project(t, SAME)
  const { code, out, err } = await within(['validate', '--json'], { cwd: dir })
  t.equal(code, 0, err)
  t.match(JSON.parse(out), { ok: true, event_types: 3, api_keys: 1, sandbox: true })
  t.notOk(existsSync(join(dir, 'data')))
  t.equal((await cli(['validate'])).code, 0)
})

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
  const dir = project(t, text => text.replace('schemas/events/preorder.confirmed', 'own/preorder.confirmed').replace('config/providers/attentive', 'own/provider'))
  mkdirSync(join(dir, 'own'))
  const schema = JSON.parse(readFileSync(join(ROOT, 'schemas/events/preorder.confirmed.schema.json'), 'utf8')) as Record<string, unknown>
  writeFileSync(join(dir, 'own/preorder.confirmed.schema.json'), JSON.stringify({ ...schema, type: 'objekt' }, null, 2))
  cpSync(join(ROOT, 'config/providers/attentive'), join(dir, 'own/provider'), { recursive: true })
  const manifest = join(dir, 'own/provider/provider.yaml')
  const text = readFileSync(manifest, 'utf8')
  writeFileSync(manifest, text.replace(/^title: .*$/m, 'title: Attentive\ntitel: Attentive'))
  const { loaded, faults } = await loadAll({ file: 'gateway.config.yaml', cwd: dir, env: {}, createSecrets: false, sandboxUrl: null })
  t.equal(loaded, null)
  t.strictSame([...new Set(faults.map(({ place }) => place.file))], ['own/preorder.confirmed.schema.json', 'own/provider/provider.yaml'])
  t.notOk(faults.some(({ code }) => code === 'GW_MAPPING_OPTIONAL' || code === 'GW_MAPPING_FIELD'))
})

t.test('a config that does not exist is a fault like any other', async t => {
  const { code, err } = await within(['validate', '--config', 'none.yaml'])
  t.equal(code, 1)
  t.match(err, /none\.yaml:1:1: /)
  t.equal((await within(['validate'], { env: { GATEWAY_CONFIG: 'none.yaml' } })).code, 1)
})

t.test('providers list and show tell what is loaded', async t => {
  const listed = await within(['providers', 'list', '--json'])
  t.equal(listed.code, 0)
  const { items } = JSON.parse(listed.out) as { items: Array<{ id: string, title: string, channels: string[], events: string[], folder: string }> }
  t.match(items, [{ id: 'klaviyo', channels: ['sms'], folder: 'plugins/klaviyo' }, { id: 'attentive', folder: 'config/providers/attentive' }])
  const text = await within(['providers', 'list'])
  for (const { id, title } of items) t.match(text.out, new RegExp(`^${id} +${title} `, 'm'))
  const shown = JSON.parse((await within(['providers', 'show', 'klaviyo', '--json'])).out) as { limits: unknown[], events: Array<{ type: string }>, setup: unknown[] }
  t.match(shown.limits, [{ name: 'accounts' }, { name: 'events', match: [{ method: 'POST', path: '/api/events' }], windows: [{ max: 350, per_ms: 1000 }, { max: 3500, per_ms: 60_000 }] }])
  t.ok(shown.events.some(({ type }) => type === TYPE))
  t.ok(shown.setup.length > 0)
  t.match((await within(['providers', 'show', 'klaviyo'])).out, /350 per 1 s and 3,500 per 1 m[^]*POST \/api\/events/)
})

t.test('an unknown provider, event type, shop or example is refused with what there is', async t => {
  const cases: Array<[string[], string]> = [
    [['providers', 'show', 'klavio'], 'GW_NOT_FOUND'],
    [['map', TYPE, '--provider', 'nobody'], 'GW_NOT_FOUND'],
    [['map', `${TYPE}s`, '--provider', 'klaviyo'], 'GW_EVENT_TYPE_UNKNOWN'],
    [['map', TYPE, '--provider', 'klaviyo', '--shop', 'nobody.example'], 'GW_SHOP_UNKNOWN'],
    [['map', TYPE, '--provider', 'klaviyo', '--example', '99'], 'GW_NOT_FOUND'],
    [['map', TYPE, '--provider', 'klaviyo', '--data', 'none.json'], 'GW_FILE_MISSING'],
    [['events', 'schema', 'nothing'], 'GW_EVENT_TYPE_UNKNOWN'],
    [['test', 'nobody'], 'GW_NOT_FOUND']
  ]
  for (const [argv, expected] of cases) {
    const { code, out } = await within([...argv, '--json'])
    t.equal(code, 1, argv.join(' '))
    t.match(JSON.parse(out), { error: { code: expected } })
  }
})

t.test('map shows the request that would go out, without credentials', async t => {
  const { code, out } = await within(['map', TYPE, '--provider', 'klaviyo', '--example', '0', '--no-sandbox', '--json'])
  t.equal(code, 0)
  const { request } = JSON.parse(out) as { request: { method: string, url: string, headers: Record<string, string>, body: object } }
  t.match(request, { name: 'create_event', limit: 'events', method: 'POST', url: 'https://a.klaviyo.com/api/events', body: { data: { type: 'event', attributes: { properties: { shop_name: 'Acme' } } } } })
  t.notOk(Object.hasOwn(request.headers, 'authorization'))
  const text = await within(['map', TYPE, '--provider', 'klaviyo'])
  t.match(text.out, /^POST http:\/\/127\.0\.0\.1:8081\/klaviyo\/api\/events\n[^]*\n\n\{\n {2}"data": \{/)
  t.not(text.err, '')
})

t.test('map takes the name and settings of a shop of the config', async t => {
  const { out } = await within(['map', TYPE, '--provider', 'attentive', '--shop', 'demo-attentive.myshopify.com', '--json'])
  t.match(JSON.parse(out), { request: { body: { properties: { shop_name: 'Globex', shop_domain: 'globex.example' } } } })
})

t.test('map takes data, or a whole event, from a file or standard input', async t => {
  const event = JSON.parse((await within(['events', 'schema', TYPE, '--example', '0'])).out) as { data: { product: { title: string } } }
  event.data.product.title = 'Striped Shirt'
  const dir = project(t, SAME)
  writeFileSync(join(dir, 'data.json'), JSON.stringify(event.data))
  const fromFile = await within(['map', TYPE, '--provider', 'attentive', '--data', 'data.json', '--json'], { cwd: dir })
  const fromInput = await within(['map', TYPE, '--provider', 'attentive', '--data', '-', '--json'], { input: JSON.stringify(event) })
  for (const { code, out } of [fromFile, fromInput]) {
    t.equal(code, 0)
    t.match(JSON.parse(out), { request: { body: { properties: { product_title: 'Striped Shirt' } } } })
  }
  const otherType = await within(['map', 'preorder.confirmed', '--provider', 'attentive', '--data', '-'], { input: JSON.stringify(event) })
  t.equal(otherType.code, 2)
  const noJson = await within(['map', TYPE, '--provider', 'attentive', '--data', '-', '--json'], { input: '{' })
  t.equal(noJson.code, 1)
  t.match(JSON.parse(noJson.out), { error: { code: 'GW_JSON' } })
})

t.test('map refuses data that breaks the schema with every fault, and data that cannot be mapped with the reason', async t => {
  const misfit = await within(['map', TYPE, '--provider', 'klaviyo', '--data', '-', '--json'], { input: '{"customer":{}}' })
  t.equal(misfit.code, 1)
  const { error } = JSON.parse(misfit.out) as { error: { code: string, details: Array<{ path: string }> } }
  t.equal(error.code, 'GW_EVENT_INVALID')
  t.ok(error.details.some(({ path }) => path === '/data/customer/phone') && error.details.some(({ path }) => path === '/data/product'))
  const event = JSON.parse((await within(['events', 'schema', 'preorder.confirmed', '--example', '0'])).out) as { data: { customer: { phone?: string } } }
  delete event.data.customer.phone
  const refused = await within(['map', 'preorder.confirmed', '--provider', 'klaviyo', '--data', '-', '--json'], { input: JSON.stringify(event) })
  t.equal(refused.code, 1)
  t.match(JSON.parse(refused.out), { refused: { reason: 'no_phone', sentence: String } })
})

t.test('the cases of the shipped providers hold', async t => {
  const { code, out, err } = await within(['test', '--json'])
  t.equal(code, 0, err)
  const { ok, providers } = JSON.parse(out) as { ok: boolean, providers: Array<{ id: string, cases: unknown[] }> }
  t.equal(ok, true)
  t.ok(providers.length > 0 && providers.every(({ cases }) => cases.length > 0))
  const one = JSON.parse((await within(['test', 'attentive', '--json'])).out) as { providers: unknown[] }
  t.match(one.providers, [{ id: 'attentive', ok: true }])
  t.equal(one.providers.length, 1)
})

t.test('a case that does not hold is shown with its place and every difference', async t => {
  const dir = project(t, text => text.replace('config/providers/attentive', 'own'))
  cpSync(join(ROOT, 'config/providers/attentive'), join(dir, 'own'), { recursive: true })
  const file = join(dir, 'own/cases.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('product_title: Floral Shirt', 'product_title: Other Shirt').replace('vendor: Acme\n          purchase', 'vendor: Other\n          purchase'))
  const { code, out } = await within(['test', 'attentive', '--json'], { cwd: dir })
  t.equal(code, 1)
  const { ok, providers: [run] } = JSON.parse(out) as { ok: boolean, providers: Array<{ cases: Array<{ ok: boolean, differences: string[], place: { file: string, line: number } | null }> }> }
  t.equal(ok, false)
  const failed = run?.cases.filter(one => !one.ok) ?? []
  t.equal(failed.length, 1)
  t.match(failed[0]?.place, { file: 'own/cases.yaml', line: lineOf(file, 'Other Shirt') })
  t.equal(failed[0]?.differences.length, 2)
  t.match(failed[0]?.differences[0], /^\/expect\/body\/properties\/product_title: .*Other Shirt.*Floral Shirt/)
  const text = await within(['test', 'attentive'], { cwd: dir })
  t.match(text.out, new RegExp(`own/cases\\.yaml:${lineOf(file, 'Other Shirt')}:`))
})

t.test('a case whose data no caller could send does not hold', async t => {
  const dir = project(t, text => text.replace('config/providers/attentive', 'own'))
  cpSync(join(ROOT, 'config/providers/attentive'), join(dir, 'own'), { recursive: true })
  const file = join(dir, 'own/cases.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('email: ada@example.com', 'email: nonsense'))
  const { code, out } = await within(['test', 'attentive', '--json'], { cwd: dir })
  t.equal(code, 1)
  t.match(out, '/data/customer/email')
})

t.test('events schema prints the schema, or an event ready to send', async t => {
  const schema = JSON.parse((await within(['events', 'schema', TYPE])).out) as Record<string, unknown>
  t.strictSame(schema, JSON.parse(readFileSync(join(ROOT, `schemas/events/${TYPE}.schema.json`), 'utf8')))
  const event = JSON.parse((await within(['events', 'schema', TYPE, '--example', '0', '--shop', 'acme.example'])).out) as Record<string, unknown>
  t.match(event, { specversion: '1.0', id: /^[0-9a-f-]{36}$/, source: '/cli', type: TYPE, shop: 'acme.example', data: (schema['examples'] as object[])[0] })
})
