// One question about a person, and what the answer says.

import type { Answer, FoundPerson, Listed, Outcome, PersonLookUp } from '../contract.ts'

/** A shop's way to the provider of an account. `ask` never throws for what the provider answers. */
export interface Way {
  accountKey: number
  about: { account_id: string, settings: Record<string, unknown> }
  ask (request: string, map: Record<string, unknown>): Promise<{ answer: Answer, outcome: Outcome }>
}

export type Asked =
  | { is: 'found', person: FoundPerson & { state: Listed } }
  | { is: 'nobody' }
  /** Nothing is known. `ours`: the provider was not asked, as there was no room; `held`: the account must be put right first. */
  | { is: 'later', afterMs: number, ours: boolean, held: boolean }

/** By phone number (E.164) the person found must have that number. */
export async function asked (lookUp: PersonLookUp, { phone, ref }: { phone: string | null, ref: string | null }, { about, ask }: Way): Promise<Asked> {
  const digits = phone === null ? '' : phone.replaceAll(/\D/g, '')
  const map = lookUp.map.render({ connection: about, person: { phone: phone ?? '', digits, ref: ref ?? '' } }) as Record<string, unknown>
  const { answer, outcome } = await ask(lookUp.request, map)
  if (outcome.is === 'rejected' || (outcome.is === 'retry' && outcome.settings !== undefined) || isUnmapped(answer)) return { is: 'nobody' }
  if (outcome.is !== 'delivered' || answer.kind !== 'answer') return { is: 'later', afterMs: outcome.is === 'retry' ? outcome.afterMs ?? 0 : 0, ours: answer.kind === 'not_sent' && answer.code === 'NO_ROOM', held: outcome.is === 'hold' }
  const found = lookUp.read(answer.body)
  if (found === null) return UNREADABLE
  const person = found.find(one => phone === null ? one.digits !== '' : one.digits === digits)
  if (person === undefined || person.state === 'not_listed') return { is: 'nobody' }
  return person.state === null ? UNREADABLE : { is: 'found', person: { ...person, state: person.state } }
}

const UNREADABLE: Asked = { is: 'later', afterMs: 0, ours: false, held: false }

/** A number that makes no request is nobody's. */
function isUnmapped (answer: Answer): boolean { return answer.kind === 'not_sent' && answer.code === 'NOT_MAPPED' }
