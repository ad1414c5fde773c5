// What is done later or long, by kind of job, each put together from the parts that it needs.

import type { Config, Provider, Runtime, Store } from './contract.ts'
import type { Deliver } from './delivery/deliver.ts'
import { scrub } from './delivery/flight.ts'
import { judge } from './delivery/judge.ts'
import { reconcile } from './delivery/reconcile.ts'
import { digest } from './events/accept.ts'
import type { EventSchema } from './events/schemas.ts'
import { audit } from './jobs/audit.ts'
import { retention, expireHeld } from './jobs/retention.ts'
import type { JobHandler } from './jobs/runner.ts'
import type { Logger } from './observe/log.ts'
import type { Grants } from './shops/oauth/grants.ts'
import { notPossible } from './shops/oauth/platform-app.ts'
import { LOOK_MS } from './shops/oauth/revocations.ts'
import { recheckDaily } from './shops/setup/daily.ts'
import { Setup } from './shops/setup/setup.ts'
import type { Shops } from './shops/shops.ts'
import type { Vault } from './shops/vault.ts'
import { Webhooks, type Notice } from './shops/webhooks/webhooks.ts'

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
  /** Where browsers reach this gateway, null where none does. */
  publicUrl (): string | null
}

export function jobHandlers ({ store, runtime, shops, deliver, grants, log, setup, webhooks, config, providers }: Parts): Record<string, JobHandler> {
  return {
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
    noticed: async ({ state, ref, phone }: Notice) => { log.debug({ state, ref: ref !== null, phone: phone !== null }, 'a provider told of a customer') }
  })
}
