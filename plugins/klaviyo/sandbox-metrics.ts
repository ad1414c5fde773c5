// Metrics: made by the first event of their name, per account and per way the event came by; listed some time later.

import { link, notFound, shortId } from './sandbox-answers.ts'
import type { Call, Endpoint, Resource } from './sandbox-answers.ts'
import type { Flows } from './sandbox-flows.ts'
import { FLOW_FIELDS } from './sandbox-flows.ts'
import { listed, shown, whole } from './sandbox-lists.ts'
import type { Rules } from './sandbox-lists.ts'

export interface Metric { id: string, name: string, integration: { id: string, name: string, category: string }, createdAt: number }

/** Accounts whose metrics are kept; of more, the oldest are forgotten. */
const ACCOUNTS_MAX = 20_000
const OWN_SINCE = Date.UTC(2025, 0, 6)
/** What an account has from the start. */
const OWN = [
  'Received SMS', 'Sent SMS', 'Clicked SMS', 'Failed to Deliver SMS', 'Subscribed to SMS Marketing', 'Unsubscribed from SMS Marketing',
  'Received Email', 'Opened Email', 'Clicked Email', 'Bounced Email', 'Subscribed to List', 'Active on Site'
]
const METRIC_FIELDS = ['created', 'id', 'integration', 'name', 'updated']
const RULES: Rules = {
  filters: { 'integration.name': { kind: 'text', operators: ['equals'] }, 'integration.category': { kind: 'text', operators: ['equals'] } },
  sorts: [],
  size: { usual: 200 },
  fields: { metric: METRIC_FIELDS }
}

export class Metrics {
  readonly #byAccount = new Map<string, Map<string, Metric>>()
  readonly #wallNow: () => number
  /** Milliseconds from an event to its being seen, and its metric. */
  delayMs = 2000

  constructor (wallNow: () => number) { this.#wallNow = wallNow }

  /** The metric of an event; made where it is the first. */
  of (account: string, integration: string, name: string): Metric {
    const key = `${integration}\n${name}`
    const metrics = this.#byAccount.get(account) ?? this.#open(account)
    const known = metrics.get(key)
    if (known !== undefined) return known
    const metric = { id: shortId(`metric ${account} ${key}`), name, integration: integrationOf(integration), createdAt: this.#wallNow() }
    metrics.set(key, metric)
    return metric
  }

  /** Whether what came at that time has been processed. */
  seen (at: number): boolean { return this.#wallNow() - at >= this.delayMs }

  /** Those of an account that have been processed. */
  list (account: string): Metric[] {
    const own = OWN.map(name => ({ id: shortId(`own ${account} ${name}`), name, integration: integrationOf('Klaviyo'), createdAt: OWN_SINCE }))
    return [...own, ...[...this.#byAccount.get(account)?.values() ?? []].filter(({ createdAt }) => this.seen(createdAt))]
  }

  find (account: string, id: string): Metric | null {
    return this.list(account).find(metric => metric.id === id) ?? null
  }

  #open (account: string): Map<string, Metric> {
    const metrics = new Map<string, Metric>()
    this.#byAccount.set(account, metrics)
    if (this.#byAccount.size > ACCOUNTS_MAX) this.#byAccount.delete(this.#byAccount.keys().next().value as string)
    return metrics
  }
}

export function metricEndpoints (metrics: Metrics, flows: Flows): Endpoint[] {
  const found = ({ caller, id }: Call, then: (metric: Metric) => ReturnType<Endpoint['answer']>): ReturnType<Endpoint['answer']> => {
    const metric = metrics.find(caller.account, id)
    return metric === null ? notFound('metric', id) : then(metric)
  }
  return [
    {
      method: 'GET',
      url: '/api/metrics',
      group: 'metrics',
      scopes: ['metrics:read'],
      answer: ({ caller, request }) => listed('/api/metrics', request.query, metrics.list(caller.account).map(metric => ({
        values: { 'integration.name': metric.integration.name, 'integration.category': metric.integration.category },
        resource: () => resourceOf(metric)
      })), RULES)
    },
    {
      method: 'GET',
      url: '/api/metrics/:id',
      group: 'metric',
      scopes: ['metrics:read'],
      answer: call => found(call, metric => shown(resourceOf(metric), call.request.query, RULES.fields))
    },
    {
      method: 'GET',
      url: '/api/metrics/:id/flow-triggers',
      group: 'metric_flows',
      scopes: ['flows:read', 'metrics:read'],
      answer: call => found(call, ({ id }) => whole(`/api/metrics/${id}/flow-triggers`, call.request.query, flows.items(call.caller.account, flow => flow.metricId === id), { flow: FLOW_FIELDS }))
    }
  ]
}

function integrationOf (name: string): Metric['integration'] {
  return { id: shortId(`integration ${name}`), name, category: name === 'Klaviyo' ? 'Internal' : 'API' }
}

function resourceOf ({ id, name, integration, createdAt }: Metric): Resource {
  const at = new Date(createdAt).toISOString()
  return { type: 'metric', id, attributes: { name, created: at, updated: at, integration: { object: 'integration', ...integration } }, links: { self: link(`/api/metrics/${id}`) } }
}
