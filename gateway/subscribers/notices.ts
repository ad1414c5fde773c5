// What a provider tells of a person by itself is a hint: it is kept, and the provider is asked. So is what somebody wants looked at now.

import type { Listed, Row, Step } from '../contract.ts'
import { jobStep, type Tools } from './steps.ts'

/** Word that a person opted in or out; `state` null asks only. At least one of phone (E.164, or its digits) and ref is there. */
export interface Notice { accountKey: number, phone: string | null, ref: string | null, state: Extract<Listed, 'subscribed' | 'opted_out'> | null, at: number }

export interface Sealing {
  seal (place: { shop: string, provider: string, field: string }, text: string): { keyId: string, version: number, sealed: Uint8Array }
  open (place: { shop: string, provider: string, field: string }, sealed: { keyId: string, version: number, sealed: Uint8Array }): string
  fingerprint (purpose: string, text: string): Buffer
}

/** The steps that keep a notice and have the person looked up, by whoever works on the account; to be committed by any gateway. */
export function noticed (notice: Notice, tools: Tools & { vault: Sealing }): Step[] {
  const { accountKey, phone, ref, state, at } = notice
  if (phone === null && ref === null) return []
  const id = noticeId(notice, tools.vault)
  const now = tools.runtime.now()
  const sealed = phone === null ? null : tools.vault.seal(placeOf(id), e164(phone))
  return [
    { name: 'put_notice', params: { id, account_key: accountKey, ref, standing: state, at, key_id: sealed?.keyId ?? null, version: sealed?.version ?? null, sealed: sealed?.sealed ?? null, due_at: now } },
    jobStep(accountKey, now, tools)
  ]
}

/** The same for all that is told of one person. */
export function noticeId ({ accountKey, phone, ref }: Pick<Notice, 'accountKey' | 'phone' | 'ref'>, vault: Pick<Sealing, 'fingerprint'>): string {
  return `${accountKey} ${vault.fingerprint('notice', phone === null ? `ref ${ref}` : e164(phone)).toString('hex')}`
}

/** The phone number of a notice; null where it has none, or none that can be opened. */
export function phoneIn ({ id, key_id: keyId, version, sealed }: Row, vault: Pick<Sealing, 'open'>): string | null {
  if (sealed === null) return null
  try {
    return vault.open(placeOf(String(id)), { keyId: String(keyId), version: Number(version), sealed: sealed as Uint8Array })
  } catch {
    return null
  }
}

export function e164 (phone: string): string { return `+${phone.replaceAll(/\D/g, '')}` }

function placeOf (id: string): { shop: string, provider: string, field: string } { return { shop: '', provider: id, field: 'notice' } }
