// Points of a shop: by its standard plan first, then as the answers say.

import fc from 'fast-check'
import t from 'tap'
import { Bucket } from './bucket.ts'

const said = (available: number, { maximum = 2000, perSecond = 100 } = {}) => ({ requested: 1, throttle: { maximum, available, perSecond } })

t.test('a standard shop\'s points come back by 100 a second, until an answer says otherwise', async t => {
  const bucket = new Bucket(0)
  t.equal(bucket.wait(2000, 0), 0)
  bucket.take(2000, 0)
  t.equal(bucket.wait(50, 0), 500)
  t.equal(bucket.wait(50, 500), 0)
  bucket.settle(2000, said(20, { maximum: 20_000, perSecond: 1000 }), 600)
  t.equal(bucket.wait(1020, 600), 1000, 'Plus: a thousand a second')
  t.equal(bucket.wait(1020, 1600), 0)
})

t.test('what is on its way counts, though the answer to another question does not know it yet', async t => {
  const bucket = new Bucket(0)
  bucket.take(400, 0)
  bucket.take(400, 0)
  bucket.settle(400, said(1600), 0)
  t.equal(bucket.wait(1200, 0), 0)
  t.equal(bucket.wait(1300, 0), 1000, '1,600 less the 400 that may not be in it')
})

t.test('what nobody waits for leaves a third of it', async t => {
  const bucket = new Bucket(0)
  bucket.take(1500, 0)
  t.equal(bucket.wait(100, 0), 0)
  t.equal(bucket.wait(100, 0, true), 2000)
})

t.test('a question that costs more than there ever is goes when all is there: the shop judges it', async t => {
  const bucket = new Bucket(0)
  t.equal(bucket.wait(5000, 0), 0)
  bucket.take(5000, 0)
  t.ok(bucket.wait(1, 0) > 0)
})

t.test('figures that cannot be are not believed', async t => {
  const bucket = new Bucket(0)
  for (const wrong of [said(5, { perSecond: 0 }), said(5, { maximum: 0 }), said(5, { perSecond: Number.NaN }), said(5, { maximum: 1e12 })]) bucket.settle(0, wrong, 0)
  t.equal(bucket.wait(1000, 0), 0)
})

t.test('whatever is asked and answered, it never waits for ever, and no more is asked than the shop has', async () => {
  const question = fc.record({ points: fc.integer({ min: 1, max: 900 }), laterMs: fc.integer({ min: 0, max: 5000 }) })
  fc.assert(fc.property(fc.array(question, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (questions, tens) => {
    const [maximum, perSecond] = [tens * 100, tens * 10]
    let [now, left, at] = [0, maximum, 0]
    const bucket = new Bucket(0)
    bucket.settle(0, said(maximum, { maximum, perSecond }), 0)
    for (const { points, laterMs } of questions.filter(({ points }) => points <= maximum)) {
      now += laterMs
      const waitMs = bucket.wait(points, now)
      if (waitMs > maximum / perSecond * 1000 + 1) return false
      now += waitMs
      left = Math.min(maximum, left + (now - at) / 1000 * perSecond)
      at = now
      if (left + 0.001 < points) return false // it would be throttled
      bucket.take(points, now)
      left -= points
      bucket.settle(points, said(left, { maximum, perSecond }), now)
    }
    return true
  }))
})
