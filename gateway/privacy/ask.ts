// What is asked for: the steps that keep it, and that keep the person from being texted from the same commit on.

import type { Consumer, Entering, Runtime, Step, Store } from '../contract.ts'
import { hexOf, marksOf, personOf, sealed, subjectOf, type Sealing, type Subject } from './who.ts'

export const PRIVACY_JOB = 'privacy'
/** By then every gateway knows that there is no such shop any more, and lets nothing of it in. */
const FORGET_AFTER_MS = 2000

export interface AskTools { store: Pick<Store, 'nextKey'>, runtime: Runtime, vault: Sealing }

/** `eventKey`: of the event that asks, null where a person does. */
interface Asked { shop: { key: number, id: string }, at: number, eventKey: number | null, actor: string }

/** What the events of a platform about people's and shops' data set going. */
export function privacyConsumers (tools: AskTools): ReadonlyMap<string, Consumer> {
  const asked = ({ shop, receivedAt, key, source }: Entering): Asked => ({ shop, at: receivedAt, eventKey: key, actor: source })
  return new Map<string, Consumer>([
    ['customer.redact', entering => redactSteps(subjectOf(entering.data), asked(entering), tools).steps],
    ['customer.data_request', entering => exportSteps(subjectOf(entering.data), asked(entering), tools)],
    ['shop.redact', entering => forgetSteps(Math.min(Date.parse(String(entering.data['at'])), entering.receivedAt), asked(entering), tools)]
  ])
}

/** From their commit on nothing that happened until now is sent to the person; what is stored goes as soon as may be. `id` names it. */
export function redactSteps (subject: Subject, asked: Asked, tools: AskTools): { id: string, steps: Step[] } {
  const { shop, at } = asked
  const person = personOf(subject, tools.vault)
  const marks = marksOf(person, tools.vault)
  const { id, steps } = put('redact', { subject, marks }, asked, tools)
  const now = tools.runtime.now()
  return {
    id,
    steps: [
      ...steps,
      ...marks.map(mark => ({ name: 'put_mark', params: { id, shop_key: shop.key, mark, at } })),
      ...person.persons.flatMap(hash => ['redact_waiting_of', 'redact_unsure_of'].map(name => ({ name, params: { id, shop_key: shop.key, person: hash, at, now } })))
    ]
  }
}

function exportSteps (subject: Subject, asked: Asked, tools: AskTools): Step[] {
  return put('export', { subject, marks: marksOf(personOf(subject, tools.vault), tools.vault) }, asked, tools).steps
}

/** Nothing is sent for the shop from now on, and for everybody but who erases it there is none. */
function forgetSteps (saidAt: number, asked: Asked, tools: AskTools): Step[] {
  const at = { shop_key: asked.shop.key }
  return [
    { name: 'erase_shop_begin', params: { ...at, at: saidAt, event_key: asked.eventKey } },
    { name: 'hold_shop', params: at },
    ...put('forget', { subject: null, marks: [] }, asked, tools).steps
  ]
}

function put (kind: 'redact' | 'export' | 'forget', { subject, marks }: { subject: Subject | null, marks: readonly Uint8Array[] }, { shop, at, eventKey, actor }: Asked, { store, runtime, vault }: AskTools): { id: string, steps: Step[] } {
  const id = runtime.id('prv_')
  const now = runtime.now()
  return {
    id,
    steps: [
      { name: 'put_privacy', params: { id, shop_key: shop.key, kind, at, marks: JSON.stringify(hexOf(marks)), ...sealed(shop.id, id, subject, vault), event_key: eventKey } },
      { name: 'audit_privacy', params: { id, at: now, actor, action: `privacy.${kind}`, shop: shop.id } },
      { name: 'put_job', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind: PRIVACY_JOB, unique_key: String(shop.key), account_key: null, delivery_key: null, due_at: kind === 'forget' ? now + FORGET_AFTER_MS : now, now } }
    ]
  }
}
