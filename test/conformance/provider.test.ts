import t from 'tap'
import { MADE, type Folder } from '../helpers/made-providers.ts'
import { declared, EVENT_TYPES, entry, files, load, loadOne, writeFolder } from '../helpers/providers.ts'
import { THIRD, THIRD_ID } from '../helpers/third-provider.ts'
import { providerSuite, sandboxFaults } from './provider.ts'

const options = { files: files(), eventTypes: EVENT_TYPES }

const { providers, faults } = await load(declared())
t.strictSame(faults, [], 'the shipped folders are in order')
t.equal(providers.size, declared().length, 'all of them are tried')
for (const provider of providers.values()) await providerSuite(t, provider, options)

// Whatever is shipped, the suite sees folders with code and without.
const made = { ...MADE, [THIRD_ID]: THIRD }
const dir = t.testdir()
let count = 0
for (const [id, folder] of Object.entries(made)) await providerSuite(t, await loadOne(entry(id, writeFolder(`${dir}/${id}`, folder))), options)

/** What the pigeon sends. */
const SENT = Object.keys((await loadOne(entry('pigeon', `${dir}/pigeon`))).events)

/** What the suite says of a made folder with some of its files changed. */
async function told (id: string, changes: Folder): Promise<string[]> {
  const folder: Folder = id === THIRD_ID ? THIRD : MADE.pigeon
  return await sandboxFaults(await loadOne(entry(id, writeFolder(`${dir}/${Object.keys(changes).join()}-${++count}`, { ...folder, ...changes }))), options.files)
}

/** The pigeon's sandbox, which takes a body where this says so. */
function pigeonThatTakes (right: string): Folder {
  return { 'sandbox.ts': MADE.pigeon['sandbox.ts'].replace(/^const right = .*$/m, () => `const right = ${right}`) }
}

/** The pigeon's cases with a list of what is optional. */
const optional = (...names: string[]): Folder => ({ 'cases.yaml': `optional: [${names.join(', ')}]\n${MADE.pigeon['cases.yaml']}` })

t.test('a sandbox that asks for one key only does not pass', async t => {
  t.strictSame(await told('pigeon', {}), [], 'it does as it is')
  const faults = await told('pigeon', pigeonThatTakes('body => typeof body?.name === "string"'))
  for (const type of SENT) {
    for (const key of ['properties', 'reference', 'to']) t.ok(faults.includes(`${type}: a body without ${key} is answered 200`), `${type} ${key}`)
    t.ok(faults.includes(`${type}: a key more is answered 200`))
    t.notOk(faults.includes(`${type}: a body without name is answered 200`))
  }
})

t.test('nor does one that takes what is no body of its kind', async t => {
  const faults = await told('pigeon', pigeonThatTakes('() => true'))
  for (const what of ['no body', 'name of another kind', '[] instead of an object', 'half of a body']) t.ok(faults.includes(`back_in_stock.alert: ${what} is answered 200`), what)
  const form = await told(THIRD_ID, { 'provider.yaml': `${THIRD['provider.yaml']}stand_in: { message: { schema: any.schema.json } }\n`, 'any.schema.json': '{ "required": ["to"] }' })
  for (const what of ['a body without from', 'to empty', 'text with a control character', 'a key more']) t.ok(form.includes(`back_in_stock.alert: ${what} is answered 200`), what)
  t.notOk(form.some(fault => fault.includes('without to')))
})

t.test('what is optional is listed, and nothing else is', async t => {
  const lenient = pigeonThatTakes('body => typeof body?.name === "string" && typeof body.properties === "object" && typeof body.to === "object" && ["undefined", "string"].includes(typeof body.reference) && Object.keys(body).every(key => ["name", "properties", "to", "reference"].includes(key))')
  const without = (status: number): string[] => SENT.map(type => `${type}: a body without reference is answered ${status}`)
  t.strictSame(await told('pigeon', lenient), without(200))
  t.strictSame(await told('pigeon', { ...lenient, ...optional('reference') }), [])
  t.strictSame(await told('pigeon', optional('reference')), without(400), 'it is not')
  t.strictSame(await told('pigeon', optional('priority')), ['optional names priority, which no request carries'])
})
