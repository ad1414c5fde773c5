// POST …/waitlist/import: sign-ups from a file, with a report of every row. Nothing is written before the whole file was
// read; then by some hundreds of rows, each lot in one unit. Sent again, what is there already stays as it is.

import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { GatewayError } from '../../../gateway/errors.ts'
import type { Made, SourceContext, SourceEvent, SourceShop } from '../../../gateway/contract.ts'
import { columnsOf, rowOf, type Columns } from './columns.ts'
import { readCsv } from './csv.ts'
import type { Known } from './offer.ts'
import { knownProduct, settingsOf, type SignupSettings } from './settings.ts'
import { shapeOf } from './shape.ts'
import { signupOf, type Signup } from './signup.ts'
import { digestOf, SIGNUP_STATE, standing } from './take.ts'

const FILE_CAP_BYTES = 4 * 1024 * 1024
const LOT = 500
/** Questions to the database at a time. */
const AT_ONCE = 25

/** `row` as a spreadsheet counts, the header being row 1. */
export interface RowReport { row: number, status: 'joined' | 'waiting' | 'refused', code?: string, message?: string }

interface Ready { row: number, signup: Signup, event: SourceEvent & { shop: string } }

const NO_CONSENT = { code: 'no_consent', message: 'waits, and is not texted: the file has no consent with its date' }

export function importRoute (app: FastifyInstance, context: SourceContext): void {
  const going = new Set<string>()
  app.register(async scope => {
    scope.addContentTypeParser('text/csv', { parseAs: 'buffer', bodyLimit: FILE_CAP_BYTES }, (_request, body, done) => { done(null, body) })
    scope.post('/import', { config: { scope: 'events:write' }, bodyLimit: FILE_CAP_BYTES }, async request => {
      if (!Buffer.isBuffer(request.body)) throw new GatewayError('GW_MEDIA_TYPE', 'A file of sign-ups is text/csv.')
      const shop = context.shopOf(request)
      if (going.has(shop.id)) throw new GatewayError('GW_CONFLICT', 'A file of this shop is being read already.')
      going.add(shop.id)
      try {
        await context.commit([context.audit({ actor: context.callerOf(request), action: 'waitlist.import', shop: shop.id, subject: null })])
        return await imported(request.body, shop, context)
      } finally {
        going.delete(shop.id)
      }
    })
  })
}

async function imported (file: Buffer, shop: SourceShop, context: SourceContext): Promise<object> {
  const { header, rows } = await readCsv(file)
  const columns = columnsOf(header)
  const wrong = [...columns.missing.map(name => ({ path: '', rule: 'column_missing', message: `has no column "${name}"` })), ...columns.twice.map(name => ({ path: '', rule: 'column_twice', message: `has a second column for the same, "${name}"` }))]
  if (wrong.length > 0) throw new GatewayError('GW_REQUEST_INVALID', 'The columns of the file cannot be used.', { details: wrong })
  const settings = await settingsOf(shop.key, context)
  const known = new Map<string, Promise<Known | null>>()
  const seen = new Set<string>()
  const report: RowReport[] = []
  for (let at = 0; at < rows.length; at += LOT) {
    const ready: Ready[] = []
    for (const [i, cells] of rows.slice(at, at + LOT).entries()) {
      const row = at + i + 2
      const read = await readRow(cells, columns, { shop, settings, known, context })
      if ('code' in read) report.push({ row, status: 'refused', ...read })
      else ready.push({ row, signup: read, event: eventOf(read, shop, context) })
      if (i % AT_ONCE === 0) await setImmediate() // others have their turn
    }
    report.push(...await takeLot(ready.filter(one => isFirst(one, seen, report)), shop, context))
  }
  report.sort((a, b) => a.row - b.row)
  const count = (status: RowReport['status']): number => report.filter(row => row.status === status).length
  return {
    shop: shop.id,
    rows: rows.length,
    joined: count('joined'),
    waiting: count('waiting'),
    refused: count('refused'),
    without_consent: report.filter(({ status, code }) => status !== 'refused' && code === NO_CONSENT.code).length,
    ignored_columns: columns.ignored,
    report
  }
}

interface RowParts { shop: SourceShop, settings: SignupSettings, known: Map<string, Promise<Known | null>>, context: SourceContext }

async function readRow (cells: readonly string[], columns: Columns, { shop, settings, known, context }: RowParts): Promise<Signup | { code: string, message: string }> {
  const read = rowOf(cells, columns)
  if ('code' in read) return read
  const shape = shapeOf(read.given)
  if ('faults' in shape) return wordOf(shape.faults)
  const { id } = shape.given.product
  if (!known.has(id)) known.set(id, knownProduct(shop.key, id, context))
  const signup = signupOf(shape.given, { shop, settings, known: await known.get(id) ?? null, trusted: true, withoutConsent: true, now: context.now() })
  return 'faults' in signup ? wordOf(signup.faults) : signup
}

function wordOf (faults: ReadonlyArray<{ path: string, rule: string, message: string }>): { code: string, message: string } {
  const [first] = faults
  return { code: first?.rule ?? 'invalid', message: faults.map(({ path, message }) => `${path.slice(1).replaceAll('/', '.')} ${message}`).join('; ').slice(0, 500) }
}

/** The same row has the same id, whichever file it is in. */
function eventOf (signup: Signup, shop: SourceShop, context: SourceContext): Ready['event'] {
  const { phone, variant, market, data } = signup
  const id = `import ${digestOf(['import', shop.id, variant, market, phone, data['joined_at'] ?? null, data['consent']], context)}`
  return { id, type: 'waitlist.joined', shop: shop.id, timeAt: context.now(), data }
}

function isFirst ({ row, signup: { variant, market, phone } }: Ready, seen: Set<string>, report: RowReport[]): boolean {
  const key = JSON.stringify([variant, market, phone])
  if (seen.has(key)) {
    report.push({ row, status: 'waiting', code: 'repeated', message: 'the file has this customer and variant before' })
    return false
  }
  seen.add(key)
  return true
}

async function takeLot (lot: readonly Ready[], shop: SourceShop, context: SourceContext): Promise<RowReport[]> {
  const report: RowReport[] = []
  const entering: Ready[] = []
  for (let at = 0; at < lot.length; at += AT_ONCE) {
    const some = lot.slice(at, at + AT_ONCE)
    const told = await Promise.all(some.map(one => before(one, shop, context)))
    for (const [i, one] of some.entries()) {
      const word = told[i]
      if (word) report.push({ row: one.row, ...word })
      else entering.push(one)
    }
  }
  if (entering.length === 0) return report
  const made = await context.accept(entering.map(({ event }) => event), [])
  if (made.is === 'accepted') report.push(...entering.map((one, i) => reported(one, made.events[i]?.status === 'accepted')))
  // One of them is refused, and none is in: each is tried by itself.
  else for (const one of entering) report.push(alone(one, await context.accept([one.event], [])))
  return report
}

/** What is said of a row for which nothing is to be entered; null where something is. */
async function before ({ signup }: Ready, shop: SourceShop, context: SourceContext): Promise<Omit<RowReport, 'row'> | null> {
  const row = await standing(signup, shop, context)
  if (row === null) return null
  const agreed = (signup.data['consent'] as { sms: boolean }).sms
  if (row.state === SIGNUP_STATE.waiting || row.state === SIGNUP_STATE.alerting) return row.consent === 1 || !agreed ? { status: 'waiting', ...(row.consent === 0 && NO_CONSENT) } : null
  if (row.state === SIGNUP_STATE.skipped && row.reason === NO_CONSENT.code && agreed) return null
  if (row.state === SIGNUP_STATE.removed) return { status: 'refused', code: 'removed', message: 'was taken off the waitlist: the customer may sign up again' }
  const joinedAt = typeof signup.data['joined_at'] === 'string' ? Date.parse(signup.data['joined_at']) : 0
  const since = Math.max(...[row.joined_at, row.told_at, row.alerted_at, row.bought_at].map(Number))
  return joinedAt > since ? null : { status: 'refused', code: 'ended', message: 'waited before, and that has ended: only a date after it lets the customer wait again' }
}

function reported ({ row, signup }: Ready, isNew: boolean): RowReport {
  if (!isNew) return { row, status: 'refused', code: 'taken_before', message: 'was taken before, and is not on the waitlist any more' }
  return { row, status: 'joined', ...(!(signup.data['consent'] as { sms: boolean }).sms && NO_CONSENT) }
}

function alone (one: Ready, made: Made): RowReport {
  if (made.is === 'accepted') return reported(one, made.events[0]?.status === 'accepted')
  return made.code === 'GW_EVENT_CONFLICT' ? reported(one, false) : { row: one.row, status: 'refused', code: 'invalid', message: made.message }
}
