// R91, R92: two gateways on one database, in virtual time, with faults chosen by a seed. A seed that fails is found again by
// its number alone: `node test/campaign/simulation.ts --from 17 --count 1`. The long version is the campaign's.

import t from 'tap'
import { simulate } from './run.ts'

const SEEDS = 50
const FAULTS_FOR_MS = 10_000

/** Seeds that found something, and for how long faults lasted in them. */
const REGRESSIONS = [
  [2, 30_000], // an account with requests in flight was handed over to the other gateway
  [7, 30_000],
  [20, 30_000]
] as const

t.test(`R91, R92: whatever ${SEEDS} seeds do to two gateways, nothing is lost, no window overrun, no message doubled, and all comes to rest`, async t => {
  const counts = { accepted: 0, arrived: 0, faults: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { accepted, arrived, faults, wrong } = await simulate({ seed, faultsForMs: FAULTS_FOR_MS })
    t.strictSame(wrong, [], `seed ${seed}`)
    counts.accepted += accepted
    counts.arrived += arrived
    counts.faults += Object.values(faults).reduce((sum, n) => sum + n, 0)
  }
  t.ok(counts.accepted > 10 * SEEDS && counts.arrived > 10 * SEEDS && counts.faults > SEEDS, `much happened: ${JSON.stringify(counts)}`)
})

t.test('R91: seeds that found something once find it no more', async t => {
  for (const [seed, faultsForMs] of REGRESSIONS) t.strictSame((await simulate({ seed, faultsForMs })).wrong, [], `seed ${seed}`)
})

t.test('R91: a seed gives the same run each time', async t => {
  const [first, second] = [await simulate({ seed: 7, faultsForMs: FAULTS_FOR_MS }), await simulate({ seed: 7, faultsForMs: FAULTS_FOR_MS })]
  t.strictSame(first, second)
  t.not((await simulate({ seed: 8, faultsForMs: FAULTS_FOR_MS })).trace, first.trace)
})
