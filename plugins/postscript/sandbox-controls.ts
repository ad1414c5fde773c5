// What tests and people at the sandbox may do in place of those who use Postscript itself: all below /_sandbox.

import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parsed, shopOf } from './sandbox-answers.ts'
import { faultOf } from './sandbox-body.ts'
import type { Deliveries } from './sandbox-deliveries.ts'
import type { Keywords } from './sandbox-keywords.ts'
import type { Changed, People } from './sandbox-people.ts'

export interface Controlled {
  people: People
  keywords: Keywords
  deliveries: Deliveries
  wallNow (): number
  /** Tells the shops of people who have opted in or out. */
  tell (event: string, changed: readonly Changed[]): void
}

const SPACING_MAX_MS = 3_600_000
const PERSON = { phone_number: { type: 'string', minLength: 1 } }
const SHOP_KEY = { type: 'string', pattern: '^sk_(?!partner_)' }
const KEYWORD = { type: 'string', pattern: '^[A-Z0-9]{1,40}$' }

const ajv = new Ajv2020()
const closed = (properties: Record<string, object>, required = Object.keys(properties)) => ajv.compile({ type: 'object', additionalProperties: false, required, properties })
const fitsPerson = closed(PERSON)
const fitsSubscriber = closed({ shop_key: SHOP_KEY, ...PERSON })
const fitsKeyword = closed({ shop_key: SHOP_KEY, keyword: KEYWORD })
const fitsKeywords = closed({ shop_key: SHOP_KEY, keyword: KEYWORD }, ['shop_key'])
const fitsSpacing = closed({ spacing_ms: { type: 'integer', minimum: 0, maximum: SPACING_MAX_MS } })

/** Mounts the controls; a body that is not in order is answered 400 with what is wrong. */
export function controls (app: FastifyInstance, { people, keywords, deliveries, wallNow, tell }: Controlled): void {
  app.post('/_sandbox/opt_ins', checked<{ phone_number: string }>(fitsPerson, ({ phone_number: phone }) => {
    const changed = people.optIn(phone)
    tell('shop.subscriber.opt_in', changed)
    return { opted_in: changed.length }
  }))
  app.post('/_sandbox/subscribers', checked<{ shop_key: string, phone_number: string }>(fitsSubscriber, ({ shop_key: shopKey, phone_number: phone }) => {
    people.add(shopOf(shopKey), { phone_number: phone }, wallNow())
    const changed = people.optIn(phone)
    tell('shop.subscriber.opt_in', changed)
    return { opted_in: changed.length }
  }))
  app.post('/_sandbox/opt_outs', checked<{ phone_number: string }>(fitsPerson, ({ phone_number: phone }) => {
    const changed = people.optOut(null, { phone_number: phone })
    tell('shop.subscriber.opt_out', changed)
    return { opted_out: changed.length }
  }))
  app.post('/_sandbox/keywords', checked<{ shop_key: string, keyword: string }>(fitsKeyword, ({ shop_key: shopKey, keyword }, reply) => {
    const added = keywords.add(shopKey, keyword, wallNow())
    return added ?? reply.code(409).send({ error: 'that keyword is active already' })
  }))
  app.post('/_sandbox/keywords/deactivate', checked<{ shop_key: string, keyword?: string }>(fitsKeywords, ({ shop_key: shopKey, keyword }) => ({ deactivated: keywords.deactivate(shopKey, keyword) })))
  app.get('/_sandbox/webhook_deliveries', async () => ({ items: deliveries.list() }))
  app.post<{ Params: { id: string } }>('/_sandbox/webhook_deliveries/:id/repeat', async ({ params }, reply) => {
    const found = deliveries.find(Number(params.id))
    return found === null ? reply.code(404).send({ error: 'no such delivery' }) : deliveries.send(found.body, found.id)
  })
  app.get('/_sandbox/webhook_spacing', async () => ({ spacing_ms: deliveries.spacingMs }))
  app.put('/_sandbox/webhook_spacing', checked<{ spacing_ms: number }>(fitsSpacing, ({ spacing_ms: spacingMs }) => {
    deliveries.spacingMs = spacingMs
    return { spacing_ms: spacingMs }
  }))
}

function checked<T> (fits: ReturnType<typeof closed>, then: (body: T, reply: FastifyReply) => object): (request: FastifyRequest, reply: FastifyReply) => Promise<object> {
  return async (request, reply) => {
    const body = parsed(request.body)
    const fault = faultOf(fits, body)
    return fault === null ? then(body as T, reply) : reply.code(400).send({ error: fault })
  }
}
