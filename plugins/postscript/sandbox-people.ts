// The people of the shops in the sandbox: added as pending, subscribed when they answer the opt-in, and opted out.

import { randomUUID } from 'node:crypto'
import { zoned } from './sandbox-answers.ts'
import type { SubscriberBody } from './sandbox-body.ts'

/** People kept over all shops; the one longest known goes first. */
const KEPT_MAX = 50_000

interface Person { shop: string, digits: string, pendingId: string, id: string | null, canSend: boolean, body: SubscriberBody, at: string }

/** As the API shows one. */
export type Subscriber = Record<string, unknown>

/** Who has just opted in or out, and where. */
export interface Changed { shop: string, id: string, digits: string }

export class People {
  readonly #people = new Map<string, Person>()

  /** The id of a pending one; null where that number is known already, pending or not. */
  add (shop: string, body: SubscriberBody, nowMs: number): string | null {
    const digits = digitsOf(body.phone_number)
    const place = `${shop} ${digits}`
    if (this.#people.has(place)) return null
    const pendingId = `s_${idOf()}`
    this.#people.set(place, { shop, digits, pendingId, id: null, canSend: false, body, at: zoned(nowMs) })
    if (this.#people.size > KEPT_MAX) this.#people.delete(this.#people.keys().next().value as string)
    return pendingId
  }

  /** One who opted in at this shop before anybody looked. */
  know (shop: string, phone: string, nowMs: number): void {
    if (this.add(shop, { phone_number: phone }, nowMs) === null) return
    const person = this.#people.get(`${shop} ${digitsOf(phone)}`) as Person
    person.id = `s_${idOf()}`
    person.canSend = true
  }

  /** The answer to the opt-in ("Y"), at every shop that waits for it: only now there is an id to ask for. Those whose state changed. */
  optIn (phone: string): Changed[] {
    const found = this.#all(person => person.digits === digitsOf(phone) && !person.canSend)
    return found.map(person => {
      person.id ??= `s_${idOf()}`
      person.canSend = true
      return { shop: person.shop, id: person.id, digits: person.digits }
    })
  }

  /** At one shop, or at every one where that is null. Those whose state changed: one who is pending has nothing to leave. */
  optOut (shop: string | null, who: { phone_number?: string, postscript_subscriber_id?: string }): Changed[] {
    const digits = digitsOf(who.phone_number ?? '')
    const found = this.#all(one => (shop === null || one.shop === shop) && one.canSend && (one.digits === digits || one.id === who.postscript_subscriber_id))
    return found.map(person => {
      person.canSend = false
      return { shop: person.shop, id: person.id as string, digits: person.digits }
    })
  }

  /** Who answered the opt-in, with this number (digits) or e-mail; everyone where neither is given. Pending ones are not shown. */
  list (shop: string, by: { phone?: string | undefined, email?: string | undefined }): Subscriber[] {
    return this.#all(({ shop: of, id, digits, body }) => of === shop && id !== null && (by.phone === undefined || digits === by.phone) && (by.email === undefined || body.email === by.email)).map(shown)
  }

  /** By the id of a subscriber; a pending id is not one. */
  find (shop: string, id: string): Subscriber | null {
    const found = this.#all(person => person.shop === shop && person.id === id)[0]
    return found === undefined ? null : shown(found)
  }

  #all (fits: (person: Person) => boolean): Person[] {
    return [...this.#people.values()].filter(fits)
  }
}

function shown ({ id, digits, canSend, body, at }: Person): Subscriber {
  const state = { can_send: canSend }
  return {
    id,
    phone_number: digits, // numbers come back without their plus
    email: body.email ?? null,
    ps_id: null,
    shopify_customer_id: body.shopify_customer_id ?? null,
    tags: body.tags ?? [],
    data: {},
    properties: body.properties ?? {},
    subscriptions: { promotional: state, transactional: state },
    created_at: at,
    updated_at: at
  }
}

function digitsOf (phone: string): string {
  return phone.replace(/\D/g, '')
}

function idOf (): string {
  return randomUUID().replaceAll('-', '').slice(0, 12)
}
