// What an answer means beyond its delivery, in the same unit.

import { STATE, type Provider, type Step } from '../contract.ts'

/** Of what was accepted the carrier's word is awaited; who wants no more messages by the provider's word gets none from other providers either. */
export function followUp (deliveryKey: number, { state, reason }: { state: number, reason: string | null }, { statusPoll }: Pick<Provider, 'statusPoll'>, now: number): Step[] {
  const first = statusPoll?.afterMs[0]
  if (reason === 'opted_out') return [{ name: 'opt_out_refused', params: { delivery_key: deliveryKey, now, via: 'provider_refused' } }]
  return state === STATE.delivered && first !== undefined ? [{ name: 'await_carrier', params: { delivery_key: deliveryKey, due_at: now + first } }] : []
}
