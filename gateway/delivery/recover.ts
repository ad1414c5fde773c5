// What an instance that died left behind: claimed deliveries wait again, sent ones are unknown. The accounts of some slots
// are taken over together, before anything of theirs is worked on.

import type { Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import { repeats } from './settle.ts'

const SLICE = 500
/** The third time preparing a delivery ends with the process, it is the delivery. */
const CLAIMS_ALLOWED = 3
/** After the second time each is taken by itself, so that the third does not blame those claimed beside it. */
const SUSPECT_APART_MS = 1000

const TAKES = new Set(['adopt_claimed', 'adopt_sending', 'disown_finished'])

export interface RecoverOptions { store: Store, providers: ReadonlyMap<string, Provider>, runtime: Runtime }

/** Returns how many deliveries were taken over. May be run again at any point. */
export async function recover (slots: readonly number[], options: RecoverOptions): Promise<number> {
  const { store, runtime } = options
  const of = { slots: JSON.stringify(slots) }
  await store.commit([{ name: 'adopt_calls', params: { ...of, now: runtime.now() } }])
  const count = await takeOver('orphans', of, options)
  await setApart(of, store, runtime.now())
  return count
}

/** The same for claims of instances that died since, on accounts that are this instance's already. */
export async function recoverDead (options: RecoverOptions): Promise<void> {
  const { store, runtime } = options
  const of = { slots: JSON.stringify(store.slots.mine) }
  if (await takeOver('orphans_of_dead', of, options) > 0) await setApart(of, store, runtime.now())
}

async function takeOver (which: 'orphans' | 'orphans_of_dead', of: { slots: string }, options: RecoverOptions): Promise<number> {
  const { store, runtime } = options
  for (let count = 0;;) {
    // Adopted rows leave the list, so each slice starts from the front. Where none leaves it, another instance is at it.
    const rows = await store.read(which, { ...of, owner: store.owner, limit: SLICE, now: runtime.now() })
    const taken = rows.length === 0 ? 0 : await commitAll(rows.flatMap(row => adopted(row, options)), store)
    if (taken === 0) return count
    count += taken
  }
}

/** How many deliveries the steps took from their owner. */
async function commitAll (steps: Step[], store: Store): Promise<number> {
  const results = await store.commit(steps)
  return steps.reduce((n, { name }, i) => TAKES.has(name) ? n + (results[i]?.changes ?? 0) : n, 0)
}

/** Those of earlier starts as well: they have been due since, and would be claimed together now. */
async function setApart (of: { slots: string }, store: Store, now: number): Promise<void> {
  const suspects = await store.read('suspects', of)
  if (suspects.length === 0) return
  await store.commit(suspects.flatMap((row, i) => {
    const dueAt = now + SUSPECT_APART_MS * i
    return [{ name: 'set_apart', params: { delivery_key: row.delivery_key as number, due_at: dueAt } }, queueDue(row, dueAt, now)]
  }))
}

function queueDue (row: Row, dueAt: number, now: number): Step {
  return { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: dueAt, now } }
}

/** Gives back claims of this instance's that nobody works on: no process ended with them, so that is no crash. */
export async function release (rows: readonly Row[], options: RecoverOptions): Promise<void> {
  const now = options.runtime.now()
  await options.store.commit(rows.flatMap(row => {
    if (row.state === STATE.sending || row.finished_at !== null) return adopted(row, options)
    const mine = { keys: JSON.stringify([row.delivery_key]), owner: row.owner as number, epoch: row.epoch as number, now }
    return [{ name: 'release_claims', params: mine }, queueDue(row, now, now)]
  }))
}

function adopted (row: Row, { store, providers, runtime }: RecoverOptions): Step[] {
  const now = runtime.now()
  const key = row.delivery_key as number
  const claim = { delivery_key: key, owner: row.owner as number, epoch: row.epoch as number }
  if (row.finished_at !== null) return [{ name: 'disown_finished', params: claim }]
  if (row.state !== STATE.sending) {
    const crashed = (row.claims as number) >= CLAIMS_ALLOWED
    // One that may have been sent is not declared refused, for then a person could send it again.
    const state = crashed && row.state === STATE.waiting ? STATE.rejected : row.state as number
    const params = { ...claim, state, reason: crashed ? 'crashed_gateway' : null, due_at: crashed ? null : now, finished_at: crashed ? now : null }
    return crashed ? [{ name: 'adopt_claimed', params }] : [{ name: 'adopt_claimed', params }, queueDue(row, now, now)]
  }
  const uncertain = providers.get(String(row.provider))?.uncertain ?? 'park'
  const again = repeats(uncertain, row.attempts as number)
  const steps: Step[] = [{ name: 'adopt_sending', params: { ...claim, reason: 'interrupted', due_at: again ? now : null, finished_at: again || uncertain === 'reconcile' ? null : now, now } }]
  if (again) steps.push(queueDue(row, now, now))
  if (uncertain === 'reconcile') steps.push(reconcileJob(store, runtime, key, row.account_key as number, now))
  return steps
}

/** The job that asks the provider whether a request without an answer arrived. */
export function reconcileJob (store: Store, runtime: Runtime, deliveryKey: number, accountKey: number, dueAt: number): Step {
  return { name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: 'reconcile', unique_key: String(deliveryKey), account_key: accountKey, delivery_key: deliveryKey, due_at: dueAt, now: runtime.now() } }
}
