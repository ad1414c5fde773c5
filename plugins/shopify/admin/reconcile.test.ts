// What webhooks did not tell is read anew: only what is another stock than was told becomes an event, and once.

import t, { type Test } from 'tap'
import type { Entering, Row } from '../../../gateway/contract.ts'
import { SHOP, TOKEN, world, type World } from './admin.test-world.ts'
import { reconcileJob, toldOf } from './reconcile.ts'

const QUARTER_MS = 900_000
const id = (n: number): string => String(800000 + n)

async function start (t: Test, variants = 3): Promise<World & { /** A variant that webhooks told of. */ known (variant: string): void, round (): Promise<void>, tell (data: object, timeAt?: number): Promise<void> }> {
  const there = await world(t)
  await there.give()
  await there.data({ variants: Array.from({ length: variants }, (_, i) => ({ id: id(i), product: '55', quantity: i, item: String(i + 1) })), items: Array.from({ length: variants }, (_, i) => ({ id: String(i + 1), variants: [id(i)] })) })
  const known = (variant: string): void => { there.rows(`insert into shopify_items values (1, '${variant}', null, '55', null, 0)`) }
  for (let i = 0; i < variants; i++) known(id(i))
  const enter = async (data: Record<string, unknown>, timeAt: number): Promise<void> => { await there.context.commit(toldOf({ shop: SHOP, timeAt, data } as unknown as Entering)) }
  return {
    ...there,
    known,
    /** All of its slices; what it makes is told, as the gateway does. */
    async round () {
      for (let cursor: string | null = null; ;) {
        const before = there.events.length
        const result = await reconcileJob({ uniqueKey: 'shop:1', attempts: 1, cursor }, there.context)
        for (const { data, timeAt } of there.events.slice(before)) await enter(data, timeAt)
        cursor = result?.cursor ?? null
        if (cursor === null) return
      }
    },
    tell: (data, timeAt = there.context.now()) => enter({ ...data }, timeAt)
  }
}

const told = ({ events }: World): object[] => events.map(({ data }) => [(data.variant as { id: string }).id, data.available])

t.test('what is another total than was told becomes stock.changed, without a location, at the time of asking', async t => {
  const there = await start(t)
  await there.tell({ variant: { id: id(1) }, available: 1, at: '' })
  const at = there.context.now()
  await there.round()
  t.strictSame(told(there), [[id(0), 0], [id(2), 2]])
  t.match(there.events[1], { type: 'stock.changed', shop: SHOP.id, timeAt: at, data: { variant: { id: id(2) }, product: { id: '55' }, available: 2, at: new Date(at).toISOString() } })
  t.notOk('location' in (there.events[1]?.data ?? {}))
  await there.round()
  t.equal(there.events.length, 2, 'the same again is nothing')
  await there.data({ variants: [{ id: id(0), product: '55', quantity: 7, item: '1' }] })
  there.advance(QUARTER_MS)
  await there.round()
  t.strictSame(told(there).slice(2), [[id(0), 7]])
})

t.test('a level that was told since makes the total unknown: it is told anew, though Shopify has the same as then', async t => {
  const there = await start(t, 1)
  await there.data({ variants: [{ id: id(0), product: '55', quantity: 5, item: '1' }] })
  await there.round()
  await there.tell({ variant: { id: id(0) }, location: '9', available: 0, at: '' })
  there.advance(QUARTER_MS)
  await there.round()
  t.strictSame(told(there), [[id(0), 5], [id(0), 5]])
  t.equal(new Set(there.events.map(({ id }) => id)).size, 2, 'under another id')
})

t.test('an older total does not undo what was told after it', async t => {
  const there = await start(t, 1)
  const now = there.context.now()
  await there.tell({ variant: { id: id(0) }, available: 9 }, now)
  await there.tell({ variant: { id: id(0) }, available: 4 }, now - 1000)
  t.match(there.rows('select total from shopify_told'), [{ total: 9 }])
})

t.test('what Shopify does not count, and what is gone, is left out', async t => {
  const there = await start(t)
  await there.data({ items: [{ id: '1', tracked: false, variants: [id(0)] }], variants: [{ id: id(1), product: '55', quantity: null, item: '2' }] })
  there.known('900000')
  await there.round()
  t.strictSame(told(there), [[id(2), 2]])
})

t.test('a hundred variants are read in slices of forty, one after the other', async t => {
  const there = await start(t, 100)
  await there.round()
  t.equal(there.events.length, 100)
  t.strictSame((await there.asked()).map(({ body }) => (body.variables.ids as string[]).length), [40, 40, 20])
})

t.test('those that people wait for are read, where somebody counts them; all that are known otherwise', async t => {
  const there = await start(t)
  const { read } = there.context
  there.context.has = () => true
  there.context.read = async (name, params): Promise<Row[]> => name === 'waitlist_waiting_variants' ? [{ variant: id(2), product: '55' }] : await read(name, params)
  await there.round()
  t.strictSame(told(there), [[id(2), 2]])
})

t.test('one event that is refused does not keep the others', async t => {
  const there = await start(t)
  const { accept } = there.context
  there.context.accept = async (events, steps) => events.some(({ data }) => data.available === 1)
    ? { is: 'refused', sourceId: events.find(({ data }) => data.available === 1)?.id ?? null, code: 'GW_EVENT_INVALID', message: 'No.' }
    : await accept(events, steps)
  await there.round()
  t.strictSame(told(there), [[id(0), 0], [id(2), 2]])
  t.strictSame(there.warnings, ['No.'])
})

t.test('trouble: the same slice again later; refused: the next round; no access: it ends until there is some', async t => {
  const there = await start(t)
  const job = { uniqueKey: 'shop:1', attempts: 1, cursor: id(0) }
  await there.fault({ kind: 'status', status: 402, body: {}, times: 1 })
  t.strictSame(await reconcileJob(job, there.context), { afterMs: 3_600_000, cursor: id(0) })
  there.advance(3_600_001)
  await there.fault({ kind: 'status', status: 400, body: {}, times: 1 })
  t.strictSame(await reconcileJob(job, there.context), { afterMs: QUARTER_MS, cursor: null })
  await there.data({ revoked: [TOKEN] })
  t.equal(await reconcileJob(job, there.context), null)
  t.strictSame(there.events, [])
})

t.test('each shop that is connected has its job, which takes nobody\'s place, and one that was lost gets it back within the hour', async t => {
  const there = await start(t)
  t.strictSame(await reconcileJob({ uniqueKey: 'shopify_reconcile', attempts: 1, cursor: null }, there.context), { afterMs: 3_600_000, cursor: null })
  t.strictSame(there.jobs, [{ kind: 'shopify_reconcile', key: 'shop:1', dueAt: there.context.now() + QUARTER_MS, background: true }])
})
