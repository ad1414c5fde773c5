// Lets a sign-up in through the door; one who waits already waits on.

import { GatewayError } from '../../../gateway/errors.ts'
import type { Made, Row, SourceContext, SourceShop } from '../../../gateway/contract.ts'
import type { Signup } from './signup.ts'

export const SIGNUP_STATE = { waiting: 1, alerting: 2, alerted: 3, skipped: 4, removed: 5 } as const

export type Taken = { is: 'joined' | 'waiting' } | { is: 'refused', code: string, message: string }

/** Somebody else was faster, once. */
const TRIES = 2

/** Repeated or at the same moment as another one, it is taken once. Throws GW_STORE_FAILED. */
export async function take (signup: Signup, way: 'storefront' | 'api', shop: SourceShop, context: SourceContext): Promise<Taken> {
  for (let left = TRIES; ; left--) {
    const row = await standing(signup, shop, context)
    if (row !== null && waits(row)) return { is: 'waiting' }
    try {
      const made = await enter(signup, `${way} ${digestOf([way, shop.id, signup.variant, signup.market, signup.phone, row?.told_at ?? row?.joined_at ?? 0], context)}`, shop, context)
      if (isNew(made)) return { is: 'joined' }
      if (made.is === 'refused' && made.code !== 'GW_EVENT_CONFLICT') return { is: 'refused', code: made.code, message: made.message }
      const meanwhile = await standing(signup, shop, context)
      if (meanwhile !== null && waits(meanwhile)) return { is: 'waiting' }
      // The event was there before, and the sign-up is not: it was erased, and this is a new one.
      const again = await enter(signup, `${way} ${context.newId('again_')}`, shop, context)
      return again.is === 'refused' ? { is: 'refused', code: again.code, message: again.message } : { is: 'joined' }
    } catch (error) {
      if (left <= 1 || !(error instanceof GatewayError) || error.code !== 'GW_STORE_FAILED') throw error
    }
  }
}

/** The row of the same customer, variant and market; null where there is none. */
export async function standing ({ variant, market, phone }: Signup, shop: SourceShop, { read, person }: SourceContext): Promise<Row | null> {
  const [row] = await read('waitlist_signup_of', { shop_key: shop.key, variant, market, person: person(phone) })
  return row ?? null
}

/** Nothing would change: who waits and did not agree to be texted may do so now. */
export function waits ({ state, consent }: Row): boolean {
  return (state === SIGNUP_STATE.waiting && consent === 1) || state === SIGNUP_STATE.alerting
}

/** Tells nothing of what it was made from. */
export function digestOf (parts: unknown[], { person }: SourceContext): string {
  return Buffer.from(person(JSON.stringify(parts))).toString('base64url')
}

function enter ({ data }: Signup, id: string, shop: SourceShop, { accept, now }: SourceContext): Promise<Made> {
  return accept([{ id, type: 'waitlist.joined', shop: shop.id, timeAt: now(), data }], [])
}

export function isNew (made: Made): boolean { return made.is === 'accepted' && made.events[0]?.status === 'accepted' }
