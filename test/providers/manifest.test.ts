import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CAUSES } from '../../gateway/contract.ts'
import { defineProvider } from '../../gateway/define.ts'
import { runCases } from '../../gateway/providers/cases.ts'
import { manifestSchema } from '../../gateway/providers/manifest.ts'
import { entry, files, load, loadOne, shippedConfig, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'

const MANIFEST = THIRD['provider.yaml']

/** What is wrong, what is replaced by what, the code, and the text whose line the fault must name. */
const BROKEN: Array<[string, string, string, string, string]> = [
  ['a key that does not exist', 'deadline: 5s', 'dedline: 5s', 'GW_CONFIG_UNKNOWN_KEY', 'dedline'],
  ['a key that is missing', 'title: Parcel SMS\n', '', 'GW_CONFIG_MISSING_KEY', 'contract: 1'],
  ['a value of another type', 'channels: [sms]', 'channels: sms', 'GW_CONFIG_TYPE', 'channels'],
  ['an address without TLS', 'https://api', 'http://api', 'GW_CONFIG_VALUE', 'base_url'],
  ['a duration that is none', '5s\n', '5 seconds\n', 'GW_CONFIG_VALUE', 'deadline'],
  ['an id other than the config\'s', 'id: parcel-sms', 'id: parcel', 'GW_PROVIDER_ID', 'id: parcel'],
  ['an event type nobody declared', 'back_in_stock.alert:', 'back_in_stock.alarm:', 'GW_CONFIG_REFERENCE', 'back_in_stock.alarm'],
  ['an event without its request', 'request: message', 'request: massage', 'GW_CONFIG_REFERENCE', 'massage'],
  ['a check without its request', 'request: me,', 'request: you,', 'GW_CONFIG_REFERENCE', 'request: you'],
  ['a request in no limit group', 'GET /v2/me', 'GET /v2/you', 'GW_CONFIG_REFERENCE', '  me: { method'],
  ['a request in two limit groups', 'match: [GET /v2/me]', 'match: [GET /v2/me, "POST /v2/{a}/messages"]', 'GW_CONFIG_REFERENCE', '  message: {'],
  ['a reason that does not exist', 'reason: phone_refused', 'reason: phone_refusde', 'GW_CONFIG_REFERENCE', 'phone_refusde'],
  ['a pause for what is no retry', 'reason: phone_refused,', 'reason: phone_refused, pause: lane,', 'GW_CONFIG_VALUE', 'pause: lane'],
  ['an outcome without a condition', 'status: 422, body_at: { pointer: /error/code, equals: no_number }, ', '', 'GW_CONFIG_MISSING_KEY', 'is: rejected'],
  ['a mapping file that is not there', 'body: mapping/message.yaml', 'body: mapping/massage.yaml', 'GW_FILE_MISSING', 'massage.yaml'],
  ['a mapping file outside the folder (#74)', 'body: mapping/message.yaml', 'body: ../../../package.yaml', 'GW_CONFIG_VALUE', 'package.yaml'],
  ['a mapping file by an absolute path (#74)', 'body: mapping/message.yaml', 'body: /etc/hosts.yaml', 'GW_CONFIG_VALUE', 'hosts.yaml'],
  ['a template with a field the event does not have', '{{ data.product.title }}', '{{ data.product.titel }}', 'GW_MAPPING_FIELD', 'titel'],
  ['a template with a field that may be absent', '{{ data.product.title }}', '{{ data.product.image_url }}', 'GW_MAPPING_OPTIONAL', 'image_url'],
  ['a template that is no Liquid', '{{ data.product.title }}', '{{ data.product.title', 'GW_MAPPING_SYNTAX', 'data.product.title'],
  ['a secret outside auth', '{{ data.customer.country }}', '{{ secret.token }}', 'GW_MAPPING_FIELD', 'x-country'],
  ['the attempt, which would change the bytes', '{{ data.customer.country }}', '{{ delivery.attempt }}', 'GW_MAPPING_FIELD', 'x-country'],
  ['credentials among the headers', 'accept: application/json', 'authorization: abc', 'GW_CONFIG_VALUE', 'authorization: abc'],
  ['a way to authorize without a secret', '{{ secret.token }}', 'abc', 'GW_CONFIG_VALUE', 'x-token'],
  ['a form of a secret that is no regular expression', '{ label: Token }', '{ label: Token, pattern: "sk_(" }', 'GW_CONFIG_VALUE', 'sk_('],
  ['a field the step does not ask for', 'fields: { token: { label: Token } }, ', '', 'GW_CONFIG_REFERENCE', 'kind: api_key'],
  ['a step that needs a later one', 'kind: api_key,', 'kind: api_key, needs: [test],', 'GW_CONFIG_REFERENCE', 'needs: [test]'],
  ['a path that goes upwards', '/messages", body', '/../me", body', 'GW_CONFIG_VALUE', '/../me'],
  ['a path with a query in it', 'path: /v2/me', 'path: /v2/me?a=1', 'GW_CONFIG_VALUE', 'me?a=1'],
  ['a default that does not fit its setting', 'default: Shop', 'default: 7', 'GW_CONFIG_VALUE', 'default: 7'],
  ['a setting that is no schema', 'type: string, default', 'type: txt, default', 'GW_CONFIG_VALUE', 'type: txt'],
  ['a stand-in for a request that is not there', 'setup:', 'stand_in: { massage: {} }\nsetup:', 'GW_CONFIG_REFERENCE', 'stand_in'],
  ['a possible cause that diagnosis does not know', 'setup:', 'possible_causes: [{ code: bad_luck, when: delivered, text: Maybe., fix: Wait. }]\nsetup:', 'GW_CONFIG_VALUE', 'bad_luck'],
  ['a possible cause that says nothing of what to do', 'setup:', 'possible_causes: [{ code: quiet_hours, when: delivered, text: Maybe. }]\nsetup:', 'GW_CONFIG_MISSING_KEY', 'possible_causes'],
  ['a possible cause that is named twice', 'setup:', 'possible_causes:\n  - { code: quiet_hours, when: delivered, text: Maybe., fix: Wait. }\n  - { code: quiet_hours, when: always, text: Maybe., fix: Wait. }\nsetup:', 'GW_CONFIG_DUPLICATE', '  - { code: quiet_hours, when: always'],
  ['a possible cause that a step rules out that is not there', 'setup:', 'possible_causes: [{ code: quiet_hours, when: delivered, unless_done: [flow], text: Maybe., fix: Wait. }]\nsetup:', 'GW_CONFIG_REFERENCE', 'unless_done'],
  ['a hook that is not written', 'deadline: 5s', 'uncertain: reconcile', 'GW_PROVIDER_CODE', 'uncertain']
]

async function faultsOf (dir: string): Promise<string[]> {
  return (await load([entry(THIRD_ID, dir)])).faults.map(({ code }) => code)
}

t.test('each fault of a manifest is named by code and place', async t => {
  const root = t.testdir()
  for (const [i, [name, from, to, code, at]] of BROKEN.entries()) {
    t.ok(MANIFEST.includes(from), `${name}: the text to break is there`)
    const text = MANIFEST.replace(from, to)
    const { providers, faults } = await load([entry(THIRD_ID, writeFolder(join(root, String(i)), { ...THIRD, 'provider.yaml': text }))])
    t.equal(providers.size, 0, name)
    const line = text.slice(0, text.indexOf(at)).split('\n').length
    t.ok(faults.some(fault => fault.code === code && fault.place.line === line && fault.place.file.endsWith('provider.yaml')), `${name}: ${code} in line ${line}, got ${JSON.stringify(faults.map(fault => [fault.code, fault.place.line, fault.message]))}`)
    for (const { fix, message } of faults) t.ok(fix !== '' && message !== '', name)
  }
})

t.test('possible causes come with their defaults, in the order of the manifest', async t => {
  const causes = 'possible_causes:\n  - { code: quiet_hours, when: delivered, kinds: [marketing], unless_done: [key], text: Maybe., fix: Wait. }\n  - { code: sms_not_enabled, when: always, text: Perhaps., fix: Look. }\nsetup:'
  const { possibleCauses } = await loadOne(entry(THIRD_ID, writeFolder(t.testdir(), { ...THIRD, 'provider.yaml': MANIFEST.replace('setup:', causes) })))
  t.strictSame(possibleCauses, [
    { code: 'quiet_hours', when: 'delivered', kinds: ['marketing'], unlessDone: ['key'], text: 'Maybe.', fix: 'Wait.' },
    { code: 'sms_not_enabled', when: 'always', kinds: ['marketing', 'transactional'], unlessDone: [], text: 'Perhaps.', fix: 'Look.' }
  ])
  const { $defs } = manifestSchema() as { $defs: { cause: { enum: string[] } } }
  t.strictSame($defs.cause.enum.filter(code => !(CAUSES as readonly string[]).includes(code)), [], 'what a manifest may name is known')
})

t.test('faults of several folders come together, and one of a shared mapping once', async t => {
  const root = t.testdir()
  const one = writeFolder(join(root, 'one'), { ...THIRD, 'provider.yaml': MANIFEST.replace('id: parcel-sms', 'id: one').replace('request: message', 'request: x') })
  const shared = MANIFEST.replace('id: parcel-sms', 'id: two').replace('setup:', '  back_in_stock.reminder: { request: message, map: { text: a } }\nsetup:')
  const two = writeFolder(join(root, 'two'), { ...THIRD, 'provider.yaml': shared, 'mapping/message.yaml': 'to: "{{ data.customer.fone }}"\n' })
  const { faults } = await load([entry('one', one), entry('two', two), entry('three', join(root, 'three'))])
  t.strictSame(faults.map(({ code, place }) => [code, place.file.split('/').at(-1)]), [
    ['GW_CONFIG_REFERENCE', 'provider.yaml'], ['GW_MAPPING_FIELD', 'message.yaml'], ['GW_FILE_MISSING', 'gateway.config.yaml']
  ])
})

t.test('a limit of the config for a group that is not there is a fault of the config', async t => {
  const { faults } = await load([entry(THIRD_ID, writeFolder(t.testdir(), THIRD), { limits: { messagez: [{ max: 1, perMs: 1000 }] } })])
  t.match(faults, [{ code: 'GW_CONFIG_REFERENCE', place: { file: /gateway\.config\.yaml$/ } }])
})

t.test('the config goes before the manifest, and the sandbox before the provider\'s own address', async t => {
  const dir = writeFolder(t.testdir(), THIRD)
  const plain = await loadOne(entry(THIRD_ID, dir))
  t.match(plain, { baseUrl: 'https://api.parcel-sms.example', concurrency: 16, deadlineMs: 5000, uncertain: 'park', needs: [], comingSoon: false, auth: { token: { fields: ['token'] } }, settingsDefaults: { sender: 'Shop' } })
  t.strictSame(plain.groups['messages'], { name: 'messages', match: [{ method: 'POST', path: '/v2/{account}/messages' }], windows: [{ max: 2, perMs: 1000 }] })
  t.strictSame(plain.events, { 'back_in_stock.alert': { request: 'message', group: 'messages' } })
  t.equal((await loadOne(entry(THIRD_ID, dir), 'http://127.0.0.1:1')).baseUrl, `http://127.0.0.1:1/${THIRD_ID}`)
  const more = { baseUrl: 'https://other.example', concurrency: 2, comingSoon: true, limits: { messages: [{ max: 1, perMs: 60_000 }] } }
  const changed = await loadOne(entry(THIRD_ID, dir, more), 'http://127.0.0.1:1')
  t.match(changed, { baseUrl: 'https://other.example', concurrency: 2, comingSoon: true })
  t.strictSame(changed.groups['messages']?.windows, [{ max: 1, perMs: 60_000 }])
  t.strictSame(changed.groups['me']?.windows, [])
})

t.test('code beside a manifest is loaded from the folder only, and must be its own (#74)', async t => {
  const define = join(import.meta.dirname, '../../gateway/define.ts')
  const root = t.testdir()
  const folder = (name: string, code: string): string => writeFolder(join(root, name), { ...THIRD, 'index.ts': code })
  const right = await loadOne(entry(THIRD_ID, folder('right', `import { defineProvider } from '${define}'\nexport default defineProvider({ id: '${THIRD_ID}', check: () => ({ is: 'go' }) })\n`)))
  t.strictSame(right.code.check?.({} as never, 0), { is: 'go' })
  t.strictSame(await faultsOf(folder('other', `export default { id: 'other' }\n`)), ['GW_PROVIDER_ID'])
  t.strictSame(await faultsOf(folder('none', 'export const a = 1\n')), ['GW_PROVIDER_CODE'])
  t.strictSame(await faultsOf(folder('throws', 'throw new Error("no")\n')), ['GW_PROVIDER_CODE'])
  t.strictSame(await faultsOf(folder('misspelt', `import { defineProvider } from '${define}'\nexport default defineProvider({ id: '${THIRD_ID}', chek () {} })\n`)), ['GW_PROVIDER_CODE'])
  mkdirSync(join(root, 'outside'))
  writeFileSync(join(root, 'outside', 'index.ts'), `export default { id: '${THIRD_ID}' }\n`)
  const linked = writeFolder(join(root, 'linked'), THIRD)
  symlinkSync(join(root, 'outside', 'index.ts'), join(linked, 'index.ts'))
  t.strictSame(await faultsOf(linked), ['GW_PROVIDER_CODE'], 'a link out of the folder')
})

t.test('a case that fails says where, and a cases.yaml that is none says so', async t => {
  const run = async (name: string, from: string, to: string): Promise<Array<[string, number]>> => {
    const dir = writeFolder(join(t.testdir(), name), { ...THIRD, 'cases.yaml': THIRD['cases.yaml'].replace(from, to) })
    const { results, faults } = runCases(await loadOne(entry(THIRD_ID, dir)), files())
    return [...faults, ...results.flatMap(({ fault }) => fault ?? [])].map(({ code, place }) => [code, place.line])
  }
  t.strictSame(await run('right', '', ''), [])
  t.strictSame(await run('body', 'from=Acme', 'from=Globex'), [['GW_CASE_FAILED', THIRD['cases.yaml'].split('\n').findIndex(line => line.includes('from=Acme')) + 1]])
  t.strictSame((await run('more', 'x-country: US, ', '')).map(([code]) => code), ['GW_CASE_FAILED'], 'a header that is not expected')
  t.strictSame(await run('kind', 'kind: full', 'kind: ful'), [['GW_CONFIG_VALUE', 3]])
})

t.test('defineProvider refuses what is no member of a provider', async t => {
  for (const wrong of [{}, { id: '' }, { id: 'a', chek: () => {} }, { id: 'a', check: 5 }]) t.throws(() => defineProvider(wrong as never), { code: 'GW_PROVIDER_CODE' })
  t.ok(Object.isFrozen(defineProvider({ id: 'a' })))
})

t.test('the core names no folder: each is found by its line in the config', async t => {
  const { providers, faults } = await load([], { from: shippedConfig() })
  t.equal(providers.size, 0)
  t.strictSame(faults, [])
})
