// What people and merchants do about SMS consent at Klaviyo, below /_sandbox. JSON both ways.
// GET profiles?account=                 every profile of an account, with its consent
// POST profiles {account, phone, marketing?, transactional?}   a person's own word: SUBSCRIBED, UNSUBSCRIBED, NEVER_SUBSCRIBED
// POST double_opt_in {account, on}      whether a person is asked back before being subscribed (off)
// POST opt_ins {account, phone}         a person answers that text
// POST regions {account, prefixes}      how phone numbers begin that the account has sending numbers for (all)

import type { FastifyInstance } from 'fastify'
import { ACCOUNT, order } from './sandbox-controls.ts'
import { CONSENTS } from './sandbox-profiles.ts'
import type { Consent, Kind, Profile, Profiles } from './sandbox-profiles.ts'

const PHONE = { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' }
const CONSENT = { enum: CONSENTS }

const orders = {
  word: order<{ account: string, phone: string } & { [kind in Kind]?: Consent }>(['account', 'phone'], { account: ACCOUNT, phone: PHONE, marketing: CONSENT, transactional: CONSENT }),
  doubleOptIn: order<{ account: string, on: boolean }>(['account', 'on'], { account: ACCOUNT, on: { type: 'boolean' } }),
  optIn: order<{ account: string, phone: string }>(['account', 'phone'], { account: ACCOUNT, phone: PHONE }),
  regions: order<{ account: string, prefixes: string[] }>(['account', 'prefixes'], { account: ACCOUNT, prefixes: { type: 'array', items: { type: 'string', pattern: '^\\+[1-9][0-9]*$' } } })
}

export function profileControls (app: FastifyInstance, profiles: Profiles): void {
  app.get<{ Querystring: { account?: string } }>('/_sandbox/profiles', async ({ query }) => ({ items: profiles.list(query.account ?? '').map(shown) }))
  app.post('/_sandbox/profiles', (request, reply) => orders.word(request, reply, ({ account, phone, ...words }) => {
    const profile = profiles.upsert(account, phone, { phone_number: phone })
    for (const [kind, consent] of Object.entries(words) as Array<[Kind, Consent]>) profiles.say(profile, kind, consent)
    return shown(profile)
  }))
  app.post('/_sandbox/double_opt_in', (request, reply) => orders.doubleOptIn(request, reply, ({ account, on }) => {
    if (on) profiles.doubleOptIn.add(account)
    else profiles.doubleOptIn.delete(account)
    return { account, on }
  }))
  app.post('/_sandbox/opt_ins', (request, reply) => orders.optIn(request, reply, ({ account, phone }) => {
    const profile = profiles.list(account).find(({ who }) => who === phone)
    return profile !== undefined && profiles.confirm(profile) ? { account, phone } : null
  }))
  app.post('/_sandbox/regions', (request, reply) => orders.regions(request, reply, ({ account, prefixes }) => {
    profiles.regions.set(account, prefixes)
    return { account, prefixes }
  }))
}

/** `awaited`: asked for, and not processed or not confirmed yet. `undone`: opt-outs that a call overruled. */
function shown ({ id, attributes, sms }: Profile): object {
  const { marketing, transactional } = sms
  const about = ({ consent, asked, undone }: Profile['sms'][Kind]) => ({ consent, awaited: asked !== null, undone })
  return { id, attributes, marketing: about(marketing), transactional: about(transactional) }
}
