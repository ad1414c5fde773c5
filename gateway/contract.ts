// The types that the parts of the gateway, and the plugins, agree on. No behaviour lives here.
// Times: `…At` are epoch milliseconds, `…Ms` durations in milliseconds; RFC 3339 only at the outside.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Code } from './errors.ts'
import type { Reason } from './reasons.ts'

// ── what the platform team wrote: files, faults, configuration ─────────────────────────────────

/** A point in a file, counted from 1. `file` is relative to the working directory where it lies below it. */
export interface Place { file: string, line: number, column: number }

/** One thing wrong in a file the platform team wrote: where, what, and what to do about it. */
export interface Fault {
  code: Code
  place: Place
  /** JSON pointer of the value within the file, `''` for the whole. */
  path: string
  message: string
  /** The remedy, a sentence in the imperative. */
  fix: string
  /** The line of the file and a caret under the column, where the file could be read. */
  excerpt?: string
}

/** A parsed YAML file that still knows where each of its values stands. */
export interface SourceFile {
  /** Absolute path. */
  readonly path: string
  /** The parsed value: plain data, environment substituted where that was asked for. */
  readonly value: unknown
  /** A fault at a value (`key: true` points at its key), placed by JSON pointer. */
  fault (code: Code, pointer: string, message: string, fix: string, at?: { key?: boolean, offset?: number }): Fault
}

/** Reads and checks the platform team's files. The loader of a folder gets it as an argument. */
export interface Files {
  /** Parses one YAML file strictly; environment is substituted only where asked for. `file` is null when it could not be parsed. */
  read (path: string, options?: { substitute?: boolean }): { file: SourceFile | null, faults: Fault[] }
  /** Every violation of a JSON Schema (draft-07 or 2020-12) as located faults, with "Did you mean" for keys and enum values. */
  check (file: SourceFile, schema: JsonSchema): Fault[]
  /** UTF-8 text of a file within 1 MiB, or the fault why not, placed at `from`. */
  text (path: string, from: { file: SourceFile, pointer: string }): { text: string | null, faults: Fault[] }
}

/** A secret: shown as `***` by JSON, inspection and string conversion; its text only by `reveal`. */
export interface Secret {
  reveal (): string
  /** Absolute path of the file it is kept in, where it is kept in one. */
  readonly file: string | null
}

/** All windows of a group hold at once, in any sliding position. */
export interface Window { max: number, perMs: number }

/** `sync` makes no message: it tells a provider about a customer, and one that need not know is not told. */
export type Kind = 'marketing' | 'transactional' | 'sync'

/** 0 goes before 1 goes before 2; priority goes before a shop's turn. */
export const PRIORITY = { interactive: 0, transactional: 1, sync: 1, marketing: 2 } as const
export type Priority = typeof PRIORITY[keyof typeof PRIORITY]

export interface EventTypeConfig {
  type: string
  /** Absolute path of the JSON Schema (draft 2020-12) of `data`. */
  schema: string
  channel: string
  setupGroup: string
  kind: Kind
  /** From the event's `time` on; a deferral past it ends as expired. */
  expiresAfterMs: number
  /** JSON pointer into `data` of the phone number of the person concerned, null where there is none. */
  person: string | null
}

/** An event type that nobody is told of: it is kept, for whoever acts on it. */
export interface RecordedTypeConfig {
  type: string
  /** Absolute path of the JSON Schema (draft 2020-12) of `data`. */
  schema: string
  /** JSON pointer into `data` of the phone number of the person concerned, null where there is none. */
  person: string | null
}

export interface ProviderConfig {
  id: string
  /** Absolute path of the provider's folder. */
  path: string
  /** Listed, disabled, refused by the API. */
  comingSoon: boolean
  /** Instead of the manifest's. https, or the sandbox's own address. */
  baseUrl: string | null
  concurrency: number | null
  /** Instead of the manifest's windows, by group. */
  limits: Record<string, Window[]>
  /** Values for the manifest's `options`, as given; the loader checks them. */
  options: Record<string, unknown>
  /** The platform's own secrets at the provider that no connection carries, for its routes: each one or several, in rotation. */
  secrets: Record<string, Secret[]>
  /** The platform's own account, for a manifest with `connection: gateway`; null where none is declared. */
  connection: GatewayConnectionConfig | null
}

export interface GatewayConnectionConfig {
  /** Which of the manifest's `auth` ways the secrets belong to; null takes the manifest's first. */
  auth: string | null
  secrets: Record<string, Secret>
  /** The provider's own id of the account, where it is known. */
  accountId: string | null
}

/** A folder whose code turns what others send here (webhooks) into events. */
export interface SourceConfig {
  id: string
  /** Absolute path of the source's folder. */
  path: string
  /** Declared for the sandbox alone, which is off: nothing answers below its address, and its secrets are not read. */
  off: boolean
  /** Each one or several, in rotation. */
  secrets: Record<string, Secret[]>
  options: Record<string, unknown>
}

export interface ConnectionConfig {
  provider: string
  /** Which of the manifest's `auth` ways the secrets belong to; null takes the manifest's first. */
  auth: string | null
  secrets: Record<string, Secret>
  /** The provider's own id of the account, where it is known; else a keyed hash of the secret stands for it. */
  accountId: string | null
  settings: Record<string, unknown>
  /** Set-up groups that are declared to be set up at the provider. */
  ready: string[]
}

export interface ShopConfig {
  id: string
  name: string
  domain: string
  plan: string
  /** Provider chosen per channel; a channel not named takes its default. */
  channels: Record<string, string>
  connections: ConnectionConfig[]
  /** Exists only while the sandbox is on. */
  sandbox: boolean
}

export interface ApiKeyConfig { id: string, key: Secret, scopes: Scope[], shops: string[] | '*' }

export const SCOPES = ['events:write', 'deliveries:read', 'deliveries:write', 'shops:read', 'shops:write'] as const
export type Scope = typeof SCOPES[number]

/** From which of these marks on events are refused for the moment; webhooks from twice as much on. */
export interface OverloadConfig {
  /** Being read, checked or waiting for the disk at once, and the bytes of their bodies. */
  requests: number
  bodyBytes: number
  /** Mean delay of the event loop. */
  loopDelayMs: number
  /** Resident memory of the process. */
  memoryBytes: number
}

/** A database that several gateways share. */
export interface PostgresConfig {
  driver: 'postgres'
  /** postgres://user:password@host:port/database. */
  url: Secret
  /** Connections for reading; each gateway has two more. */
  pool: number
  /** How long an account stays a gateway's after the database last heard of it. */
  leaseMs: number
  /** True: the database may run with fsync or synchronous_commit off. */
  allowDataLoss: boolean
}

/** How the embedded store writes, and what of its disk must stay free. */
export interface SqliteConfig {
  driver: 'sqlite'
  /** Absolute path of the file. */
  path: string
  /** `normal` and `off` lose accepted events at a power cut; the loader refuses them unless `allowDataLoss`. */
  synchronous: 'full' | 'extra' | 'normal' | 'off'
  allowDataLoss: boolean
  /** Below these nothing is taken in, and nothing is sent. */
  intakeFreeBytes: number
  sendFreeBytes: number
}

/** `gateway.config.yaml`, checked and frozen. */
export interface Config {
  /** Absolute path of the file. */
  file: string
  /** `publicUrl`: where others reach this gateway, for call-backs; without a slash at the end, null where nobody can. */
  server: { host: string, port: number, trustProxy: string[], publicUrl: string | null, overload: OverloadConfig }
  log: { level: 'debug' | 'info' | 'warn' | 'error' | 'silent' }
  store: SqliteConfig | PostgresConfig
  /** `url` names a sandbox that runs as its own process; otherwise one is started within, on `port` (0: any). */
  sandbox: { enabled: boolean, port: number, url: string | null }
  security: {
    /** The first seals, all open. 32 bytes each, base64url. */
    encryptionKeys: Array<{ id: string, key: Secret }>
    /** Keys the HMAC that stands for a person and for an account before its check; never rotated. */
    personKey: Secret
    apiKeys: ApiKeyConfig[]
  }
  /** Capabilities by plan. */
  plans: Record<string, string[]>
  shopIdPattern: string
  /** With `choices`, id to title, nothing is sent here on the channel: which of them a shop chose is kept for others. */
  channels: Record<string, { defaultProvider: string | null, choices?: Record<string, string> | null }>
  /** Types that make a message. */
  eventTypes: Record<string, EventTypeConfig>
  /** Types that make none. */
  recordedTypes: Record<string, RecordedTypeConfig>
  providers: ProviderConfig[]
  sources: SourceConfig[]
  shops: ShopConfig[]
  delivery: {
    /** Total time of one request at a provider, connect to last byte. */
    requestDeadlineMs: number
    /** Waits before the second, third, … attempt; the last one repeats. ±20 % is added. */
    retryScheduleMs: number[]
  }
  retention: {
    /** Identity (shop, source, id) of an event, for telling repeats. */
    identityMs: number
    /** Payload of finished deliveries. */
    payloadMs: number
  }
}

// ── events ─────────────────────────────────────────────────────────────────────────────────────

/** An event that passed the door: CloudEvents 1.0 attributes, `data` as it came. */
export interface GatewayEvent {
  id: string
  source: string
  type: string
  shop: string
  timeAt: number
  data: Record<string, unknown>
}

/** One fault in what a caller sent. `path` is a JSON pointer, `got` is cut and never a whole body. */
export interface Detail { path: string, rule: string, message: string, got?: unknown }

/** What a mapping may read. Only `auth` templates see `secret`. */
export interface MappingScope {
  data: Record<string, unknown>
  shop: { id: string, name: string, domain: string }
  connection: { account_id: string, settings: Record<string, unknown> }
  event: { id: string, source: string, type: string, time: string }
  /** `key` is what a provider may tell repeats by: the same for every attempt of one delivery. `record_only`: nobody is to be texted. `open_for_s`: seconds until quiet hours begin, where the provider keeps any. */
  delivery: { id: string, key: string, attempt: number, record_only: boolean, open_for_s?: number }
  map?: Record<string, unknown>
  /** Instead of what the config gives for the manifest's options. */
  options?: Record<string, unknown>
  /** Instead of this gateway's own address; `url` is '' where nobody reaches it. */
  gateway?: { url: string }
}

// ── mapping ────────────────────────────────────────────────────────────────────────────────────

/** A compiled tree of templates. `render` throws MappingError only; it never throws for hostile data otherwise. */
export interface CompiledTree { render (scope: object): unknown }

/** JSON Schema, draft 2020-12, as read from a file. */
export type JsonSchema = Record<string, unknown>

/** A text message as it is sent: look-alikes of GSM characters replaced, counted. */
export interface SmsText { text: string, encoding: 'GSM-7' | 'UCS-2', segments: number }

/** A merchant's template. `render` throws MappingError only. */
export interface CompiledText { render (variables: Record<string, unknown>): SmsText }

/** One fault in a merchant's template; `offset` counts characters from 0. */
export interface TextFault { offset: number, message: string, fix: string }

/** What templates may read at a place: for the check at load. A schema per root name; `true` means anything goes. */
export type Readable = Record<string, JsonSchema | true>

/** Compiles trees of templates, and names every fault of them at load. */
export interface Mapper {
  /**
   * `file` and `pointer` place the tree for faults; `readable` is what its variables are checked against.
   * Faults are pushed to `faults`, and the tree returned then must not be used.
   */
  compile (tree: unknown, file: SourceFile, pointer: string, readable: Readable, faults: Fault[]): CompiledTree
  /** Compiles a merchant's text (output, if/unless/case, a dozen filters) over flat variables; kept, so the same text costs once. */
  text (template: string, variables: readonly string[]): CompiledText | { faults: TextFault[] }
  /** The characters of a text by which it costs more, each once; none where all of them are in GSM 03.38. */
  nonGsm (text: string): string[]
}

/** A text as it would be sent; or what is wrong with its template, or with what it gives. */
export type TextPreview = SmsText & { nonGsm: string[] } | { faults: TextFault[] }

/** What a merchant writes for one event type. */
export interface ProviderText {
  /** The setting that keeps it. */
  setting: string
  title: string
  /** Used where a shop wrote none. */
  standard: string
  /** What it may read. */
  names: readonly string[]
  /** By the settings of the scope. */
  preview (scope: MappingScope): TextPreview
}

// ── quiet hours and what messages cost ─────────────────────────────────────────────────────────

/** Minutes from midnight, by the clock on the wall: from `from` on and before `until`, which is 1440 at most. */
export interface DayTime { from: number, until: number }

/** Where messages wait longer than elsewhere. */
export interface StricterHours {
  name: string
  /** ISO 3166-1 code; null: any. */
  country: string | null
  /** What phone numbers begin with there; empty: any. */
  calling: readonly string[]
  /** 1 is Monday. */
  days: readonly number[]
  /** Null: not at all on these days. */
  hours: DayTime | null
}

/** When a provider's messages wait for a better hour where the recipient is. */
export interface QuietHours {
  /** Kinds of message that wait, for a connection with these settings. */
  kinds (settings: Record<string, unknown>): readonly Kind[]
  /** When messages may arrive, all of these at once; null: at any time. Where there are any, the stricter ones hold too. */
  hours (settings: Record<string, unknown>): readonly DayTime[] | null
  /** Of a recipient of whom nothing else tells it. */
  zone (settings: Record<string, unknown>): string | null
  stricter: readonly StricterHours[]
  /** Nothing is sent so shortly before the end. */
  stopBeforeMs: number
  /** Pointers into the event's data. */
  at: { timeZone: string, phone: string, country: string }
}

/** A provider whose messages the platform pays for. */
export interface Metered {
  /** Pointers into the event's data: where the message goes. */
  at: { phone: string, country: string }
  /** Segments that a shop may send in a calendar month; null: any number. */
  limit (shop: { id: string, plan: string }, settings: Record<string, unknown>): number | null
}

// ── providers ──────────────────────────────────────────────────────────────────────────────────

/** What is done with a request that was written and got no full answer. */
export type Uncertain = 'repeat' | 'repeat_once' | 'reconcile' | 'park'

/** Names of headers, lower case: a number of requests, and seconds from now. */
export interface LimitHeaders { remaining: string, reset: string }

export interface LimitGroup { name: string, match: Array<{ method: string, path: string }>, windows: Window[] }

/** A request ready to be sent, without the secrets. Same delivery, same bytes. */
export interface PreparedRequest {
  /** Name of the manifest's request. */
  name: string
  /** Name of the limit group whose windows it takes a place in. */
  group: string
  method: string
  /** Path and query, below the base URL. */
  path: string
  /** Lower-case names; no credentials. */
  headers: Record<string, string>
  body: string | null
  /** What the text in it costs, where the event's mapping makes one. */
  segments?: Pick<SmsText, 'encoding' | 'segments'>
}

/** What came back over the wire, or how it failed. */
export type Answer =
  | { kind: 'answer', status: number, headers: Record<string, string>, body: string, cut: boolean }
  /** Nothing of the request can have been acted on: not connected, address refused, not written. `afterMs`: when it may go. */
  | { kind: 'not_sent', code: string, message: string, afterMs?: number }
  /** Written, at least in part, and no full answer. */
  | { kind: 'no_answer', code: string, message: string }

/** What an answer means for its delivery. */
export type Outcome =
  | { is: 'delivered', warning?: Reason }
  /** `free`: costs no attempt. `afterMs`: no earlier than that. `pause`: who waits with it. */
  | { is: 'retry', reason: Reason, detail?: string, free?: boolean, afterMs?: number, pause?: 'lane' | 'account',
      /** Made again at once with these settings; once it is accepted so, the connection keeps them. */
      settings?: Record<string, unknown> }
  | { is: 'unknown', reason: Reason, detail?: string }
  | { is: 'rejected', reason: Reason, detail?: string }
  /** The account must be put right by a person; the delivery waits for it and pays nothing. */
  | { is: 'hold', reason: Reason, detail?: string }

export type Prepared =
  | { ok: true, request: PreparedRequest }
  /** `waits`: a person must choose something first, and then it goes. */
  | { ok: false, reason: Reason, detail: string, waits?: true }

/** An answer of a check before a send. */
export type Verdict =
  | { is: 'go' }
  | { is: 'defer', untilAt: number, reason: Reason }
  | { is: 'hold', reason: Reason }
  | { is: 'reject', reason: Reason, detail?: string }
  /** Nothing is to be done any more: it counts as delivered. */
  | { is: 'end', reason: Reason }

export interface FoundAnswer { status: number, body: string }

/** A request that got no answer: when its row was written, and when it was given up. */
export interface LostRequest {
  reservedAt: number
  /** Its deadline had passed, its connection broke, or the gateway that had died was started again. */
  givenUpAt: number
  /** The gateway's clock, which those two were told by. */
  now (): number
}

/** What a reconcile hook found out about a request that got no answer. */
export type Reconciled =
  /** As the request itself would have been answered, oldest first: several where it cannot tell which one is ours. */
  | { is: 'found', answers: FoundAnswer[], doubtful?: FoundAnswer[] }
  /** `doubtful`: what is there may be ours all the same. One that no other delivery has makes it unclear. */
  | { is: 'not_found', doubtful?: FoundAnswer[] }
  | { is: 'unclear', detail?: string }

/** Sends one of the manifest's requests on the account's lane and returns its answer. */
export type Ask = (request: string, map: Record<string, unknown>) => Promise<Answer>

/** Code beside a manifest, for what YAML has no words for. Every member is optional. */
export interface ProviderCode {
  id: string
  /** Asked before each send, after the core's own checks. */
  check? (scope: MappingScope, now: number): Verdict
  /**
   * For `uncertain: reconcile`: asks the provider whether the request arrived. `request` is what was sent, byte for byte; it left
   * between `sent.reservedAt` and `sent.givenUpAt`, and was acted on then or soon after. Answers are ours only from within that
   * time: which of them another delivery has already is the core's to know, and so are earlier calls, which are asked about one by one.
   * `not_found` is believed from five minutes after `reservedAt` on. Throw nothing for an answer that says nothing: that is `unclear`.
   */
  reconcile? (scope: MappingScope, request: PreparedRequest, sent: LostRequest, ask: Ask): Promise<Reconciled>
  /** Routes below /webhooks/<id>, for call-backs. No API key is asked for there: the code proves who is calling. */
  routes? (app: FastifyInstance, context: InboundContext): void | Promise<void>
  /**
   * What follows from a row that its routes received; without it such rows are recorded only. Called once it is on disk, and again
   * after a crash: the same must come of it. An empty list is understood, and nothing follows; `unclear` sets it aside for a person.
   */
  understand? (received: Received, context: Omit<InboundContext, 'receive'>): readonly ProviderNotice[] | { unclear: string }
  /** What an answer to the manifest's `status_poll` says; null where it says nothing. */
  reported? (body: string): CarrierReport | null
  /** Names of the platform's secrets that its routes must be given, under providers.<id>.secrets. */
  secrets?: readonly string[]
  /** What set-up steps of kind `task` do at the provider, by the id of the step. */
  tasks?: Readonly<Record<string, SetupTask>>
}

/** What the carrier says of a message, in its order; of `delivered`, `undelivered` and `failed` the first one stays. */
export const CARRIER_WORDS = ['accepted', 'sending', 'sent', 'delivered', 'undelivered', 'failed', 'read'] as const
export type CarrierWord = typeof CARRIER_WORDS[number]

/** `answer`: as if the request that made the message had been answered so; by it the manifest's outcomes say why it failed. */
export interface CarrierReport { word: CarrierWord, code: string | null, answer: FoundAnswer | null }

/** What a provider told of itself. `account`: its own id of the account, which must be the one that was sent over. Times are epoch milliseconds. */
export type ProviderNotice =
  /** By `delivery` (the delivery.key it was given) or by `receipt`, its id of the message; where both are known they must agree. */
  | { is: 'status', account: string | null, delivery: string | null, receipt: string, at: number } & CarrierReport
  /** For all who send over the account. `via`: how it was said, in snake_case. */
  | { is: 'opted_out' | 'opted_in', account: string, phone: string, at: number, via: string }
  /** A person reads it. */
  | { is: 'reply', detail: string }

/** A link to what a task made, for a merchant. */
export interface TaskLink { title: string, url: string }

/**
 * Work of a set-up that goes on by itself, for a set-up group of a shop. It may be cut off anywhere, and run again from what it
 * saved: after a crash, by another gateway, or years later. Only one of them works on an account at a time.
 */
export interface SetupTask {
  /** What a merchant sees it do, in this order. */
  phases: ReadonlyArray<{ id: string, title: string }>
  run (context: TaskContext): Promise<TaskResult>
  /** Looks whether what was made is still as it must be; once a day and when asked. `later` says nothing. */
  check? (context: TaskCheckContext): Promise<TaskResult>
}

export interface TaskCheckContext {
  /** The same for every run at this account. */
  id: string
  /** The set-up group, and its event types as far as the provider has them. */
  group: string
  types: readonly string[]
  /** `auth`: the way of authorization it was connected by. */
  connection: { auth: string, account_id: string, settings: Record<string, unknown> }
  /** What the platform chose of the manifest's options. */
  options: Record<string, unknown>
  /** JSON as it was saved last; null where nothing was. */
  done: unknown
  ask: Ask
  /** What an answer means, as it would for a delivery. */
  judge (answer: Answer): Outcome
  /** The name by which a merchant finds an event type at the provider. */
  trigger (type: string): string | null
  /** The request that sample data of an event type makes; null where its schema gives no example. */
  sample (type: string): PreparedRequest | null
  /** Epoch milliseconds. */
  now (): number
}

/** Each of `save`, `phase` and `ask` throws where the run is over, since the set-up was forgotten or another way chosen: let it pass. */
export interface TaskContext extends TaskCheckContext {
  /** Resolves when it is on disk. What must be known after a crash is saved before the request that makes it true. */
  save (done: unknown): Promise<void>
  /** Shown until the next one: `done` of `of` things are done of it. */
  phase (id: string, done: number, of: number): Promise<void>
}

export type TaskResult =
  /** `text`: the good news, a sentence. `warnings`: sentences that hold nothing up. */
  | { is: 'done', links: TaskLink[], text?: string, warnings?: string[] }
  /** A person must act. `made`: what is there already. */
  | { is: 'failed', reason: Reason, text: string, made: TaskLink[] }
  /** Nothing is wrong yet, for a day. `afterMs` 0: the core's own growing distances. `why`: a sentence instead of the reason's. */
  | { is: 'later', afterMs: number, reason: Reason, why?: string, made?: TaskLink[] }

export const SETUP_KINDS = ['api_key', 'oauth2', 'select', 'choice', 'task', 'verify', 'test_event', 'confirm'] as const
export type SetupKind = typeof SETUP_KINDS[number]

/** A field of a set-up step that a merchant fills in. */
export interface SetupField { label: string, hint?: string, example?: string, pattern?: string }

/** A request that proves something, and what its answer must be. `save`: name to JSON pointer, what the connection keeps of the answer. */
export interface SetupCheck {
  request: string
  expect: { status: number, body_at?: { pointer: string, equals: unknown } }
  save?: { account_id?: string, account_name?: string }
}

/** A list at the provider, read to its end. `next` is a link whose query parameter goes into the next request as `map.page_cursor`. */
export interface SetupList { request: string, items: string, next?: { at: string, parameter: string } }

/** Looks for an item of a list. Its templates read `connection` (with its `auth`), `options`, `input`, `trigger` and `found`, what was looked up before. */
export interface LookUp extends SetupList {
  id: string
  /** Values of `map` for the request, where it needs any. */
  with: CompiledTree
  /** JSON pointer into an item → what must stand there, compared as text. */
  match: Array<{ at: string, equals: CompiledTree }>
  /** What must not stand there. */
  unless: Array<{ at: string, equals: CompiledTree }>
  /** Pointer of the name by which near items are offered where none fits. */
  near: string | null
}

/** How a test event is looked for once it was accepted: it has arrived when the last look-up finds something. Templates read `sent` (id, time, timestamp, phone) instead of `input`. */
export interface SetupArrival { lookUps: LookUp[], /** How long it is looked for. */ withinMs: number }

/** What a verification reports apart: that something was found, or was not, or what stands at a pointer of it. `warns`: the step is done all the same. */
export interface SetupFinding { id: string, of: string, at?: string, equals?: unknown, absent?: boolean, warns?: boolean, cause?: Cause, text: string, otherwise: string }

/** What can be the matter with a shop's messages, beside the reasons that deliveries have. A released code is never renamed or reused. */
export const CAUSES = [
  'wrong_key', 'no_keywords', 'trigger_mismatch', 'opt_in_missing', 'flow_missing', 'rate_limit', 'steps_skipped', 'plan_too_low', 'not_connected', 'scopes_missing', 'setup_failed',
  'flow_name_mismatch', 'flow_not_live', 'sms_not_enabled', 'quiet_hours', 'message_skipped', 'flow_doubled', 'verified_with_warning', 'no_event', 'no_sms_consent'
] as const
export type Cause = typeof CAUSES[number]

/** What a provider lets nobody see, and may be the matter. `unlessDone`: not for kinds of message for which one of these steps is done. */
export interface PossibleCause { code: Cause, when: 'always' | 'delivered', kinds: readonly Kind[], unlessDone: readonly string[], text: string, fix: string }

/** A set-up step as the manifest declares it (schemas/provider.schema.json); the set-up engine runs it and says how it stands. */
export interface SetupStep {
  id: string
  kind: SetupKind
  title: string
  text: string
  /** Label of its button; the kind's own where absent. */
  action?: string
  /** Done once for each of these. */
  per?: 'setup_group' | 'alert_type'
  needs: string[]
  /** Nothing waits for it. */
  optional: boolean
  /** Only where the choice of another step was this one. */
  when: { step: string, is: string } | null
  /** What a later check that fails does to messages: they are held, or it is shown only. */
  recheck: 'hold' | 'warn'
  /** `api_key`, `oauth2`: the way of authorization its credentials belong to. */
  auth: string | null
  fields: Record<string, SetupField>
  check: SetupCheck | null
  /** `select`: what can be chosen; `value` and `label` are pointers into an item. */
  options: (SetupList & { value: string, label: string }) | null
  /** `select`: the setting of the connection that keeps what was chosen. */
  setting: string | null
  /** `select`: what is said of an empty list. */
  empty: string | null
  /** `choice`: `ways` names the ways of authorization it is possible with; `otherwise` says why not with others. */
  choices: Array<{ value: string, title: string, text: string, ways?: string[], otherwise?: string }>
  lookUps: LookUp[]
  findings: SetupFinding[]
  /** `test_event`; absent where the provider lets nobody look. */
  arrival?: SetupArrival
  /** Sentences of this step in place of the core's, by reason. */
  says: Partial<Record<Reason, string>>
}

/** How a person stands on a provider's list. `transactional_only`: messages of that kind may be sent, and no others. */
export type Listed = 'subscribed' | 'transactional_only' | 'opted_out'

/** A person as a provider shows one; `state` null where it fits none of those the manifest says. `not_listed`: known there, and not on the list. */
export interface FoundPerson { digits: string, ref: string | null, state: Listed | 'not_listed' | null }

/** Asks a provider for a person. `map` reads `person` (phone, digits, ref) and `connection`; `read` is null for a body that is none of its answers. */
export interface PersonLookUp { request: string, map: CompiledTree, read (body: string): FoundPerson[] | null }

/** Of a provider that texts only the people on a list of its own: how it is asked for one, and what goes by that. */
export interface Subscribers {
  find: PersonLookUp
  /** By the provider's own id; null where it cannot be asked so. */
  findByRef: PersonLookUp | null
  /** Event types that add a person to the list. */
  add: readonly string[]
  /** Event types that go to people on the list only. */
  gate: readonly string[]
  /** Those of them for which a person is added first who is not on it, by the first of `add`. */
  addFor: readonly string[]
  /** Data of the event that adds the person of a message. */
  addData (data: Record<string, unknown>): Record<string, unknown>
}

/** How a way of authorization gets its tokens: OAuth 2 with a code, PKCE and refresh tokens. */
export interface OAuth2 { authorizeUrl: string, tokenUrl: string, revokeUrl: string | null, /** Needed, all of them. */ scopes: string[] }

/** How a provider is asked to tell us what happens at an account, and what it tells of people. Requests are those of the manifest, by name. */
export interface ProviderWebhooks {
  /** All subscriptions of the account; `id`, `event` and `url` are pointers into an item. */
  list: SetupList & { id: string, event: string, url: string }
  /** Its templates read map.callback_url and map.event. */
  subscribe: { request: string }
  /** Its templates read map.webhook_id. */
  unsubscribe: { request: string }
  /** What each call carries in a header (lower-case name), `at` a pointer into the answer. */
  token: { request: string, at: string, header: string }
  /** Pointer into what it sends: the event's name. */
  eventAt: string
  /** Pointers to values by which, all together, a repeat is told. */
  repeats: readonly string[]
  notices: readonly WebhookNotice[]
}

/** An event about a person. Of several pointers the first that leads somewhere counts. */
export interface WebhookNotice {
  event: string
  is: 'subscribed' | 'opted_out'
  phone: readonly string[]
  /** The provider's own id of the person. */
  ref: readonly string[]
  /** Pointer of the time it happened, ISO 8601; UTC where it names no zone. Null: when it came. */
  at: string | null
}

/** A provider's folder, read, checked and compiled. */
export interface Provider {
  id: string
  title: string
  dir: string
  comingSoon: boolean
  channels: string[]
  /** Capabilities a shop's plan must have. */
  needs: string[]
  baseUrl: string
  /** `gateway`: the platform's one account, which shops take turns on. `shop`: each shop connects its own. */
  connection: 'shop' | 'gateway'
  concurrency: number
  deadlineMs: number | null
  groups: Record<string, LimitGroup>
  /** Headers of its answers that say how much is left, and for how many seconds that is so. */
  limitHeaders?: LimitHeaders | undefined
  uncertain: Uncertain
  /** It can record a message without sending it: its requests say so where `delivery.record_only` is true. */
  recordOnly: boolean
  /** Which request asks how a message stands, and how long after it was accepted; null or absent where nobody is asked. */
  statusPoll?: { request: string, afterMs: readonly number[] } | null
  /** Null or absent where it texts anybody. */
  subscribers?: Subscribers | null
  /** Event types it has a mapping for → name of the limit group their request takes a place in. */
  events: Record<string, { request: string, group: string }>
  /** Secret field names by way of authorization, the manifest's order. */
  auth: Record<string, { fields: string[], examples?: Record<string, string>, oauth2?: OAuth2 }>
  /** JSON Schema of a connection's settings; closed. */
  settings: JsonSchema
  /** Defaults of the settings. */
  settingsDefaults: Record<string, unknown>
  /** What the platform chose of the manifest's options, with their defaults. */
  options: Record<string, unknown>
  setup: SetupStep[]
  code: ProviderCode
  /** Where it tells us by itself what happens at an account. */
  webhooks?: ProviderWebhooks | undefined
  /** The name by which a merchant finds an event type at the provider; null where it has none. */
  trigger (eventType: string, connection: { account_id: string, settings: Record<string, unknown> }): string | null
  /** What may be the matter where nothing is found, in the manifest's order. */
  possibleCauses: readonly PossibleCause[]
  /** What a merchant must know before the set-up is forgotten; '' where there is nothing. */
  resetText: string
  /** Texts that merchants write, by event type. */
  texts?: Readonly<Record<string, ProviderText>>
  /** Null or absent where it texts at any hour. */
  quietHours?: QuietHours | null
  /** Null or absent where the shop pays the provider itself. */
  metered?: Metered | null
  /** Names of the variables that a message of an event type may hold at the provider, in the mapping's order. */
  variables: Record<string, string[]>
  /** The account the provider counts by: its own id, or what the manifest's `account` template says. */
  account (connection: { account_id: string, settings: Record<string, unknown> }): string
  /** The request of an event; a mapping error is a value. */
  prepare (eventType: string, scope: MappingScope): Prepared
  /** The request of a given name, for checks and hooks. */
  request (name: string, scope: object): Prepared
  /** Headers with the credentials in them; never stored or logged. */
  authorize (way: string, secrets: Record<string, string>): Record<string, string>
  /** The manifest's own outcome rules; null where none matches and the core's defaults apply. `request`: its name, for rules about that one alone. */
  judge (answer: Answer & { kind: 'answer' }, settings?: Record<string, unknown>, request?: string): Outcome | null
  /** The provider's id of what a request made, from the body of its answer; null where it has none. */
  receipt (request: string, body: string): string | null
  /** Secrets for a way of authorization that have not the form its set-up step says; never with the value. Those not given are not looked at. */
  secretFaults (way: string, secrets: Record<string, string>): Detail[]
  /** What no JSON Schema says of settings: whether a merchant's texts can be used. */
  settingsFaults (settings: Record<string, unknown>): Detail[]
  /** What a stand-in for the API is made from, where the folder brings no sandbox.ts. */
  standIn?: StandIn
}

/** The facts of a manifest that a strict stand-in plays. */
export interface StandIn {
  /** Per way of authorization: header name → source of the regular expression its value fits. */
  auth: Array<Record<string, string>>
  requests: StandInRequest[]
}

export interface StandInRequest {
  name: string
  group: string
  method: string
  /** A `{}` stands for one part that varies. */
  path: string
  /** Headers with a fixed value that must come along, lower-case names. */
  headers: Record<string, string>
  encoding: 'json' | 'form'
  /** What the body must fit; null where there is none. */
  schema: JsonSchema | null
  /** How a request that is in order is answered. */
  answer: { status: number, body: unknown }
  /** JSON pointer of the value in the body that names the delivery. */
  key: string | null
}

// ── sources ────────────────────────────────────────────────────────────────────────────────────

/** What a source or a provider's call-back routes are given. */
export interface InboundContext {
  id: string
  options: Record<string, unknown>
  /** Clear text, each one or several, in rotation; never logged. */
  secrets: Record<string, string[]>
  publicUrl: string | null
  now (): number
  /**
   * Puts what came on disk and answers when it is there; with a key it had before (of this id) it is a repeat, and nothing is kept.
   * Throws GW_STORE_FAILED.
   */
  receive (received: Omit<Received, 'id' | 'receivedAt'> & { keys: string[] }): Promise<'new' | 'repeat'>
  warn (fields: object, message: string): void
}

/** A row of the inbox. */
export interface Received {
  id: string
  receivedAt: number
  topic: string
  /** Id of the shop it concerns, null where it says none. */
  shop: string | null
  /** Id of what it is about, such as a delivery. */
  subject: string | null
  /** Of the request, those that matter; lower-case names. */
  headers: Record<string, string>
  /** As it came. Null where it was larger than is kept. */
  body: string | null
}

/** An event as a source makes it; its shop is that of the row, its `source` the source's own. */
export interface SourceEvent { id: string, type: string, timeAt: number, data: Record<string, unknown> }

/** What a source makes of a row of its inbox. `reason` is a code in snake_case, `detail` a sentence. */
export type Translated =
  | { is: 'events', events: SourceEvent[], reason?: string, detail?: string, /** Statements of its own, in the unit that ends the row. */ steps?: readonly Step[] }
  /** Understood, and no event follows from it. `steps` are done in the unit that ends the row, and may be done twice. */
  | { is: 'recorded', reason: string, detail: string, steps?: readonly Step[] }
  /** Not understood: a person looks at it. */
  | { is: 'parked', reason: string, detail: string }

/** The code of a source's folder. All but id and events is optional; what translates has routes, and the other way round. */
export interface SourceCode {
  id: string
  /** JSON Schema of its options in gateway.config.yaml: an object, closed; defaults are applied. */
  options?: JsonSchema
  /** Names of the secrets that it must be given. */
  secrets?: readonly string[]
  /** Types of the events it makes: each must be declared under event_types. */
  events: readonly string[]
  /** Routes below /webhooks/<id>. No API key is asked for there: the code proves who is calling. Bodies are Buffers, as they came. */
  routes? (app: FastifyInstance, context: InboundContext & SourceContext): void | Promise<void>
  /**
   * Called once what was received is on disk; again after a crash, so it must give the same. All its events are accepted in one unit, or
   * none; but of one that was accepted before with other data the first stays, and the others enter all the same.
   */
  translate? (received: Received, context: SourceContext): Translated | Promise<Translated>
  /**
   * SQL of its own, by names that begin with its id. Its tables begin so too; their migrations lie beside it:
   * migrations/NNNN_name.sqlite.sql and NNNN_name.postgres.sql. Parameters whose names do not tell that they are numbers are cast.
   */
  statements? (dialect: Dialect): Record<string, string>
  /** What is written beside an event of a type, in the unit that accepts it. Of a repeat no row of events has its `key`: conditions on that are in the SQL. */
  consumes?: Readonly<Record<string, (event: Entering, context: SourceContext) => Step[]>>
  /** What is done later or long, by kind. At least once, on one instance at a time; those of `recurring` always have a job, whose unique key is the kind. */
  jobs?: Readonly<Record<string, (job: SourceJob, context: SourceContext) => Promise<{ afterMs: number, cursor?: string | null } | null>>>
  recurring?: readonly string[]
  /** Asked before each send of a message of that type, whoever made its event, after the core's own checks. */
  checks?: Readonly<Record<string, (message: Message, context: SourceContext) => Promise<Verdict>>>
  /** Routes below /v1/shops/:shop/<id>, each with its scope; the caller may use the shop, and it exists: `context.shopOf(request)`. */
  api? (app: FastifyInstance, context: SourceContext): void | Promise<void>
  /** What it keeps of people and shops, when that is to be erased or handed out. */
  privacy?: SourcePrivacy
}

/** An event on its way in, for what else is written in its unit. */
export interface Entering {
  /** Key of its row. */
  key: number
  /** The gateway's own id. */
  id: string
  shop: { key: number, id: string }
  type: string
  source: string
  sourceId: string
  timeAt: number
  receivedAt: number
  /** Keyed hash of the phone number of the person concerned. */
  person: Uint8Array | null
  data: Record<string, unknown>
}

/** A message that is about to be sent. */
export interface Message {
  shop: { key: number, id: string }
  type: string
  source: string
  sourceId: string
  timeAt: number
  person: Uint8Array | null
  data: Record<string, unknown>
}

/** `attempts`: 1 for the first time. `cursor`: what it said last. */
export interface SourceJob { uniqueKey: string, attempts: number, cursor: string | null }

/** A shop as sources see it. */
export interface SourceShop { key: number, id: string, name: string, domain: string, plan: string, /** What its plan can do. */ capabilities: readonly string[] }

export interface SourcePrivacy {
  /** Idempotent: it may be asked again after a crash. */
  redact (who: Who, shopKey: number, context: SourceContext): Promise<void>
  /** JSON of all that it keeps about them. */
  export (who: Who, shopKey: number, context: SourceContext): Promise<unknown>
  forgetShop (shopKey: number, context: SourceContext): Promise<void>
}

/** What became of events that a source made: all of them are on disk, or one was refused and none is. */
export type Made = { is: 'accepted', events: Array<{ sourceId: string, status: string }> } | { is: 'refused', sourceId: string | null, code: string, message: string }

/** What a source may use. Times are epoch milliseconds. */
export interface SourceContext {
  id: string
  options: Record<string, unknown>
  /** Clear text, each one or several, in rotation; never logged. */
  secrets: Record<string, string[]>
  publicUrl: string | null
  /** How long what is over is kept: `retention.payload`. */
  payloadMs: number
  /** Where its own sandbox.ts is played; null where the sandbox is off, or it has none. */
  sandboxUrl: string | null
  now (): number
  /** Milliseconds that never run backwards. */
  mono (): number
  /** 0 ≤ x < 1. */
  random (): number
  /** `prefix` + UUIDv7. */
  newId (prefix: `${string}_`): string
  /** Whether this source, or another one, has a statement of that name. */
  has (name: string): boolean
  /** One of its own queries, of another source, or of the few the core lends (`opt_out_of`, `message_ends`). */
  read (name: string, params: Record<string, Value>): Promise<Row[]>
  /** A unit of work. Throws GW_STORE_FAILED, and then nothing of it is kept. */
  commit (steps: Step[]): Promise<StepResult[]>
  /** Keyed hash that stands for a person: of a phone number in E.164, or of an e-mail address in lower case. */
  person (text: string): Uint8Array
  shop (id: string): Promise<SourceShop | null>
  shopByKey (key: number): Promise<SourceShop | null>
  /** Of a request below /v1/shops/:shop/<id>. */
  shopOf (request: FastifyRequest): SourceShop
  /** Id of the API key. */
  callerOf (request: FastifyRequest): string
  /** All of the events, at most 1,000, with `steps` in the same unit, or none of both. A repeat of an event enters nothing, and its steps are run. Throws GW_STORE_FAILED, also where an id was taken at this very moment. */
  accept (events: ReadonlyArray<SourceEvent & { shop: string }>, steps: Step[]): Promise<Made>
  /** How many more messages of a type may be made just now, so that what waits for the shop's provider is gone in five minutes. `waiting`: so many wait. Null provider: none is chosen or set up, and they would be held. */
  ahead (shopKey: number, type: string): Promise<{ room: number, waiting: number, provider: string | null, held: string | null }>
  /** Milliseconds until so many more messages of a type were sent, behind what waits already; null where nobody can say. */
  duration (shopKey: number, type: string, messages: number): Promise<number | null>
  /** Messages of events of its own (ids as it gave them, of one shop) that nobody works on just now are not sent: they are rejected with the reason. Returns how many. */
  withdraw (shopKey: number, sourceIds: readonly string[], reason: Reason): Promise<number>
  /** A step that makes one of its jobs due, no later than that; there is one of each kind and key. `background`: nobody waits for it, and it takes what places the others leave; what is there already stays what it was. */
  job (kind: string, uniqueKey: string, dueAt: number, more?: { background?: boolean }): Step
  /** A job was put: no reason to wait for the next look, here and on other instances. */
  look (): void
  audit (entry: { actor: string, action: string, shop: string | null, subject: string | null }): Step
  /** An HTTP request to a public https address, or to the sandbox. Never throws; `path` of the request is added to `baseUrl`. */
  send (baseUrl: string, request: { method: string, path: string, headers: Record<string, string>, body: string | null }, credentials?: Record<string, string>, capBytes?: number): Promise<Answer>
  /** Encrypts, bound to a place such as a shop and a name; opens only what was sealed for the same place. */
  seal (text: string, place: string): { key_id: string, version: number, sealed: Uint8Array }
  open (sealed: { key_id: string, version: number, sealed: Uint8Array }, place: string): string | null
  warn (fields: object, message: string): void
}

// ── who acts on an event, and on what is stored of people ──────────────────────────────────────

/** Steps that ride in the unit that accepts the event. Called for repeats too: what must not be done twice asks for the event's row in its SQL. */
export type Consumer = (entering: Entering) => Step[]

/** A person as a shop platform knows one. `persons`: keyed hashes of the phone number, in each way it can be read. */
export interface Who {
  persons: Uint8Array[]
  /** Lower case. */
  emails: string[]
  customerIds: string[]
  orderIds: string[]
}

/** A source's own tables, for whoever asks what is stored, or wants it gone. Each may be called again for the same, after a crash. */
export interface PrivacyHooks {
  id: string
  redact (who: Who, shopKey: number): Promise<void>
  /** Plain data; undefined or an empty list where there is nothing. */
  export (who: Who, shopKey: number): Promise<unknown>
  forgetShop (shopKey: number): Promise<void>
}

// ── sandbox ────────────────────────────────────────────────────────────────────────────────────

/** Behaves as one provider's API, mounted at `/<provider id>` of the sandbox listener. */
export type SandboxPlugin = (app: FastifyInstance, context: SandboxContext) => void | Promise<void>

export interface SandboxContext {
  id: string
  groups: Record<string, LimitGroup>
  /** Milliseconds, monotonic. */
  now (): number
  /** Epoch milliseconds, as the gateway beside it counts them. */
  wallNow (): number
  /** Counts an arrival for a key (the account) in a group; null when taken, else milliseconds until there is room. */
  take (group: string, key: string): number | null
  /** What is left in each window of the group, in the manifest's order, and when its oldest arrival leaves it. */
  left (group: string, key: string): Array<Window & { left: number, resetMs: number }>
  /** Keeps what was received for reading; call it when the body has been accepted or refused. */
  record (entry: SandboxEntry): void
}

export interface SandboxEntry {
  /** Key the provider counts by. */
  account: string
  method: string
  path: string
  body: unknown
  status: number
  /** What the provider tells repeats by, where it does; `repeat` when it had it before. */
  key?: string
  repeat?: boolean
}

// ── store ──────────────────────────────────────────────────────────────────────────────────────

export type Value = string | number | null | Uint8Array
export type Row = Record<string, Value>

/** The few words in which the databases differ, so that most statements have one text for all of them. */
/** What JSON lists and parameters hold, as PostgreSQL calls it. */
export type SqlType = 'bigint' | 'text' | 'bytea'

export interface Dialect {
  /** The smaller of two values. */
  least (a: string, b: string): string
  /** Equality by which null equals null. */
  same (a: string, b: string): string
  differs (a: string, b: string): string
  /** A condition as 1 or 0. */
  flag (condition: string): string
  /** A JSON list in a parameter, for `in`. */
  listed (param: string, type: SqlType): string
  /** The same as a table with one column, `value`. */
  each (param: string, type: SqlType): string
  /** A JSON object with the members of another one put over its own. */
  merged (object: string, other: string): string
  /** A JSON object without the member that a parameter names. */
  without (object: string, param: string): string
  /** Epoch milliseconds, for what instances must agree on. */
  now: string
  /** Rows that another transaction works on are passed over. */
  skipLocked: string
}

/** A named statement with its parameters. Conditions are in its SQL; nothing of JavaScript runs between two steps. */
export interface Step { name: string, params: Record<string, Value> }

/** `changes` counts rows written; `rows` are what a `returning` clause gave. */
export interface StepResult { changes: number, rows: Row[] }

/** The one contract of all databases. */
export interface Store {
  /**
   * Runs the steps of a unit of work in one transaction, together with units that arrive at the same moment,
   * and answers when they are on disk. Rejects with GW_STORE_FAILED, and then nothing of the unit is kept; or with
   * GW_STORE_UNSURE where the answer to the commit was lost, and then all of it may be.
   */
  commit (unit: Step[]): Promise<StepResult[]>
  /** Runs one named query. */
  read (name: string, params: Record<string, Value>): Promise<Row[]>
  /** The next integer key of a table; never given twice. Throws GW_STORE_FAILED where the database has given out none for too long. */
  nextKey (table: Keyed): number
  /** This instance. Never given twice. */
  readonly owner: number
  /** What the claims of this instance carry that belong to no account. */
  readonly epoch: number
  /** The accounts that this instance works on. */
  readonly slots: Slots
  /** Tells of what other instances do, from now on; resolves when this one has the accounts it starts with. */
  listen (events: StoreEvents): Promise<void>
  /** Lets the other instances know, as soon as may be; they find out anyhow. */
  tell (news: News): void
  /** Whether commits are to be trusted: false after a failed write to disk, while the disk is full, and while the database cannot be reached. */
  healthy (): boolean
  /** Waits for what was given, gives up its accounts, then closes. */
  close (): Promise<void>
}

/** Tables and statements of a source: names begin with `prefix`. `migrations`: absolute path of their folder, null where it has none. */
export interface StoreExtension { prefix: string, migrations: string | null, statements (dialect: Dialect): Record<string, string> }

/** A database that takes further tables. */
export interface Extensible {
  /** Adds tables and statements to its own; what it has already is left alone. Throws GW_STORE_NEWER, GW_STORE_UNUSABLE. */
  extend (extension: StoreExtension): Promise<void>
}

export type Keyed = 'events' | 'deliveries' | 'calls' | 'jobs' | 'inbox'

/** An account belongs to a slot, a slot to one instance at a time. */
export const SLOTS = 256
export const ALL_SLOTS: readonly number[] = Array.from({ length: SLOTS }, (_, slot) => slot)
export function slotOf (accountKey: number): number { return accountKey % SLOTS }

export interface Slots {
  /** Those that this instance works on. */
  readonly mine: readonly number[]
  /** The epoch of a slot while it certainly stays this instance's for `forMs` more milliseconds; else null. */
  epoch (slot: number, forMs?: number): number | null
}

/** What a store tells of. Whatever is thrown is logged and tried again. */
export interface StoreEvents {
  /** Slots that are this instance's now: what their last owner left is to be taken over first. */
  taken (slots: readonly number[]): Promise<void>
  /** Slots that another instance is to have: resolves when nothing of theirs is worked on. */
  asked (slots: readonly number[]): Promise<void>
  /** Slots that are another instance's already. */
  lost (slots: readonly number[]): void
  /** Something may be due on these accounts, which are this instance's. */
  work (accountKeys: readonly number[]): void
  /** News of other instances; null when any may have been missed. */
  news (news: News | null): void
  onError (error: unknown): void
}

/** A shop that was changed, and accounts about which something was; jobs that were put for another instance. */
export interface News { shop?: string, accounts?: readonly number[], jobs?: true }

/** Numbers of the states in rows, and what they are called outside. `held` is a waiting delivery of a held queue or account. */
export const STATE = { waiting: 1, sending: 2, delivered: 3, unknown: 4, rejected: 5, expired: 6 } as const
export type State = keyof typeof STATE

/** Time and randomness; always an argument. */
export interface Runtime {
  /** Epoch milliseconds. */
  now (): number
  /** Milliseconds that never run backwards. */
  mono (): number
  /** 0 ≤ x < 1. */
  random (): number
  /** `prefix` + UUIDv7. */
  id (prefix: `${string}_`): string
}
