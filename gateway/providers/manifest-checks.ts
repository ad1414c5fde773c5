// What a schema cannot say about a manifest: names that must lead somewhere, and rules between keys.

import type { Fault, JsonSchema, ProviderConfig, SourceFile } from '../contract.ts'
import { schemaCompiler } from '../json-schema.ts'
import { groupsOf } from './limits.ts'
import { checkMetered } from './metered.ts'
import { checkOAuth } from './oauth.ts'
import { platformFaults } from './platform-checks.ts'
import { checkQuietHours } from './quiet-hours.ts'
import { checkReason, known, type Report } from './report.ts'
import { checkSetup } from './setup-checks.ts'
import { checkStatusPoll } from './status-poll.ts'
import { checkSubscribers } from './subscribers.ts'
import { checkWebhooks } from './webhooks.ts'
import { step } from '../json-pointer.ts'
import { secretFields, type EventSource, type Manifest, type OutcomeSource } from './manifest.ts'

/** Headers that the sender makes, and those that carry credentials. */
const RESERVED: ReadonlySet<string> = new Set([
  'authorization', 'proxy-authorization', 'cookie', 'host', 'content-length', 'connection', 'transfer-encoding', 'expect', 'upgrade'
])

/** Every fault of a manifest that its schema lets through. `from` is the file that names the folder. */
export function checkManifest (manifest: Manifest, file: SourceFile, config: ProviderConfig, from: SourceFile, eventTypes: readonly string[]): Fault[] {
  const faults: Fault[] = []
  const report: Report = (pointer, message, fix, code = 'GW_CONFIG_REFERENCE', key = false) => {
    faults.push(file.fault(code, pointer, message, fix, { key }))
  }
  if (manifest.id !== config.id) report('/id', `the config calls this folder "${config.id}"`, 'Let both agree.', 'GW_PROVIDER_ID')
  checkRequests(manifest, report)
  checkEvents(manifest, eventTypes, report)
  checkOutcomes(manifest, report)
  checkSchemas(manifest.settings, '/settings', 'setting', report)
  checkSchemas(manifest.options, '/options', 'option', report)
  manifest.needs_options.forEach((names, i) => names.forEach((name, n) => {
    if (!Object.hasOwn(manifest.options, name)) report(`/needs_options/${i}/${n}`, `no option "${name}"`, known(manifest.options))
  }))
  checkQuietHours(manifest, report)
  checkMetered(manifest, report)
  checkSetup(manifest, report)
  checkSubscribers(manifest, report)
  checkStatusPoll(manifest, report)
  checkAuth(manifest, report)
  checkOAuth(manifest, report)
  checkWebhooks(manifest, report)
  for (const name of Object.keys(manifest.stand_in)) {
    if (!Object.hasOwn(manifest.requests, name)) report(`/stand_in${step(name)}`, `no request "${name}"`, known(manifest.requests), undefined, true)
  }
  for (const name of Object.keys(config.limits)) {
    if (Object.hasOwn(manifest.limits, name)) continue
    faults.push(from.fault('GW_CONFIG_REFERENCE', `/providers${step(config.id)}/limits${step(name)}`, `${config.id} has no limit group "${name}"`, known(manifest.limits), { key: true }))
  }
  return [...faults, ...platformFaults(manifest, config, from)]
}

function checkRequests (manifest: Manifest, report: Report): void {
  checkHeaders(manifest.headers, '/headers', report)
  for (const [name, request] of Object.entries(manifest.requests)) {
    const at = `/requests${step(name)}`
    checkHeaders(request.headers ?? {}, `${at}/headers`, report)
    checkPath(request.path, `${at}/path`, report)
    if (request.method === 'GET' && request.body !== undefined) report(`${at}/body`, 'a GET has no body', 'Put the values in query.', 'GW_CONFIG_VALUE', true)
    const groups = groupsOf(manifest.limits, request.method, request.path)
    if (groups.length === 1) continue
    const message = groups.length === 0 ? `no limit group names ${request.method} ${request.path}` : `it stands in ${groups.length} limit groups: ${groups.join(', ')}`
    report(at, message, 'Let exactly one group of limits match it; a group may have no windows: windows: [].', undefined, true)
  }
}

function checkPath (path: string, at: string, report: Report): void {
  if (path.includes('{%')) report(at, 'a path may hold {{ }}, no tags', 'Make the value in map, and read it here.', 'GW_CONFIG_VALUE')
  const literal = path.replace(/\{\{.*?\}\}/gs, 'x')
  if (/[\s?#{}\\]/.test(literal)) report(at, 'a path may not hold spaces, ?, #, braces or backslashes', 'Put parameters in query, values in {{ }}.', 'GW_CONFIG_VALUE')
  if (literal.split('/').some(part => /^(\.|%2e){1,2}$/i.test(part))) report(at, 'a path may not go upwards', 'Write the path from the root of base_url.', 'GW_CONFIG_VALUE')
}

function checkHeaders (headers: Record<string, string>, at: string, report: Report): void {
  for (const name of Object.keys(headers)) {
    if (RESERVED.has(name)) report(at + step(name), `"${name}" may not be set here`, 'Put credentials under auth; the others are made by the sender.', 'GW_CONFIG_VALUE', true)
  }
}

function checkEvents (manifest: Manifest, eventTypes: readonly string[], report: Report): void {
  for (const [type, event] of Object.entries(manifest.events)) {
    const at = `/events${step(type)}`
    if (!eventTypes.includes(type)) report(at, `no event type "${type}"`, `Declare it under event_types, or name one of: ${eventTypes.join(', ')}.`, undefined, true)
    if (!Object.hasOwn(manifest.requests, event.request)) report(`${at}/request`, `no request "${event.request}"`, known(manifest.requests))
    event.requires?.forEach(({ reason }, i) => checkReason(reason, `${at}/requires/${i}/reason`, report))
    event.needs_settings?.forEach(({ name, reason }, i) => {
      checkReason(reason, `${at}/needs_settings/${i}/reason`, report)
      if (!Object.hasOwn(manifest.settings, name)) report(`${at}/needs_settings/${i}/name`, `no setting "${name}"`, known(manifest.settings))
    })
    checkText(event, manifest.settings, at, report)
    if (event.variables !== undefined && !Object.hasOwn(event.map ?? {}, event.variables)) report(`${at}/variables`, `no entry "${event.variables}" in map`, known(event.map ?? {}))
  }
}

/** A text is what a setting holds, over the values of one entry of the map. */
function checkText ({ text, map = {} }: EventSource, settings: Manifest['settings'], at: string, report: Report): void {
  if (text === undefined) return
  if (!Object.hasOwn(settings, text.setting)) report(`${at}/text/setting`, `no setting "${text.setting}"`, known(settings))
  else if (settings[text.setting]?.['type'] !== 'string') report(`${at}/text/setting`, `the setting "${text.setting}" is no text`, 'Let its schema say type: string.', 'GW_CONFIG_VALUE')
  if (!Object.hasOwn(map, text.reads)) report(`${at}/text/reads`, `no entry "${text.reads}" in map`, known(map))
  if (Object.hasOwn(map, 'text')) report(`${at}/map/text`, 'map.text is what the text becomes', 'Call this entry otherwise.', 'GW_CONFIG_DUPLICATE', true)
}

function checkOutcomes (manifest: Manifest, report: Report): void {
  manifest.outcomes.forEach((outcome, i) => {
    const at = `/outcomes/${i}`
    if (outcome.reason !== undefined) checkReason(outcome.reason, `${at}/reason`, report)
    checkAdjust(outcome, manifest.settings, at, report)
    if (outcome.request !== undefined && !Object.hasOwn(manifest.requests, outcome.request)) report(`${at}/request`, `no request "${outcome.request}"`, known(manifest.requests))
    if (outcome.is === 'retry') return
    for (const key of ['after', 'free', 'pause', 'with'] as const) {
      if (outcome[key] !== undefined) report(`${at}/${key}`, `${key} belongs to a retry`, `Remove it, or let "is" be retry.`, 'GW_CONFIG_VALUE', true)
    }
  })
}

/** Settings that a rule asks for or changes: they exist, their values fit, and what is changed ends the rule's own condition. */
function checkAdjust ({ setting, with: changes, after, pause }: OutcomeSource, settings: Manifest['settings'], at: string, report: Report): void {
  if (setting !== undefined) checkValue(setting.name, setting.equals, settings, { name: `${at}/setting/name`, value: `${at}/setting/equals` }, report)
  for (const [name, value] of Object.entries(changes ?? {})) checkValue(name, value, settings, { name: `${at}/with${step(name)}`, value: `${at}/with${step(name)}` }, report)
  if (changes === undefined) return
  const changed = setting !== undefined && Object.hasOwn(changes, setting.name) && changes[setting.name] !== setting.equals
  if (!changed) report(`${at}/with`, 'the rule would fit again after the change', 'Give the rule a setting: { name, equals }, and another value of that setting here.', 'GW_CONFIG_VALUE', true)
  if (after !== undefined || pause !== undefined) report(`${at}/with`, 'it is made again at once', 'Remove after and pause.', 'GW_CONFIG_VALUE', true)
}

function checkValue (name: string, value: unknown, settings: Manifest['settings'], at: { name: string, value: string }, report: Report): void {
  const schema = Object.hasOwn(settings, name) ? settings[name] : undefined
  if (schema === undefined) {
    report(at.name, `no setting "${name}"`, known(settings))
    return
  }
  const ajv = schemaCompiler({ strict: false })
  if (ajv.validateSchema(schema) !== true) return // told of at the setting itself
  if (!ajv.validate(schema, value)) report(at.value, `the value does not fit the setting: ${ajv.errorsText(ajv.errors, { dataVar: name })}`, 'Give a value that fits.', 'GW_CONFIG_VALUE')
}

function checkSchemas (schemas: Record<string, JsonSchema>, pointer: string, what: string, report: Report): void {
  const ajv = schemaCompiler({ strict: true, allowUnionTypes: true })
  for (const [name, schema] of Object.entries(schemas)) {
    const at = pointer + step(name)
    try {
      const fits = ajv.compile(schema)
      if (!fits(schema['default'])) report(`${at}/default`, `the default does not fit: ${ajv.errorsText(fits.errors, { dataVar: name })}`, 'Give a default that fits.', 'GW_CONFIG_VALUE')
    } catch (error) {
      report(at, `no valid JSON Schema: ${(error as Error).message}`, `Correct the schema of the ${what}.`, 'GW_CONFIG_VALUE', true)
    }
  }
}

function checkAuth (manifest: Manifest, report: Report): void {
  for (const [way, { headers }] of Object.entries(manifest.auth)) {
    if (secretFields(headers).length === 0) report(`/auth${step(way)}`, 'no header reads a secret', 'Write {{ secret.<field> }} in one of them.', 'GW_CONFIG_VALUE', true)
  }
}
