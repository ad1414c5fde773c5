// The tables of codes and reasons, held to the README and to the code.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CODES, GatewayError, nearest, type Code } from '../gateway/errors.ts'
import { REASONS, sentence, type Reason } from '../gateway/reasons.ts'
import { ROOT, sources } from './helpers/sources.ts'

const codes = Object.keys(CODES) as Code[]
/** A reason that only manifests give stands in a made one too, so that it is given whichever provider is shipped. */
const MADE = 'test/helpers/made-providers.ts'
const texts = [...sources(['gateway', 'plugins', 'config']), ...sources(['test/helpers']).filter(({ path }) => path === MADE)]

t.test('every code says what the reader can do, in a sentence', async t => {
  for (const code of codes) {
    const { status, fix } = CODES[code]
    t.match(code, /^GW_[A-Z]+(_[A-Z]+)*$/)
    t.match(fix, /^[A-Z].{5,}[^.]\.$/s, code)
    t.ok(status >= 400 && status < 600, code)
  }
})

t.test('every code is given somewhere, and none that is not in the table', async t => {
  const used = new Set(texts.filter(({ path }) => path !== 'gateway/errors.ts').flatMap(({ text }) => text.match(/\bGW_[A-Z_]+\b/g) ?? []))
  t.strictSame(codes.filter(code => !used.has(code)), [])
  t.strictSame([...used].filter(code => !codes.includes(code as Code)), [])
})

t.test('every code and every reason has a case in the tests', async t => {
  const cases = sources(['test']).filter(({ path }) => path !== 'test/errors.test.ts' && path !== MADE).map(({ text }) => text).join('\n')
  const without = (names: string[]) => names.filter(name => !new RegExp(`\\b${name}\\b`).test(cases))
  t.strictSame(without(codes), [])
  t.strictSame(without(Object.keys(REASONS)), [])
})

t.test('every reason is given somewhere, be it by the rules of a provider made in a test, and reads as a sentence', async t => {
  const all = [...texts, ...sources(['test/app', 'test/providers'])].filter(({ path }) => path !== 'gateway/reasons.ts').map(({ text }) => text).join('\n')
  t.strictSame(Object.keys(REASONS).filter(reason => !new RegExp(`\\b${reason}\\b`).test(all)), [])
  for (const reason of Object.keys(REASONS) as Reason[]) {
    t.match(sentence(reason, 'Courier'), /^[A-Z][^{}]+\.$/, reason)
  }
})

t.test('the README has the same table', async t => {
  const path = join(ROOT, 'README.md')
  const rows = readFileSync(path, 'utf8').split('\n').map(line => /^\| *`(GW_[A-Z_]+)` *\|(.*)\|$/.exec(line.trim())).filter(row => row !== null)
  const named = rows.map(row => row[1] as string)
  t.strictSame(named.toSorted(), codes.toSorted(), 'each code once, and no other')
  for (const row of rows) {
    const entry = CODES[row[1] as Code]
    const cells = (row[2] as string).split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll('\\|', '|'))
    if (entry) t.ok(cells.includes(entry.fix), `${row[1]}: the remedy is the table's`)
  }
})

t.test('an error carries its code, its status and its cause', async t => {
  const cause = new Error('below')
  const error = new GatewayError('GW_STORE_FAILED', 'Later.', { cause, details: [1] })
  t.match(error, { name: 'GatewayError', code: 'GW_STORE_FAILED', statusCode: 503, message: 'Later.', details: [1] })
  t.equal(error.cause, cause)
})

t.test('the word that was meant is found, and none that is far', async t => {
  const words = ['courier', 'herald', 'store']
  for (const [typed, meant] of [['coureir', 'courier'], ['Courier', 'courier'], ['herld', 'herald'], ['sotre', 'store'], ['xyz', null], ['courier', null], ['', null]] as const) t.equal(nearest(typed, words), meant, typed)
})
