// What an instance that died left behind: claimed deliveries wait again, sent ones are unknown.

import type { Provider, Row, Runtime, Step, Store } from '../contract.ts'
import { STATE } from '../contract.ts'
import { repeats } from './settle.ts'

const SLICE = 500
/** The third time preparing a delivery ends with the process, it is the delivery. */
const CLAIMS_ALLOWED = 3
/** After the second time each is taken by itself, so that the third does not blame those claimed beside it. */
const SUSPECT_APART_MS = 1000

/** Returns how many deliveries were taken over. */
export async function recover (store: Store, providers: ReadonlyMap<string, Provider>, runtime: Runtime): Promise<number> {
  let count = 0
  await store.commit([
    { name: 'adopt_jobs', params: { owner: store.owner, now: runtime.now() } },
    { name: 'adopt_calls', params: { now: runtime.now() } }
  ])
  for (;;) {
    // Adopted rows leave the list, so each slice starts from the front.
    const rows = await store.read('orphans', { owner: store.owner, limit: SLICE })
    if (rows.length === 0) break
    const now = runtime.now()
    await store.commit(rows.flatMap(row => adopt(row, store, providers, runtime, now)))
    count += rows.length
  }
  await setApart(store, runtime.now())
  return count
}

/** Those of earlier starts as well: they have been due since, and would be claimed together now. */
async function setApart (store: Store, now: number): Promise<void> {
  const suspects = await store.read('suspects', {})
  if (suspects.length === 0) return
  await store.commit(suspects.flatMap((row, i) => {
    const dueAt = now + SUSPECT_APART_MS * i
    return [{ name: 'set_apart', params: { delivery_key: row.delivery_key as number, due_at: dueAt } }, queueDue(row, dueAt, now)]
  }))
}

function queueDue (row: Row, dueAt: number, now: number): Step {
  return { name: 'queue_due', params: { queue_key: row.queue_key as number, priority: row.priority as number, due_at: dueAt, now } }
}

function adopt (row: Row, store: Store, providers: ReadonlyMap<string, Provider>, runtime: Runtime, now: number): Step[] {
  const key = row.delivery_key as number
  if (row.state !== STATE.sending) {
    const crashed = (row.claims as number) >= CLAIMS_ALLOWED
    // One that may have been sent is not declared refused, for then a person could send it again.
    const state = crashed && row.state === STATE.waiting ? STATE.rejected : row.state as number
    const params = { delivery_key: key, owner: store.owner, state, reason: crashed ? 'crashed_gateway' : null, due_at: crashed ? null : now, finished_at: crashed ? now : null }
    return crashed ? [{ name: 'adopt_claimed', params }] : [{ name: 'adopt_claimed', params }, queueDue(row, now, now)]
  }
  const uncertain = providers.get(String(row.provider))?.uncertain ?? 'park'
  const again = repeats(uncertain, row.attempts as number)
  const steps: Step[] = [{ name: 'adopt_sending', params: { delivery_key: key, owner: store.owner, reason: 'interrupted', due_at: again ? now : null, finished_at: again || uncertain === 'reconcile' ? null : now, now } }]
  if (again) steps.push(queueDue(row, now, now))
  if (uncertain === 'reconcile') steps.push(reconcileJob(store, runtime, key, row.account_key as number, now))
  return steps
}

/** The job that asks the provider whether a request without an answer arrived. */
export function reconcileJob (store: Store, runtime: Runtime, deliveryKey: number, accountKey: number, dueAt: number): Step {
  return { name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: 'reconcile', unique_key: String(deliveryKey), account_key: accountKey, delivery_key: deliveryKey, due_at: dueAt, now: runtime.now() } }
}
