// Flows: made as drafts, set live, listed. Nothing is ever sent by one. Two may have one name, or one metric.

import { invalid, isFault, link, notFound, shortId } from './sandbox-answers.ts'
import type { Answered, Call, Endpoint, Fault, Resource } from './sandbox-answers.ts'
import { TIMES } from './sandbox-filter.ts'
import { flowFault, statusFault } from './sandbox-flow-body.ts'
import type { Action, FlowBody, Status, StatusBody } from './sandbox-flow-body.ts'
import { listed, shown } from './sandbox-lists.ts'
import type { Item, Rules } from './sandbox-lists.ts'
import type { Metrics } from './sandbox-metrics.ts'

export interface Flow {
  id: string
  account: string
  name: string
  status: Status
  archived: boolean
  /** Null: something else than a metric triggers it. */
  metricId: string | null
  createdAt: number
  updatedAt: number
  definition: Definition
}

interface Definition { triggers: object[], profile_filter: null, entry_action_id: string | null, reentry_criteria: object, actions: SavedAction[] }
interface SavedAction { id: string, type: string, links: { next: string | null }, data: Action['data'] }

export const FLOW_FIELDS = ['archived', 'created', 'id', 'name', 'status', 'trigger_type', 'updated']
const NAMED = ['contains', 'ends-with', 'equals', 'starts-with']
const LIST: Rules = {
  filters: {
    id: { kind: 'texts', operators: ['any'] },
    name: { kind: 'text', operators: NAMED },
    status: { kind: 'text', operators: ['equals'] },
    archived: { kind: 'flag', operators: ['equals'] },
    created: { kind: 'time', operators: TIMES },
    updated: { kind: 'time', operators: TIMES },
    trigger_type: { kind: 'text', operators: ['equals'] }
  },
  sorts: ['created', 'id', 'name', 'status', 'trigger_type', 'updated'],
  size: { usual: 50, max: 50 },
  fields: { flow: FLOW_FIELDS }
}
/** One flow may be asked for what it does. */
const ONE = { flow: [...FLOW_FIELDS, 'definition'] }
/** What a message is where its flow did not say. */
const MESSAGE = {
  shorten_links: true, include_contact_card: false, add_org_prefix: true, add_info_link: true, add_opt_out_language: false, smart_sending_enabled: true, sms_quiet_hours_enabled: true, transactional: false, add_tracking_params: false, name: null
}

export class Flows {
  readonly #flows = new Map<string, Flow>()
  readonly #wallNow: () => number
  #made = 0

  constructor (wallNow: () => number) { this.#wallNow = wallNow }

  add (account: string, name: string, metricId: string | null, definition: Definition): Flow {
    const now = this.#wallNow()
    const flow: Flow = { id: this.#id('flow'), account, name, status: 'draft', archived: false, metricId, createdAt: now, updatedAt: now, definition }
    this.#flows.set(flow.id, flow)
    return flow
  }

  /** As a client asks for it. */
  create (account: string, { data: { attributes: { name, definition } } }: FlowBody): Flow {
    const [trigger] = definition.triggers
    const ids = new Map(definition.actions.map(({ temporary_id: temporary }) => [temporary, this.#id('action')]))
    const actions = definition.actions.map(({ temporary_id: temporary, type, links: { next }, data: { status, message } }) => ({
      id: ids.get(temporary) as string,
      type,
      links: { next: next === null ? null : ids.get(next) as string },
      data: { status: status ?? 'draft', message: { ...MESSAGE, ...message, id: this.#id('message') } }
    }))
    return this.add(account, name, trigger.id, {
      triggers: [{ trigger_filter: null, ...trigger }],
      profile_filter: null,
      entry_action_id: ids.get(definition.entry_action_id) as string,
      reentry_criteria: definition.reentry_criteria ?? { duration: 0, unit: 'alltime' },
      actions
    })
  }

  find (account: string, id: string): Flow | null {
    const flow = this.#flows.get(id)
    return flow?.account === account ? flow : null
  }

  /** Whatever account it belongs to. */
  any (id: string): Flow | null { return this.#flows.get(id) ?? null }

  list (account: string): Flow[] { return [...this.#flows.values()].filter(flow => flow.account === account) }

  items (account: string, fits: (flow: Flow) => boolean = () => true): Item[] {
    return this.list(account).filter(fits).map(flow => ({
      values: { id: flow.id, name: flow.name, status: flow.status, archived: flow.archived, created: flow.createdAt, updated: flow.updatedAt, trigger_type: triggerOf(flow) },
      resource: () => resourceOf(flow)
    }))
  }

  /** A status is that of all its actions. */
  change (flow: Flow, { status, ...changes }: Partial<Pick<Flow, 'name' | 'status' | 'archived' | 'metricId'>>): void {
    Object.assign(flow, changes, { updatedAt: this.#wallNow() })
    if (status === undefined) return
    flow.status = status
    for (const { data } of flow.definition.actions) data.status = status
  }

  delete (id: string): void { this.#flows.delete(id) }

  #id (what: string): string {
    this.#made++
    const id = shortId(`${what} ${this.#made}`)
    return this.#flows.has(id) ? this.#id(what) : id
  }
}

export function flowEndpoints (flows: Flows, metrics: Metrics): Endpoint[] {
  const found = ({ caller, id }: Call, then: (flow: Flow) => Answered | Fault): Answered | Fault => {
    const flow = flows.find(caller.account, id)
    return flow === null ? notFound('flow', id) : then(flow)
  }
  const url = '/api/flows/:id'
  return [
    { method: 'GET', url: '/api/flows', group: 'flows_read', scopes: ['flows:read'], answer: ({ caller, request }) => listed('/api/flows', request.query, flows.items(caller.account), LIST) },
    { method: 'POST', url: '/api/flows', group: 'flows_create', scopes: ['flows:write'], answer: call => createFlow(call, flows, metrics) },
    { method: 'GET', url, group: 'flow', scopes: ['flows:read'], answer: call => found(call, flow => shownFlow(flow, call, ['additional-fields[flow]'])) },
    { method: 'PATCH', url, group: 'flows_write', scopes: ['flows:write'], answer: call => found(call, flow => setStatus(flow, call, flows)) },
    {
      method: 'DELETE',
      url,
      group: 'flows_delete',
      scopes: ['flows:write'],
      answer: call => found(call, ({ id }) => {
        flows.delete(id)
        return { status: 204 }
      })
    }
  ]
}

function createFlow (call: Call, flows: Flows, metrics: Metrics): Answered | Fault {
  const fault = flowFault(call.body)
  if (fault !== null) return invalid(fault.detail, fault)
  const body = call.body as FlowBody
  const [{ id }] = body.data.attributes.definition.triggers
  const { account } = call.caller
  if (metrics.find(account, id) === null) return invalid(`There is no metric ${id.slice(0, 40)}.`, { pointer: '/data/attributes/definition/triggers/0/id' })
  const params = definitionFault(call)
  if (params !== null) return params
  const answer = shownFlow(flows.create(account, body), call, ['additional-fields[flow]'])
  return isFault(answer) ? answer : { ...answer, status: 201 }
}

function setStatus (flow: Flow, call: Call, flows: Flows): Answered | Fault {
  const fault = statusFault(call.body, flow.id)
  if (fault !== null) return invalid(fault.detail, fault)
  if (flow.archived) return invalid('The flow is archived.', { pointer: '/data/id' })
  const params = shown(resourceOf(flow), call.request.query, { flow: FLOW_FIELDS })
  if (isFault(params)) return params
  flows.change(flow, { status: (call.body as StatusBody).data.attributes.status })
  return shown(resourceOf(flow), call.request.query, { flow: FLOW_FIELDS })
}

/** What is wrong with the query, before anything is made. */
function definitionFault ({ request }: Call): Fault | null {
  const { 'additional-fields[flow]': also, ...query } = request.query as Record<string, unknown>
  if (also !== undefined && also !== 'definition') return invalid('A flow has the additional field definition, and no other.', { parameter: 'additional-fields[flow]' })
  const answer = shown({ type: 'flow', id: '', attributes: {}, links: { self: '' } }, query, ONE)
  return isFault(answer) ? answer : null
}

function shownFlow (flow: Flow, call: Call, also: readonly string[]): Answered | Fault {
  const fault = definitionFault(call)
  if (fault !== null) return fault
  const query = call.request.query as Record<string, string>
  const wanted = query['additional-fields[flow]'] !== undefined || query['fields[flow]']?.split(',').includes('definition') === true
  const resource = resourceOf(flow)
  return shown(wanted ? { ...resource, attributes: { ...resource.attributes, definition: flow.definition } } : resource, query, ONE, also)
}

function resourceOf (flow: Flow): Resource {
  const { id, name, status, archived, createdAt, updatedAt } = flow
  return {
    type: 'flow',
    id,
    attributes: { name, status, archived, created: new Date(createdAt).toISOString(), updated: new Date(updatedAt).toISOString(), trigger_type: triggerOf(flow) },
    links: { self: link(`/api/flows/${id}`) }
  }
}

function triggerOf ({ metricId }: Flow): string { return metricId === null ? 'Added to List' : 'Metric' }
