// The set-up engine: takes what a merchant does, has the provider asked where that is needed, and keeps how each step stands.
// What needs the provider is a job of the account's own gateway; whoever asks waits a little for it.

import { setTimeout as wait } from 'node:timers/promises'
import type { Detail, Provider, SetupStep, Step } from '../../contract.ts'
import { GatewayError } from '../../errors.ts'
import type { Reason } from '../../reasons.ts'
import { accountOf, accountStep, type Connection, type Grant } from '../connections.ts'
import type { Tokens } from '../oauth/answers.ts'
import { ticketSteps, type Flow } from '../oauth/flows.ts'
import { startPath } from '../oauth/platform-app.ts'
import { secretsFaults } from '../secrets-faults.ts'
import type { ShopState } from '../shops.ts'
import { lookForArrival } from './arrival.ts'
import { CREDENTIALS, limited } from '../tries.ts'
import { at, factsOf, heldFor, type SetupOptions } from './facts.ts'
import { connects, standings, subjectsOf, type Item, type SetupFacts, type Standing } from './progress.ts'
import { forgetStep, keyOf, putStep, rowAt, rowsOf, type StepRow } from './rows.ts'
import { sayingOf } from './saying.ts'
import { stopTask, tasksOf, type TaskRow } from './task-rows.ts'
import { unwantedSteps } from './unwanted.ts'
import { recheck, runStep, type Again, type SetupJob } from './work.ts'
import { changed, written } from './writing.ts'

export type { SetupOptions } from './facts.ts'

const WAIT_MS = 10_000
const LOOK_MS = 50
const MINUTE_MS = 60_000

/** What a merchant does with a step. `subject`: the set-up group or event type, where the step is done once for each. */
export interface Act {
  shop: string
  provider: Provider
  step: string
  action: string
  subject: string
  body: { secrets?: Record<string, string>, input?: Record<string, string>, value?: string, phone?: string }
  actor: string
}

/** `tasks`: what goes on by itself at the account, by step and subject. */
export interface Standings { state: ShopState, standings: Standing[], facts: SetupFacts, held: Reason | null, tasks: ReadonlyMap<string, TaskRow> }

/** By kind, what can be done; the first is what its button does. */
export const ACTIONS: Record<SetupStep['kind'], readonly string[]> = {
  api_key: ['connect', 'check'], oauth2: ['connect', 'check'], select: ['select', 'refresh'], choice: ['choose'], task: ['start', 'retry'], verify: ['verify'], test_event: ['send'], confirm: ['confirm']
}

/** Beside what the step is done for. */
const TAKES: Record<string, keyof Act['body']> = { connect: 'secrets', choose: 'value', select: 'value', verify: 'input', send: 'phone' }

/** Why a connection is not checked by the step of another way. */
export const OTHER_WAY = 'The connection was made another way.'

export class Setup {
  #o: SetupOptions

  constructor (options: SetupOptions) { this.#o = options }

  /** How each step of a shop at a provider stands. */
  async standings (state: ShopState, provider: Provider): Promise<Standings> {
    const facts = await factsOf(state, provider, this.#o)
    const accountKey = state.connections.get(provider.id)?.accountKey
    const tasks = accountKey === undefined || !provider.setup.some(({ kind }) => kind === 'task') ? [] : await this.#o.store.read('setup_tasks', { account_key: accountKey })
    return { state, facts, standings: standings(facts), held: await heldFor(state, provider, this.#o), tasks: tasksOf(tasks) }
  }

  /** Why no merchant can be sent to a provider now; null where one can. */
  notPossible (provider: Provider): string | null { return this.#o.notPossible(provider) }

  /** Does it, and waits for the provider's answer, ten seconds at most: false where it is still awaited. Throws GatewayError. */
  async act (act: Act): Promise<boolean> {
    const state = await this.#o.shops.get(act.shop)
    if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
    this.#o.shops.mayUse(state.shop, act.provider)
    const { step, item } = this.#target(act, await factsOf(state, act.provider, this.#o))
    const foreign = Object.keys(act.body).filter(name => name !== TAKES[act.action])
    if (foreign.length > 0) throw new GatewayError('GW_REQUEST_INVALID', 'The request does not fit.', { details: foreign.map(name => ({ path: `/${name}`, rule: 'additionalProperties', message: `"${act.action}" takes no ${name}` })) })
    switch (act.action) {
      case 'choose': await this.#choose(act, step); return true
      case 'confirm': await this.#settle(act, row => ({ ...row, state: 'done', reason: null, detail: null, doneAt: this.#o.runtime.now() })); return true
      case 'select': await this.#select(act, step, item); return true
      case 'connect': return await this.#connect(act, step, state)
      case 'check': return await this.#ask(act, connectionOf(state, act.provider).account, {})
      case 'refresh': return await this.#ask(act, connectionOf(state, act.provider).account, {})
      case 'verify': return await this.#ask(act, connectionOf(state, act.provider).account, inputOf(step, act))
      case 'start': case 'retry': return await this.#begin(act, item)
      case 'send': return await this.#sendTest(act, state)
      default: throw new Error(`nobody does ${act.action}`)
    }
  }

  /** By OAuth: where the merchant's browser is to go, once and soon. Throws GatewayError. */
  async authorize (act: Act, returnUrl: string | null): Promise<{ url: string, expiresAt: number }> {
    const { shops, notPossible, publicUrl } = this.#o
    const state = await shops.get(act.shop)
    if (!state) throw new GatewayError('GW_NOT_FOUND', 'No shop has this id.')
    shops.mayUse(state.shop, act.provider)
    this.#target(act, await factsOf(state, act.provider, this.#o))
    const why = notPossible(act.provider)
    if (why !== null) throw new GatewayError('GW_CONFLICT', why)
    await limited(act.shop, ['setup.authorize'], this.#o)
    const { ticket, expiresAt, commit } = ticketSteps({ shopKey: state.shop.key, provider: act.provider.id, step: act.step, actor: act.actor, returnUrl }, this.#o)
    await commit([this.#audit(act.actor, 'setup.authorize', act.shop, subjectOf(act))])
    return { url: `${publicUrl()}${startPath(act.provider.id)}?ticket=${ticket}`, expiresAt }
  }

  /** Tokens that were just granted: checked and kept as other credentials are. `account` null: the provider's answer is still awaited. */
  async granted ({ shopKey, step: id, actor, provider }: Flow & { provider: Provider }, tokens: Tokens): Promise<{ account: string | null, reason: string | null }> {
    const state = await this.#o.shops.byKey(shopKey)
    this.#o.shops.mayUse(state.shop, provider)
    const act: Act = { shop: state.shop.id, provider, step: id, action: 'connect', subject: '', body: {}, actor }
    const { step } = this.#target(act, await factsOf(state, provider, this.#o))
    const now = this.#o.runtime.now()
    const oauth: Grant = { version: 1, obtainedAt: now, expiresAt: now + tokens.lifeMs, scopes: tokens.scopes ?? provider.auth[step.auth as string]?.oauth2?.scopes ?? [], brokenAt: null }
    const ended = await this.#try(act, step, state, { access_token: tokens.accessToken, refresh_token: tokens.refreshToken as string }, { oauth })
    const after = await this.#o.shops.byKey(shopKey)
    const row = rowAt((await factsOf(after, provider, this.#o)).rows, id, '')
    if (!ended) return { account: null, reason: null }
    if (row.state === 'done' && row.reason === null) return { account: after.connections.get(provider.id)?.name ?? '', reason: null }
    return { account: null, reason: sayingOf(step, row.reason ?? 'credentials_refused', provider) }
  }

  /** Forgets what was verified and chosen, of one group or of all; credentials and settings stay. */
  async reset (shop: string, provider: Provider, group: string | null, actor: string): Promise<void> {
    await this.#o.shops.alter(shop, async state => {
      const facts = await factsOf(state, provider, this.#o)
      const connection = state.connections.get(provider.id)
      const forgotten = [...facts.rows.values()].filter(({ step, subject }) => {
        const found = facts.steps.find(({ id }) => id === step)
        if (found !== undefined && (connects(found) || found.per === undefined)) return group === null && !connects(found) && found.kind !== 'select'
        return group === null || subject === group || facts.groups.get(group)?.includes(subject) === true
      })
      const gone = new Set(forgotten.map(({ step, subject }) => keyOf(step, subject)))
      const rows = new Map([...facts.rows].filter(([key]) => !gone.has(key)))
      const ready = connection?.ready.filter(one => group !== null && one !== group) ?? []
      return written({ state, provider, facts: { ...facts, rows } }, [
        ...forgotten.map(row => forgetStep(at(state, provider), row)),
        ...forgotten.flatMap(row => stopsOf(row, provider, connection)),
        this.#audit(actor, 'setup.reset', shop, `${provider.id} ${group ?? ''}`.trim())
      ], ready)
    })
  }

  /** A job: asks the provider what a step needs. */
  async run (job: SetupJob): Promise<Again> {
    return await runStep(job, this.#o, (shop, provider) => {
      this.#o.look() // the webhooks of the connection
      void this.#refreshLists(shop, provider, this.#o.runtime.now()).catch(() => {}) // they can be refreshed by hand
    })
  }

  /** A job: looks after a connection and what was set up at the provider. */
  async recheck (job: SetupJob): Promise<Again> { return await recheck(job, this.#o) }

  /** A job: looks whether a test event has arrived. */
  async arrival (job: SetupJob): Promise<{ dueAt: number } | null> { return await lookForArrival(job, this.#o) }

  /** The step and what it is done for, where this can be done now. */
  #target ({ provider, step: id, action, subject }: Act, facts: SetupFacts): { step: SetupStep, item: Item } {
    const standing = standings(facts).find(({ step }) => step.id === id)
    if (!standing) throw new GatewayError('GW_NOT_FOUND', `${provider.title} has no set-up step "${id}"; there are ${provider.setup.map(step => step.id).join(', ')}.`)
    const { step, items } = standing
    if (!ACTIONS[step.kind].includes(action)) throw new GatewayError('GW_NOT_FOUND', `Nothing is called "${action}" at this step; there is ${ACTIONS[step.kind].join(', ')}.`)
    const item = items.find(one => one.subject === subject)
    if (!item) throw invalid('/subject', 'enum', step.per === undefined ? 'this step is done once: leave the subject out' : `one of ${subjectsOf(step, facts).join(', ')}`)
    const titles = item.missing.map(need => `"${facts.steps.find(one => one.id === need)?.title ?? need}"`)
    if (titles.length > 0) throw new GatewayError('GW_CONFLICT', `First: ${titles.join(', ')}.`)
    if (item.state === 'not_needed' && !connects(step)) throw new GatewayError('GW_CONFLICT', 'Another way was chosen, which does without this step.')
    if (item.state === 'not_needed' && action === 'check') throw new GatewayError('GW_CONFLICT', OTHER_WAY)
    return { step, item }
  }

  async #choose (act: Act, step: SetupStep): Promise<void> {
    const choice = step.choices.find(({ value }) => value === act.body.value)
    if (!choice) throw invalid('/value', 'enum', `one of ${step.choices.map(({ value }) => value).join(', ')}`)
    const state = await this.#o.shops.get(act.shop)
    const way = state?.connections.get(act.provider.id)?.auth ?? ''
    if (choice.ways !== undefined && !choice.ways.includes(way)) throw new GatewayError('GW_CONFLICT', choice.otherwise ?? `"${choice.title}" is not possible with this connection.`)
    await this.#settle(act, row => ({ ...row, state: 'done', given: { value: choice.value }, doneAt: this.#o.runtime.now() }))
  }

  /** Saved at once; only what the provider has can be chosen. */
  async #select (act: Act, step: SetupStep, item: Item): Promise<void> {
    const options = (item.row.found['options'] ?? []) as Array<{ value: string, label: string }>
    const { value } = act.body
    if (value === undefined || !options.some(option => option.value === value)) throw invalid('/value', 'enum', options.length === 0 ? step.empty ?? 'there is nothing to choose from yet: refresh the list' : `one of ${options.map(option => option.value).join(', ')}; refresh the list where it is newer`)
    const now = this.#o.runtime.now()
    await this.#settle(act, row => ({ ...row, state: 'done', reason: null, detail: null, given: { value }, doneAt: now, checkedAt: now }), step.setting === null ? {} : { [step.setting]: value })
  }

  /** Goes on by itself from here: whoever asked looks at it again. What is under way already is not begun twice. */
  async #begin (act: Act, item: Item): Promise<false> {
    const why = notBegun(act.action, item.state)
    if (why !== null) throw new GatewayError('GW_CONFLICT', why)
    const { shop, provider, step, subject, action } = act
    await this.#o.shops.alter(shop, async state => {
      const row = rowAt((await factsOf(state, provider, this.#o)).rows, step, subject)
      const { account, accountKey } = connectionOf(state, provider)
      if (row.action !== null) return { steps: [this.#job(act, state, account)] } // under way, or its job is gone
      return {
        steps: [
          putStep(at(state, provider), { ...row, reason: null, detail: null, found: {}, action, askedAt: this.#o.runtime.now() }),
          stopTask({ accountKey, step, subject }),
          this.#job(act, state, account),
          this.#audit(act.actor, `setup.${action}`, shop, subjectOf(act))
        ]
      }
    })
    this.#o.store.tell({ shop, jobs: true })
    this.#o.look()
    return false
  }

  async #settle (act: Act, change: (row: StepRow) => StepRow, settings: Record<string, unknown> = {}): Promise<void> {
    await this.#o.shops.alter(act.shop, async state => {
      const facts = await factsOf(state, act.provider, this.#o)
      return changed({ state, provider: act.provider, facts }, change(rowAt(facts.rows, act.step, act.subject)), settings, [
        ...unwanted(act, facts).flatMap(row => [putStep(at(state, act.provider), { ...row, action: null }), ...stopsOf(row, act.provider, state.connections.get(act.provider.id))]),
        this.#audit(act.actor, `setup.${act.action}`, act.shop, subjectOf(act))
      ], this.#o.runtime)
    })
  }

  /** Keeps the credentials apart until the provider has said that they are good: what works goes on until then. */
  async #connect (act: Act, step: SetupStep, state: ShopState): Promise<boolean> {
    const { provider, body: { secrets = {} } } = act
    const way = step.auth as string
    const faults = secretsFaults(provider, way, secrets)
    if (faults.length > 0) throw new GatewayError('GW_REQUEST_INVALID', `The credentials do not fit ${provider.title}.`, { details: faults })
    return await this.#try(act, step, state, secrets, {})
  }

  async #try (act: Act, step: SetupStep, state: ShopState, secrets: Record<string, string>, given: Record<string, unknown>): Promise<boolean> {
    const { provider, shop } = act
    const account = accountOf(provider, { accountId: null, secrets }, {}, this.#o.vault)
    const place = { ...at(state, provider), step: step.id }
    const since = this.#o.runtime.now()
    const ended = await this.#ask(act, account, given, [
      accountStep(provider.id, account),
      { name: 'drop_setup_secrets', params: place },
      ...Object.entries(secrets).map(([field, text]) => {
        const { keyId, version, sealed } = this.#o.vault.seal({ shop, provider: provider.id, field }, text)
        return { name: 'put_setup_secret', params: { ...place, field, key_id: keyId, version, sealed } }
      })
    ], true)
    if (ended) await this.#refreshLists(shop, provider, since) // the next thing to do is to choose from them
    return ended
  }

  async #sendTest (act: Act, state: ShopState): Promise<boolean> {
    const { phone } = act.body
    if (phone === undefined) throw invalid('/phone', 'required', 'is missing: the number of a phone of your own')
    if (this.#o.sample(act.subject) === null) throw new GatewayError('GW_CONFLICT', `The schema of ${act.subject} gives no example to send.`)
    return await this.#ask(act, connectionOf(state, act.provider).account, { phone, event_id: this.#o.runtime.id('evt_').replace('evt_', 'test-') }, [], true)
  }

  /**
   * Writes down what is asked for and puts the job, in one unit; then waits for its end. What is under way already is not asked for twice.
   * `account`: as its row is called. `counted`: throws GW_TOO_OFTEN, and then nothing is written.
   */
  async #ask (act: Act, account: string, given: Record<string, unknown>, more: Step[] = [], counted = false): Promise<boolean> {
    const { shop, provider, step, subject, action, actor } = act
    const { store, runtime } = this.#o
    const { shop: { key } } = await this.#o.shops.alter(shop, async state => {
      const row = rowAt((await factsOf(state, provider, this.#o)).rows, step, subject)
      if (action !== 'connect' && row.action !== null && runtime.now() - (row.askedAt ?? 0) < MINUTE_MS) return null
      if (counted) await limited(shop, action === 'connect' ? CREDENTIALS : [`setup.${action}`], this.#o) // neither are keys to be tried out here, nor other people's phones
      return {
        steps: [
          ...(action === 'connect' ? await unwantedSteps({ state, provider, step }, '', this.#o) : []),
          ...more,
          putStep(at(state, provider), { ...row, given: { ...row.given, ...given }, action, askedAt: runtime.now() }),
          this.#job(act, state, account),
          this.#audit(actor, `setup.${action}`, shop, subjectOf(act))
        ]
      }
    })
    store.tell({ shop, jobs: true })
    this.#o.look()
    const ended = await this.#ended({ shop_key: key, provider: provider.id }, step, subject)
    this.#o.shops.forget(shop) // another instance may have made the change, and its news may be on the way
    return ended
  }

  #job ({ provider, step, subject }: Act, { shop }: ShopState, account: string): Step {
    const { store, runtime } = this.#o
    return { name: 'put_setup_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), unique_key: `${shop.key}/${provider.id}/${step}/${subject}`, provider: provider.id, account, now: runtime.now() } }
  }

  async #ended (place: { shop_key: number, provider: string }, step: string, subject: string): Promise<boolean> {
    for (let waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
      if (rowAt(rowsOf(await this.#o.store.read('setup_rows', place)), step, subject).action === null) return true
      await wait(LOOK_MS)
    }
    return false
  }

  /** What can be chosen is shown without another press of a button, where it was not read since. */
  async #refreshLists (shop: string, provider: Provider, since: number): Promise<void> {
    const state = await this.#o.shops.get(shop)
    if (!state) return
    const open = standings(await factsOf(state, provider, this.#o)).filter(({ step, items }) => step.kind === 'select' && items.every(({ missing, row }) => missing.length === 0 && (row.action !== null || (row.checkedAt ?? 0) < since)))
    for (const { step } of open) await this.#ask({ shop, provider, step: step.id, action: 'refresh', subject: '', body: {}, actor: 'gateway' }, connectionOf(state, provider).account, {})
  }

  #audit (actor: string, action: string, shop: string, subject: string): Step {
    return { name: 'audit', params: { at: this.#o.runtime.now(), actor, action, shop, subject } }
  }
}

function connectionOf (state: ShopState, provider: Provider): Connection {
  const connection = state.connections.get(provider.id)
  if (connection === undefined) throw new GatewayError('GW_CONFLICT', `${provider.title} is not connected.`)
  return connection
}

function inputOf ({ fields }: SetupStep, { body: { input = {} } }: Act): Record<string, string> {
  const details: Detail[] = []
  for (const name of Object.keys(fields)) if (typeof input[name] !== 'string' || input[name] === '') details.push({ path: `/input/${name}`, rule: 'required', message: 'is missing' })
  for (const name of Object.keys(input)) if (!Object.hasOwn(fields, name)) details.push({ path: `/input/${name}`, rule: 'additionalProperties', message: `is none of ${Object.keys(fields).join(', ') || 'none'}` })
  if (details.length > 0) throw new GatewayError('GW_REQUEST_INVALID', 'What was given does not fit the step.', { details })
  return input
}

function invalid (path: string, rule: string, message: string): GatewayError {
  return new GatewayError('GW_REQUEST_INVALID', 'The request does not fit.', { details: [{ path, rule, message }] })
}

function subjectOf ({ provider, step, subject }: Act): string { return `${provider.id} ${step} ${subject}`.trim() }

/** Tasks that go on, and are not the way that is chosen now. */
function unwanted ({ provider, step: choice, subject, body: { value } }: Act, { rows }: SetupFacts): StepRow[] {
  const others = new Set(provider.setup.filter(({ kind, when }) => kind === 'task' && when?.step === choice && when.is !== value).map(({ id }) => id))
  return [...rows.values()].filter(row => others.has(row.step) && row.action !== null && (subject === '' || row.subject === subject))
}

/** Nobody goes on with a task that is not wanted. */
function stopsOf ({ step, subject }: StepRow, provider: Provider, connection: { accountKey: number } | undefined): Step[] {
  const isTask = provider.setup.some(({ id, kind }) => id === step && kind === 'task')
  return isTask && connection !== undefined ? [stopTask({ accountKey: connection.accountKey, step, subject })] : []
}

/** Why a task cannot be begun in this state; null where it can, or goes on already. */
export function notBegun (action: string, state: Item['state']): string | null {
  if (action === 'start') return state === 'done' ? 'It is done already.' : state === 'failed' ? 'It failed before: try again instead.' : null
  return state === 'failed' || state === 'running' ? null : 'Nothing failed, so there is nothing to try again.'
}
