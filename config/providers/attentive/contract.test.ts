// Attentive's documented facts (named in provider.yaml beside this) against what we send.

import t from 'tap'
import { runCases } from '../../../gateway/providers/cases.ts'
import { startSandbox } from '../../../gateway/providers/sandbox.ts'
import { entry, files, loadOne } from '../../../test/helpers/providers.ts'

interface Body { type: string, properties: Record<string, unknown>, externalEventId: string, user: { phone: string } }

const attentive = await loadOne(entry('attentive', import.meta.dirname))
const sent = runCases(attentive, files()).results.flatMap(({ case: { type }, scope }) => {
  const prepared = attentive.prepare(type, scope)
  return prepared.ok ? [{ type, request: prepared.request, body: JSON.parse(prepared.request.body as string) as Body }] : []
})

t.test('names, keys and values are such as an SMS Journey can use', async t => {
  t.ok(sent.length >= 8)
  for (const { body } of sent) {
    t.notMatch(body.type, /["'(){}[\]\\|,]/)
    t.strictSame(Object.keys(body), ['type', 'properties', 'externalEventId', 'user'], 'no occurredAt: an old one would trigger nothing')
    t.ok(Object.keys(body.properties).length <= 200)
    for (const [key, value] of Object.entries(body.properties)) {
      t.notMatch(key, /["{}[\]\\|]/)
      t.notOk(typeof value === 'object', `${key} is no list and no object`)
    }
    t.match(body.user.phone, /^\+[1-9]\d{6,14}$/)
  }
  t.strictSame(new Set(sent.map(({ body }) => body.type)), new Set(['Back in stock SMS alert - STOQ', 'Back in stock SMS reminder 1 - STOQ', 'Preorder SMS confirmed - STOQ']))
})

t.test('a request without an answer is not repeated, and 150 go out in a second', async t => {
  t.equal(attentive.uncertain, 'park')
  for (const group of Object.values(attentive.groups)) t.strictSame(group.windows, [{ max: 150, perMs: 1000 }])
})

t.test('the stand-in refuses what the documentation does', async t => {
  let clock = 0
  const { url, close } = await startSandbox({ providers: [attentive], port: 0, now: () => { clock += 1000; return clock } })
  t.teardown(close)
  const { request, body } = sent[0] as typeof sent[number]
  const send = async (value: unknown, headers: Record<string, string> = {}): Promise<number> => {
    const answer = await fetch(`${url}/attentive${request.path}`, { method: 'POST', headers: { ...request.headers, authorization: 'Bearer sandbox_key', ...headers }, body: JSON.stringify(value) })
    return answer.status
  }
  const table: Array<[string, unknown, number]> = [
    ['in order', body, 200],
    ['no type', { ...body, type: undefined }, 400],
    ['a type with parentheses', { ...body, type: 'Alert (STOQ)' }, 400],
    ['a type with a comma', { ...body, type: 'a, b' }, 400],
    ['a type with a quote', { ...body, type: "shop's" }, 400],
    ['no user', { ...body, user: undefined }, 400],
    ['a user without anything', { ...body, user: {} }, 400],
    ['a user with more', { ...body, user: { ...body.user, name: 'Ada' } }, 400],
    ['a phone that is not E.164', { ...body, user: { phone: '2015550123' } }, 400],
    ['a key with braces', { ...body, properties: { '{a}': '1' } }, 400],
    ['a key with a bar', { ...body, properties: { 'a|b': '1' } }, 400],
    ['a list', { ...body, properties: { a: [] } }, 400],
    ['an object', { ...body, properties: { a: {} } }, 400],
    ['201 keys', { ...body, properties: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`k${i}`, '1'])) }, 400],
    ['a time without an offset', { ...body, occurredAt: '2026-11-21T19:20:00' }, 400],
    ['a key more', { ...body, more: 1 }, 400],
    ['no object', [], 400]
  ]
  for (const [name, value, status] of table) t.equal(await send(value), status, name)
  t.equal(await send(body, { authorization: 'Basic abc' }), 401)
  t.equal(await send(body, { 'content-type': 'text/plain' }), 415)
  const { items } = await (await fetch(`${url}/attentive/_sandbox/requests?limit=1000`)).json() as { items: Array<{ key?: string, status: number }> }
  t.equal(items.at(-1)?.key, 'key-1', 'what was received can be told apart')
})
