// What is done later or long, by kind of job, each put together from the parts that it needs.

import { actingHandlers } from './acting.ts'
import { poll, pollsDue, POLL_JOB, type PollOptions } from './carrier/poll.ts'
import type { Config, PrivacyHooks, Provider, Runtime, Store } from './contract.ts'
import type { Deliver } from './delivery/deliver.ts'
import { scrub } from './delivery/flight.ts'
import { judge } from './delivery/judge.ts'
import { retryAfterMs } from './delivery/next.ts'
import { reconcile } from './delivery/reconcile.ts'
import { digest } from './events/accept.ts'
import type { EventSchema } from './events/schemas.ts'
import { audit } from './jobs/audit.ts'
import { retention, expireHeld } from './jobs/retention.ts'
import type { JobHandler } from './jobs/runner.ts'
import type { Logger } from './observe/log.ts'
import { optedIn, optedOutAtProvider } from './opt-outs/said.ts'
import type { Grants } from './shops/oauth/grants.ts'
import { notPossible } from './shops/oauth/platform-app.ts'
import { LOOK_MS } from './shops/oauth/revocations.ts'
import { recheckDaily } from './shops/setup/daily.ts'
import { Setup } from './shops/setup/setup.ts'
import type { Shops } from './shops/shops.ts'
import type { Vault } from './shops/vault.ts'
import { Webhooks } from './shops/webhooks/webhooks.ts'
import type { Way } from './subscribers/asking.ts'
import { lookUp } from './subscribers/look-up.ts'
import { noticed } from './subscribers/notices.ts'

/** One question of an account stands for many deliveries, so it is put no later than this; a delivery of a held account is no later either. */
const LOOK_UP_WAIT_MS_MAX = 5 * 60_000

/** How the list of those who want no messages came to know it. */
const TOLD = 'provider_told'

/** What outlives a generation; functions give what a reload changes. */
export interface Parts {
  store: Store
  runtime: Runtime
  vault: Vault
  shops: Shops
  deliver: Deliver
  grants: Grants
  log: Logger
  setup (): Setup
  webhooks (): Webhooks
  config (): Config
  providers (): ReadonlyMap<string, Provider>
  schemas (): ReadonlyMap<string, EventSchema>
  /** There is a job: no reason to wait for the next look. */
  look (): void
  /** True: nothing is sent, since what comes of it could not be recorded. */
  paused (): boolean
  /** Of sources that keep something of people. */
  hooks (): readonly PrivacyHooks[]
  /** Where browsers reach this gateway, null where none does. */
  publicUrl (): string | null
}

export function jobHandlers (parts: Parts): Record<string, JobHandler> {
  const { store, runtime, shops, deliver, grants, log, setup, webhooks, config, providers } = parts
  return {
    ...actingHandlers(parts, parts.hooks),
    retention: job => retention({ store, runtime, ...config().retention, digest })(job),
    expire_held: expireHeld({ store, runtime }),
    audit: audit({ store, runtime, config, onFound: found => { log.error(found, 'nobody accounts for what was accepted') } }),
    setup: job => setup().run(job),
    setup_recheck: job => setup().recheck(job),
    setup_arrival: job => setup().arrival(job),
    oauth_revoke: async () => {
      await grants.revoke()
      return { dueAt: runtime.now() + LOOK_MS }
    },
    webhooks: job => webhooks().keep(job),
    webhooks_look: job => webhooks().look(job.cursor),
    subscribers: job => lookUp(job.accountKey as number, job.cursor, {
      store,
      runtime,
      vault: parts.vault,
      config,
      provider: id => providers().get(id),
      way: (shopKey, provider) => wayTo(shopKey, provider, parts),
      person: phone => parts.vault.fingerprint('person', phone),
      waitMs: failures => Math.min(retryAfterMs(config().delivery.retryScheduleMs, failures, runtime.random()), LOOK_UP_WAIT_MS_MAX),
      wake: accountKey => { deliver.wake(accountKey) },
      said: (standing, at) => standing === 'opted_out' ? optedOutAtProvider({ ...at, via: TOLD }) : optedIn({ ...at, via: TOLD })
    }),
    status_polls: job => pollsDue(job.cursor, polling(parts)),
    [POLL_JOB]: job => poll(job.accountKey as number, polling(parts)),
    setup_daily: job => recheckDaily(job.cursor, { store, runtime }),
    reconcile: job => reconcile(job.deliveryKey as number, job.cursor, {
      store,
      runtime,
      shops,
      providers: providers(),
      ask: (connection, request, scope) => deliver.ask(connection, request, scope),
      onLearnt: round => { log.info(round, 'asked the provider about a request without an answer') },
      onError: error => { log.error({ error }, 'a delivery could not be worked on') }
    })
  }
}

function polling (parts: Parts): PollOptions {
  return {
    store: parts.store,
    runtime: parts.runtime,
    providers: parts.providers,
    ask: async (shopKey, provider, accountKey, request, map) => {
      const way = await wayTo(shopKey, provider, parts)
      return way?.accountKey === accountKey ? (await way.ask(request, map)).answer : null
    }
  }
}

/** How questions about people are put over a shop's connection; null where it has none that can be used. */
async function wayTo (shopKey: number, provider: Provider, { shops, deliver, runtime }: Parts): Promise<Way | null> {
  const { shop, connections } = await shops.byKey(shopKey)
  const connection = connections.get(provider.id)
  if (shop.status !== 'installed' || connection === undefined || connection.secrets === null) return null
  const open = { ...connection, secrets: connection.secrets }
  const about = { account_id: connection.accountId, settings: connection.settings }
  return {
    accountKey: connection.accountKey,
    about,
    ask: async (request, map) => {
      const answer = await deliver.ask(open, request, { connection: about, map }, true, (provider.subscribers?.gate.length ?? 0) > 0) // where no message waits for it, its refusal holds none
      return { answer, outcome: judge(answer, provider, connection.settings, runtime.now(), request) }
    }
  }
}

export function settingUp ({ store, runtime, vault, shops, deliver, config, providers, schemas, look, paused, publicUrl }: Parts): Setup {
  return new Setup({
    store,
    runtime,
    vault,
    shops,
    config,
    provider: id => providers().get(id),
    sample: type => (schemas().get(type)?.examples[0] ?? null) as Record<string, unknown> | null,
    ask: (connection, request, scope, proven) => deliver.ask(connection, request, scope, proven),
    judge: (answer, provider, settings) => judge(answer, provider, settings, runtime.now()),
    scrub,
    look,
    paused,
    publicUrl,
    notPossible: provider => notPossible(provider, config(), publicUrl())
  })
}

export function listening ({ store, runtime, vault, shops, deliver, log, config, providers, look, publicUrl }: Parts): Webhooks {
  return new Webhooks({
    store,
    runtime,
    vault,
    shops,
    log,
    providers,
    provider: id => providers().get(id),
    ask: (connection, request, scope, proven) => deliver.ask(connection, request, scope, proven),
    judge: (answer, provider, settings) => judge(answer, provider, settings, runtime.now()),
    scrub,
    look,
    publicUrl,
    played: () => config().sandbox.enabled,
    noticed: async notice => {
      const [account] = await store.read('account', { account_key: notice.accountKey })
      const listed = providers().get(String(account?.provider))?.subscribers != null // else nobody is looked up there
      const { accountKey, phone, state, at } = notice
      const said = phone === null ? null : { accountKey, person: vault.fingerprint('person', phone), at, via: TOLD }
      const told = said === null ? [] : state === 'opted_out' ? optedOutAtProvider(said) : listed ? [] : optedIn(said) // else the list is asked first
      const steps = [...told, ...(listed ? noticed(notice, { store, runtime, vault }) : [])]
      if (steps.length > 0) await store.commit(steps)
      if (!listed) return
      store.tell({ jobs: true })
      look()
    }
  })
}
