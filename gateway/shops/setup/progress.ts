// How far a set-up is: which steps are done, which can be done now, and which set-up groups may send.

import type { SetupStep } from '../../contract.ts'
import type { Connection } from '../connections.ts'
import { rowAt, type StepRow, type StepRows } from './rows.ts'

/** `blocked`: a step before it is open. `not_needed`: another way was chosen. */
export type StepState = 'done' | 'open' | 'blocked' | 'running' | 'failed' | 'not_needed'

export interface Item {
  /** Set-up group or event type; '' where the step is done once. */
  subject: string
  state: StepState
  row: StepRow
  /** Steps that must be done before, by their ids. */
  missing: string[]
  /** Nothing of it holds messages. */
  counts: boolean
}

export interface Standing { step: SetupStep, items: Item[] }

export interface SetupFacts {
  steps: readonly SetupStep[]
  /** Event types of each set-up group, as far as the provider has them. */
  groups: ReadonlyMap<string, readonly string[]>
  connection: Pick<Connection, 'platform' | 'auth' | 'accountId' | 'settings' | 'secrets'> | undefined
  /** What the provider refused the account for, where it did. */
  refused: boolean
  rows: StepRows
}

/** Each step with what it is done for, in the manifest's order. */
export function standings (facts: SetupFacts): Standing[] {
  const told: Standing[] = []
  for (const step of facts.steps) told.push({ step, items: subjectsOf(step, facts).map(subject => itemOf(step, subject, facts, told)) })
  return told
}

/** The groups of which every step that counts is done. */
export function groupsSetUp (facts: SetupFacts): string[] {
  if (facts.connection === undefined) return []
  // What the provider refuses holds the account, and says so itself; what is asked for once more is as it was until the answer.
  const rows = new Map([...facts.rows].map(([key, row]) => [key, { ...row, action: null }]))
  const all = standings({ ...facts, refused: false, rows })
  return [...facts.groups.keys()].filter(group => all.every(({ step, items }) =>
    step.optional || items.filter(({ subject }) => relates(step, subject, group, facts)).every(item => item.state === 'not_needed' || !item.counts || item.state === 'done')))
}

/** Once for each group, each event type, or once. */
export function subjectsOf ({ per }: SetupStep, { groups }: Pick<SetupFacts, 'groups'>): string[] {
  if (per === undefined) return ['']
  return per === 'setup_group' ? [...groups.keys()] : [...groups.values()].flat()
}

function itemOf (step: SetupStep, subject: string, facts: SetupFacts, before: readonly Standing[]): Item {
  const row = rowAt(facts.rows, step.id, subject)
  const missing = step.needs.filter(need => !isDone(need, subject, facts, before))
  const own = stateOf(step, row, facts)
  const item = { subject, row, missing, counts: !(step.recheck === 'warn' && own === 'failed' && row.doneAt !== null) }
  const chosen = step.when === null ? true : isChosen(step.when, subject, facts)
  if (chosen === false || (connects(step) && facts.connection !== undefined && facts.connection.auth !== step.auth)) return { ...item, missing: [], state: 'not_needed' }
  if (row.action !== null) return { ...item, state: 'running' }
  if (own !== 'done' && missing.length > 0) return { ...item, state: 'blocked' }
  return chosen === null ? { ...item, missing: [...missing, step.when?.step as string], state: 'blocked' } : { ...item, state: own }
}

function stateOf (step: SetupStep, row: StepRow, facts: SetupFacts): 'done' | 'open' | 'failed' {
  const { connection, refused } = facts
  if (connects(step) && connection?.auth === step.auth && connection.secrets !== null) return refused ? 'failed' : mayBeAnother(connection, facts) ? 'open' : 'done'
  if (connects(step) && row.state === 'done') return 'open' // disconnected
  if (step.kind === 'select' && step.setting !== null && row.state !== 'failed') return connection?.settings[step.setting] ? 'done' : 'open'
  return row.state
}

/** The account that was connected last, and how. */
export function lastConnected ({ steps, rows }: Pick<SetupFacts, 'steps' | 'rows'>): { accountId: string, auth: string | null, checkedAt: number | null } | null {
  const known = steps.filter(connects).flatMap(({ id, auth }) => {
    const { given, checkedAt, askedAt } = rowAt(rows, id, '')
    return typeof given['account_id'] === 'string' ? [{ accountId: given['account_id'], auth, checkedAt, at: checkedAt ?? askedAt ?? 0 }] : []
  })
  return known.toSorted((a, b) => b.at - a.at)[0] ?? null
}

/** Credentials that were given past the set-up: what was set up is an account's, and whether it is theirs a check tells. */
function mayBeAnother ({ accountId }: Pick<Connection, 'accountId'>, facts: SetupFacts): boolean {
  const last = lastConnected(facts)
  return last !== null && last.accountId !== '' && last.accountId !== accountId && last.checkedAt === null
}

export function connects ({ kind }: SetupStep): boolean { return kind === 'api_key' || kind === 'oauth2' }

/** One of the steps that connect is enough for whatever needs one of them. */
function isDone (need: string, subject: string, facts: SetupFacts, before: readonly Standing[]): boolean {
  const found = before.find(({ step }) => step.id === need)
  if (found === undefined) return false
  if (connects(found.step)) return facts.steps.some(step => connects(step) && stateOf(step, rowAt(facts.rows, step.id, ''), facts) === 'done')
  return found.items.filter(item => relates(found.step, item.subject, subject, facts)).every(({ state, counts }) => state === 'done' || state === 'not_needed' || !counts)
}

/** Null where nothing is chosen yet. */
function isChosen (when: { step: string, is: string }, subject: string, facts: SetupFacts): boolean | null {
  const choice = facts.steps.find(({ id }) => id === when.step)
  if (choice === undefined) return false
  const chosen = subjectsOf(choice, facts).filter(one => relates(choice, one, subject, facts)).map(one => rowAt(facts.rows, choice.id, one).given['value'])
  return chosen.some(value => value === undefined) ? null : chosen.includes(when.is)
}

/** Whether what a step is done for has to do with the subject of another one. */
function relates (step: SetupStep, of: string, subject: string, { groups }: SetupFacts): boolean {
  if (of === '' || subject === '' || of === subject) return true
  return step.per === 'setup_group' ? groups.get(of)?.includes(subject) === true : groups.get(subject)?.includes(of) === true
}

