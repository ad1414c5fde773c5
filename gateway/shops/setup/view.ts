// How the set-up of a shop at a provider is shown: everything needed to draw it, and nothing that is secret.

import type { Provider, SetupStep } from '../../contract.ts'
import { sentence, type Reason } from '../../reasons.ts'
import { isSetUp } from '../route.ts'
import type { ShopState } from '../shops.ts'
import { missingScopes } from '../oauth/platform-app.ts'
import { countOf, sumOf, waitingView, type Waiting, type WaitingByGroup } from '../waiting.ts'
import type { Activity } from './activity.ts'
import { arrivalOf, arrivalView } from './arrival.ts'
import { sayingOf } from './saying.ts'
import { ACTIONS, notBegun, OTHER_WAY, type Standings } from './setup.ts'
import { switches, taskView } from './task-view.ts'
import { connects, type Item, type SetupFacts, type Standing, type StepState } from './progress.ts'

const LABELS: Record<string, string> = { connect: 'Verify & connect', check: 'Check again', select: 'Select', refresh: 'Refresh', choose: 'Continue', verify: 'Verify', send: 'Send test event', confirm: 'Confirm', start: 'Start', retry: 'Try again' }

/** What is asked of the provider over the connection. */
const ASKS: ReadonlySet<string> = new Set(['check', 'refresh', 'verify', 'send'])

export interface ViewOptions {
  /** Channels on which the shop sends through this provider. */
  active: readonly string[]
  refusal: Reason | null
  /** Why no merchant can be sent to the provider now; null where one can. */
  notPossible: string | null
  waiting: WaitingByGroup
  activity: Activity | null
}

export function setupView ({ state, standings, facts, held, tasks }: Standings, provider: Provider, { active, refusal, notPossible: unavailable, waiting, activity }: ViewOptions): object {
  const connection = state.connections.get(provider.id)
  const waitingOf = (names: Iterable<string>): Waiting => sumOf([...names].map(name => waiting.get(name)))
  const groups = [...facts.groups].map(([group, types]) => ({
    setup_group: group,
    event_types: types,
    ready: connection !== undefined && isSetUp(connection, group),
    declared: connection?.ready.includes(group) ?? false,
    ...waitingView(waitingOf([group]))
  }))
  const types = groups.flatMap(group => group.event_types.map(type => ({ event_type: type, ready: group.ready || isTypeDone(type, standings, facts) })))
  return {
    shop: state.shop.id,
    provider: provider.id,
    title: provider.title,
    available: refusal === null,
    reason: refusal,
    sentence: refusal && sentence(refusal, provider.title),
    active,
    connected: connection !== undefined && connection.secrets !== null,
    account_name: connection?.name || null,
    setup_groups: groups,
    event_types: types,
    summary: `${types.filter(({ ready }) => ready).length} of ${types.length} ready`,
    activity,
    warnings: warningsOf({ state, standings: standings.filter(({ step }) => unavailable === null || step.kind !== 'oauth2'), held }, provider, groups, active, waitingOf),
    steps: standings.map(standing => stepView(standing, { state, facts, tasks, held }, provider, { refusal, unavailable })),
    reset: { text: resetText(provider, waitingOf(facts.groups.keys())), method: 'POST', path: `${pathOf(state, provider)}/reset` }
  }
}

function warningsOf ({ state, standings, held }: Pick<Standings, 'state' | 'standings' | 'held'>, provider: Provider, groups: ReadonlyArray<{ setup_group: string, ready: boolean }>, active: readonly string[], waitingOf: (groups: Iterable<string>) => Waiting): object[] {
  const open = groups.filter(({ ready }) => !ready).map(group => group.setup_group)
  const missing = missingScopes(provider, state.connections.get(provider.id)?.oauth ?? null)
  const first = standings.find(({ step, items }) => !step.optional && items.some(({ state, counts }) => counts && (state === 'open' || state === 'failed')))
  const secrets = state.connections.get(provider.id)?.secrets
  const lacking: Reason | null = secrets === null ? 'credentials_unreadable' : secrets === undefined && active.length > 0 ? 'not_connected' : null
  return [
    ...[lacking, held].filter(code => code !== null).map(code => ({ code, text: sentence(code, provider.title) })),
    ...(missing.length === 0 ? [] : [{ code: 'scope_missing', text: `${provider.title} did not grant all that is needed: ${missing.join(', ')} is missing. Disconnect and reconnect, and allow it.`, scopes: missing }]),
    ...(active.length > 0 && open.length > 0 ? [{ code: 'setup_incomplete', text: `${provider.title} setup incomplete`, setup_groups: open, step: first?.step.id ?? null, ...waitingView(waitingOf(open)) }] : []),
    ...standings.flatMap(({ step, items }) => items.flatMap(({ row, subject, state }) => state === 'done' ? warningsIn(row).map(text => ({ code: 'verified_with_warning', text, step: step.id, subject: subject || null })) : [])),
    ...standings.flatMap(({ step, items }) => items.filter(({ state, row }) => state === 'done' && arrivalOf(row)?.state === 'not_found').map(({ subject }) => ({ code: 'not_arrived', text: sayingOf(step, 'not_arrived', provider), step: step.id, subject: subject || null }))),
    ...standings.flatMap(({ step, items }) => items.filter(({ state, counts }) => state === 'failed' && !counts).map(({ row, subject }) => ({ code: row.reason, text: sayingOf(step, row.reason, provider), step: step.id, subject: subject || null })))
  ]
}

/** What a verification found that is no obstacle. */
function warningsIn ({ found }: Item['row']): string[] {
  const findings = (found['findings'] ?? []) as Array<{ ok: boolean | null, warns: boolean, text: string }>
  return [...findings.filter(({ ok, warns }) => warns && ok === false).map(({ text }) => text), ...(found['warnings'] ?? []) as string[]]
}

type Around = Pick<Standings, 'state' | 'facts' | 'tasks' | 'held'>

function stepView ({ step, items }: Standing, around: Around, provider: Provider, none: WhyNot): object {
  return {
    id: step.id,
    kind: step.kind,
    title: step.title,
    text: step.text,
    per: step.per ?? null,
    needs: step.needs,
    optional: step.optional,
    state: stateOf(items),
    fields: step.fields,
    ...(step.kind === 'choice' && { choices: step.choices.map(choice => choiceView(choice, around.facts)) }),
    ...(step.kind === 'select' && { empty: step.empty }),
    items: items.map(item => itemView(step, item, around, provider, none))
  }
}

function itemView (step: SetupStep, item: Item, { state, facts, tasks, held }: Around, provider: Provider, none: WhyNot): object {
  const { subject, row, missing } = item
  const connection = state.connections.get(provider.id)
  const about = { account_id: connection?.accountId ?? '', settings: connection?.settings ?? provider.settingsDefaults }
  const reason = connects(step) && item.state === 'failed' ? held ?? row.reason : row.reason // what the account is refused for outlasts a check that found out nothing
  return {
    subject: subject || null,
    state: item.state,
    reason,
    sentence: sayingOf(step, reason, provider),
    detail: row.detail,
    missing,
    ...(step.per === 'alert_type' && { trigger: provider.trigger(subject, about), variables: provider.variables[subject] ?? [] }),
    ...(step.kind === 'select' && { selected: (step.setting === null ? row.given['value'] : connection?.settings[step.setting]) || null, options: row.found['options'] ?? [] }),
    ...(step.kind === 'choice' && { selected: row.given['value'] ?? null }),
    ...(step.kind === 'verify' && { input: Object.fromEntries(Object.keys(step.fields).map(name => [name, row.given[name] ?? null])), findings: row.found['findings'] ?? [], near: row.found['near'] ?? [] }),
    ...(step.kind === 'task' && taskView(step, item, provider, tasks.get(`${step.id}/${subject}`))),
    ...(step.kind === 'test_event' && { event_id: row.given['event_id'] ?? null, arrival: arrivalView(step, row, provider) }),
    action: row.action,
    asked_at: timeOf(row.askedAt),
    done_at: timeOf(row.doneAt),
    checked_at: timeOf(row.checkedAt),
    actions: [...ACTIONS[step.kind].map(action => {
      const why = notPossible(step, item, action, connection !== undefined, provider, none)
      return { action, label: (action === ACTIONS[step.kind][0] ? step.action : undefined) ?? (step.kind === 'oauth2' && action === 'connect' ? 'Connect' : LABELS[action]), method: 'POST', path: `${pathOf(state, provider)}/${step.id}/${action}`, allowed: why === null, why }
    }), ...switches(step, item, provider, pathOf(state, provider), choice => none.refusal === null ? whyNot(choice, facts) : sentence(none.refusal, provider.title))]
  }
}

interface WhyNot { refusal: Reason | null, unavailable: string | null }

/** Why an action cannot be taken now, null where it can. */
function notPossible (step: SetupStep, { state, missing }: Item, action: string, connected: boolean, provider: Provider, { refusal, unavailable }: WhyNot): string | null {
  if (refusal !== null) return sentence(refusal, provider.title)
  if (state === 'running') return 'It is being worked on.'
  if (state === 'blocked' || missing.length > 0) return `First: ${missing.map(need => provider.setup.find(({ id }) => id === need)?.title ?? need).join(', ')}.`
  if (state === 'not_needed' && !connects(step)) return 'Another way was chosen, which does without this step.'
  if (step.kind === 'oauth2' && action === 'connect' && unavailable !== null) return unavailable
  if (ASKS.has(action) && !connected) return sentence('not_connected', provider.title)
  if (step.kind === 'task') return notBegun(action, state)
  if (action === 'check' && state === 'not_needed') return OTHER_WAY
  return null
}

function choiceView (choice: SetupStep['choices'][number], facts: SetupFacts): object {
  const { value, title, text } = choice
  const why = whyNot(choice, facts)
  return { value, title, text, allowed: why === null, why: why || null }
}

/** Why it cannot be chosen with this connection, '' where nothing is said of that; null where it can, and before there is one. */
function whyNot ({ ways, otherwise = '' }: SetupStep['choices'][number], { connection }: SetupFacts): string | null {
  return ways === undefined || connection === undefined || ways.includes(connection.auth) ? null : otherwise
}

/** The state of all that a step is done for: the first of these that one of them is in. */
function stateOf (items: readonly Item[]): StepState {
  const order: StepState[] = ['failed', 'running', 'open', 'blocked', 'done']
  return order.find(state => items.some(item => item.state === state)) ?? 'not_needed'
}

/** Whether what is done for this event type alone, or for its group, is done. */
function isTypeDone (type: string, standings: readonly Standing[], { groups }: SetupFacts): boolean {
  const group = [...groups].find(([, types]) => types.includes(type))?.[0] ?? ''
  return standings.every(({ step, items }) => step.optional || items.filter(({ subject }) => subject === '' || subject === type || subject === group)
    .every(({ state, counts }) => state === 'done' || state === 'not_needed' || !counts))
}

function resetText (provider: Provider, waits: Waiting): string {
  return [provider.resetText, `What was verified is forgotten here, and new messages are held until it is set up again${waits.waiting === 0 ? '.' : `; so are the ${countOf(waits)} that wait now, until they expire.`}`].filter(Boolean).join(' ')
}

export function pathOf ({ shop }: ShopState, { id }: Provider): string { return `/v1/shops/${encodeURIComponent(shop.id)}/providers/${id}/setup` }

function timeOf (at: number | null): string | null { return at === null ? null : new Date(at).toISOString() }
