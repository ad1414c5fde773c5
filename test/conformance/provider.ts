// What every provider's folder must keep, with code or without.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Files, JsonSchema, MappingScope, PreparedRequest, Provider } from '../../gateway/contract.ts'
import { caseScope, runCases } from '../../gateway/providers/cases.ts'
import type { CaseResult } from '../../gateway/providers/cases.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'
import { broken, keysOf, without } from './spoilt.ts'

export interface SuiteOptions {
  files: Files
  /** JSON Schema of each event type, with examples. */
  eventTypes: Record<string, JsonSchema>
}

/** A set-up step that asks for secrets; its examples are of a form that the folder's sandbox takes. */
interface KeyStep { auth?: string, fields?: Record<string, { label: string, example?: string, pattern?: string }> }

/** Runs the suite as a child of `t`. */
export async function providerSuite (t: Test, provider: Provider, options: SuiteOptions): Promise<void> {
  await t.test(`provider ${provider.id}`, async t => {
    const { results, optional, faults } = runCases(provider, options.files)
    t.strictSame(faults, [], 'cases.yaml is in order')
    await t.test('its cases give the requests they say', async t => { cases(t, provider, results) })
    await t.test('its merchant is told what to do', async t => { texts(t, provider) })
    await t.test('its requests stand in limit groups', async t => { groups(t, provider) })
    await t.test('any example of an event gives a request or a reason, the same each time, with no secret in it', async t => { examples(t, provider, options) })
    await t.test('its sandbox takes what we send and refuses what is wrong', async t => { await sandbox(t, provider, results, optional) })
  })
}

function cases (t: Test, provider: Provider, results: readonly CaseResult[]): void {
  for (const { case: { name }, fault } of results) t.equal(fault?.message, undefined, name)
  for (const type of Object.keys(provider.events)) {
    const kinds = new Set(results.filter(result => result.case.type === type).map(result => result.case.kind))
    t.ok(kinds.has('full') && kinds.has('minimal'), `${type} has a full and a minimal case`)
  }
  t.equal(results.some(result => result.case.record_only), provider.recordOnly, 'where it can record without sending, a case shows that')
}

/** Secrets for the first way of authorization: the manifest's own examples, and any text where it has none. */
function secretsOf ({ auth, setup }: Provider): Record<string, string> {
  const [way, { fields, examples = {} }] = Object.entries(auth)[0] as [string, Provider['auth'][string]]
  const step = setup.find(one => one.kind === 'api_key' && (one.auth ?? way) === way) as KeyStep | undefined
  return Object.fromEntries(fields.map(name => [name, step?.fields?.[name]?.example ?? examples[name] ?? `conformance-${name}-0123456789`]))
}

function texts (t: Test, provider: Provider): void {
  t.ok(existsSync(join(provider.dir, 'setup.md')), 'setup.md is there')
  t.match(readFileSync(join(provider.dir, 'setup.md'), 'utf8'), /^# \S/, 'it has a title')
  for (const { id, title, text } of provider.setup) t.ok(title !== '' && String(text).endsWith('.'), `step ${id} has its texts`)
  for (const { fields = {} } of provider.setup as KeyStep[]) {
    for (const [name, { pattern, example }] of Object.entries(fields)) {
      if (pattern !== undefined) t.match(example, new RegExp(pattern), `an example shows the form of ${name}`)
    }
  }
}

function groups (t: Test, provider: Provider): void {
  const requests = provider.standIn?.requests ?? []
  t.ok(requests.length > 0)
  for (const { name, group, method } of requests) {
    t.ok(Object.hasOwn(provider.groups, group), `${name} is in a group`)
    t.ok(provider.groups[group]?.match.some(one => one.method === method), `${name} is matched by its group`)
  }
  for (const { group } of Object.values(provider.events)) t.ok(Object.hasOwn(provider.groups, group), `events wait in ${group}`)
}

function examples (t: Test, provider: Provider, { eventTypes }: SuiteOptions): void {
  const secrets = secretsOf(provider)
  for (const type of Object.keys(provider.events)) {
    for (const data of (eventTypes[type] as JsonSchema)['examples'] as Array<Record<string, unknown>>) {
      const scope = caseScope({ type, data })
      const prepared = provider.prepare(type, { ...scope, secret: secrets } as MappingScope)
      const again = provider.prepare(type, { ...scope, delivery: { ...scope.delivery, attempt: 2 } })
      t.equal(JSON.stringify(prepared), JSON.stringify(again), `${type}: another attempt, the same bytes`)
      const recorded = provider.prepare(type, { ...scope, delivery: { ...scope.delivery, record_only: true } })
      const adds = provider.subscribers?.add.includes(type) === true // never only recorded, and looked up before it is repeated
      if (prepared.ok && provider.recordOnly && !adds) t.not(JSON.stringify(prepared), JSON.stringify(recorded), `${type}: the provider is told when it is only to record it`)
      if (!prepared.ok) t.not(prepared.reason, 'mapping_failed', `${type}: refused for ${prepared.reason}`)
      else {
        keeps(t, provider, prepared.request, secrets)
        if (provider.uncertain === 'repeat' && !adds) t.ok(prepared.request.body?.includes('key-1'), 'the delivery key goes along, for the provider to tell repeats by')
      }
    }
  }
}

function keeps (t: Test, provider: Provider, request: PreparedRequest, secrets: Record<string, string>): void {
  const way = Object.keys(provider.auth)[0] as string
  for (const name of Object.keys(provider.authorize(way, secrets))) t.notOk(Object.hasOwn(request.headers, name), `${name} is not prepared`)
  for (const secret of Object.values(secrets)) t.notOk(JSON.stringify(request).includes(secret), 'no secret is prepared')
}

type Send = (request: PreparedRequest, credentials?: Record<string, string>) => Promise<number>

/** The provider's sandbox, and what it answers a request. No window is ever full: a minute passes between two. */
async function played (provider: Provider): Promise<{ send: Send, close (): Promise<void> }> {
  let clock = 0
  const { url, close } = await startSandbox({ providers: [provider], port: 0, now: () => { clock += 60_001; return clock } })
  const ours = provider.authorize(Object.keys(provider.auth)[0] as string, secretsOf(provider))
  const send: Send = async (request, credentials = ours) => {
    const answer = await fetch(`${url}/${provider.id}${request.path}`, { method: request.method, headers: { ...request.headers, ...credentials }, body: request.body })
    await answer.arrayBuffer()
    return answer.status
  }
  return { send, close }
}

async function sandbox (t: Test, provider: Provider, results: readonly CaseResult[], optional: readonly string[]): Promise<void> {
  const { send, close } = await played(provider)
  t.teardown(close)
  const requests = results.map(({ case: { type }, scope }) => provider.prepare(type, scope)).filter(prepared => prepared.ok).map(({ request }) => request)
  for (const request of requests) t.match(await send(request), /^2\d\d$/, `takes ${request.name}`)
  await checks(t, provider, send)
  const request = requests[0] as PreparedRequest
  t.equal(await send(request, {}), 401, 'no credentials')
  t.equal(await send({ ...request, path: '/nowhere' }), 404, 'another path')
  t.match(await send({ ...request, method: 'PUT' }), /^40[45]$/, 'another method')
  t.match(await send({ ...request, headers: { ...request.headers, 'content-type': 'text/plain' } }), /^4\d\d$/, 'another content type')
  t.strictSame(await faultsOfBodies(send, fullest(provider, results), optional), [], 'it refuses every body that is spoilt, and takes one without what is optional')
}

/** What a sandbox takes and must refuse, or refuses and must take, of the bodies of these requests. */
export async function sandboxFaults (provider: Provider, files: Files): Promise<string[]> {
  const { results, optional } = runCases(provider, files)
  const { send, close } = await played(provider)
  try {
    return await faultsOfBodies(send, fullest(provider, results), optional)
  } finally {
    await close()
  }
}

/** By event type: the request of its full case, or of the first that gives one. */
function fullest (provider: Provider, results: readonly CaseResult[]): Map<string, PreparedRequest> {
  const found = new Map<string, PreparedRequest>()
  const byKind = results.toSorted((a, b) => Number(b.case.kind === 'full') - Number(a.case.kind === 'full'))
  for (const { case: { type }, scope } of byKind) {
    const prepared = found.has(type) ? null : provider.prepare(type, scope)
    if (prepared?.ok === true) found.set(type, prepared.request)
  }
  return found
}

async function faultsOfBodies (send: Send, requests: ReadonlyMap<string, PreparedRequest>, optional: readonly string[]): Promise<string[]> {
  const faults: string[] = []
  const carried = new Set([...requests.values()].flatMap(keysOf))
  for (const name of optional) if (!carried.has(name)) faults.push(`optional names ${name}, which no request carries`)
  for (const [type, request] of requests) {
    for (const { what, ...spoilt } of broken(request)) {
      const status = await send({ ...request, ...spoilt })
      if (!isRefusal(status)) faults.push(`${type}: ${what} is answered ${status}`)
    }
    for (const { key, ...left } of without(request)) {
      const status = await send({ ...request, ...left })
      const right = optional.includes(key) ? (status >= 200 && status < 300) || status === KNOWN : isRefusal(status)
      if (!right) faults.push(`${type}: a body without ${key} is answered ${status}`)
    }
  }
  return faults
}

/** The body is right, and what it makes is there already. */
const KNOWN = 409

function isRefusal (status: number): boolean {
  return status >= 400 && status < 500 && status !== KNOWN
}

/** The requests that set-up steps check with are taken too. */
async function checks (t: Test, provider: Provider, send: Send): Promise<void> {
  for (const { check } of provider.setup) {
    if (check === null) continue
    const prepared = provider.request(check.request, { connection: { account_id: 'ACCT01', settings: provider.settingsDefaults } })
    t.ok(prepared.ok)
    if (prepared.ok) t.equal(await send(prepared.request), check.expect.status, 'takes the check')
  }
}
