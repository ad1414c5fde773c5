// provider.yaml, read and held to its schema: from the folder to a value with all defaults filled in.

import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { isAbsolute, join, relative, resolve } from 'node:path'
import type { Cause, Fault, Files, JsonSchema, Kind, LimitHeaders, Listed, ProviderConfig, SetupCheck, SetupFinding, SetupList, SetupStep, SourceFile, Uncertain, WebhookNotice } from '../contract.ts'
import type { Reason } from '../reasons.ts'
import { step } from '../json-pointer.ts'

/** provider.yaml as it stands in the file; every key is described in schemas/provider.schema.json. */
export interface Manifest {
  contract: 1
  id: string
  title: string
  channels: string[]
  needs: string[]
  base_url: string
  account: string
  connection: 'shop' | 'gateway'
  auth: Record<string, { headers: Record<string, string>, examples?: Record<string, string>, oauth2?: OAuth2Source }>
  headers: Record<string, string>
  concurrency: number
  deadline?: string
  limits: Record<string, LimitSource>
  limit_headers?: LimitHeaders
  requests: Record<string, RequestSource>
  settings: Record<string, JsonSchema>
  options: Record<string, JsonSchema>
  needs_options: string[][]
  uncertain: Uncertain
  record_only: boolean
  quiet_hours?: QuietHoursSource
  metered?: MeteredSource
  outcomes: OutcomeSource[]
  events: Record<string, EventSource>
  subscribers?: SubscribersSource
  status_poll?: StatusPollSource
  setup: StepSource[]
  possible_causes: CauseSource[]
  /** What a merchant must know before the set-up is forgotten. */
  reset: string
  webhooks?: WebhooksSource
  stand_in: Record<string, StandInSource>
}

/** When messages wait for a better hour; names of options and settings. */
export interface QuietHoursSource {
  kinds: Kind[]
  every_kind?: string
  hours: { option: string, setting?: string }
  zone: { option: string, setting?: string }
  stop_before: string
  stricter?: string | StricterSource[]
  at?: { time_zone?: string, phone?: string, country?: string }
}

export interface StricterSource { name: string, country?: string, calling?: string[], days?: string[], open: string }

export interface MeteredSource { by_plan: string, by_shop?: string, cap?: string, at?: { phone?: string, country?: string } }

export interface WebhooksSource {
  list: SetupList & { id: string, event: string, url: string }
  subscribe: { request: string }
  unsubscribe: { request: string }
  token: { request: string, at: string, header: string }
  event_at: string
  repeats: string[]
  notices: Array<Pick<WebhookNotice, 'event' | 'is'> & { phone?: string[], ref?: string[], at?: string }>
}

/** How the carrier's last word is asked for where it does not come by itself. */
export interface StatusPollSource { request: string, after: string[] }

export interface OAuth2Source { authorize_url: string, token_url: string, revoke_url?: string, scopes: string[] }

export interface LimitSource { match: string[], windows: Array<{ max: number, per: string }> }

export interface RequestSource {
  method: string
  path: string
  query?: Record<string, string | number | boolean>
  headers?: Record<string, string>
  body?: unknown
  encoding?: 'json' | 'form'
  omit_empty?: string[]
  receipt?: string
}

export interface EventSource {
  request: string
  requires?: Array<{ at: string, reason: Reason }>
  needs_settings?: Array<{ name: string, reason: Reason }>
  map?: Record<string, unknown>
  trigger?: string
  variables?: string
  text?: { setting: string, reads: string }
}

export interface PersonLookUpSource { request: string, map?: Record<string, unknown>, items?: string }

/** How a provider is asked for people on a list of its own. */
export interface SubscribersSource {
  phone: string
  ref?: string
  states: Array<{ at?: string, equals?: unknown, is: Listed | 'not_listed' }>
  find: PersonLookUpSource
  find_by_ref?: PersonLookUpSource
  add: string[]
  gate?: string[]
  add_for?: string[]
}

export interface OutcomeSource {
  status?: number | number[] | string
  header?: { name: string, equals?: string, contains?: string }
  body_at?: { pointer: string, equals?: unknown, contains?: string }
  setting?: { name: string, equals: unknown }
  request?: string
  is: 'delivered' | 'retry' | 'rejected' | 'hold' | 'unknown'
  reason?: Reason
  detail?: string
  after?: string
  free?: boolean
  pause?: 'lane' | 'account'
  with?: Record<string, unknown>
}

export interface StepSource {
  id: string
  kind: SetupStep['kind']
  title: string
  text: string
  action?: string
  per?: 'setup_group' | 'alert_type'
  needs?: string[]
  optional?: boolean
  when?: { step: string, is: string }
  recheck?: 'hold' | 'warn'
  auth?: string
  fields?: SetupStep['fields']
  check?: SetupCheck
  options?: NonNullable<SetupStep['options']>
  setting?: string
  empty?: string
  choices?: SetupStep['choices']
  look_up?: Record<string, LookUpSource>
  arrival?: { within: string, look_up: Record<string, LookUpSource> }
  findings?: Record<string, Omit<SetupFinding, 'id'>>
  says?: SetupStep['says']
}

export interface LookUpSource extends SetupList { with?: Record<string, unknown>, match: Record<string, unknown>, unless?: Record<string, unknown>, near?: string }

/** What may be the matter, though nobody is let see it. */
export interface CauseSource { code: Cause, when: 'always' | 'delivered', kinds?: Kind[], unless_done?: string[], text: string, fix: string }

/** How a stand-in answers a request of this name. */
export interface StandInSource { status?: number, body?: unknown, schema?: string, key?: string }

const DEFAULTS: Pick<Manifest, 'needs' | 'account' | 'connection' | 'headers' | 'concurrency' | 'settings' | 'options' | 'needs_options' | 'uncertain' | 'record_only' | 'outcomes' | 'stand_in' | 'possible_causes' | 'reset'> = { reset: '', possible_causes: [], needs: [], account: '{{ connection.account_id }}', connection: 'shop', headers: {}, concurrency: 16, settings: {}, options: {}, needs_options: [], uncertain: 'park', record_only: false, outcomes: [], stand_in: {} }

let schema: JsonSchema | null = null

/** schemas/provider.schema.json, read once. */
export function manifestSchema (): JsonSchema {
  schema ??= JSON.parse(readFileSync(new URL('../../schemas/provider.schema.json', import.meta.url), 'utf8')) as JsonSchema
  return schema
}

/** The manifest of a folder, or every fault that keeps it from being one. */
export function readManifest (config: ProviderConfig, files: Files, from: SourceFile): { manifest: Manifest, file: SourceFile } | { faults: Fault[] } {
  const path = join(config.path, 'provider.yaml')
  if (!existsSync(path)) {
    const at = `/providers${step(config.id)}/path`
    return { faults: [from.fault('GW_FILE_MISSING', at, `no provider.yaml in ${config.path}`, 'Name the folder that holds provider.yaml.')] }
  }
  const { file, faults } = files.read(path)
  if (file === null) return { faults }
  const all = [...faults, ...files.check(file, manifestSchema())]
  if (all.length > 0) return { faults: all }
  return { manifest: { ...DEFAULTS, ...(file.value as Omit<Manifest, keyof typeof DEFAULTS>) }, file }
}

/** Names of the fields of `secret` that header templates read. */
export function secretFields (headers: Record<string, string>): string[] {
  const names = Object.values(headers).flatMap(template => [...template.matchAll(/\bsecret\.([a-z_][a-z0-9_]*)/g)].map(match => match[1] as string))
  return [...new Set(names)]
}

/** The absolute path of a file named in a manifest; null where it would lie outside the folder, by `..` or by a link. */
export function within (dir: string, name: string): string | null {
  const path = resolve(dir, name)
  if (isAbsolute(name) || leaves(dir, path)) return null
  return existsSync(path) && leaves(realpathSync(dir), realpathSync(path)) ? null : path
}

function leaves (dir: string, path: string): boolean {
  const way = relative(dir, path)
  return way === '' || way.startsWith('..') || isAbsolute(way)
}
