// What POST /api/flows and PATCH /api/flows/{id} refuse, from the documented facts. Of Klaviyo's many triggers and
// actions only a metric and an SMS are played; contract.test.ts holds it to Klaviyo's own description.

import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ValidateFunction } from 'ajv/dist/2020.js'

export const STATUSES = ['draft', 'manual', 'live'] as const
export type Status = typeof STATUSES[number]

export interface Action {
  temporary_id: string
  type: 'send-sms'
  links: { next: string | null }
  data: { status?: Status | 'disabled', message: { body: string, [flag: string]: unknown } }
}

export interface FlowBody {
  data: {
    attributes: {
      name: string
      definition: { triggers: [{ type: 'metric', id: string }], entry_action_id: string, actions: Action[], reentry_criteria?: { duration: number, unit: string } }
    }
  }
}

export interface StatusBody { data: { id: string, attributes: { status: Status } } }

/** A refusal with the pointer into the body that it is about. */
export interface BodyFault { detail: string, pointer: string }

const FLAG = { type: 'boolean' }
const NOTHING = { type: 'null' }
const TEXT = { type: ['string', 'null'] }

/** Closed, with these keys required. */
function closed (required: string[], properties: Record<string, object>): object {
  return { type: 'object', additionalProperties: false, required, properties }
}

const MESSAGE = closed(['body'], {
  body: { type: 'string', minLength: 1 },
  name: TEXT,
  image_id: NOTHING,
  shorten_links: FLAG,
  include_contact_card: FLAG,
  add_org_prefix: FLAG,
  add_info_link: FLAG,
  add_opt_out_language: FLAG,
  smart_sending_enabled: FLAG,
  sms_quiet_hours_enabled: FLAG,
  transactional: FLAG,
  add_tracking_params: FLAG
})

const ACTION = closed(['temporary_id', 'type', 'links', 'data'], {
  temporary_id: { type: 'string', minLength: 1 },
  type: { const: 'send-sms' },
  links: closed(['next'], { next: TEXT }),
  data: closed(['message'], { status: { enum: [...STATUSES, 'disabled'] }, message: MESSAGE })
})

const DEFINITION = closed(['triggers', 'entry_action_id', 'actions'], {
  triggers: { type: 'array', minItems: 1, maxItems: 1, items: closed(['type', 'id'], { type: { const: 'metric' }, id: { type: 'string', minLength: 1 }, trigger_filter: NOTHING }) },
  profile_filter: NOTHING,
  entry_action_id: { type: 'string', minLength: 1 },
  reentry_criteria: closed(['duration', 'unit'], { duration: { type: 'integer', minimum: 0 }, unit: { enum: ['alltime', 'hour', 'day', 'week'] } }),
  actions: { type: 'array', minItems: 1, maxItems: 50, items: ACTION }
})

const ajv = new Ajv2020({ allowUnionTypes: true })
const fitsFlow = ajv.compile<FlowBody>(closed(['data'], {
  data: closed(['type', 'attributes'], { type: { const: 'flow' }, attributes: closed(['name', 'definition'], { name: { type: 'string', minLength: 1, maxLength: 255 }, definition: DEFINITION }) })
}))
const fitsStatus = ajv.compile<StatusBody>(closed(['data'], {
  data: closed(['type', 'id', 'attributes'], { type: { const: 'flow' }, id: { type: 'string' }, attributes: closed(['status'], { status: { enum: STATUSES } }) })
}))

/** The first thing wrong with the body of a new flow, or null. Whether its metric exists is not looked at. */
export function flowFault (body: unknown): BodyFault | null {
  if (!fitsFlow(body)) return first(fitsFlow)
  const { reentry_criteria: reentry } = body.data.attributes.definition
  const at = '/data/attributes/definition'
  if (reentry?.unit === 'alltime' && reentry.duration > 1) return { pointer: `${at}/reentry_criteria/duration`, detail: 'For alltime it must be 0 or 1.' }
  return actionsFault(body, at)
}

/** The first thing wrong with the body that sets a flow's status, or null. */
export function statusFault (body: unknown, id: string): BodyFault | null {
  if (!fitsStatus(body)) return first(fitsStatus)
  return body.data.id === id ? null : { pointer: '/data/id', detail: 'It must be the id of the path.' }
}

/** From the entry each action names the next: all are reached, none twice. */
function actionsFault ({ data: { attributes: { definition: { actions, entry_action_id: entry } } } }: FlowBody, at: string): BodyFault | null {
  const byId = new Map(actions.map(action => [action.temporary_id, action]))
  if (byId.size < actions.length) return { pointer: `${at}/actions`, detail: 'Each action needs a temporary_id of its own.' }
  if (!byId.has(entry)) return { pointer: `${at}/entry_action_id`, detail: 'It must be the temporary_id of an action.' }
  const reached = new Set<string>()
  for (let next: string | null = entry; next !== null; next = (byId.get(next) as Action).links.next) {
    const index = actions.findIndex(action => action.links.next === next)
    if (!byId.has(next)) return { pointer: `${at}/actions/${index}/links/next`, detail: 'There is no action of this temporary_id.' }
    if (reached.has(next)) return { pointer: `${at}/actions/${index}/links/next`, detail: 'Actions must not lead back.' }
    reached.add(next)
  }
  return reached.size === actions.length ? null : { pointer: `${at}/actions`, detail: 'An action is never reached.' }
}

function first ({ errors }: ValidateFunction<unknown>): BodyFault {
  return { pointer: errors?.[0]?.instancePath ?? '', detail: errors?.[0]?.message ?? 'Invalid.' }
}
