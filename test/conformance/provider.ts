// What every provider's folder must keep, with code or without.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Files, JsonSchema, MappingScope, PreparedRequest, Provider } from '../../gateway/contract.ts'
import { caseScope, runCases } from '../../gateway/providers/cases.ts'
import type { CaseResult } from '../../gateway/providers/cases.ts'
import { startSandbox } from '../../gateway/providers/sandbox.ts'

export interface SuiteOptions {
  files: Files
  /** JSON Schema of each event type, with examples. */
  eventTypes: Record<string, JsonSchema>
  /** Secrets that the provider's sandbox takes. */
  secrets: Record<string, string>
}

/** Runs the suite as a child of `t`. */
export async function providerSuite (t: Test, provider: Provider, options: SuiteOptions): Promise<void> {
  await t.test(`provider ${provider.id}`, async t => {
    const { results, faults } = runCases(provider, options.files)
    t.strictSame(faults, [], 'cases.yaml is in order')
    await t.test('its cases give the requests they say', async t => { cases(t, provider, results) })
    await t.test('its merchant is told what to do', async t => { texts(t, provider) })
    await t.test('its requests stand in limit groups', async t => { groups(t, provider) })
    await t.test('any example of an event gives a request or a reason, the same each time, with no secret in it', async t => { examples(t, provider, options) })
    await t.test('its sandbox takes what we send and refuses what is wrong', async t => { await sandbox(t, provider, results, options) })
  })
}

function cases (t: Test, provider: Provider, results: readonly CaseResult[]): void {
  for (const { case: { name }, fault } of results) t.equal(fault?.message, undefined, name)
  for (const type of Object.keys(provider.events)) {
    const kinds = new Set(results.filter(result => result.case.type === type).map(result => result.case.kind))
    t.ok(kinds.has('full') && kinds.has('minimal'), `${type} has a full and a minimal case`)
  }
}

function texts (t: Test, provider: Provider): void {
  t.ok(existsSync(join(provider.dir, 'setup.md')), 'setup.md is there')
  t.match(readFileSync(join(provider.dir, 'setup.md'), 'utf8'), /^# \S/, 'it has a title')
  for (const { id, title, text } of provider.setup) t.ok(title !== '' && String(text).endsWith('.'), `step ${id} has its texts`)
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

function examples (t: Test, provider: Provider, { eventTypes, secrets }: SuiteOptions): void {
  for (const type of Object.keys(provider.events)) {
    for (const data of (eventTypes[type] as JsonSchema)['examples'] as Array<Record<string, unknown>>) {
      const scope = caseScope({ type, data })
      const prepared = provider.prepare(type, { ...scope, secret: secrets } as MappingScope)
      const again = provider.prepare(type, { ...scope, delivery: { ...scope.delivery, attempt: 2 } })
      t.equal(JSON.stringify(prepared), JSON.stringify(again), `${type}: another attempt, the same bytes`)
      if (!prepared.ok) t.not(prepared.reason, 'mapping_failed', `${type}: refused for ${prepared.reason}`)
      else keeps(t, provider, prepared.request, secrets)
    }
  }
}

function keeps (t: Test, provider: Provider, request: PreparedRequest, secrets: Record<string, string>): void {
  const way = Object.keys(provider.auth)[0] as string
  for (const name of Object.keys(provider.authorize(way, secrets))) t.notOk(Object.hasOwn(request.headers, name), `${name} is not prepared`)
  for (const secret of Object.values(secrets)) t.notOk(JSON.stringify(request).includes(secret), 'no secret is prepared')
  if (provider.uncertain === 'repeat') t.ok(request.body?.includes('key-1'), 'the delivery key goes along, for the provider to tell repeats by')
}

async function sandbox (t: Test, provider: Provider, results: readonly CaseResult[], { secrets }: SuiteOptions): Promise<void> {
  let clock = 0
  const { url, close } = await startSandbox({ providers: [provider], port: 0, now: () => { clock += 60_001; return clock } }) // no window is ever full
  t.teardown(close)
  const way = Object.keys(provider.auth)[0] as string
  const send = async (request: PreparedRequest, credentials = provider.authorize(way, secrets)): Promise<number> => {
    const answer = await fetch(`${url}/${provider.id}${request.path}`, { method: request.method, headers: { ...request.headers, ...credentials }, body: request.body })
    await answer.arrayBuffer()
    return answer.status
  }
  const requests = results.map(({ case: { type }, scope }) => provider.prepare(type, scope)).filter(prepared => prepared.ok).map(({ request }) => request)
  for (const request of requests) t.match(await send(request), /^2\d\d$/, `takes ${request.name}`)
  await checks(t, provider, send)
  const request = requests[0] as PreparedRequest
  t.equal(await send(request, {}), 401, 'no credentials')
  t.equal(await send({ ...request, path: '/nowhere' }), 404, 'another path')
  t.match(await send({ ...request, method: 'PUT' }), /^40[45]$/, 'another method')
  t.match(await send({ ...request, headers: { ...request.headers, 'content-type': 'text/plain' } }), /^4\d\d$/, 'another content type')
  for (const body of broken(request.body as string)) t.match(await send({ ...request, body }), /^4\d\d$/, `refuses ${body.slice(0, 80)}`)
}

/** The requests that set-up steps check with are taken too. */
async function checks (t: Test, provider: Provider, send: (request: PreparedRequest) => Promise<number>): Promise<void> {
  for (const { check } of provider.setup) {
    if (check === undefined) continue
    const prepared = provider.request((check as { request: string }).request, { connection: { account_id: 'ACCT01', settings: provider.settingsDefaults } })
    t.ok(prepared.ok)
    if (prepared.ok) t.equal(await send(prepared.request), (check as { expect: { status: number } }).expect.status, 'takes the check')
  }
}

/** A body, spoilt at its top: one key less, one more; and no body of its kind at all. */
function * broken (body: string): Generator<string> {
  if (!body.startsWith('{')) {
    const keys = [...new URLSearchParams(body).keys()]
    for (const key of keys) yield body.split('&').filter(pair => !pair.startsWith(`${key}=`)).join('&')
    yield `${body}&zzz=1`
    return
  }
  const data = JSON.parse(body) as Record<string, unknown>
  for (const key of Object.keys(data)) {
    yield JSON.stringify({ ...data, [key]: undefined })
    yield JSON.stringify({ ...data, [key]: 7 })
  }
  yield JSON.stringify({ ...data, zzz: 1 })
  yield '[]'
  yield body.slice(0, -1)
}
