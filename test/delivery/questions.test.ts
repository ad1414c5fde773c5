// What an answer to a question does to the lane it went over: as that to a delivery would.

import t, { type Test } from 'tap'
import type { Answer } from '../../gateway/contract.ts'
import { until } from '../helpers/fake-runtime.ts'
import { status, type Reply } from '../helpers/fault-server.ts'
import { group, HOUR_MS, request } from '../helpers/make.ts'
import { world, type World, type WorldOptions } from './world.ts'

const MINUTE_MS = 60_000

async function ask (w: World): Promise<Answer> {
  const { secrets, ...connection } = (await w.state('a')).connections.get('alpha') as never as { secrets: Record<string, string> }
  return await w.deliver.ask({ ...connection, secrets } as never, 'me', {})
}

/** Questions go over the lane `reads`, deliveries over `events`. */
async function asking (t: Test, reply: Reply, windows = [{ max: 100, perMs: 1000 }], more: WorldOptions = {}): Promise<World> {
  return await world(t, { ...more, reply, providers: [{ groups: { events: group('events'), reads: group('reads', windows) }, request: name => ({ ok: true, request: request({ name, group: 'reads', method: 'GET', path: `/${name}`, body: null }) }) }] })
}

t.test('R44: a 429 of a question pauses its lane for as long as Retry-After says, and no other lane; the store knows of it', async t => {
  const w = await asking(t, status(429, { 'retry-after': '1800' }))
  t.match(await ask(w), { kind: 'answer', status: 429 })
  w.server.reply = status(202)
  const asked = ask(w)
  await w.all(await w.accept('a', 3), 'delivered')
  w.runtime.skip(11_000)
  const answer = await asked as Extract<Answer, { kind: 'not_sent' }>
  t.match(answer, { kind: 'not_sent', code: 'NO_ROOM' })
  t.ok(Number(answer.afterMs) > 1_700_000 && Number(answer.afterMs) < 1_800_000, `it tells when there is room: ${answer.afterMs} ms`)
  t.match((await w.query('select pauses from accounts'))[0]?.pauses, /"reads": ?\d+/)
  w.runtime.skip(30 * MINUTE_MS)
  t.match(await ask(w), { kind: 'answer', status: 202 })
})

t.test('a 429 of a question that names no time pauses its lane for a minute, and for longer the next time', async t => {
  const w = await asking(t, status(429))
  for (const leastMs of [48_000, 96_000]) {
    t.match(await ask(w), { kind: 'answer', status: 429 })
    const asked = ask(w)
    w.runtime.skip(11_000)
    const { afterMs } = await asked as Extract<Answer, { kind: 'not_sent' }>
    t.ok(Number(afterMs) > leastMs - 12_000 && Number(afterMs) < 2 * leastMs, `${afterMs} ms`)
    w.runtime.skip(Number(afterMs))
  }
})

t.test('a question reads an answer of up to 2 MiB, a delivery one of 64 KiB; what is larger is cut, and told to be', async t => {
  const w = await asking(t, status(200, { 'content-type': 'text/plain' }, 'x'.repeat(2 * 1024 * 1024)))
  const { cut, body } = await ask(w) as Extract<Answer, { kind: 'answer' }>
  t.strictSame([cut, body.length], [false, 2 * 1024 * 1024])
  w.server.reply = status(200, { 'content-type': 'text/plain' }, 'x'.repeat(2 * 1024 * 1024 + 1))
  t.match(await ask(w), { kind: 'answer', status: 200, cut: true })
  for (const [length, reason] of [[64 * 1024, null], [64 * 1024 + 1, 'answer_unreadable']] as const) {
    w.server.reply = status(202, { 'content-type': 'text/plain' }, 'x'.repeat(length))
    const [id = ''] = await w.accept('a')
    t.match(await w.becomes(id, 'delivered'), { reason }, `${length} bytes`)
  }
})

t.test('a question without room is told when there will be some', async t => {
  const w = await asking(t, status(200), [{ max: 1, perMs: HOUR_MS }])
  t.match(await ask(w), { kind: 'answer' })
  const asked = ask(w)
  await until('it waits', () => w.server.received.length === 1)
  w.runtime.skip(MINUTE_MS)
  const answer = await asked as Extract<Answer, { kind: 'not_sent' }>
  t.equal(answer.code, 'NO_ROOM')
  t.ok(Number(answer.afterMs) > 50 * MINUTE_MS && Number(answer.afterMs) < HOUR_MS, `${answer.afterMs} ms`)
})

t.test('R7: while nothing may be sent for the disk\'s sake, no question is put either, and none is kept as put', async t => {
  let paused = true
  const w = await asking(t, status(200), undefined, { paused: () => paused })
  t.match(await ask(w), { kind: 'not_sent', code: 'STOPPED' })
  t.strictSame([w.server.received.length, await w.query('select * from calls')], [0, []])
  paused = false
  t.match(await ask(w), { kind: 'answer', status: 200 })
})
