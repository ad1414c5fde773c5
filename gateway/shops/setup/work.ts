// What a set-up asks of the provider, as jobs of the gateway that the account belongs to.

import { valueAt } from '../../json-pointer.ts'
import type { Provider, SetupStep, Step } from '../../contract.ts'
import { accountOf, isSameAccount, type Connection, type OpenConnection } from '../connections.ts'
import type { ShopState } from '../shops.ts'
import { awaited, timeOfTest } from './arrival.ts'
import { scrubbed } from './asking.ts'
import { accountKeyOf, at, factsOf, type SetupOptions } from './facts.ts'
import { connects, lastConnected, standings, type Item } from './progress.ts'
import { left } from './left.ts'
import { rowAt, type StepRow } from './rows.ts'
import { readOptions, sendTestEvent, tryConnection, verify, type Learnt } from './steps.ts'
import { checkTask, runTask } from './task.ts'
import { unwantedSteps } from './unwanted.ts'
import { changed, connected, turnedOut, type Place, type Written } from './writing.ts'
import { lookAfterSteps } from '../webhooks/steps.ts'

const TRIES = 3
/** Whoever waits for an answer is told sooner than this. */
const AFTER_MAX_MS = 5000
const AGAIN_MS = 1000
const PAUSED_MS = 5000

/** `uniqueKey`: shop key, provider, and of a step its id and subject, with slashes between. */
export interface SetupJob { uniqueKey: string, cursor: string | null }

/** When it is tried once more; null: it has ended. `cursor` counts the tries. */
export type Again = { dueAt: number, cursor: string } | null

/** Asks the provider what a step needs. `onConnected` is told of a connection that was made. */
export async function runStep (job: SetupJob, options: SetupOptions, onConnected: (shop: string, provider: Provider) => void): Promise<Again> {
  const { uniqueKey, cursor } = job
  if (options.paused()) return putOff(cursor, options)
  const [shopKey, providerId, stepId, subject] = uniqueKey.split('/') as [string, string, string, string]
  const provider = options.provider(providerId)
  const step = provider?.setup.find(({ id }) => id === stepId)
  if (!provider || !step) return later(await left({ shopKey: Number(shopKey), provider: providerId, step: stepId, subject }, row => row.action === null ? null : row.askedAt ?? 0, row => ({ ...row, action: null, given: withoutPhone(row.given) }), options), cursor)
  const state = await options.shops.byKey(Number(shopKey))
  const row = rowAt((await factsOf(state, provider, options)).rows, stepId, subject)
  if (row.action === null) return null
  if (row.action === 'check') {
    const again = await recheck(job, options)
    if (again === null) await ended(state.shop.id, provider, row, options)
    return again
  }
  if (step.kind === 'task') return await runTask({ state, provider, step, row }, cursor, options)
  const learnt = await learn(state, provider, step, row, options)
  const again = againAfter(learnt, cursor, options)
  if (again !== null) return again
  if (await keep(state.shop.id, provider, step, row, learnt, options)) onConnected(state.shop.id, provider)
  return null
}

function againAfter (learnt: Learnt, cursor: string | null, { runtime }: SetupOptions): Again {
  const tries = Number(cursor ?? 0) + 1
  return learnt.is === 'later' && tries < TRIES && learnt.afterMs <= AFTER_MAX_MS ? { dueAt: runtime.now() + Math.max(learnt.afterMs, AGAIN_MS), cursor: String(tries) } : null
}

function later (at: { dueAt: number } | null, cursor: string | null): Again { return at && { ...at, cursor: cursor ?? '0' } }

/** Nothing was asked, so it is no try. */
function putOff (cursor: string | null, { runtime }: SetupOptions): Again { return { dueAt: runtime.now() + PAUSED_MS, cursor: cursor ?? '0' } }

/** Looks after a connection and what was set up at the provider. Once a day, and when asked. */
export async function recheck ({ uniqueKey, cursor }: SetupJob, options: SetupOptions): Promise<Again> {
  if (options.paused()) return putOff(cursor, options)
  const [shopKey, providerId] = uniqueKey.split('/') as [string, string]
  const provider = options.provider(providerId)
  const state = await options.shops.byKey(Number(shopKey))
  const connection = state.connections.get(providerId)
  if (!provider || connection === undefined || connection.platform || connection.secrets === null) return null
  for (const { step, items } of standings(await factsOf(state, provider, options))) {
    for (const item of items.filter(one => connects(step) ? step.auth === connection.auth : isLookedAfter(step, one))) {
      const row = connects(step) ? { ...item.row, action: 'check' } : item.row
      const learnt = await learn(state, provider, step, row, options)
      const again = connects(step) ? againAfter(learnt, cursor, options) : null
      if (again !== null) return again
      if (learnt.is === 'known' || connects(step)) await keep(state.shop.id, provider, step, row, learnt, options)
      if (connects(step) && (learnt.is === 'later' || learnt.state === 'failed')) return null
    }
  }
  const webhooks = lookAfterSteps(provider, connection.account, options)
  if (webhooks.length > 0) await options.store.commit(webhooks)
  return null
}

/** What a person once did can come undone at the provider; what was never done cannot. */
function isLookedAfter (step: SetupStep, { state, row }: Item): boolean {
  return (step.kind === 'select' || step.kind === 'verify' || step.kind === 'task') && (state === 'done' || (state === 'failed' && row.doneAt !== null))
}

/** What the provider's answer says of a step; its words never with the credentials in them. */
async function learn (state: ShopState, provider: Provider, step: SetupStep, row: StepRow, options: SetupOptions): Promise<Learnt> {
  const connection = row.action === 'connect' ? await pending(state, provider, step, options) : state.connections.get(provider.id)
  if (connection === undefined || connection.secrets === null) return { is: 'known', state: 'failed', reason: connection === undefined ? 'not_connected' : 'credentials_unreadable', detail: null }
  return scrubbed(await learnBy(connection as OpenConnection, state, provider, step, row, options), connection as OpenConnection, options)
}

async function learnBy (connection: OpenConnection, state: ShopState, provider: Provider, step: SetupStep, row: StepRow, options: SetupOptions): Promise<Learnt> {
  const subject = { provider, connection }
  const { accountId, settings } = connection
  const { id, name, domain } = state.shop
  switch (step.kind) {
    case 'api_key': case 'oauth2': return await tryConnection(step, subject, row.action === 'connect' ? { ...options, ask: (tried, request, scope) => options.ask(tried, request, scope, false) } : options)
    case 'select': return await readOptions(step, row, subject, options)
    case 'verify': return await verify(step, row, provider.trigger(row.subject, { account_id: accountId, settings }), subject, options)
    case 'test_event': return await sendTestEvent({ type: row.subject, data: sampleFor(row, options), shop: { id, name, domain }, id: String(row.given['event_id']), now: timeOfTest(row, options.runtime.now()) }, subject, options)
    case 'task': return await checkTask({ state, provider, step, row }, subject.connection, options)
    default: throw new Error(`nobody asks a provider about a ${step.kind}`)
  }
}

/** Sample data with the phone that was given. */
function sampleFor ({ subject, given }: StepRow, { sample, config }: SetupOptions): Record<string, unknown> {
  const data = structuredClone(sample(subject) ?? {})
  const person = config().eventTypes[subject]?.person ?? ''
  const parent = valueAt(data, person.slice(0, person.lastIndexOf('/')))
  if (person !== '' && parent !== null && typeof parent === 'object') (parent as Record<string, unknown>)[person.slice(person.lastIndexOf('/') + 1)] = given['phone']
  return data
}

/** Whose phone a test went to is kept only for as long as its arrival is looked for. */
function withoutPhone (given: Record<string, unknown>): Record<string, unknown> { return Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'phone')) }

/** What one test event made known stays known: one that fails later is told, and undoes nothing. */
function staysDone ({ kind }: SetupStep, { doneAt }: StepRow): boolean { return kind === 'test_event' && doneAt !== null }

/** All that a check looks after was looked after, or there is nothing any more. */
async function ended (id: string, provider: Provider, asked: StepRow, options: SetupOptions): Promise<void> {
  await options.shops.alter(id, async state => {
    const facts = await factsOf(state, provider, options)
    const row = rowAt(facts.rows, asked.step, asked.subject)
    if (row.action !== 'check' || row.askedAt !== asked.askedAt) return null
    const connection = state.connections.get(provider.id)
    const lost = connection === undefined ? { reason: 'not_connected', detail: null } as const : connection.secrets === null ? { reason: 'credentials_unreadable', detail: null } as const : {}
    return changed({ state, provider, facts }, { ...row, ...lost, action: null }, {}, [], options.runtime)
  })
}

/** The connection that the credentials given would make. */
async function pending (state: ShopState, provider: Provider, step: SetupStep, options: SetupOptions): Promise<Connection | undefined> {
  const rows = await options.store.read('setup_secrets', { ...at(state, provider), step: step.id })
  if (rows.length === 0) return undefined
  const secrets = Object.fromEntries(rows.map(({ field, key_id: keyId, version, sealed }) =>
    [String(field), options.vault.open({ shop: state.shop.id, provider: provider.id, field: String(field) }, { keyId: String(keyId), version: Number(version), sealed: sealed as Uint8Array })]))
  const account = accountOf(provider, { accountId: null, secrets }, {}, options.vault)
  return { id: null, provider: provider.id, platform: false, auth: step.auth as string, accountId: '', accountKey: await accountKeyOf(provider, account, options), account, name: '', settings: provider.settingsDefaults, ready: [], setUp: [], secrets, oauth: null }
}

/** What was learnt, with all that follows from it, in one unit. True where it made a connection. */
async function keep (id: string, provider: Provider, step: SetupStep, asked: StepRow, learnt: Learnt, options: SetupOptions): Promise<boolean> {
  const { runtime, vault, store } = options
  const connecting = asked.action === 'connect'
  let made = false
  await options.shops.alter(id, async state => {
    made = false
    const facts = await factsOf(state, provider, options)
    const place = { state, provider, facts }
    const before = rowAt(facts.rows, step.id, asked.subject)
    if (before.askedAt !== asked.askedAt) return null // it was asked for anew meanwhile, and there is a job for that; or it was forgotten
    const dropped: Step[] = connecting ? [{ name: 'drop_setup_secrets', params: { ...at(state, provider), step: step.id } }] : []
    const unwanted = async (accountId: string): Promise<Step[]> => connecting ? [...await unwantedSteps({ state, provider, step: step.id }, accountId, options), ...dropped] : []
    const action = asked.action === 'check' ? before.action : null // a check goes on to what was set up
    if (learnt.is === 'later') return changed(place, { ...before, given: withoutPhone(before.given), action, reason: learnt.reason, detail: learnt.detail }, {}, await unwanted(''), runtime)
    const now = runtime.now()
    const row: StepRow = { ...before, given: withoutPhone(before.given), action, state: staysDone(step, before) ? 'done' : learnt.state, reason: learnt.reason, detail: learnt.detail, found: learnt.found ?? before.found, checkedAt: now, doneAt: learnt.state === 'done' ? before.doneAt ?? now : before.doneAt }
    if (asked.action === 'check' && connects(step)) return found(place, row, before, learnt, runtime)
    const proven = connecting && learnt.state === 'done' ? await pending(state, provider, step, options) : undefined
    if (proven === undefined) {
      const sent = step.kind === 'test_event' && learnt.state === 'done' ? awaited(step, row, before.given, place, options) : { row, steps: [] }
      return changed(place, sent.row, learnt.settings ?? {}, [...await unwanted(learnt.account?.id ?? ''), ...sent.steps], runtime)
    }
    made = true
    return connected(place, row, { pending: proven, account: learnt.account ?? { id: null, name: '' } }, dropped, { vault, runtime, store })
  })
  return made
}

/** A check of credentials that are there already. It may tell for the first time whose they are. */
function found (place: Place, row: StepRow, { checkedAt }: StepRow, { state, account }: Extract<Learnt, { is: 'known' }>, runtime: SetupOptions['runtime']): Written {
  if (state !== 'done') return changed(place, checkedAt === null ? { ...row, checkedAt } : row, {}, [], runtime)
  const id = account?.id ?? null
  const known: StepRow = { ...row, given: { ...row.given, account_id: id ?? '' } }
  return isSameAccount({ accountId: lastConnected(place.facts)?.accountId ?? '' }, id) ? changed(place, known, {}, [], runtime) : turnedOut(place, known)
}
