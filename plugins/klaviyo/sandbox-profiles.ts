// Profiles: made and changed by events, with what each person said about SMS. Somebody is subscribed some time after it was
// asked for; with double opt-in, once the person has answered.

import { createHash } from 'node:crypto'
import { invalid, link } from './sandbox-answers.ts'
import type { Answered, Call, Endpoint, Fault, Resource } from './sandbox-answers.ts'
import { listed } from './sandbox-lists.ts'
import type { Item, Rules } from './sandbox-lists.ts'
import { subscribeFault } from './sandbox-subscribe-body.ts'
import type { SubscribeBody } from './sandbox-subscribe-body.ts'

export const CONSENTS = ['SUBSCRIBED', 'UNSUBSCRIBED', 'NEVER_SUBSCRIBED'] as const
export type Consent = typeof CONSENTS[number]
export const KINDS = ['marketing', 'transactional'] as const
export type Kind = typeof KINDS[number]

/** `asked`: a subscription that is not processed, or not confirmed, yet. `undone`: how often an opt-out was overruled by a call. */
interface State { consent: Consent, at: number | null, asked: { at: number, confirmed: boolean } | null, undone: number }

export interface Profile { id: string, account: string, who: string, attributes: Record<string, unknown>, createdAt: number, sms: Record<Kind, State> }

/** Of all accounts together; of more, the oldest are forgotten. */
const PROFILES_MAX = 20_000
const SUBSCRIPTIONS = 'additional-fields[profile]'
const SHOWN = ['email', 'phone_number', 'external_id', 'first_name', 'last_name', 'location']
const RULES: Rules = {
  filters: Object.fromEntries(['id', 'email', 'phone_number', 'external_id'].map(field => [field, { kind: 'text', operators: ['equals'] }])),
  sorts: ['id'],
  size: { usual: 20, max: 100 },
  fields: { profile: [...SHOWN, 'created', 'updated', 'subscriptions'] },
  also: [SUBSCRIPTIONS]
}

export class Profiles {
  readonly #byId = new Map<string, Profile>()
  readonly #wallNow: () => number
  /** Whether what came at that time has been processed. */
  readonly #seen: (at: number) => boolean
  /** Accounts that ask a person back before they subscribe anybody. */
  readonly doubleOptIn = new Set<string>()
  /** By account, how phone numbers begin for which it has a sending number; an account that is not here has one for all. */
  readonly regions = new Map<string, string[]>()

  constructor (wallNow: () => number, seen: (at: number) => boolean) {
    this.#wallNow = wallNow
    this.#seen = seen
  }

  /** The profile that something names; what is given of it changes, null clears, and what is left out stays. */
  upsert (account: string, who: string, attributes: Record<string, unknown>): Profile {
    const id = profileId(account, who)
    const known = this.#byId.get(id)
    const profile = known ?? { id, account, who, attributes: {}, createdAt: this.#wallNow(), sms: { marketing: none(), transactional: none() } }
    Object.assign(profile.attributes, attributes)
    if (known === undefined) this.#byId.set(id, profile)
    if (this.#byId.size > PROFILES_MAX) this.#byId.delete(this.#byId.keys().next().value as string)
    return profile
  }

  /** A person's own word. */
  say ({ sms }: Profile, kind: Kind, consent: Consent): void {
    Object.assign(sms[kind], { consent, at: this.#wallNow(), asked: null })
  }

  /** Asked for by a call, which overrules an opt-out. */
  subscribe ({ account, sms }: Profile, kind: Kind, isImport: boolean): void {
    sms[kind].asked = { at: this.#wallNow(), confirmed: isImport || !this.doubleOptIn.has(account) }
  }

  /** A person answers the text that asks back; false where none waits for that. */
  confirm ({ sms }: Profile): boolean {
    const waiting = KINDS.flatMap(kind => sms[kind].asked ?? [])
    for (const asked of waiting) asked.confirmed = true
    return waiting.length > 0
  }

  list (account: string): Profile[] {
    const all = [...this.#byId.values()].filter(profile => profile.account === account)
    for (const { sms } of all) for (const kind of KINDS) this.#process(sms[kind])
    return all
  }

  mayText (account: string, phone: string): boolean {
    return this.regions.get(account)?.some(prefix => phone.startsWith(prefix)) ?? true
  }

  #process (state: State): void {
    const { asked, consent } = state
    if (asked === null || !asked.confirmed || !this.#seen(asked.at)) return
    if (consent === 'UNSUBSCRIBED') state.undone++
    Object.assign(state, { consent: 'SUBSCRIBED', at: asked.at, asked: null })
  }
}

export function profileEndpoints (profiles: Profiles, wallNow: () => number): Endpoint[] {
  return [
    { method: 'GET', url: '/api/profiles', group: 'profiles_read', scopes: ['profiles:read'], answer: call => found(call, profiles) },
    {
      method: 'POST',
      url: '/api/profile-subscription-bulk-create-jobs',
      group: 'subscribe',
      scopes: ['lists:write', 'profiles:write', 'subscriptions:write'],
      answer: call => subscribed(call, profiles, wallNow())
    }
  ]
}

/** 26 characters, as a ULID has. */
export function profileId (account: string, who: string): string {
  return `01${createHash('sha256').update(`${account} ${who}`).digest('hex').slice(0, 24).toUpperCase()}`
}

function found ({ caller: { account }, request }: Call, profiles: Profiles): Answered | Fault {
  const also = (request.query as Record<string, unknown>)[SUBSCRIPTIONS]
  if (also !== undefined && also !== 'subscriptions') return invalid('Only subscriptions are known here.', { parameter: SUBSCRIPTIONS })
  const items = profiles.list(account).map((profile): Item => ({
    values: { id: profile.id, ...Object.fromEntries(['email', 'phone_number', 'external_id'].map(name => [name, textOf(profile.attributes[name])])) },
    resource: () => resourceOf(profile, also !== undefined)
  }))
  return listed('/api/profiles', request.query, items, RULES)
}

function subscribed ({ caller: { account }, body }: Call, profiles: Profiles, now: number): Answered | Fault {
  const fault = subscribeFault(body, now, phone => profiles.mayText(account, phone))
  if (fault !== null) return invalid(fault.detail, fault)
  const { historical_import: isImport, profiles: { data } } = (body as SubscribeBody).data.attributes
  for (const { attributes: { phone_number: phone, email, subscriptions: { sms } } } of data) {
    const who = phone ?? email
    if (!who) continue
    const profile = profiles.upsert(account, who, { ...(phone && { phone_number: phone }), ...(email && { email }) })
    for (const kind of KINDS) if (sms?.[kind]) profiles.subscribe(profile, kind, isImport === true)
  }
  return { status: 202 }
}

function none (): State { return { consent: 'NEVER_SUBSCRIBED', at: null, asked: null, undone: 0 } }

function textOf (value: unknown): string | null { return typeof value === 'string' ? value : null }

function resourceOf ({ id, attributes, createdAt, sms }: Profile, withSubscriptions: boolean): Resource {
  const created = new Date(createdAt).toISOString()
  return {
    type: 'profile',
    id,
    attributes: {
      ...Object.fromEntries(SHOWN.map(name => [name, attributes[name] ?? null])), created, updated: created,
      ...(withSubscriptions && { subscriptions: { sms: { marketing: consentOf(sms.marketing, 'marketing'), transactional: consentOf(sms.transactional, 'transactional') } } })
    },
    links: { self: link(`/api/profiles/${id}`) }
  }
}

function consentOf ({ consent, at }: State, kind: Kind): object {
  const time = at === null ? null : new Date(at).toISOString()
  return { [`can_receive_sms_${kind}`]: consent === 'SUBSCRIBED', consent, consent_timestamp: time, method: at === null ? null : 'API', method_detail: null, last_updated: time }
}
