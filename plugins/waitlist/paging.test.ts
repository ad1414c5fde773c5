// A wave page by page, without a gateway: what it reads and makes at once, what the door refuses, and what overtakes it.

import t, { type Test } from 'tap'
import type { Made, Row, SourceContext, SourceEvent, Step, Value } from '../../gateway/define.ts'
import { fateOf } from './sent.ts'
import { makeWorld, SHOP, type World } from './stock.test-world.ts'
import { runWaves } from './wave.ts'

t.jobs = 2

interface Played {
  world: World
  /** Rows of the largest answer of the store, and events of the largest unit. */
  most: { rows: number, events: number }
  made: string[]
  room: number
  /** Instead of taking them. */
  onAccept: (events: ReadonlyArray<SourceEvent & { shop: string }>) => Made | Promise<Made | null> | null
  run (): Promise<{ afterMs: number, cursor: string | null } | null>
}

async function play (t: Test): Promise<Played> {
  const world = await makeWorld(t)
  const played: Played = { world, most: { rows: 0, events: 0 }, made: [], room: Infinity, onAccept: () => null, run: async () => await runWaves({ uniqueKey: '1:v', attempts: 1, cursor: null }, context) }
  let turns = 0
  const context = {
    ...world.context,
    mono: () => 0,
    newId: (prefix: string) => `${prefix}${++turns}`,
    shopByKey: async () => ({ ...SHOP, name: 'Acme', domain: SHOP.id, plan: 'pro', capabilities: ['batches'] }),
    ahead: async () => ({ room: played.room, waiting: 0, provider: 'courier', held: null }),
    warn () {},
    read: async (name: string, params: Record<string, Value>): Promise<Row[]> => {
      const rows = name === 'message_ends' ? (JSON.parse(params.source_ids as string) as string[]).map(id => ({ source_id: id, state: 1, reason: null, finished_at: null })) : await world.store.read(name, params)
      played.most.rows = Math.max(played.most.rows, rows.length)
      return rows
    },
    accept: async (events: ReadonlyArray<SourceEvent & { shop: string }>, steps: Step[]): Promise<Made> => {
      const instead = await played.onAccept(events)
      if (instead !== null) return instead
      await world.store.commit(steps)
      played.made.push(...events.map(({ id }) => id))
      played.most.events = Math.max(played.most.events, events.length)
      return { is: 'accepted', events: events.map(({ id }) => ({ sourceId: id, status: 'accepted' })) }
    }
  } as unknown as SourceContext
  return played
}

const DATA = '{"customer":{},"product":{"id":"p"},"variant":{"id":"v","price":{"amount":"1","currency":"USD"}}}'

async function fill (world: World, count: number): Promise<void> {
  await world.waits('sgn_first')
  await world.sql(`insert into waitlist_signups (id, shop_key, variant, product, market, person, data, consent, source, joined_at, created_at)
    select 'sgn_' || n, 1, 'v', 'p', 'm' || n, person, '${DATA}', 1, 'test', joined_at + n, 0 from waitlist_signups cross join (with recursive number (n) as (select 1 as n union all select n + 1 from number where n < ${count}) select n from number) as numbers`)
  await world.sql('delete from waitlist_signups where id = \'sgn_first\'')
}

t.test('F3: however many wait, a page of them is read and made at once', async t => {
  const played = await play(t)
  await fill(played.world, 4000)
  await played.world.stock('a', 1, 1)
  await played.run()
  t.equal(new Set(played.made).size, 4000)
  t.equal(played.made.length, 4000)
  t.strictSame(played.made.slice(0, 3), ['sgn_1/alert/1', 'sgn_2/alert/1', 'sgn_3/alert/1'], 'oldest first')
  t.strictSame(played.most, { rows: 500, events: 500 })
})

t.test('F3: no more is made than there is room ahead', async t => {
  const played = await play(t)
  await fill(played.world, 300)
  await played.world.stock('a', 1, 1)
  played.onAccept = events => { played.room -= events.length; return null }
  played.room = 120
  t.match(await played.run(), { afterMs: 500 })
  t.equal(played.made.length, 120)
  played.room = 30
  await played.run()
  t.equal(played.made.length, 150)
})

t.test('F3: a sign-up that the door refuses is skipped, and the others go', async t => {
  const played = await play(t)
  await fill(played.world, 20)
  await played.world.stock('a', 1, 1)
  played.onAccept = events => {
    const bad = events.find(({ id }) => /sgn_(3|7)\//.test(id))
    return bad === undefined ? null : { is: 'refused', sourceId: bad.id, code: 'GW_EVENT_INVALID', message: 'no' }
  }
  await played.run()
  t.equal(played.made.length, 18)
  t.strictSame((await played.world.sql('select id, reason from waitlist_signups where state = 4 order by id')).map(row => ({ ...row })), [{ id: 'sgn_3', reason: 'event_refused' }, { id: 'sgn_7', reason: 'event_refused' }])
  played.onAccept = () => ({ is: 'refused', sourceId: null, code: 'GW_EVENT_TYPE_UNKNOWN', message: 'no such type' })
  await played.world.waits('sgn_last')
  await played.world.sql(`update waitlist_waves set after_at = 0, after_key = 0`)
  await t.rejects(played.run(), { message: /GW_EVENT_TYPE_UNKNOWN/ }, 'what is nobody\'s fault who waits is tried again')
  t.match(await played.world.sql('select state from waitlist_signups where id = \'sgn_last\''), [{ state: 1 }])
})

t.test('F3: what sells out, is removed or is taken by another wave at the very moment fails the page, which is made anew', async t => {
  const played = await play(t)
  const { world } = played
  await fill(world, 10)
  await world.stock('a', 1, 1)
  let overtaken = 0
  played.onAccept = async () => {
    if (overtaken++ === 0) await world.stock('b', 0, 2)
    return null
  }
  await played.run()
  t.strictSame(played.made, [], 'the wave has ended before its page')
  t.match(await world.sql('select state, reason, settled, made from waitlist_waves'), [{ state: 2, reason: 'sold_out', settled: 1, made: 0 }])
  t.match(await world.sql('select count(*) as n from waitlist_signups where state = 1'), [{ n: 10 }])
  await world.stock('c', 1, 3)
  overtaken = 0
  played.onAccept = async () => {
    if (overtaken++ === 0) await world.sql('update waitlist_signups set state = 5 where id = \'sgn_1\'')
    return null
  }
  await played.run()
  t.equal(overtaken, 2, 'nothing of the first page was kept')
  t.equal(played.made.length, 9)
  t.notOk(played.made.includes('sgn_1/alert/1'))
})

t.test('what became of a message: one that may have been sent was sent, and whoever is told nothing by no fault of theirs waits again', async t => {
  const message = (state: number, reason: string | null, at: number | null = 5) => ({ source_id: 'x', state, reason, finished_at: at })
  t.strictSame(fateOf([message(1, null, null)]), { is: 'open' })
  t.strictSame(fateOf([message(3, null)]), { is: 'told', at: 5 })
  t.strictSame(fateOf([message(4, 'no_answer')]), { is: 'told', at: 5 })
  t.strictSame(fateOf([message(4, 'no_answer', null)]), { is: 'open' })
  t.strictSame(fateOf([message(5, 'opted_out')]), { is: 'skipped', reason: 'opted_out' })
  t.strictSame(fateOf([message(5, 'payload_refused'), message(3, null)]), { is: 'told', at: 5 }, 'sent again by a person')
  for (const reason of ['sold_out', 'wave_stopped', 'expired', 'expired_rate_limited']) t.strictSame(fateOf([message(reason.startsWith('expired') ? 6 : 5, reason)]), { is: 'returned', reason })
  t.strictSame(fateOf([]), { is: 'skipped', reason: 'expired' })
})
