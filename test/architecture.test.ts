// What keeps the parts apart. A rule that must give way is changed here, with its reason.

import { posix } from 'node:path'
import t from 'tap'
import { shipped } from './helpers/shipped.ts'
import { sources, type Source } from './helpers/sources.ts'

const LINES_MAX = 350
/** Types only, one place for all of them. */
const LONGER = new Set(['gateway/contract.ts'])
const files = sources(['gateway', 'plugins', 'config'])
const code = files.filter(({ path }) => /\.(ts|mjs)$/.test(path))
const core = code.filter(({ path }) => path.startsWith('gateway/'))
const SHARED = new Set(['gateway/contract.ts', 'gateway/errors.ts', 'gateway/reasons.ts', 'gateway/json-schema.ts', 'gateway/json-pointer.ts'])
/** These put the folders together. A delivery needs its shop and connection, which live in another folder. */
const COMPOSES = /^gateway\/([a-z-]+\.(ts|mjs)|commands\/[a-z-]+\.ts|delivery\/(deliver|ask|prepare|reconcile|flight)\.ts)$/

/** Providers and platforms that were or may be; the shipped ones are added. */
const NAMES = new RegExp(['klaviyo', 'attentive', 'postscript', 'twilio', 'shopify', ...Object.keys(shipped.providers).map(id => `\\b${id}\\b`)].join('|'), 'i')

interface Import { from: string, to: string }

function imports ({ path, text }: Source): Import[] {
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)
  return [...found].map(([, to]) => ({ from: path, to: to?.startsWith('.') ? posix.join(posix.dirname(path), to) : to as string }))
}

/** A comment may say "0: any". */
const withoutComments = ({ path, text }: Source): Source => ({ path, text: text.replaceAll(/\/\*\*.*?\*\//g, '') })

const lines = (pattern: RegExp, among: readonly Source[]): string[] =>
  among.flatMap(({ path, text }) => text.split('\n').flatMap((line, i) => pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
const filesWith = (pattern: RegExp, among: readonly Source[]): string[] => among.filter(({ text }) => pattern.test(text)).map(({ path }) => path).toSorted()

t.test('the look at the files finds them', async t => {
  t.ok(core.length > 60)
  t.ok(core.flatMap(imports).length > 200)
  t.strictSame(imports({ path: 'gateway/a/b.ts', text: 'import type { X } from \'../contract.ts\'\nawait import(\'./c.ts\')\nexport * from \'ajv\'' }).map(({ to }) => to), ['gateway/contract.ts', 'gateway/a/c.ts', 'ajv'])
})

t.test('a folder of the core imports the shared files and itself', async t => {
  const own = core.filter(({ path }) => !COMPOSES.test(path)).flatMap(imports).filter(({ to }) => to.startsWith('gateway/'))
  const foreign = own.filter(({ from, to }) => !SHARED.has(to) && posix.dirname(from).split('/')[1] !== to.split('/')[1])
  t.strictSame(foreign, [])
})

t.test('the shared files import nothing but each other', async t => {
  const outside = core.filter(({ path }) => SHARED.has(path)).flatMap(imports).filter(({ to }) => !SHARED.has(to) && to !== 'fastify' && !/^ajv\b/.test(to))
  t.strictSame(outside, [])
})

t.test('the core imports nothing from outside of it, and a plugin nothing of the core but its contract', async t => {
  t.strictSame(core.flatMap(imports).filter(({ to }) => /^(plugins|config|test|\.\.)\b/.test(to)), [])
  const allowed = new Set(['gateway/define.ts', 'gateway/contract.ts', 'gateway/errors.ts'])
  const plugins = code.filter(({ path }) => !path.startsWith('gateway/') && !/\.test(-[a-z]+)?\.ts$/.test(path)) // its tests, and what they share, look at the core from outside
  const folderOf = (path: string): string => path.split('/').slice(0, path.startsWith('config/providers/') ? 3 : 2).join('/') // a plugin may have folders of its own
  const reach = plugins.flatMap(imports).filter(({ from, to }) => /^(gateway|plugins|config|test|schemas|\.\.)\//.test(to) && !allowed.has(to) && !to.startsWith(`${folderOf(from)}/`))
  t.strictSame(reach, [])
})

t.test('the core names no provider and no shop platform', async t => {
  t.strictSame(lines(NAMES, files.filter(({ path }) => path.startsWith('gateway/'))), [])
})

t.test('no test names a shipped provider: a folder and its line deleted, all the others pass', async t => {
  const tests = sources(['test']).filter(({ path }) => path !== 'test/architecture.test.ts')
  t.ok(tests.length > 50)
  t.strictSame(lines(NAMES, tests), [])
})

t.test('the environment is read in one place', async t => {
  t.strictSame(filesWith(/process\.env\b/, code), ['gateway/bootstrap.mjs', 'gateway/config/environment.ts'])
})

t.test('HTTP leaves through one file; the command line speaks to the gateway alone', async t => {
  t.strictSame(filesWith(/from '(undici|node:https|node:http2|node:tls)'|\bfetch ?\(/, core), ['gateway/commands/client.ts', 'gateway/delivery/send.ts'])
  t.strictSame(lines(/from 'node:(http|net)'/, core).filter(line => !/import type|type IncomingMessage/.test(line)).map(line => line.split(':')[0]).toSorted(), ['gateway/app.ts', 'gateway/config/semantics.ts', 'gateway/delivery/guard.ts'])
  t.strictSame(lines(/from 'node:http'/, core).filter(line => /\b(request|get|Agent)\b/.test(line)), [])
})

t.test('time and chance are arguments', async t => {
  const exceptions = [
    'gateway/cli.ts', // the process hands the clock to the commands
    'gateway/bootstrap.mjs', // runs before anything else, on any Node
    'gateway/config/secret-file.ts', // makes keys, which nothing may foresee
    'gateway/config/secrets.ts', // says how to make one
    'gateway/mapping/filters.ts', // a template's time is cut by the real clock, whatever time a test has
    'gateway/mapping/limits.ts',
    'gateway/providers/sandbox.ts', // stands for a provider, which has a clock of its own
    'gateway/runtime.ts',
    'gateway/shops/vault.ts' // a nonce that repeats would open everything
  ]
  const found = filesWith(/\bDate\.now\b|\bMath\.random\b|\bperformance\.now\b|\brandomUUID\b|\brandomBytes\b|\brandomFillSync\b|new Date\(\)/, core)
  t.strictSame(found, exceptions.toSorted())
})

t.test('nothing is run that was text, and no certificate is waved through', async t => {
  t.strictSame(lines(/\beval\s*\(|new Function\b|rejectUnauthorized|NODE_TLS_REJECT_UNAUTHORIZED|vm\.runIn|'node:vm'/, code), [])
})

t.test('nothing is left to be done, and no type is given up', async t => {
  t.strictSame(lines(/\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|nocheck|expect-error)/, code), [])
  t.strictSame(lines(/\bas any\b|: any[,;) [\]=]/, code.filter(({ path }) => path.endsWith('.ts')).map(withoutComments)), [])
})

t.test('campaigns and the bench load no test framework: it would end them after half a minute', async t => {
  const all = new Map(sources(['gateway', 'plugins', 'config', 'test']).map(source => [source.path, source]))
  const seen = new Set<string>()
  const load = (path: string): string[] => {
    const source = all.get(path)
    if (seen.has(path) || source === undefined) return []
    seen.add(path)
    return imports({ path, text: source.text.replaceAll(/^import type .*$/gm, '').replaceAll(/\bimport\(/g, 'later(') }).flatMap(({ to }) => to === 'tap' ? [path] : load(to))
  }
  const roots = [...all.keys()].filter(path => /^test\/(campaign|bench)\/run\.ts$|\.test-(kill|campaign|bench)\.ts$/.test(path))
  t.ok(roots.length >= 2)
  t.strictSame(roots.flatMap(load), [])
})

t.test('no file has grown beyond what one reads at once', async t => {
  t.strictSame(code.filter(({ path }) => !LONGER.has(path)).map(({ path, text }) => `${path}: ${text.trimEnd().split('\n').length}`).filter(line => Number(line.split(': ')[1]) > LINES_MAX), [])
})
