// Providers, answers, requests and configs made by hand, with what a test does not care about filled in.

import { randomBytes } from 'node:crypto'
import type { Answer, Config, EventTypeConfig, LimitGroup, MappingScope, PreparedRequest, Provider, Row, ShopConfig, Window } from '../../gateway/contract.ts'
import { HiddenSecret } from '../../gateway/config/secret.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** A full answer over the wire. */
export function answer (more: Partial<Answer & { kind: 'answer' }> = {}): Answer & { kind: 'answer' } {
  return { kind: 'answer', status: 200, headers: {}, body: '', cut: false, ...more }
}

export function request (more: Partial<PreparedRequest> = {}): PreparedRequest {
  return { name: 'create', group: 'events', method: 'POST', path: '/events', headers: { 'content-type': 'application/json' }, body: '{"a":1}', ...more }
}

export function group (name: string, windows: Window[] = [{ max: 1000, perMs: 1000 }]): LimitGroup {
  return { name, match: [{ method: 'POST', path: `/${name}` }], windows }
}

/** One for every event type of `config()`: each becomes POST /events with the delivery's key and the event's data. */
export function provider (more: Partial<Provider> = {}): Provider {
  const id = more.id ?? 'alpha'
  return {
    id,
    title: id,
    dir: `/${id}`,
    comingSoon: false,
    channels: ['sms'],
    needs: [],
    baseUrl: 'https://api.alpha.example',
    connection: 'shop',
    concurrency: 16,
    deadlineMs: null,
    groups: { events: group('events') },
    uncertain: 'repeat',
    recordOnly: false,
    events: { 'thing.urgent': { request: 'create', group: 'events' }, 'thing.happened': { request: 'create', group: 'events' } },
    auth: { api_key: { fields: ['api_key'] } },
    settings: { type: 'object' },
    settingsDefaults: {},
    options: {},
    setup: [],
    code: { id },
    trigger: () => null,
    possibleCauses: [],
    resetText: '',
    variables: {},
    account: connection => connection.account_id,
    prepare: (_type, scope) => ({ ok: true, request: request({ body: bodyOf(scope) }) }),
    request: name => ({ ok: true, request: request({ name, method: 'GET', path: `/${name}`, body: null }) }),
    authorize: (_way, secrets) => ({ authorization: `Key ${secrets.api_key}` }),
    judge: () => null,
    receipt: () => null,
    secretFaults: () => [],
    settingsFaults: () => [],
    ...more
  }
}

/** What `provider()` sends for an event. */
export function bodyOf (scope: MappingScope): string {
  return JSON.stringify({ key: scope.delivery.key, shop: scope.shop.id, attempt: scope.delivery.attempt, ...scope.data })
}

export function eventType (more: Partial<EventTypeConfig> & { type: string }): EventTypeConfig {
  return { schema: '/none', channel: 'sms', setupGroup: 'things', kind: 'marketing', expiresAfterMs: 24 * HOUR_MS, person: null, ...more }
}

export const key32 = () => new HiddenSecret(randomBytes(32).toString('base64url'), null)

/** Two event types in two set-up groups: `thing.happened` (marketing) and `thing.urgent` (transactional). */
export function config (more: Partial<Config> = {}): Config {
  return {
    file: '/gateway.config.yaml',
    server: { host: '127.0.0.1', port: 0, trustProxy: [], publicUrl: null, overload: { requests: 512, bodyBytes: 16_777_216, loopDelayMs: 200, memoryBytes: 1_073_741_824 } },
    log: { level: 'silent' },
    store: { driver: 'sqlite', path: '/none', synchronous: 'full', allowDataLoss: false, intakeFreeBytes: 67_108_864, sendFreeBytes: 33_554_432 },
    sandbox: { enabled: false, port: 0, url: null },
    security: { encryptionKeys: [{ id: 'k1', key: key32() }], personKey: key32(), apiKeys: [] },
    plans: { pro: ['external_sms'], free: [] },
    shopIdPattern: '^[a-z0-9.-]+$',
    channels: { sms: { defaultProvider: 'alpha' } },
    eventTypes: {
      'thing.happened': eventType({ type: 'thing.happened' }),
      'thing.urgent': eventType({ type: 'thing.urgent', setupGroup: 'urgent', kind: 'transactional' })
    },
    recordedTypes: {},
    providers: [],
    sources: [],
    shops: [],
    delivery: { requestDeadlineMs: 5000, retryScheduleMs: [5000, 300_000, 1_800_000] },
    retention: { identityMs: 30 * DAY_MS, payloadMs: 30 * DAY_MS },
    ...more
  }
}

/** A shop connected to `alpha`, ready for both set-up groups. Shops of one `account` share it. */
export function shop (id: string, more: { account?: string | null, provider?: string, secret?: string, ready?: string[], plan?: string } = {}): ShopConfig {
  const { account = id, provider: at = 'alpha', secret = `secret-of-${id}`, ready = ['things', 'urgent'], plan = 'pro' } = more
  return {
    id,
    name: id,
    domain: `${id}.example`,
    plan,
    channels: { sms: at },
    connections: [{ provider: at, auth: null, secrets: { api_key: new HiddenSecret(secret, null) }, accountId: account, settings: {}, ready }],
    sandbox: false
  }
}

/** What of a delivery's row says where it is. */
export interface Standing { state: number, reason: string | null, attempts: number, owner: number | null, dueAt: number | null, callNo: number }

export function standing (row: Row): Standing {
  return { state: row.state as number, reason: row.reason as string | null, attempts: row.attempts as number, owner: row.owner as number | null, dueAt: row.due_at as number | null, callNo: row.call_no as number }
}
