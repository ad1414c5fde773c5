// What the code of a provider's folder is written against: index.ts and sandbox.ts import from here.

import { GatewayError } from './errors.ts'
import type { ProviderCode, SourceCode } from './contract.ts'

export type {
  Answer, Ask, CarrierReport, CarrierWord, Dialect, Entering, FoundAnswer, InboundContext, LimitGroup, LostRequest, Made, MappingScope, Message, PreparedRequest, ProviderCode, ProviderNotice,
  Received, Reconciled, Row, Outcome, SandboxContext, SandboxEntry, SandboxPlugin, SetupTask, SourceCode, SourceContext, SourceEvent, SourceJob, SourcePrivacy, SourceShop, Step, StepResult,
  TaskCheckContext, TaskContext, TaskLink, TaskResult, Translated, Value, Verdict, Who, Window
} from './contract.ts'

/** What is kept of a call from outside: a larger body is not, so hand it to `receive` as null. */
export const WEBHOOK_CAP_BYTES = 2 * 1024 * 1024

const HOOKS: ReadonlySet<string> = new Set(['check', 'reconcile', 'routes', 'understand', 'reported'])
const isName = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object'
const isNames = (value: unknown): boolean => Array.isArray(value) && value.every(isName)

/** Whether it is what `tasks` of a provider may be. */
export function areTasks (value: unknown): boolean {
  return isObject(value) && Object.values(value).every(task => isObject(task) && isPhases(task.phases) && typeof task.run === 'function' && (task.check === undefined || typeof task.check === 'function'))
}

function isPhases (value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(phase => isObject(phase) && isName(phase.id) && isName(phase.title))
}

/**
 * The default export of a provider's index.ts: hooks for what provider.yaml has no words for.
 * Throws GW_PROVIDER_CODE for a member that does not exist, so that a misspelt hook is no silent one.
 */
export function defineProvider (code: ProviderCode): Readonly<ProviderCode> {
  if (typeof code.id !== 'string' || code.id === '') throw new GatewayError('GW_PROVIDER_CODE', 'defineProvider needs the id of the folder')
  for (const [name, member] of Object.entries(code)) {
    if (name === 'id') continue
    if (name === 'secrets' && isNames(member)) continue
    if (name === 'secrets') throw new GatewayError('GW_PROVIDER_CODE', '"secrets" must be a list of names')
    if (name === 'tasks' && areTasks(member)) continue
    if (name === 'tasks') throw new GatewayError('GW_PROVIDER_CODE', '"tasks" must be tasks by the id of their step: each with phases (id and title, one at least), run, and check where it is looked after')
    if (!HOOKS.has(name)) throw new GatewayError('GW_PROVIDER_CODE', `"${name}" is no member of a provider; there are: ${[...HOOKS].join(', ')}, secrets, tasks`)
    if (typeof member !== 'function') throw new GatewayError('GW_PROVIDER_CODE', `"${name}" must be a function`)
  }
  return Object.freeze({ ...code })
}

const SOURCE_FUNCTIONS = ['routes', 'translate', 'statements', 'api'] as const
const SOURCE_TABLES = ['consumes', 'jobs', 'checks'] as const
const SOURCE_MEMBERS: ReadonlySet<string> = new Set(['id', 'options', 'secrets', 'events', 'recurring', 'privacy', ...SOURCE_FUNCTIONS, ...SOURCE_TABLES])
const PRIVACY = ['redact', 'export', 'forgetShop'] as const
const isFunction = (value: unknown): boolean => typeof value === 'function'

/**
 * The default export of a source's index.ts: what comes in from outside and becomes events, and what is kept, done later and asked about them.
 * Throws GW_SOURCE_CODE for a member that is not known, or of another kind.
 */
export function defineSource (code: SourceCode): Readonly<SourceCode> {
  const wrong = (what: string): never => { throw new GatewayError('GW_SOURCE_CODE', what) }
  const { id, options, secrets, events, recurring, privacy } = code
  if (typeof id !== 'string' || id === '') wrong('defineSource needs the id of the folder')
  for (const name of Object.keys(code)) if (!SOURCE_MEMBERS.has(name)) wrong(`"${name}" is no member of a source; there are: ${[...SOURCE_MEMBERS].join(', ')}`)
  for (const name of SOURCE_FUNCTIONS) if (code[name] !== undefined && !isFunction(code[name])) wrong(`"${name}" must be a function`)
  for (const name of SOURCE_TABLES) if (code[name] !== undefined && !(isObject(code[name]) && Object.values(code[name]).every(isFunction))) wrong(`"${name}" must be functions by name`)
  if (code.translate !== undefined && code.routes === undefined) wrong('"translate" needs "routes", which receive what is to be translated')
  if (secrets !== undefined && !isNames(secrets)) wrong('"secrets" must be a list of names')
  if (!isNames(events)) wrong('"events" must be a list of the event types it makes; an empty one where it makes none')
  if (recurring !== undefined && !(isNames(recurring) && recurring.every(kind => code.jobs?.[kind] !== undefined))) wrong('"recurring" must be a list of kinds that "jobs" has')
  if (privacy !== undefined && !PRIVACY.every(name => isFunction(privacy[name]))) wrong(`"privacy" must have the functions ${PRIVACY.join(', ')}`)
  if (options !== undefined && (options?.type !== 'object' || options.additionalProperties !== false)) wrong('"options" must be a JSON Schema of a closed object: type object, additionalProperties false')
  return Object.freeze({ ...code })
}
