// What follows from a change of a step: its row, the groups that may send by it, and with them the queues. One unit.

import type { Provider, Runtime, SetupKind, Step } from '../../contract.ts'
import { adjustStep, connectionSteps, isSameAccount, type Connection, type Grant } from '../connections.ts'
import type { ShopState } from '../shops.ts'
import { withConnection } from '../state.ts'
import type { WebhookTools } from '../webhooks/steps.ts'
import { at } from './facts.ts'
import { groupsSetUp, lastConnected, type SetupFacts } from './progress.ts'
import { forgetStep, keyOf, putStep, rowAt, type StepRow } from './rows.ts'

/** Steps about what there is at the provider. */
const AT_PROVIDER: ReadonlySet<SetupKind> = new Set(['task', 'verify', 'test_event', 'confirm'])

export interface Written { steps: Step[], after?: ReturnType<typeof withConnection>, frees?: boolean }
export interface Place { state: ShopState, provider: Provider, facts: SetupFacts }

/** One row changed, and settings of the connection with it. */
export function changed ({ state, provider, facts }: Place, row: StepRow, settings: Record<string, unknown>, more: Step[], runtime: Runtime): Written {
  const connection = state.connections.get(provider.id)
  const adjusted = adjustStep(state.shop, connection, settings, runtime)
  const rows = new Map(facts.rows).set(keyOf(row.step, row.subject), row)
  const known = connection && { ...connection, settings: { ...connection.settings, ...settings } }
  return written({ state, provider, facts: { ...facts, rows, connection: known } }, [putStep(at(state, provider), row), ...(adjusted === null ? [] : [adjusted]), ...more])
}

/** `facts` are those after the change. `ready`: groups that are declared to be set up, from now on. */
export function written ({ state, provider, facts }: Place, steps: Step[], ready = state.connections.get(provider.id)?.ready ?? []): Written {
  const connection = state.connections.get(provider.id)
  if (connection === undefined || connection.platform) return { steps }
  const setUp = groupsSetUp(facts)
  if (String(setUp) === String(connection.setUp) && String(ready) === String(connection.ready)) return { steps }
  return {
    steps: [...steps, { name: 'set_up', params: { ...at(state, provider), set_up: JSON.stringify(setUp), ready: JSON.stringify(ready) } }],
    after: withConnection(state, provider.id, { ...connection, ready, setUp })
  }
}

export interface Proven { pending: Connection, account: { id: string | null, name: string } }

/** Credentials that are good: the connection, and nothing of what was set up at another account. */
export function connected ({ state, provider, facts }: Place, tried: StepRow, { pending, account: { id, name } }: Proven, more: Step[], tools: WebhookTools): Written {
  const row = { ...tried, given: { account_id: id ?? '' } }
  const before = state.connections.get(provider.id) ?? null
  const last = before !== null && before.accountId !== '' ? before : lastConnected(facts) ?? before
  const same = isSameAccount({ accountId: last?.accountId ?? '' }, id)
  const sameWay = [last, before].every(one => one === null || one.auth === pending.auth)
  const atProvider = new Set(facts.steps.filter(({ kind }) => AT_PROVIDER.has(kind)).map(step => step.id))
  // What is sent by another way may be filed elsewhere at the provider, where nothing that was made or verified listens.
  const forgotten = [...facts.rows.values()].filter(one => one.step !== row.step && (!same || (!sameWay && atProvider.has(one.step))))
  const given = same ? before?.settings ?? settingsChosen(facts) : settingsKept(before, provider)
  const input = { auth: pending.auth, secrets: pending.secrets as Record<string, string>, accountId: id, name, settings: given, ready: same && sameWay ? before?.ready ?? [] : [] }
  const { account, steps } = connectionSteps(state.shop, provider, input, before, tools)
  const oauth = tried.given['oauth'] === undefined ? null : { ...tried.given['oauth'] as Grant, version: (before?.oauth?.version ?? 0) + 1 }
  const gone = new Set(forgotten.map(one => keyOf(one.step, one.subject)))
  const rows = new Map(same ? [...facts.rows].filter(([key]) => !gone.has(key)) : []).set(keyOf(row.step, ''), row)
  const setUp = groupsSetUp({ ...facts, rows, connection: { ...pending, accountId: id ?? '', settings: { ...provider.settingsDefaults, ...given } } })
  return {
    steps: [
      ...steps, ...more,
      ...(oauth === null ? [] : [{ name: 'put_grant', params: { ...at(state, provider), oauth: JSON.stringify(oauth) } }]),
      ...forgotten.map(one => forgetStep(at(state, provider), one)),
      putStep(at(state, provider), row),
      { name: 'set_up', params: { ...at(state, provider), set_up: JSON.stringify(setUp), ready: JSON.stringify(input.ready) } }
    ],
    after: withConnection(state, provider.id, { platform: false, account, ready: input.ready, setUp, secrets: input.secrets, oauth }),
    frees: true
  }
}

/** Credentials that were there already, and turn out to be another account's than what was set up: that is forgotten. */
export function turnedOut ({ state, provider, facts }: Place, row: StepRow): Written {
  const forgotten = [...facts.rows.values()].filter(({ step }) => step !== row.step)
  return written({ state, provider, facts: { ...facts, rows: new Map([[keyOf(row.step, row.subject), row]]) } }, [...forgotten.map(one => forgetStep(at(state, provider), one)), putStep(at(state, provider), row)])
}

/** What was selected before the connection was taken away. */
function settingsChosen ({ steps, rows }: SetupFacts): Record<string, unknown> {
  return Object.fromEntries(steps.flatMap(({ id, setting }) => {
    const value = rowAt(rows, id, '').given['value']
    return setting === null || value === undefined ? [] : [[setting, value]]
  }))
}

/** What a merchant chose to be sent holds for another account too; what was chosen there does not. */
function settingsKept (before: Connection | null, provider: Provider): Record<string, unknown> {
  const chosen = new Set(provider.setup.map(({ setting }) => setting))
  return Object.fromEntries(Object.entries(before?.settings ?? {}).filter(([name]) => !chosen.has(name)))
}
