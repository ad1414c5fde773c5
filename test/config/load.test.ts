import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { readEnvironment } from '../../gateway/config/environment.ts'
import { formatFaults, faultsAsJson } from '../../gateway/config/format.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { patternFault } from '../../gateway/config/pattern.ts'
import { SCOPES, type Fault } from '../../gateway/contract.ts'
import { CODES } from '../../gateway/errors.ts'
import { exampleProject, shipped } from '../helpers/shipped.ts'
import { environment, FILES, FULL, load, SMALL } from './valid.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const ZERO_KEY = Buffer.alloc(32).toString('base64url')

interface Case { code: string, what: string, find: string, put: string, at: string, env?: Record<string, string | undefined> }

// Each changes one place of FULL; `at` is line:column of the fault, by the text that stands there after the change.
const CASES: Case[] = [
  { code: 'GW_CONFIG_DUPLICATE', what: 'two encryption keys of one id', find: '  person_key:', put: '    - id: k1\n      env: CALLER\n  person_key:', at: 'k1\n      env: CALLER' },
  { code: 'GW_CONFIG_DUPLICATE', what: 'two API keys of one id', find: 'plans:', put: '    - id: storefront\n      env: ACME_KEY\n      scopes: [events:write]\n      shops: "*"\nplans:', at: 'storefront\n      env: ACME_KEY' },
  { code: 'GW_CONFIG_DUPLICATE', what: 'two callers with one key', find: 'plans:', put: '    - id: other\n      env: CALLER\n      scopes: [events:write]\n      shops: "*"\nplans:', at: 'id: other' },
  { code: 'GW_CONFIG_DUPLICATE', what: 'two shops of one id', find: '    channels:\n      sms: alpha\n    conn', put: '  - id: acme.example\n    name: Twin\n    domain: twin.example\n    plan: pro\n    conn', at: 'acme.example\n    name: Twin' },
  { code: 'GW_CONFIG_DUPLICATE', what: 'two connections to one provider', find: '        account_id: A1', put: '      - provider: alpha\n        account_id: A1', at: 'alpha\n        account_id' },
  { code: 'GW_CONFIG_DUPLICATE', what: 'a source called as a provider', find: '  omega:', put: '  alpha:', at: 'alpha:\n    path: omega' },
  { code: 'GW_CONFIG_MISSING_KEY', what: 'an event type with half of what a message needs', find: '    setup_group: things\n    kind: marketing\n', put: '', at: 'thing.happened:' },
  { code: 'GW_CONFIG_MISSING_KEY', what: 'an event type with a channel and nothing else of it', find: '  thing.noted:\n', put: '  thing.noted:\n    channel: sms\n', at: 'thing.noted:' },
  { code: 'GW_FILE_MISSING', what: 'no index.ts in a source\'s folder', find: 'path: omega', put: 'path: alpha', at: 'alpha\n    sandbox: true\n    secrets:\n      client' },
  { code: 'GW_FILE_MISSING', what: 'no folder where a source\'s is by default', find: '    path: omega\n', put: '', at: 'sandbox: true\n    secrets:\n      client' },
  { code: 'GW_CONFIG_VALUE', what: 'a public address without TLS', find: 'https://sms.acme.example/in/', put: 'http://sms.acme.example', at: 'http://sms' },
  { code: 'GW_CONFIG_VALUE', what: 'a public address with a query', find: 'https://sms.acme.example/in/', put: 'https://sms.acme.example/?a=b', at: 'https://sms' },
  { code: 'GW_CONFIG_VALUE', what: 'a public address with a password', find: 'https://sms.acme.example/in/', put: 'https://a:b@sms.acme.example', at: 'https://a:b' },
  { code: 'GW_CONFIG_VALUE', what: 'R5: durability that loses accepted events', find: 'synchronous: full', put: 'synchronous: normal', at: 'normal\n' },
  { code: 'GW_CONFIG_VALUE', what: 'R5: and none at all', find: 'synchronous: full', put: 'synchronous: off', at: 'off\n  allow' },
  { code: 'GW_CONFIG_VALUE', what: 'R7: sends that stop before what is taken in', find: 'send_free_mib: 32', put: 'send_free_mib: 65', at: '65\n' },
  { code: 'GW_CONFIG_VALUE', what: 'a public address that is none', find: 'https://sms.acme.example/in/', put: 'sms.acme.example', at: 'sms.acme.example\nlog' },
  { code: 'GW_CONFIG_SECRET', what: 'a provider\'s secret in the file', find: '        - file: keys/absent-signing-before.key\n          env: SIGNING_BEFORE\n          generate: true', put: '        - sk_live_4242', at: 'sk_live_4242' },
  { code: 'GW_CONFIG_SECRET', what: 'an empty secret of a rotation', find: '', put: '', at: 'SIGNING_BEFORE', env: { SIGNING_BEFORE: '\n' } },
  { code: 'GW_CONFIG_SECRET', what: 'a sample as a source\'s secret', find: '', put: '', at: 'CLIENT', env: { CLIENT: 'changeme' } },
  { code: 'GW_CONFIG_SECRET', what: 'a sample as the platform\'s own key', find: '', put: '', at: 'OUR_KEY', env: { OUR_KEY: 'your-api-key' } },
  { code: 'GW_CONFIG_DUPLICATE', what: 'a key that stands there twice', find: 'store:', put: 'store: { path: x }\nstore:', at: 'store:\n' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a default provider nobody declared', find: 'default_provider: alpha', put: 'default_provider: alhpa', at: 'alhpa' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a default that is none of the choices', find: 'default_provider: letters', put: 'default_provider: alpha', at: 'alpha\n    choices' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a shop\'s choice that is none', find: '      sms: alpha', put: '      mail: alpha', at: 'alpha\n    connections' },
  { code: 'GW_CONFIG_VALUE', what: 'an event type on a channel that nothing is sent on', find: 'channel: sms', put: 'channel: mail', at: 'mail\n    setup_group' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a channel of an event type nobody declared', find: 'channel: sms', put: 'channel: smoke', at: 'smoke' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a plan nobody declared', find: 'plan: pro', put: 'plan: por', at: 'por\n' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a channel of a shop nobody declared', find: '      sms: alpha', put: '      smoke: alpha', at: 'smoke' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a shop\'s provider nobody declared', find: '      sms: alpha', put: '      sms: beta', at: 'beta' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a connection\'s provider nobody declared', find: '- provider: alpha', put: '- provider: beta', at: 'beta' },
  { code: 'GW_CONFIG_REFERENCE', what: 'a set-up group no event type has', find: '          - things', put: '          - thinks', at: 'thinks' },
  { code: 'GW_FILE_MISSING', what: 'no schema of an event type', find: 'thing.schema.json', put: 'gone.schema.json', at: 'gone.schema' },
  { code: 'GW_FILE_UNREADABLE', what: 'a schema that is a folder', find: 'thing.schema.json', put: 'alpha', at: 'alpha\n    channel' },
  { code: 'GW_FILE_MISSING', what: 'no provider.yaml in the folder given', find: 'path: alpha', put: 'path: beta', at: 'beta' },
  { code: 'GW_FILE_MISSING', what: 'no folder where a provider\'s is by default', find: '    path: alpha\n', put: '', at: 'coming_soon' },
  { code: 'GW_CONFIG_VALUE', what: 'a pattern that is none', find: '"^[a-z0-9.-]{1,100}$"', put: '"^[a-z$"', at: '"^[a-z$"' },
  { code: 'GW_CONFIG_VALUE', what: 'a pattern that can take for ever', find: '"^[a-z0-9.-]{1,100}$"', put: '"^([a-z]+)*$"', at: '"^([a-z]+)*$"' },
  { code: 'GW_CONFIG_VALUE', what: 'a shop\'s id outside the pattern', find: '- id: acme.example', put: '- id: ACME', at: 'ACME\n' },
  { code: 'GW_CONFIG_VALUE', what: 'a caller\'s shop outside the pattern', find: '        - acme.example', put: '        - ACME', at: 'ACME\n' },
  { code: 'GW_CONFIG_VALUE', what: 'a proxy that is no address', find: '10.0.0.0/8', put: '10.0.0/8', at: '10.0.0/8' },
  { code: 'GW_CONFIG_VALUE', what: 'a network of too many bits', find: '10.0.0.0/8', put: '10.0.0.0/33', at: '10.0.0.0/33' },
  { code: 'GW_CONFIG_VALUE', what: 'a sandbox elsewhere', find: 'http://127.0.0.1:8090', put: 'http://192.0.2.1:8090', at: 'http://192.0.2.1' },
  { code: 'GW_CONFIG_VALUE', what: 'a sandbox with TLS', find: 'http://127.0.0.1:8090', put: 'https://127.0.0.1:8090', at: 'https://127' },
  { code: 'GW_CONFIG_VALUE', what: 'a sandbox on the gateway\'s port', find: '  port: 8081\n  url: http://127.0.0.1:8090', put: '  port: 8080', at: '8080\nsecurity' },
  { code: 'GW_CONFIG_VALUE', what: 'a provider without TLS', find: 'https://api.alpha.example', put: 'http://api.alpha.example', at: 'http://api' },
  { code: 'GW_CONFIG_VALUE', what: 'a provider on another port than the sandbox', find: 'https://api.alpha.example', put: 'http://127.0.0.1:8091/alpha', at: 'http://127.0.0.1:8091' },
  { code: 'GW_CONFIG_VALUE', what: 'a provider\'s address with a password', find: 'https://api.alpha.example', put: 'https://a:b@api.alpha.example', at: 'https://a:b' },
  { code: 'GW_CONFIG_VALUE', what: 'no address at all', find: 'https://api.alpha.example', put: 'api.alpha.example', at: 'api.alpha' },
  { code: 'GW_CONFIG_VALUE', what: 'a request that may take longer than a minute', find: '15s', put: '61s', at: '61s' },
  { code: 'GW_CONFIG_SECRET', what: 'an encryption key in the file', find: '    env: PERSON\n    file: keys/absent-person.key\n    generate: true', put: '    person', at: 'person\n  api_keys' },
  { code: 'GW_CONFIG_SECRET', what: 'a number as a secret', find: '          api_key:\n            env: ACME_KEY\n            file: keys/absent-acme.key\n            generate: true\n            prefix: ak_', put: '          api_key: 12345', at: '12345' },
  { code: 'GW_CONFIG_SECRET', what: 'an encryption key of 31 bytes', find: '', put: '', at: 'KEY_ONE', env: { KEY_ONE: Buffer.from('0123456789abcdef0123456789abcde').toString('base64url') } },
  { code: 'GW_CONFIG_SECRET', what: 'an encryption key of zeros', find: '', put: '', at: 'KEY_ONE', env: { KEY_ONE: ZERO_KEY } },
  { code: 'GW_CONFIG_SECRET', what: 'an encryption key that counts', find: '', put: '', at: 'KEY_ONE', env: { KEY_ONE: Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64url') } },
  { code: 'GW_CONFIG_SECRET', what: 'an encryption key that is a phrase', find: '', put: '', at: 'KEY_ONE', env: { KEY_ONE: Buffer.from('correct horse battery staple 1234').subarray(0, 32).toString('base64url') } },
  { code: 'GW_CONFIG_SECRET', what: 'an encryption key that is no base64url', find: '', put: '', at: 'KEY_ONE', env: { KEY_ONE: 'ä'.repeat(43) } },
  { code: 'GW_CONFIG_SECRET', what: 'a person key of zeros', find: '', put: '', at: 'PERSON', env: { PERSON: ZERO_KEY } },
  { code: 'GW_CONFIG_SECRET', what: 'a short API key', find: '', put: '', at: 'CALLER', env: { CALLER: 'b7Kq93mZx0TgWp41LsVd8Ra' } },
  { code: 'GW_CONFIG_SECRET', what: 'a sample as an API key', find: '', put: '', at: 'CALLER', env: { CALLER: 'replace-me-replace-me-replace-me' } },
  { code: 'GW_CONFIG_SECRET', what: 'a sample as a provider\'s key', find: '', put: '', at: 'ACME_KEY', env: { ACME_KEY: '<key>' } },
  { code: 'GW_CONFIG_SECRET', what: 'a secret with a line break in it', find: '', put: '', at: 'ACME_KEY', env: { ACME_KEY: 'first\nsecond' } },
  { code: 'GW_CONFIG_ENV_UNSET', what: 'a secret whose variable is not set', find: '    env: PERSON\n    file: keys/absent-person.key\n    generate: true', put: '    env: NOBODY', at: 'NOBODY' },
  { code: 'GW_CONFIG_ENV_UNSET', what: 'a secret whose variable is empty', find: '    file: keys/absent-person.key\n    generate: true\n', put: '', at: 'PERSON', env: { PERSON: '' } },
  { code: 'GW_CONFIG_ENV_UNSET', what: 'a variable in a value', find: 'name: Acme', put: 'name: ${NOBODY}', at: '${NOBODY}' },
  { code: 'GW_CONFIG_ENV_SYNTAX', what: 'a variable without a name', find: 'name: Acme', put: 'name: ${}', at: '${}' },
  { code: 'GW_FILE_MISSING', what: 'a secret\'s file that is not there and not to be made', find: '    env: PERSON\n    file: keys/absent-person.key\n    generate: true', put: '    file: keys/absent-person.key', at: 'keys/absent-person.key' },
  { code: 'GW_YAML_SYNTAX', what: 'no YAML', find: 'name: Acme', put: 'name: "Acme', at: '' },
  { code: 'GW_YAML_FORBIDDEN', what: 'an alias', find: 'name: Acme', put: 'name: *acme', at: '*acme' },
  { code: 'GW_CONFIG_UNKNOWN_KEY', what: 'an unknown key', find: 'log:', put: 'logs:', at: 'logs:' },
  { code: 'GW_CONFIG_MISSING_KEY', what: 'a missing key', find: '    plan: pro\n', put: '', at: 'id: acme.example\n    sandbox' },
  { code: 'GW_CONFIG_TYPE', what: 'a wrong type from the environment', find: 'port: 8080', put: 'port: ${PORT}', at: '${PORT}', env: { PORT: 'abc' } }
]

function placeOf (yaml: string, text: string): { line: number, column: number } {
  const before = yaml.slice(0, yaml.indexOf(text)).split('\n')
  return { line: before.length, column: before.at(-1)!.length + 1 }
}

function providerFolder (): Record<string, string> {
  return { 'provider.yaml': '' }
}

function brief (faults: Fault[]): string {
  return faults.map(({ code, place }) => `${code} ${place.line}:${place.column}`).join(' ')
}

t.test('each thing that can be wrong is told with its code, line and column', async t => {
  const dir = t.testdir(FILES)
  for (const { code, what, find, put, at, env } of CASES) {
    const yaml = FULL.replace(find, () => put)
    if (find !== '') t.ok(FULL.includes(find) && yaml !== FULL, `${what}: the config has the place`)
    writeFileSync(join(dir, 'gateway.config.yaml'), yaml)
    const { config, faults } = await load(dir, { ...environment(), ...env as Record<string, string> })
    const { line, column } = placeOf(yaml, at)
    const found = faults.some(fault => fault.code === code && (at === '' || (fault.place.line === line && fault.place.column === column)))
    t.ok(found && config === null, `${what}: ${code} ${line}:${column}, got ${brief(faults)}`)
    t.ok(faults.every(({ fix, excerpt }) => fix !== '' && excerpt !== undefined), `${what}: with a remedy and the line`)
  }
})

t.test('every code of files and configuration has a case above', async t => {
  const codes = Object.keys(CODES).filter(code => /^GW_(?:FILE|YAML|CONFIG)_/.test(code))
  t.strictSame(codes.filter(code => !CASES.some(each => each.code === code)), [])
})

t.test('everything wrong is told together, in the order of the file', async t => {
  const yaml = FULL
    .replace('host: 127.0.0.1', 'host: ${NO_HOST}')
    .replace('level: info', 'level: inof')
    .replace('path: data', 'path: 5\n  pth: data')
    .replace('  person_key:', '    - { id: k1, env: NO_KEY }\n  person_key:')
    .replace('thing.schema.json', 'gone.json')
    .replace('plan: pro', 'plan: por')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': yaml })
  const { faults } = await load(dir)
  t.strictSame(faults.map(({ code }) => code), [
    'GW_CONFIG_ENV_UNSET', 'GW_CONFIG_VALUE', 'GW_CONFIG_TYPE', 'GW_CONFIG_UNKNOWN_KEY', 'GW_CONFIG_DUPLICATE', 'GW_CONFIG_ENV_UNSET', 'GW_FILE_MISSING', 'GW_CONFIG_REFERENCE'
  ])
  t.strictSame(faults.map(({ place }) => place.line), faults.map(({ place }) => place.line).toSorted((a, b) => a - b))
})

t.test('a config file that is not there is a fault of its own', async t => {
  const { config, faults } = await load(t.testdir({}))
  t.equal(config, null)
  t.strictSame(faults.map(({ code, place }) => [code, place.file]), [['GW_FILE_MISSING', 'gateway.config.yaml']])
})

t.test('the smallest config has the defaults of the schema', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': SMALL })
  const { config, faults } = await load(dir)
  t.strictSame(faults, [])
  t.match(config, {
    file: join(dir, 'gateway.config.yaml'),
    server: { host: '127.0.0.1', port: 8080, trustProxy: [], publicUrl: null },
    log: { level: 'info' },
    store: { driver: 'sqlite', path: join(dir, 'data/gateway.db') },
    sandbox: { enabled: false, url: null },
    plans: {},
    channels: { sms: { defaultProvider: null } },
    eventTypes: { 'thing.happened': { schema: join(dir, 'thing.schema.json'), setupGroup: 'things', expiresAfterMs: 86_400_000, person: null } },
    recordedTypes: {},
    providers: [{ id: 'alpha', path: join(dir, 'alpha'), comingSoon: false, baseUrl: null, concurrency: null, limits: {}, options: {}, secrets: {}, connection: null }],
    sources: [],
    shops: [],
    delivery: { requestDeadlineMs: 15_000, retryScheduleMs: [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000] },
    retention: { identityMs: 2_592_000_000, payloadMs: 2_592_000_000 }
  })
})

t.test('the full config comes out with every value of it, frozen to the bottom', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': FULL })
  const env = environment()
  const { config } = await load(dir, env)
  t.match(config, {
    server: { trustProxy: ['10.0.0.0/8'], publicUrl: 'https://sms.acme.example/in' },
    sandbox: { enabled: true, port: 8081, url: 'http://127.0.0.1:8090' },
    providers: [{ baseUrl: 'https://api.alpha.example', concurrency: 8, limits: { events: [{ max: 350, perMs: 1000 }] }, options: { sender: 'Acme' }, connection: { auth: 'api_key', accountId: 'OURS' } }],
    sources: [{ id: 'omega', path: join(dir, 'omega'), options: { tag: 'preorder' } }],
    recordedTypes: { 'thing.noted': { type: 'thing.noted', schema: join(dir, 'thing.schema.json'), person: '/customer/phone' } },
    shops: [{ id: 'acme.example', sandbox: true, channels: { sms: 'alpha' }, connections: [{ provider: 'alpha', auth: 'api_key', accountId: 'A1', settings: { sender: 'Acme' }, ready: ['things'] }] }]
  })
  t.equal(config!.shops[0]!.connections[0]!.secrets['api_key']!.reveal(), env['ACME_KEY'])
  t.strictSame(Object.keys(config!.eventTypes), ['thing.happened'])
  t.strictSame(config!.providers[0]!.secrets['signing']!.map(secret => secret.reveal()), [env['SIGNING'], env['SIGNING_BEFORE']])
  t.equal(config!.providers[0]!.connection!.secrets['api_key']!.reveal(), env['OUR_KEY'])
  t.strictSame(config!.sources[0]!.secrets['client']!.map(secret => secret.reveal()), [env['CLIENT']])
  t.equal(config!.security.encryptionKeys[0]!.key.reveal(), env['KEY_ONE'])
  t.equal(config!.security.personKey.reveal(), env['PERSON'])
  t.equal(config!.security.apiKeys[0]!.key.reveal(), env['CALLER'])
  const thawed: string[] = []
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    if (!Object.isFrozen(value)) thawed.push(path)
    for (const [key, child] of Object.entries(value)) walk(child, `${path}/${key}`)
  }
  walk(config, '')
  t.strictSame(thawed, [])
})

t.test('others reach the gateway where the config says, else in the sandbox on its own port', async t => {
  const sandbox = SMALL.replace('event_types:', 'sandbox: { enabled: true }\nserver: { port: 8123 }\nevent_types:')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': sandbox })
  const urlOf = async (yaml: string, more: object = {}): Promise<string | null | undefined> => {
    writeFileSync(join(dir, 'gateway.config.yaml'), yaml)
    return (await loadConfig({ file: 'gateway.config.yaml', cwd: dir, env: environment(), createSecrets: false, ...more })).config?.server.publicUrl
  }
  t.equal(await urlOf(sandbox), 'http://127.0.0.1:8123')
  t.equal(await urlOf(sandbox, { port: 8200 }), 'http://127.0.0.1:8200', 'the port it is started with counts')
  t.equal(await urlOf(sandbox, { sandbox: false }), null)
  t.equal(await urlOf(sandbox.replace('8123', '0')), null, 'nobody knows the port yet')
  t.equal(await urlOf(sandbox.replace('{ port: 8123 }', '\n  port: 8123\n  public_url: ${PUBLIC_URL:-}')), 'http://127.0.0.1:8123', 'an empty variable is as good as none')
  for (const [url, kept] of [['https://sms.example.com/', 'https://sms.example.com'], ['https://example.com/sms//', 'https://example.com/sms'], ['http://localhost:9', 'http://localhost:9'], ['http://[::1]:9/', 'http://[::1]:9']] as const) {
    t.equal(await urlOf(sandbox.replace('port: 8123', `public_url: "${url}"`)), kept, url)
  }
})

t.test('an event type without a channel, a set-up group, a kind and an expiry is kept and makes no message', async t => {
  const yaml = SMALL.replace('providers:', '  order.placed: { schema: thing.schema.json }\nproviders:')
  const { config, faults } = await load(t.testdir({ ...FILES, 'gateway.config.yaml': yaml }))
  t.strictSame(faults, [])
  t.strictSame(Object.keys(config!.eventTypes), ['thing.happened'])
  t.match(config!.recordedTypes, { 'order.placed': { type: 'order.placed', person: null } })
})

t.test('what is missing of an event type is told by name', async t => {
  const yaml = SMALL.replace(', kind: marketing, expires_after: 24h', '')
  const { faults } = await load(t.testdir({ ...FILES, 'gateway.config.yaml': yaml }))
  t.match(faults, [{ code: 'GW_CONFIG_MISSING_KEY', message: /no "kind", "expires_after"$/, fix: /"channel", "setup_group"/ }])
})

t.test('a provider may be named by the sandbox\'s own address, while there is a sandbox', async t => {
  const yaml = FULL.replace('https://api.alpha.example', 'http://127.0.0.1:8090/alpha')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': yaml })
  t.strictSame((await load(dir)).faults, [])
  const off = await loadConfig({ file: 'gateway.config.yaml', cwd: dir, env: environment(), createSecrets: false, sandbox: false })
  const { line, column } = placeOf(yaml, 'http://127.0.0.1:8090/alpha')
  t.equal(brief(off.faults), `GW_CONFIG_VALUE ${line}:${column}`)
})

t.test('without a sandbox its shops and accounts are gone, and nobody asks for their secrets', async t => {
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': FULL.replace(/ {12}file: keys\/absent-acme.key\n {12}generate: true\n {12}prefix: ak_\n/, '').replace(/ {10}file: keys\/absent-ours.key\n {10}generate: true\n {10}prefix: ok_\n/, '') })
  const { ACME_KEY: _, OUR_KEY: _ours, ...env } = environment()
  const options = { file: 'gateway.config.yaml', cwd: dir, env, createSecrets: false }
  const off = await loadConfig({ ...options, sandbox: false })
  t.strictSame(off.faults, [])
  t.strictSame([off.config!.sandbox.enabled, off.config!.shops], [false, []])
  t.match(off.config!.providers, [{ connection: null, comingSoon: true }], 'nor is what the sandbox alone plays sent to the real provider')
  t.strictSame((await loadConfig(options)).faults.map(({ code }) => code), ['GW_CONFIG_ENV_UNSET', 'GW_CONFIG_ENV_UNSET'])
})

t.test('a source for the sandbox is off without it, and nobody asks for its secrets', async t => {
  const yaml = FULL.replace(/ {8}file: keys\/absent-client.key\n {8}generate: true\n {8}prefix: cl_\n/, '')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': yaml })
  const { CLIENT: _, ...env } = environment()
  const options = { file: 'gateway.config.yaml', cwd: dir, env, createSecrets: false }
  const live = await loadConfig({ ...options, sandbox: false })
  t.strictSame(live.faults, [])
  t.match(live.config!.sources, [{ id: 'omega', off: true, secrets: {} }])
  t.strictSame((await loadConfig(options)).faults.map(({ code, path }) => [code, path]), [['GW_CONFIG_ENV_UNSET', '/sources/omega/secrets/client/env']])
  t.match((await loadConfig({ ...options, env: environment() })).config!.sources, [{ off: false }])
})

t.test('a provider\'s folder is under plugins, else under config/providers, where no path is given', async t => {
  const yaml = SMALL.replace('alpha: { path: alpha }', 'alpha: {}\n  beta: {}')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': yaml, plugins: { alpha: providerFolder() }, config: { providers: { alpha: providerFolder(), beta: providerFolder() } } })
  const { config } = await load(dir)
  t.strictSame(config!.providers.map(({ path }) => path), [join(dir, 'plugins/alpha'), join(dir, 'config/providers/beta')])
})

t.test('secrets that are to be generated are made once, for their owner only', async t => {
  const yaml = FULL.replaceAll(/ +env: [A-Z_]+\n/g, '')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': yaml })
  const first = await load(dir, {}, true)
  t.strictSame(first.faults, [])
  const keys = join(dir, 'keys')
  t.equal(statSync(keys).mode & 0o777, 0o700)
  for (const name of ['absent.key', 'absent-person.key', 'absent.api-key', 'absent-acme.key', 'absent-signing.key', 'absent-signing-before.key', 'absent-ours.key', 'absent-client.key']) t.equal(statSync(join(keys, name)).mode & 0o777, 0o600, name)
  t.match(first.config!.security.apiKeys[0]!.key.reveal(), /^gw_[A-Za-z0-9_-]{43}$/)
  t.match(first.config!.security.personKey.reveal(), /^[A-Za-z0-9_-]{43}$/)
  t.match(first.config!.providers[0]!.secrets['signing']!.map(secret => secret.reveal()), [/^sg_/, /^[A-Za-z0-9_-]{43}$/])
  t.match(first.config!.providers[0]!.connection!.secrets['api_key']!.reveal(), /^ok_/)
  t.match(first.config!.sources[0]!.secrets['client']!.map(secret => secret.reveal()), [/^cl_/])
  const again = await load(dir, {}, true)
  t.equal(again.config!.security.encryptionKeys[0]!.key.reveal(), first.config!.security.encryptionKeys[0]!.key.reveal())
  t.equal(readFileSync(join(keys, 'absent.key'), 'utf8'), `${first.config!.security.encryptionKeys[0]!.key.reveal()}\n`)
})

t.test('a look at the config makes no files, and neither does a config with a fault', async t => {
  const yaml = FULL.replaceAll(/ +env: [A-Z_]+\n/g, '')
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': yaml })
  const { config } = await load(dir, {}, false)
  t.throws(() => config!.security.personKey.reveal(), { code: 'GW_CONFIG_SECRET' })
  writeFileSync(join(dir, 'gateway.config.yaml'), yaml.replace('level: info', 'level: loud'))
  t.equal((await load(dir, {}, true)).config, null)
  t.notOk(existsSync(join(dir, 'keys')))
})

t.test('a secret\'s file that cannot be made is a fault at the place that names it', async t => {
  const dir = t.testdir({ ...FILES, 'in-the-way': 'a file', 'gateway.config.yaml': SMALL.replace('person_key: { env: PERSON }', 'person_key: { file: in-the-way/person.key, generate: true }') })
  const { config, faults } = await load(dir, environment(), true)
  t.equal(config, null)
  t.equal(brief(faults), 'GW_FILE_UNREADABLE 5:23')
})

t.test('the file wins over the environment, and one line end is cut from it', async t => {
  const { PERSON } = environment() as { PERSON: string }
  for (const end of ['', '\n', '\r\n']) {
    const dir = t.testdir({ ...FILES, 'person.key': PERSON + end, 'gateway.config.yaml': SMALL.replace('{ env: PERSON }', '{ env: PERSON, file: person.key }') })
    const { config, faults } = await load(dir)
    t.strictSame(faults, [])
    t.equal(config!.security.personKey.reveal(), PERSON)
  }
  const dir = t.testdir({ ...FILES, 'person.key': `${PERSON}\n\n`, 'gateway.config.yaml': SMALL.replace('{ env: PERSON }', '{ file: person.key }') })
  t.equal((await load(dir)).faults[0]?.code, 'GW_CONFIG_SECRET')
})

t.test('an encryption key others may read is refused', { skip: process.platform === 'win32' && 'files have no such modes here' }, async t => {
  const { KEY_ONE } = environment() as { KEY_ONE: string }
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': SMALL.replace('env: KEY_ONE', 'file: keys/k1.key') })
  mkdirSync(join(dir, 'keys'))
  writeFileSync(join(dir, 'keys/k1.key'), KEY_ONE)
  for (const [mode, codes] of [[0o600, []], [0o640, ['GW_CONFIG_SECRET']], [0o604, ['GW_CONFIG_SECRET']], [0o400, []]] as const) {
    chmodSync(join(dir, 'keys/k1.key'), mode)
    t.strictSame((await load(dir)).faults.map(({ code }) => code), codes, mode.toString(8))
  }
})

t.test('no secret shows in JSON, in inspection, as a text, or in a fault', async t => {
  const env = environment()
  const dir = t.testdir({ ...FILES, 'gateway.config.yaml': FULL })
  const { config } = await load(dir, env)
  const { personKey } = config!.security
  const shown = [JSON.stringify(config), inspect(config, { depth: null, showHidden: true }), String(personKey), `${personKey}`, inspect(personKey), String(Object.values(personKey))].join('\n')
  for (const [name, secret] of Object.entries(env)) t.notOk(shown.includes(secret), name)
  t.equal(JSON.stringify(personKey), '"***"')
})

t.test('what was written or set where a secret belongs is in no fault, whatever the fault is about', async t => {
  const leak = 'sk_live_4242'
  const places: Array<[find: string, put: string]> = [
    ['person_key:\n    env: PERSON\n    file: keys/absent-person.key\n    generate: true', `person_key: ${leak}`],
    ['    env: PERSON\n', `    value: ${leak}\n    env: { a: ${leak} }\n`],
    ['    - id: k1\n', `    - { key: ${leak}, id: K1, id: K2, file: "\${NOBODY}" }\n    - id: k1\n`],
    ['        account_id: A1', `        api_key: ${leak}\n        account_id: A1`],
    ['          api_key:\n', `          token: ${leak}\n          api_key:\n`],
    ['person_key:\n    env: PERSON\n', `person_key: { key: ${leak}, env: \${X} }\n`],
    ['      signing:\n', `      signing_key: ${leak}\n      signing:\n`],
    ['      signing:\n', `      signing_key: [{ token: ${leak} }, ${leak}]\n      signing:\n`],
    ['      client:\n        env: CLIENT\n', `      client:\n        value: ${leak}\n`],
    ['omega:\n    path: omega\n    sandbox: true\n    secrets:\n      client:\n        env: CLIENT\n        file: keys/absent-client.key\n        generate: true\n        prefix: cl_\n', `omega:\n    path: omega\n    sandbox: true\n    secrets: ${leak}\n`],
    ['omega:\n    path: omega\n    sandbox: true\n    secrets:\n      client:\n        env: CLIENT\n        file: keys/absent-client.key\n        generate: true\n        prefix: cl_\n', `omega:\n    path: omega\n    sandbox: true\n    secrets: [${leak}]\n`],
    ['      account_id: OURS', `      api_key: ${leak}\n      account_id: OURS`],
    ['version: 1\n', `version: \${LEAK}\nsecret: ${leak}\n`],
    ['level: info', 'level: ${LEAK}'], ['port: 8080', 'port: ${LEAK}'], ['plan: pro', 'plan: ${LEAK}'], ['kind: marketing', 'kind: ${LEAK}'],
    ['base_url: https://api.alpha.example', 'base_url: ${LEAK}'], ['expires_after: 24h', 'expires_after: ${LEAK}'], ['- 10.0.0.0/8', '- ${LEAK}'], ['- things', '- ${LEAK}']
  ]
  const dir = t.testdir(FILES)
  for (const [find, put] of places) {
    t.ok(FULL.includes(find), `the config has ${JSON.stringify(find)}`)
    writeFileSync(join(dir, 'gateway.config.yaml'), FULL.replace(find, () => put))
    const { faults } = await load(dir, { ...environment(), LEAK: leak })
    t.ok(faults.length > 0, put)
    t.notMatch(formatFaults(faults) + JSON.stringify(faultsAsJson(faults)), leak, put)
  }
})

t.test('the scopes of the schema are those of the contract', async t => {
  const schema = JSON.parse(readFileSync(join(ROOT, 'schemas/gateway.config.schema.json'), 'utf8'))
  t.strictSame(schema.properties.security.properties.api_keys.items.properties.scopes.items.enum, SCOPES)
})

t.test('patterns that can take exponential time are told from those that cannot', async t => {
  for (const risky of ['(a+)+', '(a*)*', '(a|ab)*', '([a-z]+)*', '(?:a+b?){2,}', '((a+)b)+', '(a)\\1', '(?<x>a)\\k<x>', '(a{1,3}){5}', '[a-z']) t.not(patternFault(risky), null, risky)
  for (const safe of ['^[a-z0-9][a-z0-9.-]{0,99}$', '^(a|b)$', '^(a+)?$', '^\\(+$', '^[(+)]+$', '^(ab)+$', '^(?:ab){3}$', 'a+b+']) t.equal(patternFault(safe), null, safe)
})

t.test('a .env file fills what the environment leaves open, but not in production', async t => {
  const dir = t.testdir({ '.env': 'A=from file\nB="two words"\n' })
  t.match(readEnvironment(dir, { A: 'set' }), { A: 'set', B: 'two words' })
  t.strictSame(readEnvironment(dir, { NODE_ENV: 'production' }), { NODE_ENV: 'production' })
  t.strictSame(readEnvironment(t.testdir({}), { A: 'set' }), { A: 'set' })
})

t.test('the shipped config loads as it is, makes its keys, and its sandbox can be switched off', async t => {
  const env = { GATEWAY_DATA: join(t.testdir({}), 'data') }
  const options = { file: 'gateway.config.yaml', cwd: ROOT, env, createSecrets: true }
  const { config, faults } = await loadConfig(options)
  t.strictSame(faults, [])
  t.equal(config!.sandbox.enabled, true)
  t.equal(config!.shops.length, shipped.shops?.length)
  const off = await loadConfig({ ...options, env: { ...env, GATEWAY_SANDBOX: 'false' } })
  t.strictSame([off.faults, off.config!.shops], [[], []])
})

t.test('the example for one machine loads with the variables its .env.example names, and not with its samples', async t => {
  const sample = readFileSync(join(ROOT, 'config/examples/.env.example'), 'utf8')
  const names = [...sample.matchAll(/^([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name!)
  const env = Object.fromEntries(names.map(name => [name, { GATEWAY_DATA: t.testdirName, PUBLIC_URL: 'https://sms.example.com' }[name] ?? environment()['KEY_ONE']!]))
  const cwd = exampleProject(t, 'config/examples/embedded.yaml')
  const options = { file: 'config/examples/embedded.yaml', cwd, createSecrets: false }
  const { shops } = parse(readFileSync(join(cwd, options.file), 'utf8')) as { shops: object[] }
  const { config, faults } = await loadConfig({ ...options, env })
  t.strictSame(faults, [])
  t.strictSame([config!.sandbox.enabled, config!.shops.map(({ sandbox }) => sandbox)], [false, shops.map(() => false)])
  const copied = await loadConfig({ ...options, env: Object.fromEntries(sample.split('\n').filter(line => /^[A-Z]/.test(line)).map(line => line.split('=', 2) as [string, string])) })
  t.ok(copied.faults.length >= 4 + shops.length, 'the gateway\'s own, and one of each shop')
  t.ok(copied.faults.every(({ code, path }) => code === (path === '/server/public_url' ? 'GW_CONFIG_VALUE' : 'GW_CONFIG_SECRET')))
})

t.test('the examples declare the event types and plans of the shipped config', async t => {
  const [shipped, ...examples] = ['gateway.config.yaml', 'config/examples/embedded.yaml', 'config/examples/scaled-out.yaml'].map(file => parse(readFileSync(join(ROOT, file), 'utf8')))
  for (const example of examples) {
    t.strictSame(Object.keys(example.event_types), Object.keys(shipped.event_types))
    t.strictSame(example.plans, shipped.plans)
  }
})
