// Sources at work: what they are given, and where the core asks them. Made anew with each generation.

import { existsSync } from 'node:fs'
import type { FastifyRequest } from 'fastify'
import { callerOfRequest } from './auth.ts'
import type { Config, Entering, Message, PrivacyHooks, Provider, SourceContext, SourceShop, Step, StoreExtension, Verdict } from './contract.ts'
import { SQLITE } from './store/dialect.ts'
import { STATEMENTS } from './store/statements.ts'
import { waitingIn } from './delivery/forecast.ts'
import { GatewayError } from './errors.ts'
import type { Door } from './events/accept.ts'
import type { Parts } from './handlers.ts'
import type { JobHandler } from './jobs/runner.ts'
import type { Outgoing } from './outgoing.ts'
import type { Played } from './providers/sandbox.ts'
import type { ShopState } from './shops/shops.ts'
import type { LoadedSource } from './sources/load.ts'

/** A backlog of messages is made no further ahead than this. */
const AHEAD_MS = 5 * 60_000
/** Nor than so many, however fast a provider is. */
const AHEAD_MAX = 20_000
/** Of the core's statements, those that sources may read. Both go by the source's own events where they go by any. */
const LENT = new Set(['opt_out_of', 'message_ends'])

export interface SourcingParts extends Pick<Parts, 'store' | 'runtime' | 'vault' | 'shops' | 'log' | 'look'> {
  config: Config
  providers: ReadonlyMap<string, Provider>
  sources: ReadonlyMap<string, LoadedSource>
  outgoing: Outgoing
  /** Where sources' own sandboxes are; null where none is played. */
  sandboxUrl: string | null
  publicUrl (): string | null
  door (): Door
}

export interface Working { source: LoadedSource, context: SourceContext }

export interface Sourcing {
  working: ReadonlyMap<string, Working>
  consumers: ReadonlyMap<string, Array<(event: Entering) => Step[]>>
  /** The first answer other than `go` of those that are asked about a type. */
  check (type: string, message: Message): Promise<Verdict>
  job (kind: string): JobHandler | undefined
  recurring: readonly string[]
  hooks: readonly PrivacyHooks[]
}

/** What a source with tables adds to the store. */
export function extensionOf ({ id, dir, code }: LoadedSource): StoreExtension {
  return { prefix: prefixOf(id), migrations: `${dir}/migrations`, statements: dialect => code.statements?.(dialect) ?? {} }
}

/** Those whose folder plays what they speak to. */
export function playedSources (sources: Iterable<LoadedSource>): Played[] {
  return [...sources].filter(({ dir, off }) => !off && isPlayed(dir)).map(({ id, dir }) => ({ id, title: id, dir, groups: {} }))
}

function isPlayed (dir: string): boolean { return existsSync(`${dir}/sandbox.ts`) }

export function sourcing (parts: SourcingParts): Sourcing {
  const on = [...parts.sources.values()].filter(({ off }) => !off)
  const named = new Set(on.flatMap(source => Object.keys(extensionOf(source).statements(SQLITE))))
  const working = new Map(on.map(source => [source.id, { source, context: contextOf(source, named, parts) }]))
  const all = [...working.values()]
  const jobs = new Map(all.flatMap(({ source, context }) => Object.entries(source.code.jobs ?? {}).map(([kind, run]) => [kind, jobOf(run, context, parts)])))
  const checks = Map.groupBy(all.flatMap(({ source, context }) => Object.entries(source.code.checks ?? {}).map(([type, ask]) => ({ type, ask: (message: Message) => ask(message, context) }))), ({ type }) => type)
  return {
    working,
    consumers: new Map([...Map.groupBy(all.flatMap(({ source, context }) => Object.entries(source.code.consumes ?? {}).map(([type, consume]) => ({ type, consume: (event: Entering) => consume(event, context) }))), ({ type }) => type)].map(([type, those]) => [type, those.map(({ consume }) => consume)])),
    check: async (type, message) => {
      for (const { ask } of checks.get(type) ?? []) {
        const verdict = await ask(message)
        if (verdict.is !== 'go') return verdict
      }
      return { is: 'go' }
    },
    job: kind => jobs.get(kind),
    recurring: all.flatMap(({ source }) => source.code.recurring ?? []),
    hooks: all.flatMap(({ source: { id, code: { privacy } }, context }) => privacy === undefined ? [] : [{
      id,
      redact: (who, shopKey) => privacy.redact(who, shopKey, context),
      export: (who, shopKey) => privacy.export(who, shopKey, context),
      forgetShop: shopKey => privacy.forgetShop(shopKey, context)
    }])
  }
}

function prefixOf (id: string): string { return `${id.replaceAll('-', '_')}_` }

type Run = NonNullable<LoadedSource['code']['jobs']>[string]

function jobOf (run: Run, context: SourceContext, { runtime }: SourcingParts): JobHandler {
  return async ({ uniqueKey, attempts, cursor }) => {
    const result = await run({ uniqueKey, attempts, cursor }, context)
    return result && { dueAt: runtime.now() + result.afterMs, cursor: result.cursor ?? null }
  }
}

function contextOf ({ id, dir, options }: LoadedSource, named: ReadonlySet<string>, parts: SourcingParts): SourceContext {
  const { config, store, runtime, vault, shops, log, look, outgoing } = parts
  const secrets = config.sources.find(source => source.id === id)?.secrets ?? {}
  const own = `/sources/${id}`
  const allowed = (name: string): void => { if (name in STATEMENTS && !LENT.has(name)) throw new Error(`a source does not run "${name}"`) }
  const shopOf = ({ shop }: ShopState): SourceShop => ({ key: shop.key, id: shop.id, name: shop.name, domain: shop.domain, plan: shop.plan, capabilities: shops.capabilities(shop) })
  const place = (where: string) => ({ shop: where, provider: own, field: 'sealed' })
  const lane = (shopKey: number, type: string) => laneOf(shopKey, type, parts)

  return {
    id,
    options,
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, several]) => [name, several.map(secret => secret.reveal())])),
    get publicUrl () { return parts.publicUrl() },
    sandboxUrl: parts.sandboxUrl === null || !isPlayed(dir) ? null : `${parts.sandboxUrl}/${id}`,
    payloadMs: config.retention.payloadMs,
    now: runtime.now,
    mono: runtime.mono,
    random: runtime.random,
    newId: prefix => runtime.id(prefix),
    has: name => named.has(name),
    read: async (name, params) => {
      allowed(name)
      return await store.read(name, LENT.has(name) ? { ...params, source: own } : params)
    },
    commit: async steps => {
      for (const { name } of steps) if (!BUILT.has(name)) allowed(name)
      const results = await store.commit(steps)
      if (steps.some(({ name }) => JOBS.has(name))) look()
      return results
    },
    person: text => vault.fingerprint('person', text),
    shop: async shop => {
      const state = await shops.get(shop)
      return state && shopOf(state)
    },
    shopByKey: async key => await shops.byKey(key).then(shopOf, () => null),
    shopOf: request => {
      const { sourceShop } = request as FastifyRequest & { sourceShop?: SourceShop }
      if (!sourceShop) throw new Error('the request is not of a route below a shop')
      return sourceShop
    },
    callerOf: request => callerOfRequest(request).id,
    accept: async (events, steps) => {
      const items = events.map(({ id: eventId, type, timeAt, data, shop }) => ({ id: eventId, type, shop, time: new Date(timeAt).toISOString(), data }))
      const answer = await parts.door().acceptTogether(items, { mode: 'plain', defaultSource: own, mayUse: () => true }, () => steps)
      if ('refused' in answer) return { is: 'refused', sourceId: answer.refused.id, code: answer.refused.error?.code ?? 'GW_EVENT_INVALID', message: answer.refused.error?.message ?? 'it was refused' }
      if (steps.some(({ name }) => JOBS.has(name))) look()
      return { is: 'accepted', events: answer.entered.map(({ receipt }) => ({ sourceId: String(receipt.id), status: receipt.error ? 'conflict' : receipt.status })) }
    },
    ahead: async (shopKey, type) => {
      const { queue, perMs, held } = await lane(shopKey, type)
      if (perMs === null) return { room: 0, waiting: 0, provider: queue.provider, held }
      const most = Math.max(1, Math.floor(Math.min(perMs * AHEAD_MS, AHEAD_MAX)))
      const [told] = await waitingIn([queue], { store }, most)
      const waiting = told?.waiting ?? 0
      return { room: Math.max(0, most - waiting), waiting, provider: queue.provider, held }
    },
    duration: async (shopKey, type, messages) => {
      const { queue, perMs, held } = await lane(shopKey, type)
      if (perMs === null || held !== null) return null
      const [told] = await waitingIn([queue], { store })
      return told === undefined || told.atLeast ? null : Math.round((told.waiting + messages) / perMs)
    },
    withdraw: async (shopKey, sourceIds, reason) => {
      const [withdrawn] = await store.commit([{ name: 'withdraw_deliveries', params: { shop_key: shopKey, source: own, source_ids: JSON.stringify(sourceIds), reason, now: runtime.now() } }])
      return withdrawn?.changes ?? 0
    },
    job: (kind, uniqueKey, dueAt, { background = false } = {}) => ({ name: background ? 'put_background_job_soon' : 'put_job_soon', params: { job_key: store.nextKey('jobs'), id: runtime.id('job_'), kind, unique_key: uniqueKey, account_key: null, due_at: dueAt, now: runtime.now() } }),
    look: () => {
      store.tell({ jobs: true })
      look()
    },
    audit: ({ actor, action, shop, subject }) => ({ name: 'audit', params: { at: runtime.now(), actor, action, shop, subject } }),
    send: async (baseUrl, request, credentials, capBytes) => await outgoing.send(baseUrl, request, credentials, capBytes),
    seal: (text, where) => {
      const { keyId, version, sealed } = vault.seal(place(where), text)
      return { key_id: keyId, version, sealed }
    },
    open: ({ key_id: keyId, version, sealed }, where) => {
      try {
        return vault.open(place(where), { keyId, version, sealed })
      } catch (error) {
        if (error instanceof GatewayError) return null
        throw error
      }
    },
    warn: (fields, message) => { log.warn({ ...fields, from: id }, message) }
  }
}

const JOBS = new Set(['put_job_soon', 'put_background_job_soon'])
/** Steps that the context itself builds. */
const BUILT = new Set([...JOBS, 'audit'])

/** A shop's queue for a type, and how many a millisecond it can send at best; null where no provider sends them. */
async function laneOf (shopKey: number, type: string, { shops, config, providers, store }: SourcingParts): Promise<{ queue: { key: number, provider: string | null }, perMs: number | null, held: string | null }> {
  const declared = config.eventTypes[type]
  if (declared === undefined) throw new Error(`${type} makes no message`)
  const queue = await shops.queue(await shops.byKey(shopKey), declared)
  const provider = queue.provider === null ? undefined : providers.get(queue.provider)
  const group = provider?.groups[provider.events[type]?.group ?? '']
  const [account] = queue.accountKey === null ? [] : await store.read('account', { account_key: queue.accountKey })
  const held = queue.held ?? account?.held_reason as string | null | undefined ?? null
  return { queue, perMs: group === undefined ? null : Math.min(...group.windows.map(({ max, perMs }) => max / perMs)), held }
}

