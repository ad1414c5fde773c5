// F3: stock as it is told, in any order and more than once, and the crossing of the threshold that a wave begins with.

import * as fc from 'fast-check'
import t from 'tap'
import { makeWorld } from './stock.test-world.ts'

t.jobs = 2

t.test('F3: a restock fires once; it is armed again when the stock has fallen below the threshold', async t => {
  const world = await makeWorld(t)
  await world.waits('sgn_1')
  await world.stock('a', 0, 1)
  t.match(await world.seen(), { total: 0, armed: 1, waves: 0 })
  await world.stock('b', 7, 2)
  await world.stock('b', 7, 2)
  t.match(await world.seen(), { total: 7, armed: 0, waves: 1, running: 1 })
  for (const [id, available, at] of [['c', 6, 3], ['d', 9, 4]] as const) await world.stock(id, available, at)
  t.match(await world.seen(), { total: 9, waves: 1, running: 1 })
  await world.stock('e', 0, 5)
  t.match(await world.seen(), { total: 0, armed: 1, waves: 1, running: 0 })
  t.match(await world.sql('select kind, state, reason, stock_before, stock_after from waitlist_waves'), [{ kind: 'restock', state: 2, reason: 'sold_out', stock_before: 0, stock_after: 7 }])
  await world.stock('f', 3, 6)
  t.match(await world.seen(), { armed: 0, waves: 2, running: 1 })
  t.match((await world.sql('select kind, unique_key from jobs')), [{ kind: 'waitlist_wave', unique_key: '1:v' }], 'one job works on all of them')
})

t.test('F3: no wave where nobody waits, where it was never seen out of stock, or where the shop sends by hand', async t => {
  const world = await makeWorld(t)
  await world.stock('a', 0, 1)
  await world.stock('b', 5, 2)
  t.match(await world.seen(), { total: 5, armed: 0, waves: 0 })
  await world.stock('c', 5, 1, { variant: 'new' })
  await world.stock('d', 6, 2, { variant: 'new' })
  t.match(await world.seen('new'), { total: 6, armed: 0, waves: 0 }, 'a variant that is first seen in stock has crossed nothing')
  await world.waits('sgn_1')
  await world.stock('e', 6, 3)
  t.match(await world.seen(), { waves: 0 }, 'who signs up while it is in stock waits for the next crossing')
  t.strictSame(await world.sql('select 1 as one from jobs'), [])
  await world.sql('insert into waitlist_settings (shop_key, data, automatic, updated_at) values (1, \'{}\', 0, 0)')
  await world.waits('sgn_2', { variant: 'hand' })
  await world.stock('f', 6, 3, { variant: 'hand' })
  t.match(await world.seen('hand'), { armed: 0, waves: 0 })
})

t.test('F3: who signs up for a variant that nobody told about is alerted at the first stock', async t => {
  const world = await makeWorld(t)
  await world.waits('sgn_1')
  await world.stock('a', 2, 1, { location: 'l1' })
  t.match(await world.seen(), { total: 2, armed: 0, waves: 1 })
})

t.test('F3: another threshold tells nobody, and counts from the next crossing on', async t => {
  const world = await makeWorld(t)
  await world.waits('sgn_1')
  await world.stock('a', 0, 1)
  world.options.threshold = 5
  await world.stock('b', 4, 2)
  t.match(await world.seen(), { total: 4, armed: 1, waves: 0 }, 'four are below five')
  world.options.threshold = 3
  await world.stock('c', 4, 3)
  t.match(await world.seen(), { total: 4, armed: 0, waves: 0 }, 'the stock did not change, and so nothing was crossed')
  await world.stock('d', 2, 4)
  await world.stock('e', 3, 5)
  t.match(await world.seen(), { waves: 1, running: 1 })
  await world.stock('f', 2, 6)
  t.match(await world.seen(), { running: 0 })
})

t.test('stock of several locations is their sum; a total that was told stands, and changes with them', async t => {
  const world = await makeWorld(t)
  const total = async (): Promise<number | null> => (await world.seen()).total
  await world.stock('a', 3, 1, { location: 'l1' })
  await world.stock('b', 4, 2, { location: 'l2' })
  t.equal(await total(), 7)
  await world.stock('c', 20, 3)
  t.equal(await total(), 20, 'there is a location that nobody told about')
  await world.stock('d', 2, 4, { location: 'l1' })
  t.equal(await total(), 19)
  await world.stock('e', 9, 2.5, { location: 'l2' })
  t.equal(await total(), 19, 'older than the total: it was in it')
  await world.stock('f', 8, 5, { location: 'l2' })
  t.equal(await total(), 18)
  await world.stock('g', 1, 2)
  t.equal(await total(), 18, 'an older total changes nothing')
  await world.stock('h', -2, 6)
  t.equal(await total(), -2)
})

t.test('of what a location said only that stays from which a total may still be counted', async t => {
  const world = await makeWorld(t)
  for (let i = 0; i < 60; i++) await world.stock(`a${i}`, i, i * 60, { location: 'l1' })
  const { levels, total } = await world.seen()
  t.equal(total, 59)
  t.ok(levels <= 17, `${levels} are kept`)
  await world.stock('late', 100, 50 * 60)
  t.match(await world.seen(), { total: 109 }, 'a total of ten minutes ago is counted on from there')
})

interface Told { id: string, at: number, available: number, location?: string }
const told: fc.Arbitrary<Told[]> = fc.uniqueArray(fc.record({ at: fc.integer({ min: 1, max: 600 }), available: fc.integer({ min: -3, max: 9 }), location: fc.constantFrom(undefined, 'l1', 'l2') }), { minLength: 2, maxLength: 7, selector: ({ at, location }) => `${at} ${location}` })
  .map(all => all.map((one, i) => ({ id: `s${i}`, at: one.at, available: one.available, ...(one.location !== undefined && { location: one.location }) })))

t.test('F2: in whatever order the stock is told, and how often, it ends the same', async t => {
  const world = await makeWorld(t)
  let variants = 0
  const play = async (all: readonly Told[]): Promise<number | null> => {
    const variant = `v${variants++}`
    for (const { id, available, at, location } of all) await world.stock(`${variant} ${id}`, available, at, { variant, ...(location !== undefined && { location }) })
    return (await world.seen(variant)).total
  }
  const mixed = told.chain(all => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }), fc.subarray(all)))
  await fc.assert(fc.asyncProperty(mixed, async ([all, shuffled, again]) => await play(all.toSorted((a, b) => a.at - b.at)) === await play([...shuffled, ...again])), { numRuns: 60 })
  t.ok(variants > 60)
})

t.test('F3: one restock, told in any order and repeatedly, makes one wave', async t => {
  const world = await makeWorld(t)
  let variants = 0
  const steps = [0, 3, 7, 6, 9].map((available, i) => ({ id: `s${i}`, available, at: i + 1 }))
  await fc.assert(fc.asyncProperty(fc.shuffledSubarray(steps, { minLength: steps.length }), fc.subarray(steps), async (shuffled, again) => {
    const variant = `v${variants++}`
    await world.waits(`sgn_${variant}`, { variant })
    for (const { id, available, at } of [...shuffled, ...again]) await world.stock(`${variant} ${id}`, available, at, { variant })
    const { total, waves, running } = await world.seen(variant)
    return total === 9 && waves === 1 && running === 1
  }), { numRuns: 60 })
})

t.test('F5: who has bought any variant of the product since does not wait for it; by customer, phone or e-mail', async t => {
  const world = await makeWorld(t)
  await world.waits('sgn_phone', { person: 'ann' })
  await world.waits('sgn_mail', { email: 'ben@example.com' })
  await world.waits('sgn_customer', { customer: '6001' })
  await world.waits('sgn_alerted', { person: 'dan', state: 3 })
  await world.waits('sgn_other', { person: 'eve' })
  const order = (id: string, customer: object, lines: object[], person: string | null = null): Promise<void> => world.event(id, 'order.placed', { customer: { name: '', country: 'US', ...customer }, lines }, person === null ? null : Buffer.from(person))
  await order('o1', {}, [{ product_id: 'p', quantity: 1 }], 'ann')
  await order('o2', { email: 'Ben@Example.com' }, [{ variant_id: 'v', quantity: 1 }])
  await order('o3', { id: '6001' }, [{ product_id: 'p', variant_id: 'w', quantity: 1 }])
  await order('o4', {}, [{ product_id: 'p', quantity: 1 }], 'dan')
  await order('o5', {}, [{ product_id: 'q', quantity: 1 }], 'eve')
  await order('o5', {}, [{ product_id: 'p', quantity: 1 }], 'eve')
  world.now -= 3_600_000
  await order('o6', {}, [{ product_id: 'p', quantity: 1 }], 'eve')
  const rows = await world.sql('select id, state, reason, bought_at from waitlist_signups order by signup_key')
  t.strictSame(rows.map(({ id, state, reason, bought_at: at }) => [id, Number(state), reason, at !== null]), [
    ['sgn_phone', 4, 'bought_since', true], ['sgn_mail', 4, 'bought_since', true], ['sgn_customer', 4, 'bought_since', true], ['sgn_alerted', 3, null, true], ['sgn_other', 1, null, false]
  ])
})
