// The list of people that a provider texts, as its manifest tells of it: what a schema cannot say, and what is compiled of it.

import type { Config, Fault, FoundPerson, JsonSchema, PersonLookUp, Provider, SourceFile, Subscribers } from '../contract.ts'
import { step, valueAt } from '../json-pointer.ts'
import { closed, compileTree, connectionReadable, type Compiling, type EventSchemas } from './compile.ts'
import type { Manifest, PersonLookUpSource, SubscribersSource } from './manifest.ts'
import { known, type Report } from './report.ts'

/** What the person agreed to: an event that adds has it in its data. */
const CONSENT = 'consent'

/** Names that must lead somewhere. */
export function checkSubscribers ({ subscribers, requests, events }: Manifest, report: Report): void {
  if (subscribers === undefined) return
  for (const which of ['find', 'find_by_ref'] as const) {
    const request = subscribers[which]?.request
    if (request !== undefined && !Object.hasOwn(requests, request)) report(`/subscribers/${which}/request`, `no request "${request}"`, known(requests))
  }
  for (const list of ['add', 'gate', 'add_for'] as const) {
    subscribers[list]?.forEach((type, i) => {
      const at = `/subscribers/${list}/${i}`
      if (!Object.hasOwn(events, type)) report(at, `no mapping for "${type}" under events`, known(events))
      if (list === 'gate' && subscribers.add.includes(type)) report(at, `${type} adds people, so nobody can be on the list before`, 'Name it in one of the two.', 'GW_CONFIG_VALUE')
      if (list === 'add_for' && subscribers.gate?.includes(type) !== true) report(at, `${type} goes to anybody`, 'Name it under gate too, or remove it here.')
    })
  }
}

/** Whose phone number an event has must be known, where it goes by the list of a provider. `from`: the config. */
export function personFaults (from: SourceFile, providers: Iterable<Provider>, { eventTypes }: Pick<Config, 'eventTypes'>): Fault[] {
  return [...providers].flatMap(({ id, subscribers }) => subscribers ? [...subscribers.add, ...subscribers.gate].flatMap(type => eventTypes[type]?.person !== null ? [] : [
    from.fault('GW_CONFIG_MISSING_KEY', `/event_types${step(type)}`, `${id} sends ${type} to its own subscribers only, and where the customer's phone number stands is not said`, 'Add person: the JSON pointer of the phone number in the data.', { key: true })
  ]) : [])
}

/** Null where the manifest says nothing. `schemas`: of the event types that are declared. */
export function compileSubscribers (manifest: Manifest, schemas: EventSchemas, compiling: Compiling): Subscribers | null {
  const { subscribers } = manifest
  if (subscribers === undefined) return null
  const { add, gate = [], add_for: addFor = [] } = subscribers
  const added = (schemas[add[0] as string] ?? {}) as Partial<ObjectSchema>
  checkAddFor(addFor, added, schemas, compiling)
  return {
    find: lookUp('find', subscribers.find, manifest, subscribers, compiling),
    findByRef: subscribers.find_by_ref === undefined ? null : lookUp('find_by_ref', subscribers.find_by_ref, manifest, subscribers, compiling),
    add, gate, addFor,
    addData: data => Object.fromEntries(Object.keys(added.properties ?? {}).flatMap(name =>
      name === CONSENT ? [[name, { sms: true }]] : Object.hasOwn(data, name) ? [[name, data[name]]] : []))
  }
}

interface ObjectSchema { properties: Record<string, JsonSchema>, required: string[] }

/** The data of such a message must have what an event that adds cannot do without. */
function checkAddFor (types: readonly string[], { required = [] }: Partial<ObjectSchema>, schemas: EventSchemas, { file, faults }: Compiling): void {
  types.forEach((type, i) => {
    const has = (schemas[type] as Partial<ObjectSchema> | undefined)?.required ?? []
    const missing = required.filter(name => name !== CONSENT && !has.includes(name))
    if (missing.length > 0) faults.push(file.fault('GW_CONFIG_VALUE', `/subscribers/add_for/${i}`, `the data of ${type} need not have ${missing.join(', ')}, which adding a person does`, 'Remove it, or add people by an event type that needs less.'))
  })
}

function lookUp (which: 'find' | 'find_by_ref', { request, map = {}, items }: PersonLookUpSource, manifest: Manifest, source: SubscribersSource, compiling: Compiling): PersonLookUp {
  const text: JsonSchema = { type: 'string' }
  const readable = { ...connectionReadable(manifest), person: closed({ phone: text, digits: text, ref: text }) }
  return {
    request,
    map: compileTree(map, `/subscribers${step(which)}/map`, readable, compiling) ?? { render: () => ({}) },
    read (body) {
      const people = peopleIn(body, items)
      return people && people.map(person => personOf(person, source))
    }
  }
}

/** Null where the body is none of its answers. */
function peopleIn (body: string, items: string | undefined): unknown[] | null {
  const value = parsed(body)
  if (value === null || typeof value !== 'object') return null
  if (items === undefined) return [value]
  const list = valueAt(value, items)
  return Array.isArray(list) ? list : null
}

function personOf (person: unknown, { phone, ref, states }: SubscribersSource): FoundPerson {
  const id = ref === undefined ? undefined : valueAt(person, ref)
  return {
    digits: digitsOf(valueAt(person, phone)),
    ref: typeof id === 'string' || typeof id === 'number' ? String(id) : null,
    state: states.find(state => fits(state, person))?.is ?? null
  }
}

function fits ({ at, equals }: SubscribersSource['states'][number], person: unknown): boolean {
  if (at === undefined) return true
  const value = valueAt(person, at)
  return equals === undefined ? value !== undefined : value === equals
}

function digitsOf (phone: unknown): string { return typeof phone === 'string' || typeof phone === 'number' ? String(phone).replaceAll(/\D/g, '') : '' }

function parsed (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}
