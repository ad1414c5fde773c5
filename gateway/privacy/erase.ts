// What is taken out of an event, and of all that came of it. The rows stay, as counts do, and as repeats are told by them.

import type { Step } from '../contract.ts'

export interface Digested { digest (data: unknown): Uint8Array, /** Epoch milliseconds. */ now: number }

/**
 * Of an event: `data` null where it is gone already. Nothing of it waits any more, and nobody asks what became of it. Again is no harm.
 * `shop.id` null: the reasons that people gave in the shop all go, so that those of this one are not looked for.
 */
export function eraseSteps (event: { key: number, data: string | null, person: Uint8Array | null }, shop: { key: number, id: string | null }, { digest, now }: Digested): Step[] {
  const of = { event_key: event.key }
  return [
    ...(event.person === null ? [] : [{ name: 'forget_subscriber', params: { shop_key: shop.key, person: event.person } }]),
    ...(event.person === null || shop.id === null ? [] : optOutSteps(event.person, { key: shop.key, id: shop.id })),
    { name: 'redact_waiting', params: { ...of, now } },
    { name: 'redact_unsure', params: { ...of, now } },
    { name: 'redact_reports', params: { ...of, now } },
    { name: 'redact_calls', params: of },
    { name: 'redact_contents', params: of },
    ...(shop.id === null ? [] : [{ name: 'redact_reasons', params: { ...of, shop: shop.id } }]),
    ...(event.data === null ? [] : [{ name: 'redact_event', params: { ...of, digest: digest(JSON.parse(event.data)), now } }])
  ]
}

/** What was written about a person who wants no more messages; that they want none stays. */
export function optOutSteps (person: Uint8Array, shop: { key: number, id: string }): Step[] {
  return [
    { name: 'redact_opt_out', params: { shop_key: shop.key, person } },
    { name: 'redact_opt_out_audit', params: { shop: shop.id, subject: Buffer.from(person).toString('hex') } }
  ]
}
