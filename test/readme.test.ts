// README.md is held to the gateway: its commands are pasted, its files are loaded, its tables are compared.

import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { startGateway, type Gateway } from '../gateway/app.ts'
import { callOf, commandOf } from '../gateway/commands/args.ts'
import type { Command } from '../gateway/commands/command.ts'
import { SCOPES, STATE } from '../gateway/contract.ts'
import { CODES } from '../gateway/errors.ts'
import { buildGeneration, type GenerationParts } from '../gateway/generation.ts'
import { systemRuntime } from '../gateway/runtime.ts'
import { cli, fakeIo, nothingTold, project, within } from './cli/cli.ts'
import { MADE } from './helpers/made-providers.ts'
import { EVENT_TYPES, writeFolder } from './helpers/providers.ts'
import { blocks, codeSpans, commands, hasCurl, namedBlocks, README, rows, section, shell } from './helpers/readme.ts'
import { exampleProject, foldersOf, providersOf, shipped, type Shop } from './helpers/shipped.ts'
import { ROOT, sources } from './helpers/sources.ts'
import { tempDir } from './helpers/tmp.ts'

type Json = Record<string, unknown>

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
/** Shops to try things at. Whoever removes a provider removes its shop: README.md's commands are then pasted for another one. */
const shops = (shipped.shops ?? []).filter(shop => providersOf(shop).length > 0)
const withShop = { skip: shops.length === 0 && 'the config declares no shop to try it at' }
const manifest = JSON.parse(read('package.json')) as { name: string, version: string, license: string, scripts: Record<string, string> }
const secret = (): string => randomBytes(32).toString('base64url')

interface Started { gateway: Gateway, out: string[] }

async function start (t: Test, cwd: string, env: Record<string, string>, file = 'gateway.config.yaml'): Promise<Started> {
  const out: string[] = []
  const gateway = await startGateway({ file, cwd, env: { PORT: '0', SANDBOX_PORT: '0', LOG_LEVEL: 'silent', ...env }, sandbox: null, port: null, out: line => { out.push(line) } })
  t.teardown(() => gateway.close())
  return { gateway, out }
}

const providerOf = (shop: Shop): string => providersOf(shop)[0] as string
const manifestOf = (id: string): string => foldersOf(id).map(folder => `${folder}/provider.yaml`).find(file => existsSync(join(ROOT, file))) as string

/** A command of README.md, at a shop that the config declares. */
function atAShop (t: Test, command: string, type: string): { command: string, shop: Shop } {
  const [, id] = /(?:"shop":"|--shop )([\w.-]+)/.exec(command) ?? []
  const named = shops.find(shop => shop.id === id)
  if (named) return { command, shop: named }
  const sends = (provider: string): boolean => Object.hasOwn((parse(read(manifestOf(provider))) as { events: Json }).events, type)
  const shop = shops.find(shop => sends(providerOf(shop))) as Shop
  t.comment(`the config does not declare ${id}: tried at ${shop.id}`)
  return { command: command.replace(id as string, shop.id), shop }
}

interface Shown { state: string, sentence: string, calls: Array<{ request: { path: string, body: Json }, status: number, outcome: string }> }

/** Pastes it again and again, as a person would, until the delivery has come to rest. */
async function rested (paste: () => Promise<string>): Promise<Shown> {
  for (;;) {
    const { items } = JSON.parse(await paste()) as { items: Shown[] }
    if (items.length !== 1 || !['waiting', 'sending'].includes(items[0]?.state as string)) return items[0] as Shown
  }
}

t.test('the quick start: what README.md says to paste sends an event and shows what became of it', withShop, async t => {
  if (!hasCurl) t.comment('there is no curl here: a stand-in takes its place')
  const cwd = tempDir(t)
  const { gateway } = await start(t, ROOT, { GATEWAY_DATA: join(cwd, 'data') })
  const [said = '', show, ...more] = blocks('sh', section('Quick start')).flatMap(block => commands(block, 'curl'))
  t.strictSame(more, [])
  const { command: send, shop } = atAShop(t, said, 'back_in_stock.alert')
  const paste = (command = ''): Promise<string> => shell(command.replace('http://127.0.0.1:8080', gateway.url), { cwd, bin: tempDir(t) })
  const receipt = JSON.parse(await paste(send.replace('curl ', 'curl -w " %{http_code}" ')).then(text => { t.match(text, hasCurl ? / 202$/ : /\}$/); return text.replace(/ 202$/, '') })) as Json
  const promised = codeSpans(section('Quick start')).find(span => span.startsWith('{"id"'))
  const expected = send === said ? promised : promised?.replace(/"provider":"[^"]+"/, `"provider":"${providerOf(shop)}"`)
  t.strictSame(JSON.stringify(receipt).replace(/dlv_[\w-]+/, 'dlv_…'), expected, 'the receipt is the one that is shown')
  const shown = await rested(() => paste(show))
  t.match(shown, { state: 'delivered', calls: [{ request: { method: 'POST' }, outcome: 'delivered' }] })
  const { items: [received] } = await (await fetch(`${gateway.sandboxUrl}/${providerOf(shop)}/_sandbox/requests`)).json() as { items: Json[] }
  t.strictSame(shown.calls[0]?.request.body, received?.['body'], 'what is shown is what the provider got')
  t.match(JSON.stringify(shown.calls[0]?.request.body), '+12015550123', 'the request that the provider got is in it')
})

t.test('what the start says to paste works in any folder, also where names of folders are odd', withShop, async t => {
  const dir = join(tempDir(t), 'o\'dd  "na$me"')
  const { gateway, out } = await start(t, ROOT, { GATEWAY_DATA: dir })
  const [send, show, ...more] = commands(out.join('\n'), 'curl')
  t.strictSame(more, [])
  const at = { cwd: tempDir(t), bin: tempDir(t) }
  t.match(JSON.parse(await shell(send as string, at)), { status: 'accepted', deliveries: [{ state: 'waiting' }] })
  t.match(await rested(() => shell(show as string, at)), { state: 'delivered' })
  t.match(JSON.parse(await shell(send as string, at)), { status: 'duplicate' })
  const [requests = ''] = out.join('\n').match(/\S+\/_sandbox\/requests/) ?? []
  t.match(JSON.parse(await shell(`curl -s ${requests}`, at)), { items: [{ method: 'POST', status: /^2\d\d$/ }] })
  t.ok(out.some(line => shops.every(({ id }) => line.includes(id)) && !line.includes('curl')), 'the shops are named')
  t.ok(requests.startsWith(gateway.sandboxUrl as string))
})

t.test('the worked example of each provider\'s set-up, pasted line by line, does what stands beside it', { ...withShop, skip: !hasCurl && 'there is no curl here' }, async t => {
  const cwd = tempDir(t)
  const { gateway } = await start(t, ROOT, { GATEWAY_DATA: join(cwd, 'data') })
  const [shared = '', ...each] = blocks('sh', section('Setting a provider up')).filter(block => /^(setup|gw) /m.test(block))
  const tried = each.map(block => ({ block, provider: /^setup (\S+)/m.exec(block)?.[1] as string }))
  t.ok(Object.keys(shipped.providers).every(id => section('Setting a provider up').includes(`setup ${id} `) || shared.includes(`"${id}"`)), 'each that ships has one')
  for (const { block, provider } of tried.filter(({ provider, block }) => Object.hasOwn(shipped.providers, provider) && !block.includes('oauth/connect'))) {
    const script = `set -e\n${shared.replaceAll(/^gw PUT \/channels.*$/gm, '')}${block}`.replaceAll('http://127.0.0.1:8080', gateway.url).replaceAll('http://127.0.0.1:8081', gateway.sandboxUrl as string)
    const answers = (await shell(script, { cwd, bin: tempDir(t) })).trim().split('\n')
    const lines = `gw PUT shop\n${block}`.split('\n').filter(line => /^(setup|gw|sleep) /.test(line))
    t.equal(answers.length, lines.length, provider)
    for (const [i, line] of lines.entries()) {
      t.notMatch(answers[i], /^\{"error"/, line)
      const [, promised] = /# ("\w+":"[^"]*")$/.exec(line) ?? []
      if (promised !== undefined) t.ok(answers[i]?.includes(promised), `${line}: ${answers[i]?.slice(0, 300)}`)
    }
  }
})

t.test('where messages are real, nothing is offered for pasting', async t => {
  const dir = project(t, text => text.replaceAll(/^ +sandbox: true.*\n/gm, ''))
  const { out } = await start(t, dir, { GATEWAY_SANDBOX: 'false' })
  t.match(out.join('\n'), /LIVE[^]*demo-courier/, 'though there are shops and keys')
  t.strictSame(commands(out.join('\n'), 'curl'), [])
})

t.test('every command of the command line that README.md shows is one', async t => {
  const shown = commands(README, 'npm').map(line => /^npm run gateway -- (.*?)(?: +#.*)?$/.exec(line)?.[1]).filter(line => line !== undefined)
  t.ok(shown.length >= 4)
  for (const line of shown) {
    const { command, rest } = commandOf(line.split(/ +/))
    t.doesNotThrow(() => callOf(command as Command, rest, fakeIo([], nothingTold())), line)
  }
  for (const [cell = ''] of rows(section('Command line'))) {
    for (const span of codeSpans(cell)) {
      const { command } = commandOf(span.replaceAll(/\[.*?\]|<.*?>/g, '').trim().split(/ +/).filter(word => !word.startsWith('--')))
      for (const [, option = ''] of span.matchAll(/--([a-z-]+)/g)) t.ok(Object.hasOwn(command?.options ?? {}, option), `${span}: --${option}`)
    }
  }
})

t.test('the quick start\'s command of the command line ends delivered', withShop, async t => {
  const said = commands(section('Quick start'), 'npm').find(line => line.startsWith('npm run gateway -- ')) as string
  const line = said.slice('npm run gateway -- '.length)
  const { command } = atAShop(t, line, line.split(' ')[2] as string)
  const data = tempDir(t)
  const { gateway } = await start(t, ROOT, { GATEWAY_DATA: data })
  const { out, err, code } = await cli(command.split(' '), { env: { GATEWAY_URL: gateway.url, GATEWAY_DATA: data } })
  t.equal(code, 0, err)
  t.match(out, 'delivered')
})

t.test('the provider of README.md loads, shows its request and is sent to, with the config of README.md', async t => {
  const { dir, env } = acme(t)
  const commandLine = (argv: string) => within(argv.split(/ +/), { cwd: dir, env })
  const own = commands(section('Adding a provider'), 'npm').map(line => /-- (.*?)(?: +#.*)?$/.exec(line)?.[1] as string)
  t.equal(own.length, 3)
  for (const line of own) {
    const { code, out, err } = await commandLine(line)
    t.equal(code, 0, `${line}\n${out}${err}`)
  }
  const [example] = (EVENT_TYPES['back_in_stock.alert'] as { examples: Json[] }).examples
  const mapped = JSON.parse((await commandLine('map back_in_stock.alert --provider acme --example 0 --json')).out) as Json
  t.match(mapped, { request: { method: 'POST', url: /\/v1\/messages$/ } })

  const { gateway } = await start(t, dir, env)
  const ask = async (path: string, body?: Json): Promise<Json> => {
    const answer = await fetch(gateway.url + path, { method: body ? 'POST' : 'GET', headers: { authorization: `Bearer ${env['ALL_KEY']}`, 'content-type': 'application/json' }, ...(body && { body: JSON.stringify(body) }) })
    return await answer.json() as Json
  }
  t.match(await ask('/v1/events', { id: 'r-1', shop: 'acme.example', type: 'back_in_stock.alert', data: example as Json }), { status: 'accepted', deliveries: [{ provider: 'acme' }] })
  const shown = await rested(async () => JSON.stringify(await ask('/v1/deliveries?source_id=r-1&view=full')))
  t.match(shown, { state: 'delivered', sentence: 'Accepted by Acme SMS.' })
  const received = await (await fetch(`${gateway.sandboxUrl}/acme/_sandbox/requests`)).json()
  t.match(received, { items: [{ path: '/v1/messages', body: { to: '+12015550123', template: 'Back in stock', values: { product: 'Floral Shirt' } } }] })
})

t.test('the webhook of README.md, signed as it says, becomes a message, once', withShop, async t => {
  const cwd = tempDir(t)
  const { gateway } = await start(t, ROOT, { GATEWAY_DATA: join(cwd, 'data') })
  const [block = ''] = blocks('sh', section('Sources'))
  const named = /shop-domain: ([\w.-]+)/.exec(block)?.[1] as string
  const shop = shops.find(({ id }) => id === named) ?? shops[0] as Shop
  const paste = (text = block): Promise<string> => shell(text.replace('http://127.0.0.1:8080', gateway.url).replace(named, shop.id), { cwd, bin: tempDir(t) })
  const pasted = block.replace('$(date -u +%FT%TZ)', new Date().toISOString())
  const [, first = '', again = ''] = /answered `(\{.*?\})`; the same body again `(\{.*?\})`/s.exec(section('Sources')) ?? []
  t.strictSame(JSON.parse(await paste(pasted)), JSON.parse(first))
  t.strictSame(JSON.parse(await paste(pasted)), JSON.parse(again))
  const received = async (): Promise<Json[]> => (await (await fetch(`${gateway.sandboxUrl}/${providerOf(shop)}/_sandbox/requests`)).json() as { items: Json[] }).items
  while ((await received()).length === 0) await new Promise(resolve => { setTimeout(resolve, 20) })
  t.match(JSON.stringify(await received()), 'Floral Shirt')
  t.equal((await received()).length, 1)
})

t.test('every block of YAML in README.md is one that is loaded here, or is a key of the config', async t => {
  const named = Object.values(namedBlocks('yaml'))
  const others = blocks('yaml').filter(text => !named.includes(text))
  t.equal(others.length, 1, 'the config')
  t.ok(named.length >= 2)
})

t.test('the config example of README.md gives its backend what it says and no more', async t => {
  const { dir, env } = acme(t)
  const { gateway } = await start(t, dir, env)
  const asBackend = (method: string, path: string) => fetch(gateway.url + path, { method, headers: { authorization: `Bearer ${env['SHOP_BACKEND_API_KEY']}`, 'content-type': 'application/json' }, ...(method === 'POST' && { body: '{}' }) })
  t.equal((await asBackend('POST', '/v1/events')).status, 422, 'events are read')
  t.equal((await asBackend('GET', '/v1/deliveries')).status, 403)
})

t.test('the example for one machine starts with the variables that stand beside it, live', async t => {
  const samples = [...read('config/examples/.env.example').matchAll(/^([A-Z][A-Z0-9_]*)=<(.*)>/gm)]
  const fitting = (sample: string): string => sample.startsWith('https') ? 'https://sms.example.com' : sample.includes('…') ? sample.replace('…', randomBytes(16).toString('hex')) : secret()
  const env = Object.fromEntries(samples.map(([, name = '', sample = '']) => [name, fitting(sample)]))
  const { gateway, out } = await start(t, exampleProject(t, 'config/examples/embedded.yaml'), { ...env, GATEWAY_DATA: tempDir(t) }, 'config/examples/embedded.yaml')
  t.equal((await fetch(`${gateway.url}/readyz`)).status, 200)
  t.equal(gateway.sandboxUrl, null)
  t.match(out.join('\n'), /LIVE/)
})

t.test('the routes are those of the app, with their scopes and filters', async t => {
  const made = await routes()
  const documented = new Map<string, string>()
  let scopes: string[] = []
  for (const [paths = '', scope = ''] of rows(section('Other routes'))) {
    const named = [...scope.matchAll(/[a-z]+:[a-z]+|public/g)].map(String)
    if (named.length > 0) scopes = named
    for (const route of routesOf(paths)) documented.set(route, (route.startsWith('GET') ? scopes[0] : scopes.at(-1)) as string)
  }
  documented.set('POST /v1/events', 'events:write')
  t.match(section('Events'), '`POST /v1/events`')
  t.strictSame(sorted(documented), sorted(new Map(made.map(route => [nameOf(route), route.config?.scope as string]))))
  t.strictSame(SCOPES.filter(scope => ![...documented.values()].includes(scope)), [])

  const list = made.find(route => nameOf(route) === 'GET /v1/deliveries') as RouteOptions
  const { querystring } = list.schema as { querystring: { properties: Json } }
  const [, , told = ''] = rows(section('Other routes'))[0] as string[]
  t.strictSame(codeSpans(told).flatMap(span => span.split(' ')).map(word => word.split('=')[0]).toSorted(), Object.keys(querystring.properties).toSorted())
})

t.test('codes, statuses and remedies are those of the table', async t => {
  const table = Object.entries(CODES).map(([code, { status, fix }]) => [`\`${code}\``, String(status), fix])
  t.strictSame(rows(section('Errors')), table)
  const shape = codeSpans(section('Errors')).find(span => span.startsWith('{"error"')) ?? ''
  const { error } = JSON.parse((await within(['map', '--json'])).out) as { error: Json }
  for (const key of Object.keys(error)) t.ok(shape.includes(`"${key}"`), key)
})

t.test('event types, their kinds and times, their fields and the states are those there are', async t => {
  let fields: string[] = []
  const told = rows(section('Events').slice(section('Events').indexOf('| type |'))).map(([type = '', kind = '', data = '']) => {
    const named = codeSpans(data.replaceAll(/\(.*?\)/g, '')).map(span => span.split(':')[0] as string)
    fields = data.startsWith('the same') ? [...fields, ...named] : named
    return [type.replaceAll('`', ''), kind, fields.toSorted()]
  })
  t.strictSame(told, Object.entries(shipped.event_types).map(([type, { schema, kind, expires_after: expiresAfter }]) => {
    const { properties, required } = JSON.parse(read(schema)) as { properties: Json, required: string[] }
    return [type, kind === undefined ? 'no message' : `${kind}, ${expiresAfter?.replace(/(?=[hd]$)/, ' ')}`, Object.keys(properties).map(name => required.includes(name) ? name : `${name}?`).toSorted()]
  }))
  const [states = ''] = /^States of a delivery: [^]*?Each carries/m.exec(section('What is promised')) ?? []
  t.strictSame(codeSpans(states).toSorted(), [...Object.keys(STATE), 'held'].toSorted())
})

t.test('scripts, files and links that README.md names are there', async t => {
  const scripts = [...README.matchAll(/\bnpm (?:run )?([a-z:]+)/g)].map(([, name]) => name as string)
  t.ok(scripts.includes('start') && scripts.includes('test'))
  t.strictSame(scripts.filter(name => !Object.hasOwn(manifest.scripts, name)), [])
  const paths = codeSpans(README).filter(span => /^[\w.][\w./-]*(\/|\.(yaml|json|md|ts|mjs))$/.test(span) && !span.startsWith('application/'))
  t.ok(paths.length > 5)
  const isOf = (path: string): string | undefined => /^(?:plugins|config\/providers)\/([\w-]+)\//.exec(path)?.[1]
  const isGone = (path: string): boolean => isOf(path) !== undefined && !Object.hasOwn(shipped.providers, isOf(path) as string)
  for (const path of paths.filter(isGone)) t.comment(`${path} is not demanded: the config declares no ${isOf(path)}`)
  t.strictSame(paths.filter(path => !existsSync(join(ROOT, path)) && !Object.hasOwn(MADE.pigeon, path) && !isGone(path)), [], 'in the project, or in a provider\'s folder')
  const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path]) => path as string)
  t.strictSame(links.filter(path => !existsSync(join(ROOT, path))), [])
})

t.test('the licence, the version and the changelog agree', async t => {
  t.match(read('LICENSE'), /^MIT License/)
  t.equal(manifest.license, 'MIT')
  t.match(section('Licence'), /^\s*MIT\s*$/)
  const lock = JSON.parse(read('package-lock.json')) as { name: string, version: string, packages: Record<string, { version: string }> }
  t.strictSame([lock.name, lock.version, lock.packages['']?.version], [manifest.name, manifest.version, manifest.version])
  const changelog = read('CHANGELOG.md')
  t.match(changelog, /^## \[Unreleased\]$/m)
  const [released = manifest.version] = [...changelog.matchAll(/^## \[(\d[^\]]*)\]/gm)].map(([, version]) => version)
  t.equal(released, manifest.version, 'the newest release of the changelog')
})

t.test('nothing of the machine it was made on is in the files', async t => {
  const named = ['README.md', 'CHANGELOG.md', 'package.json', 'package-lock.json', 'gateway.config.yaml', 'tsconfig.json', '.taprc', '.oxlintrc.json', '.gitignore', '.ci/run', 'config/examples/.env.example']
  const all = [...named.map(path => ({ path, text: read(path) })), ...sources(['gateway', 'plugins', 'config', 'schemas', 'test'])]
  t.strictSame(all.filter(({ text }) => /(^|[\s"'`(=:])\/(work|root|home)\//m.test(text)).map(({ path }) => path), [])
  t.notMatch(read('package-lock.json'), /"resolved"/, 'packages come from whichever registry npm is set to')
})

t.test('every YAML file that names its schema for editors names one that is there', async t => {
  const yaml = [{ path: 'gateway.config.yaml', text: read('gateway.config.yaml') }, ...sources(['config', 'plugins'])].filter(({ path }) => path.endsWith('.yaml'))
  const naming = yaml.flatMap(({ path, text }) => [...text.matchAll(/^# yaml-language-server: \$schema=(\S+)$/gm)].map(([, schema]) => ({ path, schema: schema as string, first: text.startsWith('# yaml-language-server') })))
  t.strictSame(naming.filter(({ path, schema, first }) => !first || !existsSync(join(ROOT, dirname(path), schema))), [])
  const wanting = yaml.map(({ path }) => path).filter(path => /(^gateway\.config|\/provider|^config\/examples\/[\w-]+)\.yaml$/.test(path))
  t.ok(wanting.length >= 2 + Object.keys(shipped.providers).length, 'the config, an example, each provider')
  t.strictSame(wanting.filter(path => !naming.some(one => one.path === path)), [])
})

t.test('the texts for merchants name the events and the properties that are sent, and no other', async t => {
  for (const id of Object.keys(shipped.providers)) {
    const path = dirname(manifestOf(id))
    const [text = ''] = read(`${path}/setup.md`).split('\n---\n') // what is below is for the platform
    const { events, settings = {} } = parse(read(`${path}/provider.yaml`)) as { events: Record<string, { map: Record<string, string> }>, settings?: Record<string, { default: string }> }
    const maps = Object.entries(events).filter(([type]) => shipped.event_types[type]?.kind !== 'sync').map(([, { map }]) => map)
    const names = maps.flatMap(map => Object.values(map).filter(value => !value.startsWith('mapping/')))
      .map(name => settings[/^\{\{ connection\.settings\.(\w+) \}\}$/.exec(name)?.[1] ?? '']?.default ?? name)
    if (names.length > 0) t.strictSame(rows(text).map(([, name]) => name), names.map(name => `\`${name}\``), path)
    const mappings = maps.flatMap(map => Object.values(map).filter(value => value.startsWith('mapping/')))
    const properties = new Set(mappings.flatMap(file => Object.keys(parse(read(`${path}/${file}`)) as Json)))
    const told = codeSpans(text).filter(span => /^[a-z]+(_[a-z]+)*$/.test(span) && !text.includes(`begins with \`${span}`))
    t.ok(told.length > 5)
    t.strictSame(told.filter(name => !properties.has(name) && !names.includes(name) && !Object.hasOwn(settings, name)), [], path)
  }
})

/** A folder with the provider of README.md, named in its config, whose other parts are those of the shipped file. */
function acme (t: Test): { dir: string, env: Record<string, string> } {
  const dir = tempDir(t)
  symlinkSync(join(ROOT, 'schemas'), join(dir, 'schemas'))
  writeFolder(dir, namedBlocks('yaml'))
  const entry = codeSpans(section('Adding a provider')).find(span => span.startsWith('providers:')) as string
  const [example = ''] = blocks('yaml', section('Configuration'))
  const { security, ...rest } = parse(example) as Json & { security: { api_keys: Json[] } }
  const config = {
    ...shipped,
    sources: {},
    ...rest,
    ...parse(entry) as Json,
    security: { ...security, api_keys: [...security.api_keys, { id: 'all', env: 'ALL_KEY', scopes: [...SCOPES], shops: '*' }] },
    channels: { sms: { default_provider: 'acme' } },
    shops: [{ id: 'acme.example', name: 'Acme', domain: 'acme.example', plan: 'pro', connections: [{ provider: 'acme', secrets: { api_key: { env: 'ACME_KEY' } }, ready: ['back_in_stock'] }] }]
  }
  writeFolder(dir, { 'gateway.config.yaml': stringify(config) })
  return { dir, env: { PORT: '0', SANDBOX_PORT: '0', LOG_LEVEL: 'silent', SHOP_BACKEND_API_KEY: secret(), ALL_KEY: secret(), ACME_KEY: secret() } }
}

/** Every route, as the app itself names it. */
async function routes (): Promise<RouteOptions[]> {
  const found: RouteOptions[] = []
  const nothing = new Map()
  const none = {} as never
  const generation = await buildGeneration({
    config: { server: { trustProxy: [] }, security: { apiKeys: [] }, channels: {}, plans: {}, eventTypes: {}, recordedTypes: {}, sources: [], providers: [], shopIdPattern: '.' } as unknown as GenerationParts['config'],
    schemas: nothing, providers: nothing, sources: nothing, outgoing: {} as never, sandboxUrl: null, inbox: none, intake: { capacity: { guardEvents () {}, guardWebhooks () {} } } as never, store: none, runtime: systemRuntime(), vault: none, shops: none, deliver: none, setup: none, grants: none, webhooks: none, publicUrl: () => null, look () {}, metrics: none, log: none,
    ready: () => true,
    onRefused () {},
    onRoute (route: RouteOptions) { found.push(route) }
  })
  await generation.close()
  return found.filter(({ method }) => method !== 'HEAD')
}

function nameOf ({ method, url }: RouteOptions): string {
  return `${String(method)} ${url.replaceAll(/:\w+/g, '{}')}`
}

/** "`GET PUT /v1/a/{id}`, `/b`": a route for each method; a path without one has those of the path before it. */
function routesOf (cell: string): string[] {
  let methods: string[] = []
  return codeSpans(cell).flatMap(span => {
    const words = span.split(' ')
    const path = (words.pop() as string).replaceAll(/\{\w+\}/g, '{}')
    if (words.length > 0) methods = words
    return methods.map(method => `${method} ${path}`)
  })
}

function sorted (map: Map<string, string>): string[] {
  return [...map].map(([route, scope]) => `${route} ${scope}`).toSorted()
}
