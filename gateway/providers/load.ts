// From the folders a config names to providers ready for use, with every fault of all of them.

import type { EventTypeConfig, Fault, Files, JsonSchema, Mapper, MappingScope, Prepared, Provider, ProviderCode, ProviderConfig, ProviderText, Readable, SourceFile, TextPreview } from '../contract.ts'
import { MappingError } from '../errors.ts'
import { compileAccount, compileAuth } from './auth.ts'
import { providerCode } from './code.ts'
import { closed, compileTree, defaultsOf, eventReadable, requestReadable, settingsDefaults, settingsSchema } from './compile.ts'
import type { Compiling } from './compile.ts'
import { groupsOf, limitGroups } from './limits.ts'
import { checkManifest } from './manifest-checks.ts'
import { readManifest } from './manifest.ts'
import type { EventSource, Manifest } from './manifest.ts'
import { meteredOf } from './metered.ts'
import { clientSecrets, compileWays } from './oauth.ts'
import { compileOutcomes, compileReceipts } from './outcomes.ts'
import { secretFaults } from './platform-checks.ts'
import { platformOf, type Platform } from './platform.ts'
import { compileQuietHours, quietHoursFaults } from './quiet-hours.ts'
import { step, valueAt } from '../json-pointer.ts'
import { checkRecordOnly } from './record-only.ts'
import { compileRequest } from './requests.ts'
import type { CompiledRequest } from './requests.ts'
import { compileForms } from './secret-forms.ts'
import { taskFaults } from './setup-checks.ts'
import { compileCauses, compileSetup, compileTriggers, variablesOf } from './setup.ts'
import { standInFacts } from './stand-in-facts.ts'
import { compileSubscribers } from './subscribers.ts'
import { pollFaults, statusPollOf } from './status-poll.ts'
import { compileText, notMade, textFaults } from './texts.ts'
import type { EventText } from './texts.ts'
import { durationMs } from './units.ts'
import { webhooksOf } from './webhooks.ts'

export interface LoadOptions {
  configs: readonly ProviderConfig[]
  /** JSON Schema of the data of each event type the config declares. */
  eventTypes: Record<EventTypeConfig['type'], JsonSchema>
  files: Files
  mapper: Mapper
  /** The file that names the folders: gateway.config.yaml. */
  from: SourceFile
  /** Address of the sandbox, where it stands in for the providers; each is below it by its id. */
  sandboxUrl: string | null
  /** Where others reach this gateway; null where nobody can. */
  publicUrl: string | null
}

/** Loads every folder. With any fault the map must not be used: it holds only those without one. */
export async function loadProviders (options: LoadOptions): Promise<{ providers: Map<string, Provider>, faults: Fault[] }> {
  const providers = new Map<string, Provider>()
  const faults: Fault[] = []
  for (const config of options.configs) {
    const loaded = await loadProvider(config, options)
    if ('faults' in loaded) faults.push(...loaded.faults)
    else providers.set(config.id, loaded.provider)
  }
  return { providers, faults: distinct(faults) }
}

async function loadProvider (config: ProviderConfig, options: LoadOptions): Promise<{ provider: Provider } | { faults: Fault[] }> {
  const read = readManifest(config, options.files, options.from)
  if ('faults' in read) return read
  const { manifest, file } = read
  const faults = checkManifest(manifest, file, config, options.from, Object.keys(options.eventTypes))
  if (faults.length > 0) return { faults }
  const compiling: Compiling = { dir: config.path, file, files: options.files, mapper: options.mapper, faults, read: new Map() }
  const found = await providerCode(config.id, config.path)
  if ('problem' in found) {
    faults.push(found.id === undefined
      ? file.fault('GW_PROVIDER_CODE', '', found.problem, 'Let index.ts export defineProvider({ … }) as its default, and load without error.')
      : file.fault('GW_PROVIDER_ID', '/id', found.problem, 'Let the id in provider.yaml, in its code and in the config agree.'))
    return { faults }
  }
  faults.push(...secretFaults(found.code, config, options.from, clientSecrets(manifest)), ...taskFaults(manifest, found.code, file), ...pollFaults(manifest, found.code, file))
  const provider = build(manifest, config, options, compiling, found.code)
  if (provider.uncertain === 'reconcile' && found.code.reconcile === undefined) {
    faults.push(file.fault('GW_PROVIDER_CODE', '/uncertain', 'reconcile needs a reconcile hook in index.ts', 'Write the hook, or choose repeat, repeat_once or park.'))
  }
  return faults.length > 0 ? { faults } : { provider }
}

function build (manifest: Manifest, config: ProviderConfig, options: LoadOptions, compiling: Compiling, code: ProviderCode): Provider {
  checkRecordOnly(manifest, compiling)
  const platform = platformOf(defaultsOf(manifest.options), config.options, options.publicUrl)
  const texts = compileTexts(manifest, compiling)
  const events = compileEvents(manifest, options.eventTypes, texts, platform, compiling)
  const request = compileRequests(manifest, platform, compiling)
  const [ofTexts, ofHours] = [textFaults([...texts.values()], compiling.mapper), quietHoursFaults(manifest)]
  return Object.freeze({
    id: manifest.id,
    title: manifest.title,
    dir: config.path,
    comingSoon: config.comingSoon,
    channels: manifest.channels,
    needs: manifest.needs,
    baseUrl: config.baseUrl ?? (options.sandboxUrl === null ? manifest.base_url : `${options.sandboxUrl}/${manifest.id}`),
    connection: manifest.connection,
    concurrency: config.concurrency ?? manifest.concurrency,
    deadlineMs: manifest.deadline === undefined ? null : durationMs(manifest.deadline),
    groups: limitGroups(manifest.limits, config.limits),
    limitHeaders: manifest.limit_headers,
    uncertain: manifest.uncertain,
    recordOnly: manifest.record_only,
    events: Object.fromEntries(Object.entries(manifest.events).map(([type, event]) => [type, { request: event.request, group: groupOf(manifest, event.request) }])),
    auth: compileWays(manifest, options.sandboxUrl === null || config.baseUrl !== null ? null : `${options.sandboxUrl}/${manifest.id}`),
    settings: settingsSchema(manifest),
    settingsDefaults: settingsDefaults(manifest),
    options: platform({}).options,
    statusPoll: statusPollOf(manifest),
    subscribers: compileSubscribers(manifest, options.eventTypes, compiling),
    setup: compileSetup(manifest, compiling),
    code,
    webhooks: webhooksOf(manifest),
    trigger: compileTriggers(manifest, compiling),
    variables: variablesOf(manifest, compiling),
    possibleCauses: compileCauses(manifest),
    resetText: manifest.reset,
    account: compileAccount(manifest, compiling),
    prepare: events.prepare,
    request,
    authorize: compileAuth(manifest, platform, compiling),
    judge: compileOutcomes(manifest.outcomes, settingsDefaults(manifest), compiling),
    receipt: compileReceipts(manifest.requests),
    secretFaults: compileForms(manifest),
    settingsFaults: (settings: Record<string, unknown>) => [...ofTexts(settings), ...ofHours(settings)],
    texts: events.texts,
    quietHours: compileQuietHours(manifest, platform({}).options, compiling),
    metered: meteredOf(manifest, platform({}).options),
    standIn: standInFacts(manifest, compiling)
  })
}

function groupOf (manifest: Manifest, request: string): string {
  const source = manifest.requests[request] as Manifest['requests'][string]
  return groupsOf(manifest.limits, source.method, source.path)[0] as string
}

/** Requests by name, for checks and hooks; those of events may be asked for here as well. */
function compileRequests (manifest: Manifest, platform: Platform, compiling: Compiling): Provider['request'] {
  const used = new Set(Object.values(manifest.events).map(event => event.request))
  const anything: Readable = { data: true, shop: true, connection: true, event: true, delivery: true, map: true, options: true, gateway: true }
  const compiled = new Map(Object.keys(manifest.requests).map(name => used.has(name)
    ? [name, compileRequest(name, manifest, anything, { ...compiling, faults: [] })] // its faults are told with its events
    : [name, compileRequest(name, manifest, requestReadable(manifest), compiling)]))
  return (name, scope) => attempt(() => {
    const render = compiled.get(name)
    if (render === undefined) throw new MappingError(`there is no request "${name}"`)
    return render({ ...scope, ...platform(scope) })
  })
}

/** The merchant's text of each event type that has one. */
function compileTexts (manifest: Manifest, compiling: Compiling): Map<string, EventText> {
  return new Map(Object.entries(manifest.events).flatMap(([type, event]) => {
    const text = compileText(event, `/events${step(type)}`, manifest, compiling)
    return text === null ? [] : [[type, text]]
  }))
}

/** Where nobody says when quiet hours begin. */
const OPEN_FOR_S = 86_400

interface CompiledEvent { prepare (scope: MappingScope): Prepared, preview: ((scope: MappingScope) => TextPreview) | null }

/** Each event type's way from a scope to a request: what it requires, its map, its text, its request; and the texts by themselves. */
function compileEvents (manifest: Manifest, eventTypes: Record<string, JsonSchema>, texts: ReadonlyMap<string, EventText>, platform: Platform, compiling: Compiling): { prepare: Provider['prepare'], texts: Record<string, ProviderText> } {
  const defaults = settingsDefaults(manifest)
  const compiled = new Map(Object.entries(manifest.events).map(([type, event]) => [type, compileEvent(type, event, manifest, eventTypes[type] as JsonSchema, texts.get(type), compiling)]))
  const whole = (scope: MappingScope): MappingScope => ({
    ...scope, ...platform(scope),
    delivery: { open_for_s: OPEN_FOR_S, ...scope.delivery },
    connection: { ...scope.connection, settings: { ...defaults, ...scope.connection.settings } }
  })
  return {
    prepare: (type, scope) => compiled.get(type)?.prepare(whole(scope)) ?? { ok: false, reason: 'event_not_supported', detail: `${manifest.id} has no mapping for ${type}` },
    texts: Object.fromEntries([...compiled].flatMap(([type, { preview }]) => {
      const text = texts.get(type)
      return text === undefined || preview === null ? [] : [[type, { setting: text.setting, title: text.title, standard: text.standard, names: text.names, preview: (scope: MappingScope) => preview(whole(scope)) }]]
    }))
  }
}

function compileEvent (type: string, event: EventSource, manifest: Manifest, data: JsonSchema, text: EventText | undefined, compiling: Compiling): CompiledEvent {
  const readable = eventReadable(manifest, data)
  const entries = Object.entries(event.map ?? {}).map(([name, entry]) => [name, compileTree(entry, `/events${step(type)}/map${step(name)}`, readable, compiling)] as const)
  const map = closed({ ...Object.fromEntries(entries.map(([name]) => [name, {}])), ...(event.text && { text: { type: 'string' } }) })
  const request: CompiledRequest = compileRequest(event.request, manifest, { ...readable, map }, compiling)
  const made = (scope: MappingScope): Record<string, unknown> => Object.fromEntries(entries.map(([name, tree]) => [name, tree?.render(scope)]))
  return {
    prepare (scope) {
      const missing = event.requires?.find(({ at }) => isAbsent(valueAt(scope.data, at)))
      if (missing !== undefined) return { ok: false, reason: missing.reason, detail: `data${missing.at} is absent` }
      const open = event.needs_settings?.find(({ name }) => isAbsent(scope.connection.settings[name]))
      if (open !== undefined) return { ok: false, reason: open.reason, detail: `the setting ${open.name} is empty`, waits: true }
      return attempt(() => {
        const map = made(scope)
        if (text === undefined) return request({ ...scope, map })
        const sms = text.render(scope.connection.settings, map)
        return { ...request({ ...scope, map: { ...map, text: sms.text } }), segments: { encoding: sms.encoding, segments: sms.segments } }
      })
    },
    preview: text === undefined ? null : scope => {
      try {
        return text.preview(scope.connection.settings, made(scope))
      } catch (error) {
        if (error instanceof MappingError) return notMade(error)
        throw error
      }
    }
  }
}

function isAbsent (value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

/** A template that cannot be rendered from this data is a value; anything else thrown is a bug. */
function attempt (render: () => Extract<Prepared, { ok: true }>['request']): Prepared {
  try {
    return { ok: true, request: render() }
  } catch (error) {
    if (error instanceof MappingError) return { ok: false, reason: 'mapping_failed', detail: error.message }
    throw error
  }
}

/** One file may serve several event types, and its faults come once for each. */
function distinct (faults: readonly Fault[]): Fault[] {
  const seen = new Set<string>()
  return faults.filter(({ code, place, message }) => {
    const key = `${place.file}:${place.line}:${place.column} ${code} ${message}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
