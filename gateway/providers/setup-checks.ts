// What a schema cannot say about set-up steps: what each kind needs, names that must lead somewhere, and their order.

import type { Fault, ProviderCode, SetupKind, SourceFile } from '../contract.ts'
import { step } from '../json-pointer.ts'
import { secretFields, type LookUpSource, type Manifest, type StepSource } from './manifest.ts'
import { checkOAuthStep } from './oauth.ts'
import { checkReason, known, type Report } from './report.ts'

/** Beside what all have. */
const KEYS: Record<SetupKind, { must: readonly string[], may: readonly string[] }> = {
  api_key: { must: ['fields'], may: ['auth', 'check'] },
  oauth2: { must: ['auth', 'check'], may: [] },
  select: { must: ['options'], may: ['setting', 'empty'] },
  choice: { must: ['choices'], may: [] },
  task: { must: [], may: [] },
  verify: { must: ['look_up', 'findings'], may: ['fields'] },
  test_event: { must: [], may: ['arrival'] },
  confirm: { must: [], may: [] }
}
const OF_ALL = new Set(['id', 'kind', 'title', 'text', 'action', 'per', 'needs', 'optional', 'when', 'recheck', 'says'])

/** Every fault of the set-up steps that the manifest's schema lets through. */
export function checkSetup (manifest: Manifest, report: Report): void {
  const before = new Map<string, StepSource>()
  manifest.setup.forEach((one, i) => {
    const at = `/setup/${i}`
    if (before.has(one.id)) report(`${at}/id`, `another step is called "${one.id}"`, 'Give each step an id of its own.', 'GW_CONFIG_DUPLICATE')
    one.needs?.forEach((need, n) => {
      if (!before.has(need)) report(`${at}/needs/${n}`, `no step "${need}" before this one`, `Name one of: ${[...before.keys()].join(', ') || 'none is before it'}.`)
    })
    checkKeys(one, at, report)
    checkWhen(one, before, at, report)
    checkOAuthStep(manifest, one, at, report)
    checkRequests(manifest, one, at, report)
    checkList(manifest, one, at, report)
    for (const [reason] of Object.entries(one.says ?? {})) checkReason(reason, `${at}/says${step(reason)}`, report)
    if (one.auth !== undefined && !Object.hasOwn(manifest.auth, one.auth)) report(`${at}/auth`, `no way "${one.auth}" under auth`, known(manifest.auth))
    if (manifest.connection === 'gateway' && (one.kind === 'api_key' || one.kind === 'oauth2')) report(`${at}/kind`, `${one.kind} asks a shop for credentials, and the account is the platform's`, 'Remove the step, or let "connection" be shop.', 'GW_CONFIG_VALUE')
    else checkFields(manifest, one, at, report)
    before.set(one.id, one)
  })
  checkCauses(manifest, before, report)
}

/** Each is named once, and the steps that rule it out are there. */
function checkCauses ({ possible_causes: causes }: Manifest, steps: ReadonlyMap<string, StepSource>, report: Report): void {
  causes.forEach(({ code, unless_done: unlessDone = [] }, i) => {
    const at = `/possible_causes/${i}`
    if (causes.findIndex(one => one.code === code) < i) report(`${at}/code`, `${code} is named twice`, 'Say all of it in one entry.', 'GW_CONFIG_DUPLICATE')
    unlessDone.forEach((id, n) => {
      if (!steps.has(id)) report(`${at}/unless_done/${n}`, `no step "${id}" under setup`, known(Object.fromEntries(steps)))
    })
  })
}

/** A step of kind `task` is done by code of the same name. */
export function taskFaults ({ setup }: Manifest, { tasks = {} }: ProviderCode, file: SourceFile): Fault[] {
  return setup.flatMap(({ id, kind }, i) => kind !== 'task' || Object.hasOwn(tasks, id) ? [] : [
    file.fault('GW_PROVIDER_CODE', `/setup/${i}/id`, `index.ts has no task "${id}"`, `Add it there: defineProvider({ …, tasks: { ${id}: { phases, run } } }).`)
  ])
}

function checkKeys (one: StepSource, at: string, report: Report): void {
  const { must, may } = KEYS[one.kind]
  for (const key of must) if (!Object.hasOwn(one, key)) report(at, `a step of kind ${one.kind} needs ${key}`, `Add ${key}.`, 'GW_CONFIG_MISSING_KEY')
  for (const key of Object.keys(one)) if (!OF_ALL.has(key) && !must.includes(key) && !may.includes(key)) report(`${at}${step(key)}`, `a step of kind ${one.kind} has no ${key}`, 'Remove it, or choose another kind.', 'GW_CONFIG_VALUE', true)
  const connects = one.kind === 'api_key' || one.kind === 'oauth2'
  if ((connects || one.kind === 'select') && one.per !== undefined) report(`${at}/per`, `a step of kind ${one.kind} is done once`, 'Remove per.', 'GW_CONFIG_VALUE', true)
  if (one.kind === 'task' && one.per !== 'setup_group') report(at, 'a task is done for each set-up group', 'Add per: setup_group.', 'GW_CONFIG_VALUE')
  if (one.kind === 'test_event' && one.per !== 'alert_type') report(at, 'a test event is sent for each kind of message', 'Add per: alert_type.', 'GW_CONFIG_VALUE')
}

function checkWhen ({ when }: StepSource, before: ReadonlyMap<string, StepSource>, at: string, report: Report): void {
  if (when === undefined) return
  const choices = before.get(when.step)?.choices
  if (choices === undefined) report(`${at}/when/step`, `no choice "${when.step}" before this step`, `Name one of: ${[...before.values()].filter(({ kind }) => kind === 'choice').map(({ id }) => id).join(', ') || 'none is before it'}.`)
  else if (!choices.some(({ value }) => value === when.is)) report(`${at}/when/is`, `"${when.step}" has no choice "${when.is}"`, `Name one of: ${choices.map(({ value }) => value).join(', ')}.`)
}

function checkRequests ({ requests, auth }: Manifest, one: StepSource, at: string, report: Report): void {
  const lists = lookUpsOf(one, at).map(([place, { request }]) => [`${place}/request`, request] as const)
  const asked = [...(one.check ? [[`${at}/check/request`, one.check.request] as const] : []), ...(one.options ? [[`${at}/options/request`, one.options.request] as const] : []), ...lists]
  for (const [place, request] of asked) if (!Object.hasOwn(requests, request)) report(place, `no request "${request}"`, known(requests))
  one.choices?.forEach(({ ways = [] }, n) => ways.forEach((way, w) => {
    if (!Object.hasOwn(auth, way)) report(`${at}/choices/${n}/ways/${w}`, `no way "${way}" under auth`, known(auth))
  }))
}

/** Each with its place: those of a verification, and those of a test event's arrival. */
function lookUpsOf ({ look_up: lookUps = {}, arrival }: StepSource, at: string): Array<[string, LookUpSource]> {
  const placed = (all: Record<string, LookUpSource>, below: string) => Object.entries(all).map(([name, one]): [string, LookUpSource] => [`${at}${below}${step(name)}`, one])
  return [...placed(lookUps, '/look_up'), ...placed(arrival?.look_up ?? {}, '/arrival/look_up')]
}

function checkList ({ settings }: Manifest, one: StepSource, at: string, report: Report): void {
  const { setting, look_up: lookUps = {}, findings = {} } = one
  if (setting !== undefined && settings[setting]?.['type'] !== 'string') report(`${at}/setting`, `no setting "${setting}" that is a text`, known(settings))
  for (const [name, { of }] of Object.entries(findings)) if (!Object.hasOwn(lookUps, of)) report(`${at}/findings${step(name)}/of`, `no look-up "${of}"`, known(lookUps))
  for (const [place, { near, match }] of lookUpsOf(one, at)) if (near !== undefined && !Object.hasOwn(match, near)) report(`${place}/near`, `${near} is none of match`, known(match))
}

/** The step must ask for the very fields its way of authorization reads. */
function checkFields (manifest: Manifest, one: StepSource, at: string, report: Report): void {
  if (one.kind !== 'api_key') return
  const way = one.auth ?? Object.keys(manifest.auth)[0] as string
  const read = Object.hasOwn(manifest.auth, way) ? secretFields((manifest.auth[way] as { headers: Record<string, string> }).headers) : []
  const asked = Object.keys(one.fields ?? {})
  for (const field of read) {
    if (!asked.includes(field)) report(at, `auth.${way} reads secret.${field}, and the step does not ask for it`, `Add it under fields: { ${field}: { label: … } }.`)
  }
  for (const field of asked) {
    if (!read.includes(field)) report(`${at}/fields${step(field)}`, `auth.${way} does not read secret.${field}`, 'Remove the field, or read it there.', undefined, true)
  }
}
