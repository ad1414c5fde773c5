// What happens at Klaviyo without a call of the API: for tests and for trying out, below /_sandbox. JSON both ways.
// POST token_lifetime {seconds}          how long access tokens live that are made from now on (3600)
// POST app {name}                        what the app is called that grants are for (STOQ)
// POST expiries {account?}               ends access tokens now, of one account or of all; the grants stay
// POST uninstalls {account}              the merchant removes the app: ends every grant of the account
// GET grants                             how many grants, refreshes, second uses, revocations; each grant
// POST listing_delay {ms}                from an event to its being listed, and its metric (2000)
// profiles, double_opt_in, opt_ins, regions: sandbox-profile-controls.ts
// GET flows?account=                     every flow of an account
// POST flows {account, name, metric_id, status?, archived?}   one made by hand; metric_id null: another trigger
//                                        or metric: the name of one that was seen, in place of its id
// PATCH flows/{id} {name?, status?, archived?, metric_id?}, DELETE flows/{id}

import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parsed } from './sandbox-answers.ts'
import { STATUSES } from './sandbox-flow-body.ts'
import type { Status } from './sandbox-flow-body.ts'
import type { Flow, Flows } from './sandbox-flows.ts'
import type { Grants } from './sandbox-grants.ts'
import type { Metrics } from './sandbox-metrics.ts'

export const ACCOUNT = { type: 'string', minLength: 1 }
const FLOW = { name: { type: 'string' }, status: { enum: STATUSES }, archived: { type: 'boolean' }, metric_id: { type: ['string', 'null'] } }

interface FlowChange { name?: string, status?: Status, archived?: boolean, metric_id?: string | null }

const ajv = new Ajv2020({ allowUnionTypes: true })
const orders = {
  lifetime: order<{ seconds: number }>(['seconds'], { seconds: { type: 'integer', minimum: 1, maximum: 86_400 } }),
  delay: order<{ ms: number }>(['ms'], { ms: { type: 'integer', minimum: 0, maximum: 3_600_000 } }),
  app: order<{ name: string }>(['name'], { name: { type: 'string', minLength: 1 } }),
  expiry: order<{ account?: string }>([], { account: ACCOUNT }),
  uninstall: order<{ account: string }>(['account'], { account: ACCOUNT }),
  flow: order<FlowChange & { account: string, name: string, metric?: string }>(['account', 'name'], { account: ACCOUNT, metric: { type: 'string' }, ...FLOW }),
  change: order<FlowChange>([], FLOW)
}

interface Parts { grants: Grants, metrics: Metrics, flows: Flows }

export function controls (app: FastifyInstance, { grants, metrics, flows }: Parts): void {
  app.post('/_sandbox/token_lifetime', (request, reply) => orders.lifetime(request, reply, ({ seconds }) => {
    grants.lifetime = seconds
    return { seconds }
  }))
  app.post('/_sandbox/app', (request, reply) => orders.app(request, reply, ({ name }) => {
    grants.app = name
    return { name }
  }))
  app.post('/_sandbox/expiries', (request, reply) => orders.expiry(request, reply, ({ account }) => ({ expired: grants.expire(account) })))
  app.post('/_sandbox/uninstalls', (request, reply) => orders.uninstall(request, reply, ({ account }) => ({ revoked: grants.uninstall(account) })))
  app.get('/_sandbox/grants', async () => grants.report())
  app.post('/_sandbox/listing_delay', (request, reply) => orders.delay(request, reply, ({ ms }) => {
    metrics.delayMs = ms
    return { ms }
  }))
  app.get<{ Querystring: { account?: string } }>('/_sandbox/flows', async ({ query }) => ({ items: flows.list(query.account ?? '').map(shown) }))
  app.post('/_sandbox/flows', (request, reply) => orders.flow(request, reply, ({ account, name, metric, metric_id: given = null, status, archived }) => {
    const metricId = metric === undefined ? given : metrics.list(account).findLast(seen => seen.name === metric)?.id
    if (metricId === undefined) return null
    const flow = flows.add(account, name, metricId, { triggers: metricId === null ? [] : [{ type: 'metric', id: metricId, trigger_filter: null }], profile_filter: null, entry_action_id: null, reentry_criteria: { duration: 0, unit: 'alltime' }, actions: [] })
    flows.change(flow, { ...(status !== undefined && { status }), ...(archived !== undefined && { archived }) })
    return shown(flow)
  }))
  app.patch<{ Params: { id: string } }>('/_sandbox/flows/:id', (request, reply) => orders.change(request, reply, ({ metric_id: metricId, ...changes }) => {
    const flow = flows.any(request.params.id)
    if (flow === null) return null
    flows.change(flow, { ...changes, ...(metricId !== undefined && { metricId }) })
    return shown(flow)
  }))
  app.delete<{ Params: { id: string } }>('/_sandbox/flows/:id', async (request, reply) => {
    flows.delete(request.params.id)
    return reply.code(204).send()
  })
}

type Order<T> = (request: FastifyRequest, reply: FastifyReply, then: (order: T) => object | null) => FastifyReply

/** Reads a body of these keys and does as it says; `null` is answered 404. */
export function order<T> (required: string[], properties: Record<string, object>): Order<T> {
  const fits = ajv.compile<T>({ type: 'object', additionalProperties: false, required, properties })
  return (request, reply, then) => {
    const body = parsed(request.body) ?? {}
    if (!fits(body)) return reply.code(400).send({ error: ajv.errorsText(fits.errors, { dataVar: 'body' }) })
    const done = then(body)
    return done === null ? reply.code(404).send({ error: 'There is nothing of this name.' }) : reply.code(200).send(done)
  }
}

function shown ({ id, account, name, status, archived, metricId, definition }: Flow): object {
  return { id, account, name, status, archived, metric_id: metricId, actions: definition.actions.map(({ data }) => ({ status: data.status, message: data.message })) }
}
