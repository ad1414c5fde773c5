// Two gateways on one database: the same stock told to both, and each customer told once.

import t from 'tap'
import { makeApp, until } from '../../test/helpers/app.ts'
import { alerted, inState, several, stock, waits, WAITLIST, waves } from './waves.test-world.ts'

const VARIANTS = ['v1', 'v2', 'v3', 'v4']

t.test('F3: two gateways are told of the same restocks, at once and again: one wave each, everybody told once', async t => {
  const one = makeApp(t, { config: WAITLIST })
  await one.start()
  const two = makeApp(t, { config: WAITLIST, env: one.env })
  await two.start()
  for (const variant of VARIANTS) await waits(one, several(120).map(({ n }) => ({ id: `sgn_${variant}-${n}`, n, variant })))
  const told = (variant: string, id: string, available: number, afterMs: number): object => ({ id, type: 'stock.changed', shop: 'acme.example', data: { variant: { id: variant }, available, at: new Date(Date.now() + afterMs).toISOString() } })
  for (const variant of VARIANTS) {
    const [low, high] = [told(variant, `${variant}-low`, 0, 0), told(variant, `${variant}-high`, 9, 1000)]
    await Promise.all([one, two].map(app => app.post(low)))
    const answers = await Promise.all([one, two, two, one].map(app => app.post(high)))
    t.strictSame(answers.map(({ body }) => body.status).toSorted(), ['accepted', 'duplicate', 'duplicate', 'duplicate'], variant)
  }
  await until(async () => await inState(one, 3) === 120 * VARIANTS.length)
  t.strictSame((await waves(two)).map(({ variant, made, alerted: count }) => [variant, made, count]).toSorted(), VARIANTS.map(variant => [variant, 120, 120]))
  const [sent] = await one.query('select count(*) as messages, sum(call_no) as calls from deliveries where state = 3')
  t.match({ messages: Number(sent?.messages), calls: Number(sent?.calls) }, { messages: 120 * VARIANTS.length, calls: 120 * VARIANTS.length }, 'by both together')
  await one.close()
  await waits(two, [{ id: 'sgn_after', n: 999, variant: 'v1' }])
  await stock(two, 0, { variant: 'v1', at: Date.now() + 2000 })
  await stock(two, 1, { variant: 'v1', at: Date.now() + 3000 })
  await until(async () => (await alerted(two)).includes(999))
})
