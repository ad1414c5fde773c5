import t from 'tap'
import { neighbours, switchQueues } from '../campaign/backlog.ts'
import { storeOfProcess } from '../helpers/stores.ts'
import { tempDir } from '../helpers/tmp.ts'

const WAITING = 2000

t.test('R64: beside 2,000 that wait a neighbour gets all of its own, and what has no mapping is rejected and shown', async t => {
  const { beside, sameAccount, poison, most } = await neighbours({ dir: tempDir(t), waiting: WAITING, poison: 20, samples: 20, on: await storeOfProcess(t) })
  t.equal(beside.length, 20)
  t.equal(sameAccount.length, 2, 'before those that waited longer on the same account')
  t.strictSame(poison, { posted: 20, rejected: 20 })
  t.ok(most <= 100, 'no window was overfilled')
})

t.test('a queue is held, released and switched with 2,000 waiting in it, and another shop goes on', async t => {
  const { others, many } = await switchQueues({ dir: tempDir(t), waiting: WAITING, rounds: 2, on: await storeOfProcess(t) })
  t.strictSame(Object.keys(many), ['hold', 'release', 'switch', 'switch back'])
  t.equal(others.arrived, others.accepted)
})
