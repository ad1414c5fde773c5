// A provider that limits us: R40 and R41 of the fault list.

import t from 'tap'
import { until } from '../helpers/fake-runtime.ts'
import { inTurn, status } from '../helpers/fault-server.ts'
import { eventType, HOUR_MS, shop } from '../helpers/make.ts'
import { world } from '../delivery/world.ts'
import { Arrivals, quiet, sentOf } from './watch.ts'

/** Long enough for a busy machine to look twice. */
const BEFORE_MS = 15_000
const types = { 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: 72 * HOUR_MS }) }

/** What the header says, and for how long nothing may go. */
const HEADERS: Record<string, { headers: (now: number) => string[], pauseMs: number }> = {
  zero: { headers: () => ['0'], pauseMs: 1000 },
  seconds: { headers: () => ['7'], pauseMs: 7000 },
  two: { headers: () => ['9', '300'], pauseMs: 9000 },
  negative: { headers: () => ['-5'], pauseMs: 60_000 },
  word: { headers: () => ['abc'], pauseMs: 60_000 },
  both: { headers: () => ['abc', '2'], pauseMs: 60_000 },
  past: { headers: now => [new Date(now - 5000).toUTCString()], pauseMs: 60_000 },
  date: { headers: now => [new Date(now + 120_000).toUTCString()], pauseMs: 118_000 }, // dates have no milliseconds
  long: { headers: () => ['67608'], pauseMs: 67_608_000 },
  year: { headers: () => ['31536000'], pauseMs: 24 * HOUR_MS }
}

t.test('R40: a 429 pauses its account as long as Retry-After says, in whatever form, and no other; it costs no attempt', async t => {
  const names = Object.keys(HEADERS)
  const limited = new Set(names)
  const seen = new Arrivals(() => w)
  const w = await world(t, {
    shops: [...names, 'other'].map(name => shop(name)),
    config: { eventTypes: types },
    reply: exchange => {
      seen.note(exchange)
      const { shop } = sentOf(exchange)
      if (limited.delete(shop)) return status(429, { 'retry-after': HEADERS[shop]?.headers(w.runtime.now()) ?? [] })(exchange)
      return status(202)(exchange)
    }
  })
  const waiting = new Map<string, string[]>()
  for (const name of names) {
    const [first] = await w.accept(name) as [string]
    await w.becomes(first, 'waiting', 'rate_limited')
    waiting.set(name, [first, ...await w.accept(name, 2)])
  }
  const since = (name: string): number => Math.floor(w.runtime.mono() - (seen.of(name)[0] as number))
  for (const name of names.toSorted((a, b) => (HEADERS[a]?.pauseMs ?? 0) - (HEADERS[b]?.pauseMs ?? 0))) {
    const { pauseMs } = HEADERS[name] as { pauseMs: number }
    const ids = waiting.get(name) as string[]
    if (pauseMs - since(name) > 2 * BEFORE_MS) {
      w.runtime.skip(pauseMs - since(name) - BEFORE_MS)
      await w.all(await w.accept('other'), 'delivered')
      await quiet(w) // what would go too soon goes now
    }
    w.runtime.skip(Math.max(0, pauseMs - since(name)))
    await w.all(ids, 'delivered')
    const [refused, next] = seen.of(name) as [number, number]
    t.ok(next - refused >= pauseMs, `${name}: ${next - refused} ms`)
    t.ok(next - refused < pauseMs + 60_000, `${name}: ${next - refused} ms`)
    t.equal(seen.of(name).length, 4)
    t.strictSame(await Promise.all(ids.map(async id => (await w.delivery(id)).attempts)), [1, 1, 1], 'the one that passed is the one that is paid')
  }
})

t.test('R41: 429s without a time wait 60 s × 2^n, a fifth more or less, at most an hour, and an answer in between starts anew', async t => {
  const refused = 9
  const seen = new Arrivals(() => w)
  const limit = status(429)
  const replies = inTurn(...Array.from({ length: refused }, () => limit), status(202), limit, status(202))
  const w = await world(t, { config: { eventTypes: types }, reply: exchange => { seen.note(exchange); return replies(exchange) } })
  const [id] = await w.accept('a') as [string]
  for (let n = 0; n < refused; n++) {
    const plainMs = Math.min(60_000 * 2 ** n, HOUR_MS)
    await until(`refusal ${n + 1}`, async () => seen.of('a').length === n + 1 && (await w.shown(id)).state === 'waiting')
    const row = await w.delivery(id)
    const waitMs = (row.due_at as number) - (row.settled_at as number)
    t.equal(waitMs, Math.round(plainMs * (0.8 + 0.4 * w.runtime.dice)), `after ${n + 1}`)
    t.equal(row.attempts, 0)
    w.runtime.dice = [0, 0.999, 0.5][n % 3] as number
    if (n < 3) {
      w.runtime.skip(waitMs - BEFORE_MS)
      await quiet(w)
    }
    w.runtime.skip(Math.max(0, (row.due_at as number) - w.runtime.now()))
  }
  await w.becomes(id, 'delivered')
  for (const [n, at] of seen.of('a').slice(1).entries()) t.ok(at - (seen.of('a')[n] as number) >= 0.8 * Math.min(60_000 * 2 ** n, HOUR_MS) - 1, `${n + 1} was not before its time`)
  const [next] = await w.accept('a') as [string]
  const row = await w.becomes(next, 'waiting', 'rate_limited')
  const waitMs = (row.due_at as number) - (row.settled_at as number)
  t.ok(waitMs <= 72_000, `from the start: ${waitMs} ms`)
  w.runtime.skip(waitMs)
  await w.becomes(next, 'delivered')
})

t.test('R40: what cannot wait that long expires with the words for it, and nothing is sent for it', async t => {
  const w = await world(t, { config: { eventTypes: { 'thing.happened': eventType({ type: 'thing.happened', expiresAfterMs: HOUR_MS }) } }, reply: status(429, { 'retry-after': '7200' }) })
  const [first] = await w.accept('a') as [string]
  await w.becomes(first, 'expired', 'expired_rate_limited')
  t.equal(w.server.received.length, 1)
})
