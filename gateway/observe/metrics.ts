// Prometheus metrics. Labels are bounded by the config: provider, event type, outcome; never a shop or a person.

import type { Row } from '../contract.ts'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

export interface Metrics {
  event (type: string, status: string): void
  attempt (provider: string, outcome: string, ms: number): void
  refused (provider: string, reason: string): void
  reload (ok: boolean): void
  received (source: string, result: string): void
  settled (source: string, state: string): void
  inboxRefused (source: string, status: number): void
  shed (lane: string, reason: string): void
  text (): Promise<string>
  contentType: string
}

/** What is asked for at the moment the metrics are read. */
export interface Gauges {
  working (): number
  storeHealthy (): boolean
  /** Rows with provider, held_reason and how many accounts. */
  held (): Promise<Row[]>
  /** Rows with provider and how many grants are yet to be ended there. */
  grantsToEnd (): Promise<Row[]>
  /** Deliveries and events that nobody accounts for. */
  unaccounted (): Promise<number>
  inFlight (): { requests: number, bytes: number }
  pressure: { loopDelayMs: number, diskFreeBytes: number | null, intakePaused: boolean, sendsPaused: boolean }
}

export function createMetrics (gauges: Gauges): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const events = new Counter({ name: 'gateway_events_total', help: 'Events at the door, by type and what became of them.', labelNames: ['type', 'status'], registers })
  const attempts = new Counter({ name: 'gateway_attempts_total', help: 'Requests to providers, by outcome.', labelNames: ['provider', 'outcome'], registers })
  const seconds = new Histogram({ name: 'gateway_attempt_seconds', help: 'Time of a request to a provider.', labelNames: ['provider'], buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15], registers })
  const refusals = new Counter({ name: 'gateway_unsent_total', help: 'Deliveries that ended without a request, by reason.', labelNames: ['provider', 'reason'], registers })
  const arrivals = new Counter({ name: 'gateway_inbox_received_total', help: 'What came in from outside, by who was called and whether it was new.', labelNames: ['source', 'result'], registers })
  const ends = new Counter({ name: 'gateway_inbox_settled_total', help: 'What became of it: events came of it, it was recorded, or it was parked for a person.', labelNames: ['source', 'state'], registers })
  const unheard = new Counter({ name: 'gateway_inbox_refused_total', help: 'What came in from outside and was refused, by who was called and the status of the answer.', labelNames: ['source', 'status'], registers })
  const sheds = new Counter({ name: 'gateway_shed_total', help: 'Requests refused because more came in than can be taken, by lane and by the mark that was reached.', labelNames: ['lane', 'reason'], registers })
  const reloads = new Gauge({ name: 'gateway_config_reload_success', help: '1 when the last reload of the config was taken, else 0.', registers })
  reloads.set(1)
  registers[0]?.registerMetric(new Gauge({ name: 'gateway_deliveries_working', help: 'Deliveries claimed or in flight.', registers: [], collect () { this.set(gauges.working()) } }))
  registers[0]?.registerMetric(new Gauge({
    name: 'gateway_accounts_held',
    help: 'Accounts that nothing goes over just now, by provider and reason; of all instances that share the database.',
    labelNames: ['provider', 'reason'],
    registers: [],
    async collect () {
      this.reset()
      const rows = await gauges.held().catch(() => []) // the other figures matter most when the store does not answer
      for (const row of rows) this.set({ provider: String(row.provider), reason: String(row.held_reason) }, Number(row.accounts))
    }
  }))
  registry.registerMetric(new Gauge({
    name: 'gateway_grants_to_end',
    help: 'Grants by OAuth that are not ended at the provider yet, by provider; of all instances that share the database.',
    labelNames: ['provider'],
    registers: [],
    async collect () {
      this.reset()
      for (const row of await gauges.grantsToEnd().catch(() => [])) this.set({ provider: String(row.provider) }, Number(row.grants))
    }
  }))
  registry.registerMetric(new Gauge({
    name: 'gateway_deliveries_unaccounted',
    help: 'Accepted, and neither at rest nor in work, by the last audit of all that is stored; of all instances that share the database. 0 is right.',
    registers: [],
    async collect () { await gauges.unaccounted().then(count => { this.set(count) }, () => {}) }
  }))
  const { inFlight, pressure } = gauges
  const asked = (name: string, help: string, value: () => number) => { registry.registerMetric(new Gauge({ name, help, registers: [], collect () { this.set(value()) } })) }
  asked('gateway_in_flight_requests', 'Requests with events or webhooks that are not answered yet.', () => inFlight().requests)
  asked('gateway_in_flight_bytes', 'Bytes of their bodies.', () => inFlight().bytes)
  asked('gateway_event_loop_delay_seconds', 'Mean delay of the event loop over half a second.', () => pressure.loopDelayMs / 1000)
  asked('gateway_disk_intake_open', '0 while nothing is taken in because the disk of the store is nearly full.', () => pressure.intakePaused ? 0 : 1)
  asked('gateway_disk_sends_open', '0 while nothing is sent because the disk of the store is nearly full.', () => pressure.sendsPaused ? 0 : 1)
  if (pressure.diskFreeBytes !== null) asked('gateway_disk_free_bytes', 'Free space on the disk of the store.', () => pressure.diskFreeBytes ?? 0)
  registers[0]?.registerMetric(new Gauge({ name: 'gateway_store_healthy', help: '0 after a write to disk failed.', registers: [], collect () { this.set(gauges.storeHealthy() ? 1 : 0) } }))
  return {
    event: (type, status) => { events.inc({ type, status }) },
    attempt: (provider, outcome, ms) => { attempts.inc({ provider, outcome }); seconds.observe({ provider }, ms / 1000) },
    refused: (provider, reason) => { refusals.inc({ provider, reason }) },
    received: (source, result) => { arrivals.inc({ source, result }) },
    settled: (source, state) => { ends.inc({ source, state }) },
    inboxRefused: (source, status) => { unheard.inc({ source, status: String(status) }) },
    shed: (lane, reason) => { sheds.inc({ lane, reason }) },
    reload: ok => { reloads.set(ok ? 1 : 0) },
    text: () => registry.metrics(),
    contentType: registry.contentType
  }
}
