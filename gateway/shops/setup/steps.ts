// The kinds of steps that ask the provider, each from what was given to how the step stands afterwards.

import type { LookUp, SetupFinding, SetupStep } from '../../contract.ts'
import { MappingError, nearest } from '../../errors.ts'
import { valueAt } from '../../json-pointer.ts'
import type { Reason } from '../../reasons.ts'
import { checked, itemsOf, told, type Asking, type Subject, type Told } from './asking.ts'
import type { StepRow } from './rows.ts'
import { wordsFor } from './words.ts'

const NEAR_MAX = 5
/** Settings that answers ask for, each changed once. */
const ADJUSTED_MAX = 3

/** How a step stands once the provider has answered. `settings`: of the connection, from now on. */
export type Learnt =
  | { is: 'later', reason: Reason, detail: string | null, afterMs: number }
  | { is: 'known', state: StepRow['state'], reason: Reason | null, detail: string | null, found?: Record<string, unknown>, settings?: Record<string, unknown>, account?: { id: string | null, name: string } }

/** Whether credentials are good, and whose they are. */
export async function tryConnection (step: SetupStep, subject: Subject, asking: Asking): Promise<Learnt> {
  if (step.check === null) return { is: 'known', state: 'done', reason: null, detail: null, account: { id: null, name: '' } }
  const answer = await checked(step.check, subject, asking)
  if (answer.is === 'later') return answer
  // What is wrong with a request that holds nothing but the credentials is the credentials.
  const { account_id: idAt, account_name: nameAt } = step.check.save ?? {}
  const account = { id: textAt(answer.body, idAt), name: wordsFor(subject.connection, asking).name(textAt(answer.body, nameAt) ?? '') }
  if (answer.is === 'refused') return { is: 'known', state: 'failed', reason: HELD.has(answer.reason) ? answer.reason : 'credentials_refused', detail: answer.detail, account }
  return { is: 'known', state: 'done', reason: null, detail: null, account }
}

const HELD: ReadonlySet<Reason> = new Set(['credentials_refused', 'scope_missing', 'unexpected_account', 'account_suspended', 'account_unknown', 'blocked_by_provider'])

interface Option { value: string, label: string }

/** Reads what can be chosen; what was chosen before must still be there. */
export async function readOptions (step: SetupStep, row: StepRow, subject: Subject, asking: Asking): Promise<Learnt> {
  const { options } = step
  if (options === null) throw new Error(`the step ${step.id} has no options`)
  const answer = await itemsOf(options, {}, subject, asking)
  if (answer.is !== 'ok') return unless(answer, row)
  const words = wordsFor(subject.connection, asking)
  const found: Option[] = answer.items.flatMap(item => {
    const value = textAt(item, options.value)
    return value === null ? [] : [{ value, label: words.name(textAt(item, options.label) ?? value) }]
  })
  const chosen = step.setting === null ? row.given['value'] : subject.connection.settings[step.setting]
  const gone = typeof chosen === 'string' && chosen !== '' && !found.some(({ value }) => value === chosen)
  if (gone) return { is: 'known', state: 'failed', reason: 'selection_gone', detail: null, found: { options: found } }
  return { is: 'known', state: chosen === undefined || chosen === '' ? 'open' : 'done', reason: null, detail: null, found: { options: found } }
}

/** Looks up what the merchant named, and reports each finding apart. */
export async function verify (step: SetupStep, row: StepRow, trigger: string | null, subject: Subject, asking: Asking): Promise<Learnt> {
  const answer = await lookUpAll(step.lookUps, { input: row.given, trigger: trigger ?? '' }, subject, asking)
  if (answer.is !== 'ok') return unless(answer, row)
  const { found, looked, near } = answer
  const findings = step.findings.map(finding => reported(finding, found, looked))
  const wrong = findings.find(({ ok, warns }) => ok !== true && !warns)
  return { is: 'known', state: wrong === undefined ? 'done' : 'failed', reason: wrong === undefined ? null : 'not_verified', detail: wrong?.text ?? null, found: { findings, near } }
}

/** `found`: items by the look-up's id. `looked`: those that could be made. `near`: names that may have been meant. */
interface LookedUp { is: 'ok', found: Record<string, unknown>, looked: ReadonlySet<string>, near: string[] }

/** Makes look-ups one after the other; `about`: what their templates read besides what was found before. */
export async function lookUpAll (lookUps: readonly LookUp[], about: object, subject: Subject, asking: Asking): Promise<Exclude<Told, { is: 'ok' }> | LookedUp> {
  const found: Record<string, unknown> = {}
  const looked = new Set<string>()
  const near: string[] = []
  const { connection: { accountId, settings, auth }, provider: { options } } = subject
  for (const lookUp of lookUps) {
    const answer = await lookedUp(lookUp, { ...about, connection: { account_id: accountId, settings, auth }, options, found }, subject, asking)
    if (answer === null) continue // what it is about was not found
    if (answer.is !== 'ok') return answer
    const { item, nearby } = answer
    looked.add(lookUp.id)
    if (item !== undefined) found[lookUp.id] = item
    near.push(...nearby.map(wordsFor(subject.connection, asking).name))
  }
  return { is: 'ok', found, looked, near }
}

/** A request that needs what was not found is not made: null. */
async function lookedUp (lookUp: LookUp, scope: object, subject: Subject, asking: Asking): Promise<Exclude<Told, { is: 'ok' }> | { is: 'ok', item: unknown, nearby: string[] } | null> {
  let map: Record<string, unknown>
  let wanted: Array<[string, string]>
  let unwanted: Array<[string, string]>
  const rendered = (values: LookUp['match']): Array<[string, string]> => values.map(({ at, equals }) => [at, String(equals.render(scope))])
  try {
    map = lookUp.with.render(scope) as Record<string, unknown>
    wanted = rendered(lookUp.match)
    unwanted = rendered(lookUp.unless)
  } catch (error) {
    if (error instanceof MappingError) return null
    throw error
  }
  const answer = await itemsOf(lookUp, map, subject, asking)
  if (answer.is !== 'ok') return answer
  const { items } = answer
  const stands = (one: unknown) => ([at, equals]: [string, string]) => String(valueAt(one, at)) === equals
  const item = items.find(one => wanted.every(stands(one)) && !unwanted.some(stands(one)))
  return { is: 'ok', item, nearby: item === undefined && lookUp.near !== null ? nearOnes(items, lookUp.near, wanted) : [] }
}

/** Names that may have been meant: those but for capitals and spaces first, then those that are like it. */
function nearOnes (items: readonly unknown[], at: string, wanted: ReadonlyArray<[string, string]>): string[] {
  const name = wanted.find(([pointer]) => pointer === at)?.[1] ?? ''
  const names = new Set(items.map(item => valueAt(item, at)).filter(one => typeof one === 'string'))
  const plain = (text: string) => text.toLowerCase().replaceAll(/\s+/g, ' ').trim()
  const near = [...names].filter(one => plain(one) === plain(name))
  for (const one of near) names.delete(one)
  while (near.length < NEAR_MAX) {
    const next = nearest(name, names)
    if (next === null) break
    near.push(next)
    names.delete(next)
  }
  return near
}

interface Reported { id: string, ok: boolean | null, warns: boolean, text: string }

/** `ok` null: it could not be looked at, as what it is about was not found. */
function reported ({ id, of, at, equals, absent = false, warns = false, text, otherwise }: SetupFinding, found: Record<string, unknown>, looked: ReadonlySet<string>): Reported {
  const there = Object.hasOwn(found, of)
  const ok = !looked.has(of) || (!there && at !== undefined) ? null : at === undefined ? there !== absent : valueAt(found[of], at) === equals
  return { id, ok, warns, text: ok === true ? text : otherwise }
}

/** The event types that the sample is for, and what it is sent with. */
export interface TestEvent { type: string, data: Record<string, unknown>, shop: { id: string, name: string, domain: string }, id: string, /** Its own time. */ now: number }

/** Sends sample data as the event would be sent; what the provider does not take of it is left out from now on. */
export async function sendTestEvent ({ type, data, shop, id, now }: TestEvent, subject: Subject, asking: Asking): Promise<Learnt> {
  const { provider, connection } = subject
  const adjusted: Record<string, unknown> = {}
  for (let tries = 0; ; tries++) {
    const settings = { ...connection.settings, ...adjusted }
    const prepared = provider.prepare(type, {
      data, shop, connection: { account_id: connection.accountId, settings },
      event: { id, source: 'setup', type, time: new Date(now).toISOString() },
      delivery: { id, key: id, attempt: 1, record_only: false }
    })
    if (!prepared.ok) return { is: 'known', state: 'failed', reason: prepared.reason, detail: prepared.detail }
    const answer = await asking.ask(connection, prepared.request, {})
    const outcome = asking.judge(answer, provider, settings)
    if (outcome.is === 'retry' && outcome.settings !== undefined && tries < ADJUSTED_MAX) {
      Object.assign(adjusted, outcome.settings)
      continue
    }
    // It may have arrived: the merchant sees on the phone whether it did, and sends another one if not.
    if (outcome.is === 'unknown') return { is: 'known', state: 'failed', reason: outcome.reason, detail: outcome.detail ?? null }
    const result = told(answer, outcome)
    if (result.is === 'later') return result
    if (result.is === 'refused') return { is: 'known', state: 'failed', reason: result.reason, detail: result.detail }
    return { is: 'known', state: 'done', reason: null, detail: null, found: { event_id: id }, ...(Object.keys(adjusted).length > 0 && { settings: adjusted }) }
  }
}

/** What cannot be read now says nothing about the step: it stays as it was, with the reason; a refusal is the account's. */
function unless (answer: Exclude<Told, { is: 'ok' }>, row: StepRow): Learnt {
  return answer.is === 'later' ? answer : { is: 'known', state: row.state, reason: answer.reason, detail: answer.detail, found: row.found }
}

function textAt (body: unknown, pointer: string | undefined): string | null {
  const value = pointer === undefined ? undefined : valueAt(body, pointer)
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null
}
