// Puts the parts together and keeps them running: store, sandbox, deliveries, jobs, and the listener that
// hands requests to the current generation.

import { createServer, type Server } from 'node:http'
import type { Config, Extensible, Provider, Runtime, Store } from './contract.ts'
import { Deliver } from './delivery/deliver.ts'
import { GatewayError } from './errors.ts'
import { buildGeneration, type Generation } from './generation.ts'
import { granting } from './granting.ts'
import { jobHandlers, listening, settingUp, type Parts } from './handlers.ts'
import { openStore, storeEvents } from './instances.ts'
import { closeGently, Intake } from './intake.ts'
import { unaccounted } from './jobs/audit.ts'
import { Jobs } from './jobs/runner.ts'
import { changes } from './kept.ts'
import { listenError, modeFaults, urlOf } from './listen.ts'
import { Outgoing } from './outgoing.ts'
import { extensionOf, playedSources } from './sourcing.ts'
import { loadAll, loadSound, type Loaded } from './load.ts'
import { createLog, type Logger } from './observe/log.ts'
import { createMetrics, type Metrics } from './observe/metrics.ts'
import { createRefusals, type Refusal } from './observe/refusals.ts'
import type { FreeBytes } from './pressure.ts'
import { redactedBy } from './privacy/open.ts'
import { playedAt } from './providers/oauth.ts'
import { startSandbox, type Played, type Sandbox } from './providers/sandbox.ts'
import { systemRuntime } from './runtime.ts'
import type { Setup } from './shops/setup/setup.ts'
import { Shops } from './shops/shops.ts'
import { createVault, type Vault } from './shops/vault.ts'
import type { Webhooks } from './shops/webhooks/webhooks.ts'
import { Inbox } from './sources/inbox.ts'
import { welcome } from './welcome.ts'

/** Within this after a signal: sends ended or cut. */
const STOP_SENDS_MS = 20_000
const HEADERS_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 10_000
const OLDEST_NODE = [24, 15] as const

export interface StartOptions {
  /** gateway.config.yaml, relative to `cwd`. */
  file: string
  cwd: string
  env: Record<string, string | undefined>
  /** Instead of the config's `sandbox.enabled`. */
  sandbox: boolean | null
  /** Instead of the config's `server.port`. */
  port: number | null
  /** Lines for the person who started it. */
  out (line: string): void
  /** Log lines, instead of standard output. */
  log?: (line: string) => void
  /** Goes before the clock of the database. */
  runtime?: Runtime
  /** Instead of the disk's own word. */
  freeBytes?: FreeBytes
}

export interface Gateway {
  url: string
  sandboxUrl: string | null
  /** Reads the config again; false, and everything as it was, when it has faults. */
  reload (): Promise<boolean>
  close (): Promise<void>
}

/** Throws FaultsFound, or GatewayError where the store or the port cannot be had; nothing is left running then. */
export async function startGateway (options: StartOptions): Promise<Gateway> {
  checkNode(process.versions.node)
  const { file, cwd, env, sandbox, port } = options
  const loaded = await loadSound({ file, cwd, env, createSecrets: true, sandbox, port, sandboxUrl: null })
  const undo: Array<() => Promise<void>> = []
  try {
    return await new Process(options, undo).start(loaded)
  } catch (error) {
    for (const step of undo.toReversed()) await step().catch(() => {})
    throw error
  }
}

/** Throws GW_RUNTIME for a Node whose SQLite or TypeScript is not the one that is needed. */
export function checkNode (version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return
  throw new GatewayError('GW_RUNTIME', `This is Node ${version}.`)
}

class Process {
  #options: StartOptions
  #undo: Array<() => Promise<void>>
  #runtime: Runtime
  #log!: Logger
  #store!: Store & Extensible
  #outgoing!: Outgoing
  #vault!: Vault
  #shops!: Shops
  #deliver!: Deliver
  #grants!: Parts['grants']
  #setup!: Setup
  #webhooks!: Webhooks
  #url: string | null = null
  #schemas!: Loaded['schemas']
  #jobs!: Jobs
  #metrics!: Metrics
  #intake!: Intake
  #inbox!: Inbox
  #refused!: (refusal: Refusal) => void
  #sandbox: Sandbox | null = null
  #sandboxUrl: string | null = null
  #played = ''
  #generation!: Generation
  #config!: Config
  #providers!: ReadonlyMap<string, Provider>
  #reloading: Promise<unknown> = Promise.resolve()
  #ready = false

  constructor (options: StartOptions, undo: Array<() => Promise<void>>) {
    this.#options = options
    this.#undo = undo
    this.#runtime = options.runtime ?? systemRuntime()
  }

  async start (loaded: Loaded): Promise<Gateway> {
    const config = this.#config = loaded.config
    this.#schemas = loaded.schemas
    this.#log = createLog(config.log.level, this.#options.log)
    const providers = this.#providers = await this.#withSandbox(loaded)
    const { store, runtime } = await openStore(config.store, { runtime: this.#runtime, given: this.#options.runtime !== undefined, log: this.#log })
    this.#store = store
    this.#runtime = runtime
    this.#undo.push(() => this.#store.close())
    await this.#extend(loaded)
    this.#outgoing = new Outgoing(this.#runtime, this.#sandboxUrl)
    this.#undo.push(() => this.#outgoing.close())
    this.#vault = createVault(config.security.encryptionKeys, config.security.personKey)
    this.#shops = new Shops({ store: this.#store, vault: this.#vault, runtime: this.#runtime, config, providers })
    await this.#shops.declare()
    await this.#shops.refreshAll()
    const { pressure, capacity } = this.#intake = new Intake({ config, runtime: this.#runtime, log: this.#log, metrics: () => this.#metrics, ...(this.#options.freeBytes && { freeBytes: this.#options.freeBytes }) })
    this.#undo.push(async () => { pressure.stop() })
    await pressure.start()
    this.#metrics = createMetrics({ held: () => this.#store.read('held_accounts', {}), grantsToEnd: () => this.#store.read('revocations_open', {}), unaccounted: () => unaccounted(this.#store), working: () => this.#deliver.working, storeHealthy: () => this.#store.healthy(), inFlight: () => capacity.inFlight, pressure })
    this.#refused = createRefusals(this.#runtime.now, refused => { this.#log.warn(refused, 'calls from outside were refused') })
    this.#grants = granting(() => this.#parts(), this.#sandboxUrl)
    this.#deliver = this.#deliveries(config, providers)
    this.#shops.onChange = accounts => { this.#deliver.release(accounts) }
    this.#shops.onWork = accounts => { for (const account of accounts) this.#deliver.wake(account) }
    this.#setup = settingUp(this.#parts())
    this.#webhooks = listening(this.#parts())
    const jobs = this.#jobs = this.#working()
    this.#inbox = this.#receiving()
    this.#generation = await this.#build(loaded, providers)
    await this.#store.listen(storeEvents({ deliver: this.#deliver, shops: this.#shops, jobs, log: this.#log }))
    this.#deliver.start()
    this.#undo.push(() => this.#deliver.stop(0))
    await jobs.start(['retention', 'expire_held', 'audit', 'setup_daily', 'oauth_revoke', 'status_polls', ...this.#generation.sourcing.recurring])
    this.#undo.push(() => jobs.stop())
    const unread = await this.#inbox.start()
    if (unread > 0) this.#log.warn({ inbox: unread }, 'took over what a gateway that was killed was working on')
    this.#undo.push(() => this.#inbox.stop())
    this.#inbox.use(this.#generation.door, this.#generation.translators)
    const server = await this.#listen(config)
    this.#ready = true
    const url = this.#url = urlOf(server)
    await this.#webhooks.begin()
    for (const line of welcome({ config, url, sandboxUrl: this.#sandboxUrl, schemas: loaded.schemas })) this.#options.out(line)
    return { url, sandboxUrl: this.#sandboxUrl, reload: () => this.#reloaded(), close: () => this.#close(server) }
  }

  /** Sources that keep tables have them before anything of theirs runs. */
  async #extend ({ sources }: Loaded): Promise<void> {
    for (const source of sources.values()) if (!source.off && source.code.statements) await this.#store.extend(extensionOf(source))
  }

  /** The providers as they are reached: at their own addresses, or at the sandbox. */
  async #withSandbox ({ config, providers, sources }: Loaded): Promise<ReadonlyMap<string, Provider>> {
    if (!config.sandbox.enabled) return providers
    if (config.sandbox.url === null) await this.#play(config.sandbox.port, [...providers.values(), ...playedSources(sources.values())])
    this.#sandboxUrl = config.sandbox.url ?? this.#sandbox?.url ?? null
    const own = new Set(config.providers.filter(provider => provider.baseUrl !== null).map(provider => provider.id))
    return new Map([...providers].map(([id, provider]) => [id, own.has(id) ? provider : playedAt(provider, `${this.#sandboxUrl}/${id}`)]))
  }

  /** Started once; anew, on its port, when a reload brought other providers or windows, which it would not know else. */
  async #play (port: number, all: readonly Played[]): Promise<void> {
    const played = JSON.stringify(all.map(({ id, dir, groups }) => [id, dir, groups]))
    if (this.#played === played) return
    const before = this.#sandbox
    if (before === null) this.#undo.push(() => this.#sandbox?.close() ?? Promise.resolve())
    await before?.close()
    const at = before?.port ?? port
    this.#sandbox = await startSandbox({ providers: all, port: at, wallNow: () => this.#runtime.now() }).catch(error => { throw listenError(error as NodeJS.ErrnoException, at, 'SANDBOX_PORT') })
    this.#played = played
  }

  #deliveries (config: Config, providers: ReadonlyMap<string, Provider>): Deliver {
    return new Deliver({
      store: this.#store,
      runtime: this.#runtime,
      shops: this.#shops,
      fresh: this.#grants,
      sources: (type, message) => this.#generation.sourcing.check(type, message),
      redacted: redactedBy({ store: this.#store, vault: this.#vault }),
      config, providers,
      sandboxOrigin: this.#sandboxUrl === null ? null : new URL(this.#sandboxUrl).origin,
      paused: () => this.#intake.pressure.sendsPaused,
      onAttempt: attempt => {
        this.#metrics.attempt(attempt.provider, attempt.outcome, attempt.ms)
        this.#log.info(attempt, 'attempt')
      },
      onRefused: refused => {
        this.#metrics.refused(refused.provider, refused.reason)
        this.#log.info(refused, 'not sent')
      },
      onUsage: usage => { this.#log.warn(usage, usage.percent === 100 ? 'the limit of a shop\'s month is reached: its messages are refused' : 'the limit of a shop\'s month is nearly reached') },
      onHeld: held => { this.#log.warn(held, held.reason === null ? 'an account works again' : 'an account is held') },
      onError: error => { this.#log.error({ error }, 'a delivery could not be worked on') }
    })
  }

  #working (): Jobs {
    return new Jobs({
      store: this.#store,
      runtime: this.#runtime,
      handlers: jobHandlers(this.#parts()),
      others: kind => this.#generation.sourcing.job(kind),
      onError: (error, job) => { this.#log.error({ error, job: job?.kind ?? null }, 'a job failed; it is tried again') }
    })
  }

  /** What outlives a generation, and the present one's config. */
  #parts (): Parts {
    return {
      store: this.#store, runtime: this.#runtime, vault: this.#vault, shops: this.#shops, deliver: this.#deliver, grants: this.#grants, setup: () => this.#setup, webhooks: () => this.#webhooks, log: this.#log,
      config: () => this.#config, providers: () => this.#providers, schemas: () => this.#schemas, look: () => { this.#jobs.look() }, hooks: () => this.#generation.sourcing.hooks, paused: () => this.#intake.pressure.sendsPaused,
      publicUrl: () => this.#config.server.publicUrl ?? (this.#config.sandbox.enabled ? this.#url : null) // on this machine alone: so is the sandbox
    }
  }

  #receiving (): Inbox {
    return new Inbox({
      store: this.#store,
      runtime: this.#runtime,
      onReceived: (source, result) => { this.#metrics.received(source, result) },
      onSettled: settled => {
        this.#metrics.settled(settled.source, settled.state)
        this.#log[settled.state === 'parked' || settled.reason === 'event_conflict' ? 'warn' : 'info'](settled, 'inbox')
      },
      onError: (error, row) => { this.#log.error({ error, ...row }, 'the inbox could not be worked on; it is tried again') }
    })
  }

  async #build ({ config, schemas, sources }: Loaded, providers: ReadonlyMap<string, Provider>): Promise<Generation> {
    for (const { id, off } of config.sources) if (off) this.#log.warn({ source: id }, 'this source is for the sandbox only, which is off: nothing answers below its address')
    return await buildGeneration({
      ...this.#parts(), config, schemas, providers, sources, outgoing: this.#outgoing, sandboxUrl: this.#sandboxUrl, setup: this.#setup, webhooks: this.#webhooks, inbox: this.#inbox, metrics: this.#metrics, ready: () => this.#ready, intake: this.#intake,
      onRefused: refused => { this.#metrics.inboxRefused(refused.source, refused.status); this.#refused(refused) }
    })
  }

  async #listen (config: Config): Promise<Server> {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: 60_000, noDelay: true },
      (request, response) => { this.#generation.handler(request, response) })
    this.#intake.attach(server)
    const port = this.#options.port ?? config.server.port
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => { reject(listenError(error, port, 'PORT')) })
      server.listen(port, config.server.host, resolve)
    })
    return server
  }

  /** One at a time: two signals in a row read the config twice, the second one last. */
  #reloaded (): Promise<boolean> {
    const reloaded = this.#reloading.then(() => this.#reload()).catch((error: unknown) => {
      this.#metrics.reload(false)
      throw error
    })
    this.#reloading = reloaded.catch(() => {})
    return reloaded
  }

  /** What is in flight ends as it began; the next request meets the new generation. */
  async #reload (): Promise<boolean> {
    const { file, cwd, env, sandbox, port } = this.#options
    const { loaded, faults } = await loadAll({ file, cwd, env, createSecrets: true, sandbox, port, sandboxUrl: null, started: { server: this.#config.server, store: this.#config.store } })
    const refused = loaded ? modeFaults(loaded, this.#config) : faults
    if (!loaded || refused.length > 0) {
      this.#metrics.reload(false)
      this.#log.error({ faults: refused.map(({ code, place, message, fix }) => ({ code, place, message, fix })) }, 'the config has faults; the one before it stays')
      return false
    }
    await this.#swap(loaded)
    this.#metrics.reload(true)
    await this.#webhooks.begin().catch((error: unknown) => { this.#log.error({ error }, 'it was not looked what providers tell by themselves; it is within a day') })
    this.#log.info({ file: loaded.config.file }, 'the config was read again; server and store stay as they were started')
    for (const { section, changed } of changes(this.#config, loaded.written)) this.#log.warn({ changed }, `what changed of ${section} is taken at the next start`)
    return true
  }

  /** All of a generation or nothing of it: what fails on the way leaves the one before. */
  async #swap (loaded: Loaded): Promise<void> {
    const [config, before] = [this.#config, this.#providers]
    const providers = await this.#withSandbox(loaded)
    await this.#extend(loaded)
    const generation = await this.#build(loaded, providers)
    try {
      // First, so that what is released by a better account goes by the new options and addresses.
      await this.#deliver.use(loaded.config, providers)
      await this.#shops.use(loaded.config, providers)
      await this.#shops.declare()
      await this.#shops.refreshAll()
    } catch (error) {
      await this.#shops.use(config, before).catch(() => {})
      await this.#deliver.use(config, before).catch(() => {})
      await generation.close()
      throw error
    }
    this.#config = loaded.config
    this.#schemas = loaded.schemas
    this.#providers = providers
    const old = this.#generation
    this.#generation = generation
    this.#inbox.use(generation.door, generation.translators)
    await this.#jobs.ensure(generation.sourcing.recurring)
    await old.close()
  }

  /** Takes nothing new, ends what is in flight, closes. */
  async #close (server: Server): Promise<void> {
    this.#ready = false
    await this.#reloading
    const closed = closeGently(server)
    await Promise.all([this.#jobs.stop(), this.#inbox.stop(), this.#deliver.stop(STOP_SENDS_MS), this.#grants.close(), closed])
    await this.#generation.close()
    await this.#outgoing.close()
    await this.#store.close()
    this.#intake.pressure.stop()
    await this.#sandbox?.close()
    this.#log.flush()
  }
}
