// A source's folder that cannot be used is told with its place in the config, and all faults at once.

import t, { type Test } from 'tap'
import { defineSource, type SourceCode } from '../../gateway/define.ts'
import { FaultsFound, loadAll } from '../../gateway/load.ts'
import { makeApp, ROOT } from '../helpers/app.ts'
import { configWith, TOKENS, writeSource } from './hook.ts'

const HEAD = `import { defineSource } from '${ROOT}/gateway/define.ts'\n`
const code = (more: string, id = 'hook'): string => `${HEAD}export default defineSource({ id: '${id}', routes () {}, translate: () => null, events: ['noted.thing'], ${more} })`

interface Told { code: string, at: string, message: string }

async function faultsOf (t: Test, sources: string, folders: Record<string, string | undefined>): Promise<Told[]> {
  const app = makeApp(t, { config: configWith(sources), env: { ...TOKENS, SHORT: 'fifteen-letters' } })
  for (const [id, index] of Object.entries(folders)) writeSource(app.dir, id, index)
  const { loaded, faults } = await loadAll({ file: 'gateway.config.yaml', cwd: app.dir, env: app.env, createSecrets: true, sandboxUrl: null })
  t.equal(loaded === null, faults.length > 0)
  const lines = configWith(sources).split('\n')
  return faults.map(({ code, place, message }) => ({ code, at: (lines[place.line - 1] ?? '').slice(place.column - 1), message }))
}

const SECRET = 'secrets: { token: { env: HOOK_TOKEN } }'

t.test('a folder in order has no fault', async t => {
  t.strictSame(await faultsOf(t, `  hook: { path: sources/hook, ${SECRET}, options: { prefix: x, most: 9 } }`, { hook: undefined }), [])
})

const CASES: Array<[name: string, yaml: string, index: string | undefined, code: string, message: RegExp, at?: string]> = [
  ['no default export', '', 'export const x = 1', 'GW_SOURCE_CODE', /no default export/],
  ['a function as it', '', 'export default () => {}', 'GW_SOURCE_CODE', /no default export/],
  ['code that throws', '', 'throw new Error("on purpose")', 'GW_SOURCE_CODE', /on purpose/],
  ['code that does not parse', '', 'export default {', 'GW_SOURCE_CODE', /does not load/],
  ['another id', '', code('', 'other'), 'GW_SOURCE_CODE', /"other"/],
  ['a member that is none', '', code('tranlsate () {}'), 'GW_SOURCE_CODE', /tranlsate/],
  ['options of no use', '', code('options: { type: "object", additionalProperties: false, properties: { a: { type: "nothing" } } }'), 'GW_SOURCE_CODE', /options/],
  ['a secret that is needed', '', code('secrets: ["token"]'), 'GW_CONFIG_MISSING_KEY', /token/],
  ['a secret that is not', 'secrets: { tokn: { env: HOOK_TOKEN }, token: { env: HOOK_TOKEN } }', code('secrets: ["token"]'), 'GW_CONFIG_UNKNOWN_KEY', /tokn/, 'tokn:'],
  ['an event of a type that nobody declared', '', code('events: ["noted.thing", "noted.thng"]').replace("events: ['noted.thing'], ", ''), 'GW_CONFIG_REFERENCE', /noted\.thng/],
  ['no word of its events', '', code('').replace("events: ['noted.thing'], ", ''), 'GW_SOURCE_CODE', /events/],
  ['a secret that anyone could guess', 'secrets: { token: { env: SHORT } }', undefined, 'GW_CONFIG_SECRET', /16 characters/, 'SHORT'],
  ['an option that is not known', 'options: { pre: x }', code(''), 'GW_CONFIG_UNKNOWN_KEY', /pre/, 'pre:'],
  ['an option of another type', `${SECRET}, options: { most: many }`, undefined, 'GW_CONFIG_TYPE', /most/, 'many'],
  ['an option beyond its bounds', `${SECRET}, options: { most: 10 }`, undefined, 'GW_CONFIG_VALUE', /most/, '10'],
  ['an option that is missing', '', code('options: { type: "object", additionalProperties: false, required: ["a"], properties: { a: { type: "string" } } }'), 'GW_CONFIG_MISSING_KEY', /"?a"?/]
]

for (const [name, yaml, index, expected, message, at = 'hook:'] of CASES) {
  t.test(`refused: ${name}`, async t => {
    const faults = await faultsOf(t, `  hook: { path: sources/hook${yaml && `, ${yaml}`} }`, { hook: index })
    t.strictSame(faults.map(({ code }) => code), [expected])
    t.match(faults[0]?.message, message)
    t.equal(faults[0]?.at.slice(0, at.length), at)
  })
}

t.test('a folder that is not there, and every fault of every source at once', async t => {
  t.match(await faultsOf(t, '  hook: { path: sources/nowhere }', {}), [{ code: 'GW_FILE_MISSING' }])
  const faults = await faultsOf(t, '  one: { path: sources/one }\n  two: { path: sources/two, options: { x: 1 } }', { one: 'export default 1', two: code('secrets: ["token"]', 'two') })
  t.strictSame(faults.map(({ code }) => code).toSorted(), ['GW_CONFIG_MISSING_KEY', 'GW_CONFIG_UNKNOWN_KEY', 'GW_SOURCE_CODE'])
})

t.test('the gateway does not start with one', async t => {
  const app = makeApp(t, { config: configWith('  hook: { path: sources/hook }'), env: TOKENS })
  writeSource(app.dir, 'hook', 'export default 1')
  await t.rejects(app.start(), FaultsFound)
})

t.test('defineSource refuses what is missing, misspelt or of another kind', async t => {
  const good: SourceCode = { id: 'hook', events: [], routes () {}, translate: () => ({ is: 'recorded', reason: 'x', detail: 'y' }) }
  t.ok(Object.isFrozen(defineSource(good)))
  for (const bad of [{ ...good, id: '' }, { ...good, routes: undefined }, { ...good, translate: 'x' }, { ...good, secrets: 'token' }, { ...good, events: undefined }, { ...good, events: 'noted.thing' }, { ...good, events: [1] }, { ...good, secrets: [1] }, { ...good, options: { type: 'object' } }, { ...good, options: { type: 'string', additionalProperties: false } }, { ...good, more: 1 }]) {
    t.throws(() => defineSource(bad as unknown as SourceCode), { code: 'GW_SOURCE_CODE' })
  }
})
